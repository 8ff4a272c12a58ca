"""Reading the JWTs that we issued ourselves: access tokens at UserInfo, id_tokens as hints.

Owns the checks of RFC 8725: algorithm by key, type, issuer, times and required claims. Knows nothing of grants: whether
what a token stands for was revoked is the caller's to find out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from authsrv.oauth.keys import KeyRing

MAX_LENGTH = 16 * 1024


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
    """An access token in time. `gid` is empty for a client's own (client_credentials)."""

    client_id: str
    sub: str
    scope: tuple[str, ...]
    gid: str


class OwnTokens:
    """Checks tokens against the key ring. Raises `NotOurs`."""

    def __init__(self, issuer: str, ring: KeyRing) -> None:
        self._issuer = issuer
        self._ring = ring

    def hint(self, text: str) -> Hint:
        """An id_token given as `id_token_hint`; it may have expired (OpenID Connect Core section 3.1.2.1)."""
        claims = self._claims(text, "JWT", ("sub", "aud", "iat", "at_hash"), now=None)
        if not isinstance(claims["aud"], str) or "token_use" in claims:
            raise NotOurs("not an id_token")
        return Hint(claims["sub"], claims["aud"], claims.get("sid", ""))

    def access_token(self, text: str, now: int) -> AccessToken:
        """An access token (RFC 9068) that has not expired."""
        claims = self._claims(text, "at+jwt", ("sub", "exp", "iat", "jti", "client_id", "scope"), now=now)
        return AccessToken(claims["client_id"], claims["sub"], tuple(claims["scope"].split()), claims.get("gid", ""))

    def _claims(self, text: str, typ: str, required: tuple[str, ...], *, now: int | None) -> Mapping[str, Any]:
        if len(text) > MAX_LENGTH or not text.isascii():
            raise NotOurs("too long, or not ASCII")
        try:
            return self._decoded(text, typ, required, now)
        except jwt.PyJWTError as error:
            raise NotOurs(type(error).__name__) from None

    def _decoded(self, text: str, typ: str, required: tuple[str, ...], now: int | None) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(text)
        key = self._ring.verifier(header.get("kid"))
        if key is None or header.get("typ") != typ:
            raise NotOurs("unknown key or another type")
        claims: Mapping[str, Any] = jwt.decode(
            text,
            key.public,
            algorithms=[key.alg],
            issuer=self._issuer,
            # Times are compared with the server's clock below; an audience is not ours to be.
            options={"require": ["iss", *required], "verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
        if now is not None and not _in_time(claims["exp"], now):
            raise NotOurs("expired")
        return claims


def _in_time(exp: object, now: int) -> bool:
    return type(exp) is int and now < exp
