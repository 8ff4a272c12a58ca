"""Epic's two kinds of id_token: reading them, and one verifier for each with its own issuer and keys.

Owns which claims must hold. Knows no request, no code exchange and no settings file.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar, NewType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from authsrv.compact_jws import take_apart
from authsrv.models import Digest
from authsrv.platforms.base import Clock, CredentialRejected
from authsrv.platforms.jwks import KeySource, RsaJwk
from authsrv.records import dataclass

LEEWAY = 60
_MAX_TOKEN = 8 * 1024
_MAX_KID = 256
_USUAL_LIFETIME = 7200
MAX_LIFETIME = 86400  # bounds how long the replay guard must remember a token
_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_LOG = logging.getLogger(__name__)

VerifiedClaims = NewType("VerifiedClaims", Mapping[str, Any])
"""The claims of a token that passed every check of its family; never those of one that was only read."""


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that was taken apart and is not believed. Only the types of `kid`, `iat` and `exp` are checked."""

    kid: str
    claims: Mapping[str, Any]
    iat: int
    exp: int
    signing_input: bytes
    signature: bytes

    @property
    def digest(self) -> Digest:
        """SHA-256 of `header.payload`: the signature's text could be varied, and only one family has a `jti`."""
        return Digest(hashlib.sha256(self.signing_input).digest())


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What the project demands of every token. An empty list of ids, except `client_ids`, demands nothing."""

    client_ids: frozenset[str]
    product_ids: frozenset[str]
    sandbox_ids: frozenset[str]
    deployment_ids: frozenset[str]


def account_id(value: Any) -> str | None:
    """An Epic account id or product user id in lower case; None if it is neither."""
    if isinstance(value, str) and _ACCOUNT_ID.fullmatch(value.lower()):
        return value.lower()
    return None


class _IdTokens:
    """What both families have in common. Issuers are compared exactly: a prefix, Epic's word, would admit strangers."""

    issuers: ClassVar[frozenset[str]]

    def __init__(self, rules: TokenRules, keys: KeySource[RsaJwk], clock: Clock) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    async def verify(self, token: UnverifiedToken, deployment_id: str = "") -> VerifiedClaims:
        """Check signature, issuer, times, audience, deployment and subject, in this order.

        `deployment_id`, if given, must be the token's own. The replay guard is the caller's.
        Raises `CredentialRejected`, or `PlatformUnavailable` when the keys cannot be had.
        """
        await self._check_signature(token)
        _check_issuer(token.claims, self.issuers)
        self._check_times(token)
        self._check_audience(token.claims)
        self._check_deployment(token.claims, deployment_id)
        return _with_subject(token.claims)

    async def _check_signature(self, token: UnverifiedToken) -> None:
        jwk = await self._keys.key(token.kid)
        if jwk is None or jwk.alg not in {"", "RS256"} or jwk.use not in {"", "sig"}:
            raise CredentialRejected(
                "credential_rejected", "The token is not signed by a current Epic key.", detail="unknown kid"
            )
        _check_rs256(jwk.key, token)

    def _check_times(self, token: UnverifiedToken) -> None:
        now = self._clock()
        not_before = token.claims.get("nbf", token.iat)
        if type(not_before) is not int:
            raise _malformed("nbf is not an integer")
        if max(token.iat, not_before) > now + LEEWAY:
            raise CredentialRejected("credential_not_yet_valid", "The token is not valid yet; try again in a moment.")
        if now >= token.exp + LEEWAY:
            raise CredentialRejected(
                "credential_expired", "The token has expired; call CopyIdToken again and send the new one."
            )
        if token.exp - token.iat > _USUAL_LIFETIME:
            _LOG.warning("an Epic id_token lives longer than usual: %d s", token.exp - token.iat)

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience not in self._rules.client_ids:
            raise CredentialRejected(
                "credential_wrong_audience",
                "The token was issued for an Epic client that this project does not list.",
            )

    def _check_deployment(self, claims: Mapping[str, Any], requested: str) -> None:
        _check_listed(claims.get("pfpid"), self._rules.product_ids, "product")
        _check_listed(claims.get("pfsid"), self._rules.sandbox_ids, "sandbox")
        _check_listed(claims.get("pfdid"), self._rules.deployment_ids, "deployment")
        if requested and claims.get("pfdid") != requested:
            raise CredentialRejected(
                "credential_wrong_deployment", "The token belongs to another deployment than deployment_id says."
            )


