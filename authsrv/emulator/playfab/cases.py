"""What the emulated PlayFab answers to LoginWithServerCustomId: its sessions, its refusals, and the odd ones.

Owns case names, statuses and bodies. Knows no request and keeps no account.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from authsrv.records import dataclass

TITLE = "EMUL8"
"""No title of PlayFab has such an id: theirs are hexadecimal."""
SECRET_KEY = "EMULATEDPLAYFABSECRETKEY0A1B2C3D4E5F60718293A4B5C6D7"

_JSON = "application/json; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Account:
    """A player as the title knows them. `key` is what the caller sent as its secret key."""

    playfab_id: str
    entity_id: str
    newly_created: bool
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, given after `delay` seconds."""

    status: int
    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """An answer for a known title and key, and what authsrv makes of it."""

    summary: str
    answer: Callable[[Account], Answer]


def session(account: Account) -> Answer:
    """A new session of the account."""
    return _ok(_session_of(account))


def refusal(status: int, name: str, number: int, **more: Any) -> Answer:
    """One of PlayFab's errors in its envelope."""
    words = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 409: "Conflict", 429: "TooManyRequests"}
    members = {"code": status, "status": words.get(status, "ServiceUnavailable"), "error": name, "errorCode": number}
    return _json({**members, "errorMessage": "This did not work.", **more}, status)


def not_authenticated() -> Answer:
    """The caller's secret key is missing or wrong."""
    return refusal(401, "NotAuthenticated", 1074)


def unknown_title() -> Answer:
    """The title does not exist."""
    return refusal(400, "InvalidTitleId", 1004)


def _json(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document, separators=(",", ":")).encode())


def _ok(data: Any) -> Answer:
    return _json({"code": 200, "status": "OK", "data": data})


def _page(status: int, title: str, **headers: str) -> Answer:
    return Answer(status, f"<html><title>{title}</title></html>".encode(), _HTML, headers)


def _session_of(account: Account) -> dict[str, Any]:
    signature = b64encode(secrets.token_bytes(32)).decode()
    ticket = f"{account.playfab_id}--{account.entity_id}-{TITLE}-{secrets.token_hex(8).upper()}-{signature}"
    return {
        "SessionTicket": ticket,
        "PlayFabId": account.playfab_id,
        "NewlyCreated": account.newly_created,
        "SettingsForUser": {"NeedsAttribution": False, "GatherDeviceInfo": True, "GatherFocusInfo": True},
        "EntityToken": {
            "EntityToken": b64encode(secrets.token_bytes(300)).decode(),
            "TokenExpiration": "2026-11-22T12:00:00.000Z",
            "Entity": {
                "Id": account.entity_id,
                "Type": "title_player_account",
                "TypeString": "title_player_account",
            },
        },
    }


def _altered(*without: str, **changes: Any) -> Callable[[Account], Answer]:
    """The session with members left out or replaced."""

    def answer(account: Account) -> Answer:
        data = {name: value for name, value in _session_of(account).items() if name not in without}
        return _ok(data | changes)

    return answer


