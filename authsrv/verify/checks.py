"""Every check of an access token (RFC 9068 section 4, RFC 8725, or the Xsolla profile) and of what revoked it.

Owns the rules, without clock, network or state: everything is handed in.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from authsrv.verify.claims import MAX_LEEWAY, Claims, check_times, text, texts
from authsrv.verify.errors import InvalidToken, Unavailable
from authsrv.verify.feed import Feed
from authsrv.verify.jws import Jws
from authsrv.verify.keys import Keys
from authsrv.verify.tokens import AccessToken

MAX_TOKEN = 16 * 1024
_RFC9068_TYPES = ("at+jwt", "application/at+jwt")
_RETRY_AFTER = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """What a backend demands of an access token. Raises ValueError if that is not enough to tell tokens apart.

    `issuer` is compared character by character. `audience` is this backend's own name: a token of RFC 9068 must have it
    in `aud`. `xsolla_project` is the project's `id`: with it, tokens of the Xsolla profile for that project are taken
    too; where they name an audience, it must be this backend's. `on_stale` says what happens while no revocation feed
    in time is there: `refuse` everything with `Unavailable`, or `accept` by the last one known, or by none. `leeway` is
    by how many seconds, 60 at most, the clocks may differ.
    """

    issuer: str
    audience: str = ""
    xsolla_project: str = ""
    on_stale: Literal["refuse", "accept"] = "refuse"
    leeway: int = MAX_LEEWAY

    def __post_init__(self) -> None:
        if not self.issuer:
            raise ValueError("the issuer is missing")
        if self.issuer.endswith("/"):
            raise ValueError("the issuer has no slash at its end")
        if not self.audience and not self.xsolla_project:
            raise ValueError("name this backend's audience, or the project of the Xsolla profile")
        if self.on_stale not in ("refuse", "accept"):
            raise ValueError("on_stale is neither 'refuse' nor 'accept'")
        if not 0 <= self.leeway <= MAX_LEEWAY:
            raise ValueError(f"the leeway is not between 0 and {MAX_LEEWAY} seconds")


def check_access_token(body: object, *, keys: Keys, feed: Feed | None, rules: Rules, now: float) -> AccessToken:
    """The access token behind a text, after every check.

    `feed` is the last revocation feed, None if there was none. Raises `InvalidToken`, and by `rules.on_stale`
    `Unavailable`.
    """
    return check(Jws.read(body, MAX_TOKEN), keys=keys, feed=feed, rules=rules, now=now)


def check(jws: Jws, *, keys: Keys, feed: Feed | None, rules: Rules, now: float) -> AccessToken:
    """The same for a text that was taken apart before."""
    claims = jws.claims(keys)
    if text(claims, "iss") != rules.issuer:
        raise InvalidToken("another issuer")
    check_times(claims, now, rules.leeway)
    token = _token(claims, jws.kid, _scope(jws.typ, claims, rules))
    if feed is not None:
        feed.check(token)
    if rules.on_stale == "refuse" and (feed is None or feed.is_stale(now)):
        raise Unavailable("there is no revocation feed in time", _RETRY_AFTER)
    return token


def _scope(typ: str, claims: Claims, rules: Rules) -> frozenset[str]:
    """The scopes, once the token is of a profile that is wanted and for us."""
    if typ in _RFC9068_TYPES and rules.audience:
        return _rfc9068_scope(claims, rules)
    if typ == "JWT" and rules.xsolla_project:
        return _xsolla_scope(claims, rules)
    raise InvalidToken("not an access token")


def _rfc9068_scope(claims: Claims, rules: Rules) -> frozenset[str]:
    aud = [text(claims, "aud")] if isinstance(claims.get("aud"), str) else texts(claims, "aud")
    if rules.audience not in aud:
        raise InvalidToken("for another audience")
    # A token without any scope has no such claim.
    return frozenset(text(claims, "scope").split() if claims.get("scope", "") != "" else ())


def _xsolla_scope(claims: Claims, rules: Rules) -> frozenset[str]:
    if text(claims, "token_use") != "access":
        raise InvalidToken("not an access token")
    if text(claims, "xsolla_login_project_id") != rules.xsolla_project:
        raise InvalidToken("of another project")
    aud = texts(claims, "aud")
    if aud and rules.audience not in aud:
        raise InvalidToken("for another audience")
    return frozenset(texts(claims, "scp"))


def _token(claims: Claims, kid: str, scope: frozenset[str]) -> AccessToken:
    act = claims.get("act")
    if not isinstance(act, dict | None):
        raise InvalidToken("act is no object")
    return AccessToken(
        sub=text(claims, "sub"),
        client_id=text(claims, "client_id"),
        scope=scope,
        gid=text(claims, "gid") if "gid" in claims else "",
        jti=text(claims, "jti"),
        kid=kid,
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        act=act,
        origin_jti=text(claims, "origin_jti") if "origin_jti" in claims else "",
        origin_client_id=text(claims, "origin_client_id") if "origin_client_id" in claims else "",
        claims=MappingProxyType(claims),
    )
