"""What a game on an Xsolla SDK learns about its player: the flat object that the SDKs decode.

Owns its members and their forms. What is told at all is what the token's scope promises, as everywhere.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from authsrv.models import LoadedGrant
from authsrv.oauth import claims
from authsrv.oauth.xsolla.bearer import Bearer, Bearers

_GUEST = "guest"
_WHOLE_DATE = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}")
_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
_GENDERS: Mapping[str, str] = {"female": "f", "male": "m", "prefer not to answer": "prefer not to answer"}
"""The words that Android's SDK knows, beside `other`; any other makes it fail."""


class Me:
    """Answers for the access tokens of players."""

    def __init__(self, bearers: Bearers) -> None:
        self._bearers = bearers

    async def answer(self, access_token: str) -> Mapping[str, Any]:
        """The player as one JSON object. Raises `InvalidToken`."""
        return described(await self._bearers.find(access_token))


def described(bearer: Bearer) -> Mapping[str, Any]:
    """Every member that some SDK reads; what is not known, or not promised by the scope, is null."""
    player = bearer.loaded.player
    known = claims.told(player, bearer.loaded.profile, bearer.token.scope, (), "userinfo")
    return {
        **_always(bearer.loaded),
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


def _always(loaded: LoadedGrant) -> Mapping[str, Any]:
    """What needs no scope. iOS cannot do without `is_user_active`, `groups` and the times.

    Nobody has a user name, a tag or an id of elsewhere here, and a player who is banned gets no answer at all.
    """
    player = loaded.player
    nothing = ("username", "tag", "external_id", "connection_information", "phone_auth", "presence", "ban")
    return {
        "id": player.sub,
        "is_anonymous": loaded.grant.platform == _GUEST,
        "is_user_active": True,
        "groups": [],
        "registered": _time(player.created_at),
        "last_login": _time(player.last_login_at),
        **dict.fromkeys(nothing),
    }


def _time(seconds: int) -> str:
    """Whole seconds with a numeric offset: iOS reads no other form."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


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