def _cut_off(account: Account) -> Answer:
    whole = session(account).body
    return Answer(200, whole[: len(whole) // 2], headers={"content-length": str(len(whole))})


def _oversized(account: Account) -> Answer:
    return Answer(200, b" " * 128 * 1024 + session(account).body)


def _repeated_name(account: Account) -> Answer:
    body = session(account).body
    return Answer(200, body.replace(b'"SessionTicket":', b'"SessionTicket":"another","SessionTicket":', 1))


def _echo(account: Account) -> Answer:
    """Every text of the error is the key that was sent."""
    return refusal(401, account.key, 1074, errorMessage=account.key, errorDetails={account.key: [account.key]})


def _throttled(_: Account) -> Answer:
    told = refusal(429, "APIClientRequestRateLimitExceeded", 1199, retryAfterSeconds=8)
    return replace(told, headers={"Retry-After": "8"})


def _always(answer: Answer) -> Callable[[Account], Answer]:
    return lambda _: answer


CASES: Mapping[str, Case] = {
    "good": Case("session: a new account at a player's first login, the same one afterwards", session),
    "new-account": Case(
        "session: of an account that was made just now", lambda account: session(replace(account, newly_created=True))
    ),
    "without-entity": Case("session: without an entity token", _altered("EntityToken")),
    "null-entity": Case("session: the entity token is null", _altered(EntityToken=None)),
    # The player is refused
    "account-banned": Case(
        "player refused: banned by the title",
        _always(refusal(403, "AccountBanned", 1002, errorDetails={"Cheating": ["Indefinite"]})),
    ),
    "account-deleted": Case("player refused: deleted", _always(refusal(403, "AccountDeleted", 1322))),
    # Our configuration is wrong
    "bad-secret": Case("misconfiguration: the secret key is refused", _always(not_authenticated())),
    "bad-secret-echoed": Case("misconfiguration: the same, and every text repeats the key", _echo),
    "not-authorized": Case(
        "misconfiguration: the key may not log players in", _always(refusal(403, "NotAuthorized", 1089))
    ),
    "unknown-title": Case("misconfiguration: no such title", _always(unknown_title())),
    "title-full": Case(
        "misconfiguration: a title in development mode is full",
        _always(refusal(400, "EvaluationModePlayerCountExceeded", 1490)),
    ),
    "unknown-error": Case("misconfiguration: an error that nobody knows", _always(refusal(400, "Novelty", 99_999))),
    "http-404": Case("misconfiguration: 404 and HTML", _always(_page(404, "Not Found"))),
    # PlayFab does not decide
    "throttled": Case("unavailable: 429 with Retry-After", _throttled),
    "throttled-bare": Case("unavailable: 429 alone", _always(_page(429, "Too Many Requests"))),
    "conflict": Case("unavailable: 409, two changes at once", _always(refusal(409, "ConcurrentEditError", 1133))),
    "service-unavailable": Case(
        "unavailable: 503 in PlayFab's envelope", _always(refusal(503, "ServiceUnavailable", 1123))
    ),
    "http-500": Case("unavailable: 500", _always(_page(500, "Internal Server Error"))),
    "http-502": Case("unavailable: 502", _always(_page(502, "Bad Gateway"))),
    "http-504": Case("unavailable: 504", _always(_page(504, "Gateway Timeout"))),
    "redirect": Case("unavailable: a redirect", _always(_page(302, "Found", Location="http://127.0.0.1:9/"))),
    "hang": Case("unavailable: an answer after a minute", lambda account: replace(session(account), delay=60)),
    # Nonsense
    "html-200": Case("unavailable: HTML with status 200", _always(_page(200, "PlayFab"))),
    "empty-object": Case("unavailable: an empty object", _always(_json({}))),
    "list": Case("unavailable: a list", _always(_json([]))),
    "error-in-200": Case(
        "unavailable: an error with status 200", _always(replace(refusal(400, "InvalidParams", 1000), status=200))
    ),
    "no-data": Case("unavailable: no data", _always(_json({"code": 200, "status": "OK"}))),
    "no-ticket": Case("unavailable: no session ticket", _altered("SessionTicket")),
    "empty-ticket": Case("unavailable: an empty session ticket", _altered(SessionTicket="")),
    "number-ticket": Case("unavailable: a number as session ticket", _altered(SessionTicket=7)),
    "odd-ticket": Case("unavailable: a session ticket of two lines", _altered(SessionTicket="one\ntwo")),
    "long-ticket": Case("unavailable: a session ticket of 8 KiB", _altered(SessionTicket="t" * 8192)),
    "no-id": Case("unavailable: no PlayFab id", _altered("PlayFabId")),
    "half-entity": Case("unavailable: an entity token without its entity", _altered(EntityToken={"EntityToken": "e"})),
    "repeated-name": Case("unavailable: two session tickets in one object", _repeated_name),
    "cut-off-body": Case("unavailable: half an answer", _cut_off),
    "oversized-body": Case("unavailable: 128 KiB", _oversized),
}
