"""What Steam's Web API answers: every status and JSON shape, read strictly and never as HTML.

Owns the line between a refusal, an outage and our own misconfiguration. Knows no ticket, and never repeats Steam's
texts, which may echo one.
"""

import logging
import re
from typing import Any

from authsrv.platforms.base import OutboundResponse, PlatformMisconfigured, PlatformUnavailable
from authsrv.platforms.steam.tickets import is_player
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

_LOG = logging.getLogger(__name__)
_STEAM_ID = re.compile(r"[0-9]{17}")
_SECONDS = re.compile(r"[0-9]{1,5}")


class TicketRefused(Exception):
    """Steam said no, by this errorcode."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"errorcode {code}")


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The accepted answer of AuthenticateUserTicket: the playing account, the licence's owner, and bans."""

    steam_id: int
    owner: int
    vac_banned: bool
    publisher_banned: bool


@dataclass(frozen=True, slots=True)
class AppOwnership:
    """The answer of CheckAppOwnership. `owner` is None when Steam names nobody."""

    owns_app: bool
    owner: int | None


def read_authentication(response: OutboundResponse) -> Authenticated:
    """AuthenticateUserTicket/v1: `{"response": {"params": {...}}}` or `{"response": {"error": {...}}}`, never both.

    Raises `TicketRefused`, `PlatformUnavailable` or `PlatformMisconfigured`.
    """
    code = _errorcode(response)
    if code is not None:
        raise TicketRefused(code)
    answer = _member(_document(response), "response")
    if "error" in answer:
        raise unknown_shape("error")
    params = _member(answer, "params")
    if params.get("result") != "OK":
        raise unknown_shape("result")
    return Authenticated(
        steam_id=_player(params, "steamid"),
        owner=_player(params, "ownersteamid"),
        vac_banned=_flag(params, "vacbanned"),
        publisher_banned=_flag(params, "publisherbanned"),
    )


def read_app_ownership(response: OutboundResponse) -> AppOwnership:
    """CheckAppOwnership/v4. Raises `PlatformUnavailable` or `PlatformMisconfigured`."""
    answer = _member(_document(response), "appownership")
    return AppOwnership(owns_app=_flag(answer, "ownsapp"), owner=_steam_id(answer.get("ownersteamid")))


def read_display_name(response: OutboundResponse, steam_id: int) -> str:
    """The name in GetPlayerSummaries/v2, empty when the account is not among the answers.

    Raises `PlatformUnavailable` or `PlatformMisconfigured`.
    """
    players = _member(_document(response), "response").get("players")
    for player in players if isinstance(players, list) else []:
        if isinstance(player, dict) and _steam_id(player.get("steamid")) == steam_id:
            name = player.get("personaname")
            return name if isinstance(name, str) else ""
    return ""


def _errorcode(response: OutboundResponse) -> int | None:
    """The errorcode of a refusal; its status is not documented, so the body decides (any 2xx and 400)."""
    if not (200 <= response.status < 300 or response.status == 400):
        return None
    try:
        answer = strict_json(response.body)["response"]
        code = answer["error"]["errorcode"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if type(code) is int and "params" not in answer else None


def _document(response: OutboundResponse) -> Any:
    status = response.status
    if status in {401, 403}:
        raise PlatformMisconfigured(f"Steam refused the Web API key, or calls from this address (status {status})")
    if status == 429:
        raise PlatformUnavailable("Steam answers too many requests (429)", retry_after=retry_after(response))
    if 400 <= status < 500:
        raise PlatformMisconfigured(f"Steam does not know this call (status {status}): check app ids, host and hosts")
    if not 200 <= status < 300:
        raise PlatformUnavailable(f"Steam answers status {status}", retry_after=retry_after(response))
    try:
        return strict_json(response.body)
    except ValueError as error:
        raise unknown_shape("document") from error


def retry_after(response: OutboundResponse) -> int | None:
    text = response.headers.get("retry-after", "").strip()
    return int(text) if _SECONDS.fullmatch(text) else None


def _member(answer: Any, name: str) -> dict[str, Any]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise unknown_shape(name)
    return found


def _flag(answer: dict[str, Any], name: str) -> bool:
    found = answer.get(name)
    if not isinstance(found, bool):
        raise unknown_shape(name)
    return found


def _player(answer: dict[str, Any], name: str) -> int:
    found = _steam_id(answer.get(name))
    if found is None:
        raise unknown_shape(name)
    return found


def _steam_id(value: Any) -> int | None:
    """A player's SteamID64, as text or as an integer; never as a float, which loses digits."""
    if isinstance(value, str) and _STEAM_ID.fullmatch(value):
        value = int(value)
    return value if type(value) is int and is_player(value) else None


def unknown_shape(what: str) -> PlatformUnavailable:
    _LOG.error("Steam's answer has an unknown shape: %s", what)
    return PlatformUnavailable(f"Steam's answer has an unknown shape: {what}")
