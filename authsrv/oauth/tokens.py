"""JWTs that we issue: access tokens (RFC 9068, or the Xsolla profile) and id_tokens (OpenID Connect Core section 2).

Owns the claims and their order of precedence. Knows nothing of requests, grants or storage: it is told the facts.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import field
from hashlib import sha256, sha512
from typing import Any, Final

from authsrv.models import Client, LogoutNotice, SigningAlgorithm
from authsrv.oauth import audiences
from authsrv.oauth.keys import KeyRing
from authsrv.records import dataclass

LOGOUT_TOKEN_SECONDS = 120
_FEED_ALG: Final = "RS256"
STEAM_ID_URL = "https://steamcommunity.com/openid/id/"


@dataclass(frozen=True, slots=True)
class Origin:
    """The first of the access tokens that one was made of by token exchange: the one that a login or a refresh gave."""

    jti: str
    client_id: str


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says. `platform` and the `idp` pair are empty for a client's own token (client_credentials).

    `profile` holds the standard claims that go into the id_token, `sid` the browser session's public id; `by_browser`
    tells a sign-in in a browser from a silent one. `act` says who acts for the player (RFC 8693 section 4.1), `origin`
    what the token is made of, `ends_at` when it must end at the latest. `sourced` are claims of services outside, which
    go into the access token and nowhere else.
    """

    client: Client
    sub: str
    scope: tuple[str, ...]
    audience: tuple[str, ...] = ()
    gid: str = ""
    platform: str = ""
    idp: str = ""
    idp_subject: str = ""
    display_name: str = ""
    auth_time: int = 0
    nonce: str = ""
    sid: str = ""
    acr: str = ""
    by_browser: bool = False
    profile: Mapping[str, Any] = field(default_factory=dict)
    act: Mapping[str, Any] | None = None
    origin: Origin | None = None
    ends_at: int | None = None
    sourced: Mapping[str, str] = field(default_factory=dict, repr=False)

    def lifetime(self, now: int) -> int:
        """For how many seconds an access token made now is good."""
        return self._until_end(self.client.lifetimes.access_token, now)

    def id_token_lifetime(self, now: int) -> int:
        """For how many seconds an id_token made now is good."""
        return self._until_end(self.client.lifetimes.id_token, now)

    def _until_end(self, full: int, now: int) -> int:
        return full if self.ends_at is None else min(full, self.ends_at - now)


