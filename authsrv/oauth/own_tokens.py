"""Reading the JWTs that we issued ourselves: access tokens at UserInfo, id_tokens as hints.

Owns the checks of RFC 8725: one spelling, key and algorithm, type, issuer, times and claims. Knows nothing of grants:
whether what a token stands for was revoked is the caller's to find out.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Any, Final

import jwt

from authsrv.compact_jws import CompactJws, take_apart
from authsrv.models import TokenProfile
from authsrv.oauth.key_material import OpenKey
from authsrv.oauth.keys import KeyRing
from authsrv.oauth.tokens import Origin
from authsrv.oauth.verified_tokens import FindKey, Verified, VerifiedTokens
from authsrv.records import dataclass

MAX_LENGTH = 16 * 1024
LEEWAY = 60
"""Seconds by which the clock of another node may be ahead."""
_TYPE_OF: Final[Mapping[TokenProfile, str]] = {"standard": "at+jwt", "xsolla": "JWT"}


class NotOurs(Exception):
    """A text is no token of the wanted kind that we issued. Says which check failed, for the log."""


@dataclass(frozen=True, slots=True)
class Hint:
    """An id_token that came back, expired or not. `sid` is empty without a browser session."""

    sub: str
    client_id: str
    sid: str


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token in time; each field is the claim of its name. `gid` is empty for a client's own token.

    `origin` is None unless it was made of another by token exchange.

    In the Xsolla profile `scope` is the claim `scp`, and `aud` may be empty.
    """

    profile: TokenProfile
    client_id: str
    sub: str
    scope: tuple[str, ...]
    gid: str
    jti: str
    aud: tuple[str, ...]
    iat: int
    begins: int
    """`iat`, or `nbf` if that is later."""
    exp: int
    origin: Origin | None
    claims: Mapping[str, Any]
    """Everything it says."""


@dataclass(frozen=True, slots=True)
class _Genuine:
    """A token with the key that its signature was verified by."""

    jws: CompactJws
    key: OpenKey


class OwnTokens:
    """Checks tokens against the key ring. Raises `NotOurs`."""

    def __init__(self, issuer: str, ring: KeyRing, verified: VerifiedTokens[AccessToken] | None = None) -> None:
        self._issuer = issuer
        self._ring = ring
        self._verified = VerifiedTokens[AccessToken](ring.verifier) if verified is None else verified

    def hint(self, text: str, now: int) -> Hint:
        """An id_token given as `id_token_hint`; it may have expired (OpenID Connect Core section 3.1.2.1).

        Its key may have retired, so that a player who comes back after a rotation is still known.
        """
        claims = self._genuine(text, ("JWT",), self._ring.witness).jws.unverified
        _require_begun(_begins(claims), now)
        if "token_use" in claims or not _text(claims, "at_hash"):
            raise NotOurs("not an id_token")
        sid = _text(claims, "sid") if "sid" in claims else ""
        return Hint(_text(claims, "sub"), _text(claims, "aud"), sid)

    def access_token(self, text: str, now: int, *, either_profile: bool = False) -> AccessToken:
        """An access token (RFC 9068) that has not expired; with `either_profile` one in the Xsolla profile as well."""
        types = ("at+jwt", "JWT") if either_profile else ("at+jwt",)
        token = self._verified.recall(text, now) if len(text) <= MAX_LENGTH else None
        if token is None:
            return self._verify(text, types, now)
        _require_fit(token, types, now)
        return token

    def _verify(self, text: str, types: Container[str], now: int) -> AccessToken:
        genuine = self._genuine(text, types, self._ring.verifier)
        token = _access_token(genuine.jws)
        _require_fit(token, types, now)
        self._verified.keep(text, Verified(token, genuine.key, token.exp, len(text)))
        return token

    def _genuine(self, text: str, types: Container[str], find: FindKey) -> _Genuine:
        try:
            token = take_apart(text, MAX_LENGTH)
        except ValueError as error:
            raise NotOurs(str(error)) from None
        if token.header.get("typ") not in types:
            raise NotOurs("another type")
        key = _verifying_key(token, find(token.header.get("kid")))
        if token.unverified.get("iss") != self._issuer:
            raise NotOurs("another issuer")
        _time(token.unverified, "exp")
        return _Genuine(token, key)


def _require_fit(token: AccessToken, types: Container[str], now: int) -> None:
    """What is asked of a token each time that it is shown, verified just now or before."""
    if _TYPE_OF[token.profile] not in types:
        raise NotOurs("another type")
    _require_begun(token.begins, now)
    if now >= token.exp:
        raise NotOurs("expired")


def _require_begun(begins: int, now: int) -> None:
    if begins > now + LEEWAY:
        raise NotOurs("not valid yet")


def _access_token(jws: CompactJws) -> AccessToken:
    claims, is_standard = jws.unverified, jws.header["typ"] == _TYPE_OF["standard"]
    if not is_standard and claims.get("token_use") != "access":
        raise NotOurs("not an access token")
    _check_actors(claims)
    return AccessToken(
        profile="standard" if is_standard else "xsolla",
        client_id=_text(claims, "client_id"),
        sub=_text(claims, "sub"),
        scope=_scope(claims) if is_standard else _texts(claims, "scp"),
        gid=_text(claims, "gid") if "gid" in claims else "",
        jti=_text(claims, "jti"),
        aud=_audience(claims) if is_standard else _texts(claims, "aud"),
        iat=_time(claims, "iat"),
        begins=_begins(claims),
        exp=_time(claims, "exp"),
        origin=_origin(claims),
        claims=MappingProxyType(claims),  # it is shown to everybody who comes with the same token
    )


def _verifying_key(token: CompactJws, key: OpenKey | None) -> OpenKey:
    """The key, once it has verified the signature."""
    typ = token.header.get("typ")
    # We write no other members, so whatever else a header wants (crit, b64, zip, jku, ...) is not ours.
    if key is None or token.header != {"alg": key.alg, "kid": key.stored.kid, "typ": typ}:
        raise NotOurs("unknown key or another algorithm")
    if not jwt.get_algorithm_by_name(key.alg).verify(token.signing_input, key.public, token.signature):
        raise NotOurs("the signature is wrong")
    return key


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise NotOurs(f"{name} is missing or no text")
    return value


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int:  # a bool is an int to isinstance
        raise NotOurs(f"{name} is missing or no whole number")
    return value


def _begins(claims: Mapping[str, Any]) -> int:
    return max(_time(claims, "iat"), _time(claims, "nbf") if "nbf" in claims else 0)


def _scope(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("scope")
    if not isinstance(value, str):
        raise NotOurs("scope is missing or no text")
    return tuple(value.split())


def _origin(claims: Mapping[str, Any]) -> Origin | None:
    if "origin_jti" not in claims:
        return None
    return Origin(_text(claims, "origin_jti"), _text(claims, "origin_client_id"))


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise NotOurs(f"{name} is missing or no list of texts")
    return tuple(value)


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    value = claims.get("aud")
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise NotOurs("aud is missing or names nobody")
    return tuple(found)


def _check_actors(claims: Mapping[str, Any]) -> None:
    """`act` says who acts for the player, and in itself who acted before that (RFC 8693 section 4.1)."""
    while "act" in claims:
        claims = claims["act"]
        if not isinstance(claims, dict):
            raise NotOurs("act is no object")
        _text(claims, "sub")
