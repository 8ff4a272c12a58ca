"""Requests to a peer from the codes and tokens that its seeding handed out, for the seven workloads that peers can do.

Owns the shape of what a seeding prints and the answers that are wanted. Knows nothing of how a peer is started.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from bench.forms import client_credentials, exchange, refresh
from bench.orders import Expected, Request, Requests
from bench.servers import DISCOVERY as DISCOVERY_PATH
from bench.site import BACKENDS, GAMES, SECRET
from bench.stock import Stock
from bench.systems.token_requests import BEARER, player_tokens
from bench.workloads import (
    CLIENT_CREDENTIALS,
    CODE_EXCHANGE,
    DISCOVERY,
    INTROSPECTION,
    JWKS,
    REFRESH,
    USERINFO,
    Algorithm,
    Workload,
)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a peer has its endpoints."""

    token: str
    introspection: str
    userinfo: str
    jwks: str


@dataclass(frozen=True, slots=True)
class Held:
    """What the clients of one algorithm hold: codes and refresh tokens to be used once, access tokens to be shown."""

    codes: Stock[str]
    refresh_tokens: Stock[str]
    access_tokens: Sequence[str]

    @classmethod
    def from_json(cls, text: str) -> Mapping[str, Self]:
        """By algorithm, from what a seeding printed: an object of three lists under each algorithm's name."""
        return {
            algorithm: cls(Stock(of["codes"]), Stock(of["refresh_tokens"]), of["access_tokens"])
            for algorithm, of in json.loads(text).items()
        }


class PeerRequests:
    """What to send, from what is held. Gives None for a workload that the peer cannot do."""

    def __init__(self, paths: Paths, held: Mapping[str, Held]) -> None:
        self._paths = paths
        self._held = held
        self._asked: Mapping[Workload, Callable[[Algorithm, int], Requests]] = {
            CODE_EXCHANGE: self._exchange,
            REFRESH: self._refresh,
            CLIENT_CREDENTIALS: self._client_credentials,
            INTROSPECTION: self._introspection,
            USERINFO: self._userinfo,
            DISCOVERY: self._discovery,
            JWKS: self._jwks,
        }

    def __call__(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System.requests`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None

    def _exchange(self, algorithm: Algorithm, count: int) -> Requests:
        forms = [exchange(GAMES[algorithm], code) for code in self._held[algorithm].codes.take(count)]
        return Requests(self._token_requests(forms), player_tokens(algorithm), once=True)

    def _refresh(self, algorithm: Algorithm, count: int) -> Requests:
        forms = [refresh(GAMES[algorithm], token) for token in self._held[algorithm].refresh_tokens.take(count)]
        return Requests(self._token_requests(forms), player_tokens(algorithm), chained=True)

    def _client_credentials(self, algorithm: Algorithm, _: int) -> Requests:
        expected = Expected(values=BEARER, absent=("refresh_token", "id_token"), jwts={"access_token": algorithm})
        return Requests(self._token_requests([client_credentials(BACKENDS[algorithm])]), expected)

    def _introspection(self, algorithm: Algorithm, _: int) -> Requests:
        client = {"client_id": BACKENDS[algorithm], "client_secret": SECRET, "token_type_hint": "access_token"}
        forms = [{**client, "token": token} for token in self._held[algorithm].access_tokens]
        expected = Expected(values={"active": True, "client_id": GAMES[algorithm]}, present=("sub", "exp", "scope"))
        return Requests(tuple(Request(self._paths.introspection, form) for form in forms), expected)

    def _userinfo(self, algorithm: Algorithm, _: int) -> Requests:
        each = [{"Authorization": f"Bearer {token}"} for token in self._held[algorithm].access_tokens]
        requests = tuple(Request(self._paths.userinfo, headers=headers, method="GET") for headers in each)
        return Requests(requests, Expected(present=("sub", "nickname")))

    def _discovery(self, _algorithm: Algorithm, _count: int) -> Requests:
        members = ("issuer", "token_endpoint", "jwks_uri")
        return Requests((Request(DISCOVERY_PATH, method="GET"),), Expected(present=members))

    def _jwks(self, _algorithm: Algorithm, _count: int) -> Requests:
        return Requests((Request(self._paths.jwks, method="GET"),), Expected(lengths={"keys": 2}))

    def _token_requests(self, forms: Sequence[Mapping[str, str]]) -> tuple[Request, ...]:
        return tuple(Request(self._paths.token, form) for form in forms)
