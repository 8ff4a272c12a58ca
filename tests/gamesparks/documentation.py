"""What GameSparks documented of the two requests, as data: parameters, answer, and error keys.

From the pages "XboxOneConnectRequest" and "SteamConnectRequest" of its Request API reference, and from the pages of
its other connect requests for what its last version had in common. The service ended on 30 September 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FLAGS = ("doNotLinkToCurrentPlayer", "errorOnSwitch", "switchIfPossible", "doNotCreateNewPlayer", "syncDisplayName")
"""Booleans of every connect request; each is false unless it is sent."""

ANSWER = frozenset({"@class", "authToken", "displayName", "newPlayer", "scriptData", "userId"})
"""Members of a good answer. `switchSummary` comes with an error only."""

SUMMARY = frozenset({"id", "displayName", "externalIds", "scriptData"})
"""Members of a player in `switchSummary`, without `achievements`, `online` and `virtualGoods`, which are a game's."""


@dataclass(frozen=True)
class Documented:
    """One request. `errors` are the documented pairs of key and value, by what they tell."""

    name: str
    provider: str
    credential: str
    parameters: frozenset[str]
    errors: Mapping[str, tuple[str, str]]

    @property
    def path(self) -> str:
        return f"/gamesparks/{self.name}"


COMMON = frozenset({*FLAGS, "segments"})

XBOX_ONE = Documented(
    "XboxOneConnectRequest",
    "xbox",
    "token",
    COMMON | {"token", "sandbox"},
    {
        "linked": ("accessToken", "ACCOUNT_ALREADY_LINKED"),
        "refused": ("token", "NOTAUTHENTICATED"),
        "missing": ("token", "REQUIRED"),
        "not configured": ("XBOXONE", "NOT_CONFIGURED"),
        "child": ("authentication", "COPPA restricted"),
    },
)
STEAM = Documented(
    "SteamConnectRequest",
    "steam",
    "sessionTicket",
    COMMON | {"sessionTicket"},
    {
        "linked": ("sessionTicket", "ACCOUNT_ALREADY_LINKED"),
        "refused": ("sessionTicket", "NOTAUTHENTICATED"),
        "missing": ("sessionTicket", "REQUIRED"),
        "not configured": ("STEAM", "NOT_CONFIGURED"),
        "child": ("authentication", "COPPA restricted"),
    },
)
DOCUMENTED = (XBOX_ONE, STEAM)