class TokenIssuer:
    """Signs tokens. `random` gives the bytes of the `jti`."""

    def __init__(self, issuer: str, ring: KeyRing, random: Callable[[int], bytes]) -> None:
        self.issuer = issuer
        self._ring = ring
        self._random = random

    def access_token(self, facts: TokenFacts, now: int) -> str:
        """An access token in the client's profile, valid for the client's access token lifetime."""
        if facts.client.profile == "xsolla":
            return self._sign(self._xsolla_claims(facts, now), "RS256", "JWT")
        return self._sign(self._rfc9068_claims(facts, now), facts.client.access_token_alg, "at+jwt")

    def id_token(self, facts: TokenFacts, access_token: str, now: int, audience: str = "") -> str:
        """An id_token for the client, or for the audience, bound to the access token by `at_hash` if there is one."""
        client = facts.client
        claims: dict[str, Any] = {
            **facts.profile,
            "iss": self.issuer,
            "sub": facts.sub,
            "aud": audience or client.client_id,
            "exp": now + facts.id_token_lifetime(now),
            "iat": now,
            "auth_time": facts.auth_time,
            "amr": [facts.platform],
            **_platform_claims(facts),
        }
        at_hash = half_hash(access_token, client.id_token_alg) if access_token else ""
        optional = {"at_hash": at_hash, "nonce": facts.nonce, "sid": facts.sid, "acr": facts.acr}
        claims |= {name: value for name, value in optional.items() if value}
        return self._sign(claims, client.id_token_alg, "JWT")

    def userinfo(self, claims: Mapping[str, Any], client: Client, alg: SigningAlgorithm) -> str:
        """A UserInfo answer as a JWT (OpenID Connect Core section 5.3.2)."""
        return self._sign({**claims, "iss": self.issuer, "aud": client.client_id}, alg, "JWT")

    def logout_token(self, notice: LogoutNotice, sid: str, client: Client, now: int) -> str:
        """A logout token (OpenID Connect Back-Channel Logout section 2.4), good for two minutes; never has a nonce."""
        claims = {
            "iss": self.issuer,
            "sub": notice.sub,
            "aud": client.client_id,
            "iat": now,
            "exp": now + LOGOUT_TOKEN_SECONDS,
            "jti": self._jti(),
            "sid": sid,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        return self._sign(claims, client.id_token_alg, "logout+jwt")

    def revocations(self, told: Mapping[str, Any], now: int, lifetime: int) -> str:
        """The revocation feed, good for `lifetime` seconds; by the algorithm that every verifier of ours knows."""
        claims = {"iss": self.issuer, "iat": now, "exp": now + lifetime, **told}
        return self._sign(claims, _FEED_ALG, "revocations+jwt")

    def feed_kid(self) -> str:
        """Which key signs the revocation feed now."""
        return self._ring.signer(_FEED_ALG).kid

    def _rfc9068_claims(self, facts: TokenFacts, now: int) -> dict[str, Any]:
        claims: dict[str, Any] = {
            **facts.sourced,
            "iss": self.issuer,
            "sub": facts.sub,
            "aud": _single_or_list(facts.audience or audiences.default(facts.client, self.issuer)),
            "exp": now + facts.lifetime(now),
            "iat": now,
            "jti": self._jti(),
            "client_id": facts.client.client_id,
            "scope": " ".join(facts.scope),
            **_platform_claims(facts),
            **_exchange_claims(facts),
        }
        if facts.gid:
            claims |= {"gid": facts.gid, "auth_time": facts.auth_time}
        return claims

    def _xsolla_claims(self, facts: TokenFacts, now: int) -> dict[str, Any]:
        claims = {
            **facts.sourced,
            "iss": self.issuer,
            "sub": facts.sub,
            "aud": list(facts.audience),
            "exp": now + facts.lifetime(now),
            "iat": now,
            "jti": self._jti(),
            "client_id": facts.client.client_id,
            "token_use": "access",
            "xsolla_login_project_id": facts.client.project.id,
            "groups": [],
            "scp": list(facts.scope),
            **_exchange_claims(facts),
        }
        return claims | _xsolla_user_claims(facts) if facts.gid else claims

    def _jti(self) -> str:
        return urlsafe_b64encode(self._random(18)).decode()

    def _sign(self, claims: Mapping[str, Any], alg: SigningAlgorithm, typ: str) -> str:
        return self._ring.signer(alg).sign(claims, typ)


def half_hash(token: str, alg: SigningAlgorithm) -> str:
    """The left half of the token's hash, for `at_hash` of an id_token signed by `alg` (OpenID Connect Core 3.1.3.6).

    The hash is the one inside the signature: Ed25519 has SHA-512 (RFC 8032 section 5.1), the others SHA-256.
    """
    found = (sha512 if alg == "EdDSA" else sha256)(token.encode()).digest()
    return urlsafe_b64encode(found[: len(found) // 2]).rstrip(b"=").decode()


def _platform_claims(facts: TokenFacts) -> dict[str, str]:
    if not facts.idp or not facts.client.first_party or not facts.client.project.platform_claims:
        return {}
    return {"idp": facts.idp, "idp_sub": facts.idp_subject}


def _exchange_claims(facts: TokenFacts) -> dict[str, Any]:
    claims: dict[str, Any] = {"act": facts.act} if facts.act else {}
    if facts.origin:
        claims |= {"origin_jti": facts.origin.jti, "origin_client_id": facts.origin.client_id}
    return claims


def _xsolla_user_claims(facts: TokenFacts) -> dict[str, Any]:
    claims = {"gid": facts.gid, **_xsolla_origin(facts)}
    return claims | {"name": facts.display_name} if facts.display_name else claims


def _xsolla_origin(facts: TokenFacts) -> dict[str, Any]:
    """How the player logged in. A guest comes from no provider: Xsolla's SDKs take `id` for an account of the store."""
    if facts.platform == "guest":
        return {"type": "device"}
    steam = facts.platform == "steam"
    return {
        "type": "social",
        "provider": facts.platform,
        "id": STEAM_ID_URL + facts.idp_subject if steam else facts.idp_subject,
        **({} if facts.by_browser else {"is_cross_auth": True}),
    }


def _single_or_list(audience: tuple[str, ...]) -> str | list[str]:
    return audience[0] if len(audience) == 1 else list(audience)
