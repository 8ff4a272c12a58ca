"""Requests as any OAuth server takes them, for peers: the paths and what the answers hold are theirs."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping

from bench.forms import exchange, refresh
from bench.orders import Expected, Request, Requests
from bench.workloads import Algorithm, Workload

Asked = Mapping[Workload, Callable[[Algorithm, int], Requests | None]]
"""How each workload is asked for, by algorithm and count; None for an algorithm that the peer does not have."""


def basic(client: str, secret: str) -> dict[str, str]:
    """RFC 6749 section 2.3.1, for names and secrets that need no encoding."""
    return {"Authorization": f"Basic {b64encode(f'{client}:{secret}'.encode()).decode()}"}


def exchanges(path: str, game: str, codes: Iterable[str], expected: Expected) -> Requests:
    """One per code."""
    return Requests(tuple(Request(path, exchange(game, code)) for code in codes), expected, once=True)


def refreshes(path: str, game: str, tokens: Iterable[str], expected: Expected, *, chained: bool = True) -> Requests:
    """One chain per token, or one request per token."""
    each = tuple(Request(path, refresh(game, token)) for token in tokens)
    return Requests(each, expected, once=not chained, chained=chained)


def introspections(path: str, tokens: Iterable[str], backend: Mapping[str, str], expected: Expected) -> Requests:
    """All tokens in turn, asked by a backend that names itself in these headers."""
    return Requests(tuple(Request(path, {"token": token}, backend) for token in tokens), expected)


def userinfos(path: str, tokens: Iterable[str], expected: Expected) -> Requests:
    """All tokens in turn."""
    bearers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    return Requests(tuple(Request(path, headers=bearer, method="GET") for bearer in bearers), expected)


def discovery() -> Requests:
    """OpenID Connect Discovery 1.0."""
    path = "/.well-known/openid-configuration"
    return Requests((Request(path, method="GET"),), Expected(present=("issuer", "token_endpoint", "jwks_uri")))


def jwks(path: str, keys: int) -> Requests:
    """At least so many keys."""
    return Requests((Request(path, method="GET"),), Expected(lengths={"keys": keys}))
