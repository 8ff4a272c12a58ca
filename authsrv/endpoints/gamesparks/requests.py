"""Which requests of GameSparks there are, and what each of them calls things.

Owns names alone: they are those of its documentation, which is no longer online. Decides nothing.
"""

from collections.abc import Mapping

from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """One request. `credential` is the parameter with the proof and `kind` our kind of it; `linked` is the key under
    which it reports another account of the player, `service` that under which a platform is not configured. With
    `has_sandbox` a request may name one.
    """

    provider: str
    kind: str
    credential: str
    linked: str
    service: str
    has_sandbox: bool = False


REQUESTS: Mapping[str, ConnectRequest] = {
    "XboxOneConnectRequest": ConnectRequest("xbox", "xsts_token", "token", "accessToken", "XBOXONE", has_sandbox=True),
    "SteamConnectRequest": ConnectRequest("steam", "session_ticket", "sessionTicket", "sessionTicket", "STEAM"),
}
"""By the last part of the path."""

PATH = "/gamesparks/"
ANSWER = ".AuthenticationResponse"
"""The `@class` of every answer."""

FLAGS: Mapping[str, str] = {
    "doNotLinkToCurrentPlayer": "do_not_link_to_current_player",
    "errorOnSwitch": "error_on_switch",
    "switchIfPossible": "switch_if_possible",
    "doNotCreateNewPlayer": "do_not_create_new_player",
    "syncDisplayName": "sync_display_name",
}
"""Its flags, and ours."""

PARAMETERS: Mapping[str, str] = {"client_id": "apiKey", "client_secret": "apiSecret"}
"""Our parameters about the client, and how its SDKs called such things."""


def request_of(path: str) -> ConnectRequest | None:
    """The request of a path, if there is one."""
    return REQUESTS.get(path.removeprefix(PATH)) if path.startswith(PATH) else None
