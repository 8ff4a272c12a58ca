"""The revocation feed: what ended before its time, as the issuer signs it every few seconds.

Owns when a feed is believed and which tokens it ends. Knows no network, and not what to do without a feed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from authsrv.verify.claims import MAX_LEEWAY, Claims, check_times, text, texts, times, whole
from authsrv.verify.errors import InvalidToken
from authsrv.verify.jws import Jws
from authsrv.verify.keys import Keys
from authsrv.verify.tokens import AccessToken

MAX_FEED = 16 * 1024 * 1024
"""Characters: the logouts and bans of half a million logins within the life of a token."""
_TYPE = "revocations+jwt"
_LEAST_POLL, _LONGEST_POLL = 1, 300


@dataclass(frozen=True, slots=True)
class Feed:
    """What is revoked: tokens by `jti`, with what was made of them, logins by `gid`, everything of a player or a client
    issued before a time, and everything that a signing key has signed. `poll` are the seconds after which to ask again.
    """

    issued_at: int
    expires_at: int
    poll: int
    jti: frozenset[str]
    gid: frozenset[str]
    not_before: Mapping[str, int]
    clients: Mapping[str, int]
    kid: frozenset[str]

    def check(self, token: AccessToken) -> None:
        """Raise `InvalidToken` if the token was revoked."""
        if not self.jti.isdisjoint((token.jti, token.origin_jti)) or token.gid in self.gid or token.kid in self.kid:
            raise InvalidToken("revoked")
        clients = (self.clients.get(each, 0) for each in (token.client_id, token.origin_client_id))
        if token.issued_at < max(self.not_before.get(token.sub, 0), *clients):
            raise InvalidToken("revoked")

    def is_stale(self, now: float) -> bool:
        """Whether this feed no longer says anything about the present."""
        return self.expires_at + MAX_LEEWAY <= now


def read_feed(body: str, *, keys: Keys, issuer: str, now: float, previous: Feed | None = None) -> Feed:
    """The feed behind a text, after every check.

    `previous` is the feed believed until now: no older one follows it, and none signed by a key that it revokes.
    Raises `InvalidToken`.
    """
    return check_feed(Jws.read(body, MAX_FEED), keys=keys, issuer=issuer, now=now, previous=previous)


def check_feed(jws: Jws, *, keys: Keys, issuer: str, now: float, previous: Feed | None) -> Feed:
    """The same for a text that was taken apart before."""
    if jws.typ != _TYPE:
        raise InvalidToken("not a revocation feed")
    claims = jws.claims(keys)
    if text(claims, "iss") != issuer:
        raise InvalidToken("another issuer")
    check_times(claims, now, MAX_LEEWAY)
    feed = _feed(claims)
    if jws.kid in feed.kid or (previous and jws.kid in previous.kid):
        raise InvalidToken("a revocation feed by a revoked key")
    if previous and feed.issued_at < previous.issued_at:
        raise InvalidToken("an older revocation feed than the last one")
    return feed


def _feed(claims: Claims) -> Feed:
    return Feed(
        issued_at=whole(claims, "iat"),
        expires_at=whole(claims, "exp"),
        poll=min(max(whole(claims, "poll"), _LEAST_POLL), _LONGEST_POLL),
        jti=frozenset(texts(claims, "jti")),
        gid=frozenset(texts(claims, "gid")),
        not_before=times(claims, "not_before"),
        clients=times(claims, "clients"),
        kid=frozenset(texts(claims, "kid")),
    )
