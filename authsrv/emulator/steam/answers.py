"""What the emulated Steam Web API says: the documented answers, and the odd ones a verifier must survive.

Owns bodies and statuses. Knows no request and decides nothing.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from typing import Any

from starlette.responses import Response

from authsrv.emulator.steam.tickets import TicketFacts
from authsrv.records import dataclass

_JSON = "application/json; charset=UTF-8"
_HTML = "text/html; charset=UTF-8"
_DESCRIPTIONS: Mapping[int, str] = {3: "Invalid parameter", 101: "Invalid ticket", 102: "Ticket for other app"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, given after `delay` seconds."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """What Steam knows of a ticket and of the player behind it.

    `identity` is what the ticket was made for, `error` the code it is refused with, if any. Steam learns of the ticket
    at `known_from` (Unix seconds). `odd` replaces the answer of AuthenticateUserTicket.
    """

    facts: TicketFacts
    identity: str
    owner: int
    known_from: float = 0.0
    error: int | None = None
    vac_banned: bool = False
    publisher_banned: bool = False
    owns_app: bool = True
    ownership_down: bool = False
    profile_down: bool = False
    odd: Answer | None = None


async def give(answer: Answer, sleep: Callable[[float], Awaitable[None]]) -> Response:
    """The answer as a response, after its delay."""
    if answer.delay:
        await sleep(answer.delay)
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


def json_answer(document: Any, status: int = 200) -> Answer:
    """A JSON document as Steam sends it."""
    return Answer(status, json.dumps(document, separators=(",", ":")).encode("utf-8"))


def html_answer(status: int, title: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One of Steam's HTML pages; real ones have no more to say either."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(status, page.encode("ascii"), _HTML, headers or {})


def key_values(ns: str, is_valid: str) -> Answer:
    """The answer to check_authentication, in the key-value form (OpenID 2.0 section 4.1.1)."""
    return Answer(200, f"ns:{ns}\nis_valid:{is_valid}\n".encode("ascii"), "text/plain; charset=utf-8")


def wrong_key() -> Answer:
    """A missing or wrong key, or a caller outside the key's list of addresses."""
    return html_answer(403, "Forbidden")


def refused(code: int, *, echo: str = "", status: int = 200) -> Answer:
    """AuthenticateUserTicket's refusal. Steam's description may echo the ticket."""
    description = _DESCRIPTIONS.get(code, f"Failure for {echo}")
    return json_answer({"response": {"error": {"errorcode": code, "errordesc": description}}}, status)


def confirmed(account: Account) -> Answer:
    """AuthenticateUserTicket's acceptance."""
    return json_answer({"response": {"params": params_of(account)}})


def params_of(account: Account) -> dict[str, Any]:
    """The `params` object of the acceptance."""
    return {
        "result": "OK",
        "steamid": str(account.facts.steam_id),
        "ownersteamid": str(account.owner),
        "vacbanned": account.vac_banned,
        "publisherbanned": account.publisher_banned,
    }


def altered(account: Account, *without: str, **params: Any) -> Answer:
    """The acceptance with members left out or replaced."""
    found = {name: value for name, value in params_of(account).items() if name not in without}
    return json_answer({"response": {"params": found | params}})


def both(account: Account) -> Answer:
    """Acceptance and refusal at once."""
    error = {"errorcode": 101, "errordesc": "Invalid ticket"}
    return json_answer({"response": {"params": params_of(account), "error": error}})


def repeated_name(account: Account) -> Answer:
    """The acceptance with a second `steamid`, which a lenient parser prefers."""
    body = confirmed(account).body.replace(b'"result":', b'"steamid":"76561202255232009","result":')
    return Answer(200, body)


def cut_off(account: Account) -> Answer:
    """The acceptance, of which the connection brings only the half."""
    whole = confirmed(account).body
    return Answer(200, whole[: len(whole) // 2], headers={"content-length": str(len(whole))})


def oversized(account: Account) -> Answer:
    """The acceptance after 128 KiB of white space."""
    return Answer(200, b" " * 128 * 1024 + confirmed(account).body)


def mislabelled(account: Account) -> Answer:
    """The acceptance under HTML's name."""
    return replace(confirmed(account), content_type=_HTML)


def late(account: Account, seconds: float) -> Answer:
    """The acceptance after a while."""
    return replace(confirmed(account), delay=seconds)


def app_ownership(account: Account) -> Answer:
    """CheckAppOwnership/v4."""
    return json_answer({"appownership": _owned(account) | {"result": "OK"}})


def publisher_ownership(account: Account) -> Answer:
    """GetPublisherAppOwnership/v4."""
    return json_answer({"appownership": {"apps": [{"appid": account.facts.app_id} | _owned(account)], "result": "OK"}})


def player_summaries(names: Mapping[int, str]) -> Answer:
    """GetPlayerSummaries/v2, names by SteamID."""
    return json_answer({"response": {"players": [_summary(steam_id, name) for steam_id, name in names.items()]}})


def player_bans(accounts: Mapping[int, Account]) -> Answer:
    """GetPlayerBans/v1, which has no outer `response`."""
    return json_answer({"players": [_bans(steam_id, account) for steam_id, account in accounts.items()]})


def _owned(account: Account) -> dict[str, Any]:
    return {
        "ownsapp": account.owns_app,
        "permanent": account.owner == account.facts.steam_id,
        "timestamp": "2026-01-01T00:00:00Z",
        "timeexpires": "never",
        "ownersteamid": str(account.owner) if account.owns_app else "0",
        "sitelicense": False,
        "timedtrial": False,
        "usercanceled": False,
    }


def _summary(steam_id: int, name: str) -> dict[str, Any]:
    return {
        "steamid": str(steam_id),
        "communityvisibilitystate": 3,
        "profilestate": 1,
        "personaname": name,
        "profileurl": f"https://steamcommunity.com/profiles/{steam_id}/",
        "personastate": 1,
    }


def _bans(steam_id: int, account: Account) -> dict[str, Any]:
    return {
        "SteamId": str(steam_id),
        "CommunityBanned": False,
        "VACBanned": account.vac_banned,
        "NumberOfVACBans": int(account.vac_banned),
        "DaysSinceLastBan": 0,
        "NumberOfGameBans": int(account.publisher_banned),
        "EconomyBan": "none",
    }
