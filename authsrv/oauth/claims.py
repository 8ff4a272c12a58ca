"""Claims about a player: which scope promises which, what a request may ask for one by one, and what is told.

Owns OpenID Connect Core sections 5.1, 5.4 and 5.5. Pure; knows neither requests nor storage.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from authsrv.errors import InvalidRequest
from authsrv.models import Player
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

ACR = "urn:authsrv:acr:platform"
"""The one way to sign in: proof by a gaming platform."""

SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
SCOPE_OF: Mapping[str, str] = {claim: scope for scope, claims in SCOPE_CLAIMS.items() for claim in claims}

Place = Literal["userinfo", "id_token"]
_PLACES: tuple[Place, ...] = ("userinfo", "id_token")
_UNREADABLE = "The claims parameter is not the JSON object of OpenID Connect Core section 5.5."


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The `claims` parameter, as far as we know what it asks for.

    `names` are written as `Grant.claims` has them. `sub` is the player it must be. `acr_required` are the values of an
    essential `acr`; None if it is voluntary or not asked for.
    """

    names: tuple[str, ...] = ()
    sub: str = ""
    acr_required: tuple[str, ...] | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes that would have promised these claims."""
        return frozenset(SCOPE_OF[claim] for _, claim in map(_parted, self.names) if claim in SCOPE_OF)


def read(text: str) -> ClaimsRequest:
    """What a `claims` parameter asks for; unknown claims are ignored. Raises `InvalidRequest`."""
    asked = _object(_decoded(text)) if text else {}
    members = {place: _object(asked.get(place) or {}) for place in _PLACES}
    known = SCOPE_OF.keys() | {"acr"}
    names = tuple(f"{place}:{name}" for place in _PLACES for name in members[place] if name in known)
    return ClaimsRequest(names, _expected_sub(members["id_token"]), _required_acr(members["id_token"]))


def within(request: ClaimsRequest, allowed: Iterable[str]) -> tuple[str, ...]:
    """The names of a request whose scopes the client may ask for."""
    scopes = frozenset(allowed)
    return tuple(name for name in request.names if SCOPE_OF.get(_parted(name)[1], "") in scopes | {""})


def told(player: Player, profile: str, scope: Iterable[str], names: Iterable[str], place: Place) -> dict[str, Any]:
    """The claims for one place, by scope and by name, as far as the player has them."""
    wanted = {claim for value in scope for claim in SCOPE_CLAIMS.get(value, ())}
    wanted |= {claim for where, claim in map(_parted, names) if where == place}
    if not wanted:
        return {}  # most id_tokens, and reading a profile costs more than all the rest
    known = claims_of(player, profile)
    return {claim: known[claim] for claim in known if claim in wanted}


def claims_of(player: Player, profile: str) -> dict[str, Any]:
    """Everything that is known of a player, in standard claims."""
    named = {"name": player.display_name, "preferred_username": player.display_name} if player.display_name else {}
    found: dict[str, Any] = json.loads(profile) if profile else {}
    return named | found


def _parted(name: str) -> tuple[str, str]:
    place, _, claim = name.partition(":")
    return place, claim


def _decoded(text: str) -> Any:
    try:
        return strict_json(text)
    except ValueError as error:
        raise InvalidRequest(_UNREADABLE, parameter="claims", detail=str(error)) from None


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(_UNREADABLE, parameter="claims")
    return value


def _expected_sub(id_token: Mapping[str, Any]) -> str:
    asked = id_token.get("sub")
    value = asked.get("value", "") if isinstance(asked, dict) else ""
    # A sub is ASCII (section 2), and JSON can spell characters that no database takes.
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InvalidRequest(_UNREADABLE, parameter="claims")
    return value


def _required_acr(id_token: Mapping[str, Any]) -> tuple[str, ...] | None:
    asked = id_token.get("acr")
    if not isinstance(asked, dict) or asked.get("essential") is not True:
        return None
    values = asked.get("values", [asked["value"]] if "value" in asked else [ACR])
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