class EasIdTokens(_IdTokens):
    """id_tokens of Epic Account Services: `sub` is an Epic account id."""

    issuers: ClassVar[frozenset[str]] = frozenset(
        {"https://api.epicgames.dev/epic/oauth/v1", "https://api.epicgames.dev/epic/oauth/v2"}
    )

    @staticmethod
    def read(text: str) -> UnverifiedToken:
        """Take a token apart and refuse every other kind. Raises `CredentialRejected`; no I/O."""
        header, token = _read(text)
        # A refresh token has a good signature for eight hours; only `t` sets an id_token apart from its siblings.
        if token.claims.get("t") != "id_token" or header.get("t", "id_token") != "id_token":
            raise _unsupported("Send the id_token of EOS_Auth_CopyIdToken, not another Epic token.")
        return token


class ConnectIdTokens(_IdTokens):
    """id_tokens of EOS Connect: `sub` is a product user id, which means something only beside `pfpid`."""

    issuers: ClassVar[frozenset[str]] = frozenset({"https://api.epicgames.dev/auth/v1/oauth"})

    @staticmethod
    def read(text: str) -> UnverifiedToken:
        """Take a token apart and refuse every other kind. Raises `CredentialRejected`; no I/O."""
        _, token = _read(text)
        if token.claims.get("tokenType") != "idToken" or token.claims.get("iss") == "eos":
            raise _unsupported("Send the id_token of EOS_Connect_CopyIdToken, not another Epic token.")
        return token


def _read(text: str) -> tuple[Mapping[str, Any], UnverifiedToken]:
    try:
        jws = take_apart(text, _MAX_TOKEN)
    except ValueError as error:
        raise _malformed(str(error)) from None
    _check_header(jws.header)
    token = UnverifiedToken(
        kid=jws.header["kid"],
        claims=jws.unverified,
        iat=_whole_seconds(jws.unverified, "iat"),
        exp=_whole_seconds(jws.unverified, "exp"),
        signing_input=jws.signing_input,
        signature=jws.signature,
    )
    if token.exp - token.iat > MAX_LIFETIME:
        raise CredentialRejected("credential_rejected", "No Epic token lives as long as this one claims to.")
    return jws.header, token


def _check_header(header: Mapping[str, Any]) -> None:
    # `jku`, `jwk`, `x5u` and `x5c` are not looked at: keys come from the fixed URL only.
    if header.get("alg") != "RS256":
        raise _unsupported("Epic signs its tokens with RS256; send the token as Epic issued it.")
    if "crit" in header or "b64" in header:
        raise _unsupported("The token's header demands something that Epic's tokens do not.")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_KID:
        raise _malformed("kid is missing or not a text")


def _whole_seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or value < 0:  # bool is an int to isinstance
        raise _malformed(f"{name} is missing or not a whole number")
    return value


def _check_rs256(key: RSAPublicKey, token: UnverifiedToken) -> None:
    try:
        key.verify(token.signature, token.signing_input, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise CredentialRejected("credential_rejected", "The token's signature is wrong.") from None


def _check_issuer(claims: Mapping[str, Any], issuers: frozenset[str]) -> None:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in issuers:
        raise CredentialRejected("credential_rejected", "The token comes from another issuer than this kind of token.")


def _check_listed(value: Any, listed: frozenset[str], what: str) -> None:
    if listed and not (isinstance(value, str) and value in listed):
        raise CredentialRejected(
            "credential_wrong_deployment", f"The token belongs to a {what} that this project does not list."
        )


def _with_subject(claims: Mapping[str, Any]) -> VerifiedClaims:
    subject = account_id(claims.get("sub"))
    if subject is None:
        raise _malformed("sub is not an account id")
    return VerifiedClaims({**claims, "sub": subject})


def _malformed(detail: str) -> CredentialRejected:
    return CredentialRejected("credential_malformed", "The text is not a readable Epic token.", detail=detail)


def _unsupported(hint: str) -> CredentialRejected:
    return CredentialRejected("credential_unsupported", hint)
