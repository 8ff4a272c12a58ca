"""Server/LoginWithServerCustomId as it goes over the wire: what is sent, and every answer read strictly.

Owns the line between a player whom PlayFab refuses, an outage, and a title or key that is set up wrongly. Never repeats
PlayFab's texts, which may echo what was sent.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal

from authsrv.platforms.base import OutboundResponse
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

PATH: Final = "/Server/LoginWithServerCustomId"
SECRET_HEADER: Final = "X-SecretKey"
MAX_BODY: Final = 32 * 1024

_TEXT = re.compile(r"[!-~]{1,3072}")
"""What may become a claim: two of the longest still leave the token below what a request's head may hold."""

_PASSING = frozenset({408, 409, 429})
"""Client errors that are nobody's fault, and pass."""

Cause = Literal["misconfigured", "player_refused", "unavailable"]

_CAUSES: Mapping[int, tuple[Cause, str]] = {
    1002: ("player_refused", "the account is banned"),
    1322: ("player_refused", "the account was deleted"),
    1004: ("misconfigured", "there is no title of this title_id"),
    1074: ("misconfigured", "secret_key is not accepted"),
    1089: ("misconfigured", "secret_key may not log players in"),
    1490: ("misconfigured", "a title in development mode takes no more players"),
    1123: ("unavailable", "the service is unavailable"),
    1127: ("unavailable", "a service behind it is unavailable"),
    1133: ("unavailable", "two changes came at once"),
    1199: ("unavailable", "too many requests"),
    1342: ("unavailable", "too many requests at once"),
}
"""By PlayFab's `errorCode`. Others are told apart by the status alone."""


class NoSession(Exception):
    """PlayFab gave no session. The text is for the log and holds nothing that PlayFab wrote, but numbers."""

    def __init__(self, cause: Cause, detail: str) -> None:
        self.cause: Cause = cause
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Entity:
    """A player as PlayFab's newer services know them, with a token for those."""

    id: str
    type: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A player's session with the title. `entity` is None where PlayFab gives none."""

    playfab_id: str
    ticket: str = field(repr=False)
    entity: Entity | None = None

    def claims(self) -> dict[str, str]:
        """The claims of an access token, by the names that Xsolla Login gives them."""
        claims = {"external_account_id": self.playfab_id, "session_ticket": self.ticket}
        if self.entity is None:
            return claims
        of_entity = {
            "entity_token": self.entity.token,
            "entity_type": self.entity.type,
            "entity_id": self.entity.id,
        }
        return claims | of_entity


def login_of(sub: str) -> dict[str, Any]:
    """The request's body: the player by our own id, made known to PlayFab at the first login. No data is asked for."""
    return {"ServerCustomId": sub, "CreateAccount": True}


def read_session(response: OutboundResponse) -> Session:
    """`{"code": 200, "status": "OK", "data": {...}}` as a session. Raises `NoSession`."""
    if response.status != 200:
        raise _refusal(response)
    answer = _document(response)
    if answer.get("code") != 200:
        raise _unknown_shape("code")
    data = _member(answer, "data")
    return Session(_text(data, "PlayFabId"), _text(data, "SessionTicket"), _entity(data))


def _entity(data: Mapping[str, Any]) -> Entity | None:
    if data.get("EntityToken") is None:
        return None
    found = _member(data, "EntityToken")
    entity = _member(found, "Entity")
    return Entity(_text(entity, "Id"), _text(entity, "Type"), _text(found, "EntityToken"))


def _refusal(response: OutboundResponse) -> NoSession:
    """What a refusal means. Its number counts with a client error only; everything else is an outage."""
    status = response.status
    if status in _PASSING or not 400 <= status < 500:
        return NoSession("unavailable", f"status {status}")
    code = _error_code(response)
    cause, meaning = _CAUSES.get(code, ("misconfigured", "check title_id and secret_key"))
    return NoSession(cause, f"status {status}, error {code}: {meaning}")


def _error_code(response: OutboundResponse) -> int:
    """PlayFab's number for the error; 0 if the answer is none of its own."""
    try:
        code = strict_json(response.body)["errorCode"]
    except (ValueError, KeyError, TypeError):
        return 0
    return code if type(code) is int and 0 < code < 1_000_000 else 0


def _document(response: OutboundResponse) -> Mapping[str, Any]:
    try:
        found = strict_json(response.body)
    except ValueError:
        raise _unknown_shape("document") from None
    if not isinstance(found, dict):
        raise _unknown_shape("document")
    return found


def _member(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise _unknown_shape(name)
    return found


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not _TEXT.fullmatch(found):
        raise _unknown_shape(name)
    return found


def _unknown_shape(what: str) -> NoSession:
    return NoSession("unavailable", f"an answer of unknown shape: {what}")
