"""A web site that signs its visitors in with authsrv: what a studio's own server has to do, and may copy from here.

Owns the code flow of a confidential client (OpenID Connect Core section 3.1; RFC 9700 section 2.1): PKCE,
state, nonce and `iss`, the exchange of the code, and every check of the id_token. Knows no page and keeps no session.
"""

import base64
import hashlib
import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt

from authsrv.demo.pkce import Pkce
from authsrv.records import dataclass

TIMEOUT = 10
LEEWAY = 10
"""Seconds by which the clocks of the two servers may differ."""
_HASHES = {"RS256": "sha256", "PS256": "sha256", "ES256": "sha256", "EdDSA": "sha512"}
"""The hash inside each signature; Ed25519 has SHA-512 (RFC 8032 section 5.1)."""


class SignInFailed(Exception):
    """The sign-in cannot be trusted or did not work; the text says why."""


class SignInCancelled(SignInFailed):
    """The player came back without signing in."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way. It belongs to one browser and ends with the first answer to it."""

    state: str
    nonce: str
    pkce: Pkce = field(repr=False)

    @classmethod
    def fresh(cls) -> "Attempt":
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), Pkce.fresh())


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in: the claims of the id_token and of UserInfo. `id_token` is kept for signing out."""

    claims: Mapping[str, Any]
    id_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Registration:
    """What the login server knows of this site."""

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    redirect_uri: str
    scope: str
    id_token_algorithm: str = "RS256"


class RelyingParty:
    """Signs in at one issuer. Everything but the addresses calls the server, and so may wait for it."""

    def __init__(self, registration: Registration) -> None:
        self._own = registration

    def sign_in_url(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in."""
        parameters = {
            "response_type": "code",
            "client_id": self._own.client_id,
            "redirect_uri": self._own.redirect_uri,
            "scope": self._own.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.pkce.challenge,
            "code_challenge_method": "S256",
        }
        return f"{_text(self._server, 'authorization_endpoint')}?{urlencode(parameters)}"

    def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> SignedIn:
        """Who signed in, by what the browser brought back. The caller has found the attempt by its `state`.

        Raises `SignInFailed`.
        """
        if answer.get("iss") != self._own.issuer:
            raise SignInFailed("the answer comes from another login server")  # RFC 9207
        if answer.get("error") == "access_denied":
            raise SignInCancelled("nobody signed in")
        if "code" not in answer:
            raise SignInFailed("the login server gave no code")
        tokens = self._exchange(answer["code"], attempt.pkce)
        id_token, access_token = _text(tokens, "id_token"), _text(tokens, "access_token")
        told = self._verified(id_token, access_token, attempt.nonce)
        return SignedIn({**told, **self._userinfo(access_token, told["sub"])}, id_token)

    def sign_out_url(self, id_token: str, back: str) -> str:
        """Where the browser goes to sign out of everything; it comes back to `back`."""
        parameters = {"id_token_hint": id_token, "post_logout_redirect_uri": back}
        return f"{_text(self._server, 'end_session_endpoint')}?{urlencode(parameters)}"

    def _exchange(self, code: str, pkce: Pkce) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._own.redirect_uri,
            "code_verifier": pkce.verifier,
        }
        # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        pair = f"{quote_plus(self._own.client_id)}:{quote_plus(self._own.secret)}"
        proof = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return _json(_text(self._server, "token_endpoint"), proof, form)

    def _verified(self, id_token: str, access_token: str, nonce: str) -> dict[str, Any]:
        """The claims of an id_token that was made by this issuer, for this site and this sign-in (section 3.1.3.7)."""
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                self._keys.get_signing_key_from_jwt(id_token),
                algorithms=[self._own.id_token_algorithm],
                issuer=self._own.issuer,
                audience=self._own.client_id,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce", "at_hash"], "strict_aud": True},
            )
            at_hash = _half_hash(access_token, self._own.id_token_algorithm)
        except (jwt.PyJWTError, OSError, ValueError) as error:
            raise SignInFailed(f"the id_token cannot be trusted: {error}") from error
        if claims["nonce"] != nonce:
            raise SignInFailed("the id_token was made for another sign-in")
        if claims["at_hash"] != at_hash:
            raise SignInFailed("the id_token was made beside another access token")
        return claims

    def _userinfo(self, access_token: str, sub: str) -> dict[str, Any]:
        told = _json(_text(self._server, "userinfo_endpoint"), {"Authorization": f"Bearer {access_token}"})
        if told.get("sub") != sub:
            raise SignInFailed("UserInfo tells of another player")  # section 5.3.2
        return told

    @cached_property
    def _server(self) -> dict[str, Any]:
        """The server's metadata (OpenID Connect Discovery section 4)."""
        found = _json(f"{self._own.issuer}/.well-known/openid-configuration")
        if found.get("issuer") != self._own.issuer:
            raise SignInFailed("the metadata is another login server's")
        return found

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        """The server's keys, asked for again when a token names one that is not among them."""
        return jwt.PyJWKClient(_text(self._server, "jwks_uri"), timeout=TIMEOUT)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Whatever the metadata names answers by itself: what goes there is a secret or decides whom to trust."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Nowhere else; the answer is then an error like any other."""


def _json(url: str, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A GET, or a POST of `form`. Raises `SignInFailed` for anything but an answer with a JSON object."""
    if not url.startswith(("https://", "http://")):
        raise SignInFailed("the login server names an address that is none of the web")
    body = urlencode(form).encode() if form else None
    request = urllib.request.Request(url, body, {"Accept": "application/json", **(headers or {})})  # noqa: S310
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise SignInFailed(f"the login server answers {error.code}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SignInFailed("the login server does not answer") from error
    if not isinstance(found, dict):
        raise SignInFailed("the login server answers something else")
    return found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise SignInFailed(f"the login server tells no {name}")
    return value


def _half_hash(token: str, algorithm: str) -> str:
    """The left half of a token's hash (section 3.1.3.6). Raises ValueError if the algorithm has none that we know."""
    if algorithm not in _HASHES:
        raise ValueError(f"nobody knows the hash of {algorithm}")
    digest = hashlib.new(_HASHES[algorithm], token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
