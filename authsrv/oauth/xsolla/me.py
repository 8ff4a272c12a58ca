"""What a game on an Xsolla SDK learns about its player: the flat object that the SDKs decode.

Owns its members and their forms. What is told at all is what the token's scope promises, as everywhere.
"""

import re
from collections.abc import Mapping
from typing import Any

from authsrv.account_models import Account
from authsrv.errors import InvalidToken
from authsrv.oauth import claims
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import AccessToken
from authsrv.oauth.server import TokenServer
from authsrv.oauth.xsolla.bearer import Bearer, Bearers
from authsrv.oauth.xsolla.times import moment

_GUEST = "guest"
_WHOLE_DATE = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}")
_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
_GENDERS: Mapping[str, str] = {"female": "f", "male": "m", "prefer not to answer": "prefer not to answer"}
"""The words that Android's SDK knows, beside `other`; any other makes it fail."""


class Me:
    """Answers for the access tokens of players."""

    def __init__(self, server: TokenServer, bearers: Bearers) -> None:
        self._server = server
        self._bearers = bearers

    async def answer(self, access_token: str) -> Mapping[str, Any]:
        """The player as one JSON object. Raises `InvalidToken`."""
        bearer = await self._bearers.find(access_token)
        with outages_answered():
            account = await self._server.storage.load_account(bearer.loaded.player.id)
        if account is None:
            raise InvalidToken(detail="the player is gone")
        return described(bearer, account)


def described(bearer: Bearer, account: Account) -> Mapping[str, Any]:
    """Every member that some SDK reads; what is not known, or not promised by the scope, is null."""
    player = bearer.loaded.player
    known = claims.told(player, bearer.loaded.profile, bearer.token.scope, (), "userinfo")
    return {
        **_always(bearer.token, account),
        "name": _text(known, "name") or player.display_name or None,
        "nickname": _text(known, "nickname") or player.display_name or None,
        "first_name": _text(known, "given_name"),
        "last_name": _text(known, "family_name"),
        "picture": _text(known, "picture"),
        "birthday": _birthday(_text(known, "birthdate")),
        "gender": _gender(_text(known, "gender")),
        "country": _country(known.get("address")),
        "phone": _text(known, "phone_number"),
        "email": _text(known, "email"),
        "is_last_email_confirmed": bool(known.get("email_verified")) if _text(known, "email") else None,
    }


def _always(token: AccessToken, account: Account) -> Mapping[str, Any]:
    """What needs no scope. The `id` is the token's `sub`, also when the player was merged into another since.

    iOS cannot do without `is_user_active`, `groups` and the times. Nobody has a user name, a tag or an id of elsewhere
    here, and a player who is banned gets no answer at all.
    """
    player, linked = account.player, account.identities
    nothing = ("username", "tag", "external_id", "connection_information", "phone_auth", "presence", "ban")
    return {
        "id": token.sub,
        "is_anonymous": bool(linked) and all(one.key.kind == _GUEST for one in linked),
        "is_user_active": True,
        "groups": [],
        "registered": moment(player.created_at),
        "last_login": moment(player.last_login_at),
        **dict.fromkeys(nothing),
    }


def _text(known: Mapping[str, Any], name: str) -> str | None:
    value = known.get(name)
    return value if isinstance(value, str) and value else None


def _birthday(birthdate: str | None) -> str | None:
    """A whole date; OpenID Connect Core section 5.1 also knows a year alone, and a date without its year."""
    return birthdate if birthdate and _WHOLE_DATE.fullmatch(birthdate) else None


def _gender(gender: str | None) -> str | None:
    return _GENDERS.get(gender, "other") if gender else None


def _country(address: object) -> str | None:
    """A code of ISO 3166-1; addresses often have a country's name instead."""
    country = _text(address, "country") if isinstance(address, dict) else None
    return country if country and _COUNTRY_CODE.fullmatch(country) else None
