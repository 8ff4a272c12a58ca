"""Requests to a peer from the codes and tokens that its seeding handed out, for the seven workloads that peers can do.

Owns the shape of what a seeding prints and the answers that are wanted. Knows nothing of how a peer is started.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from bench.forms import client_credentials
from bench.orders import Expected, Request, Requests
from bench.site import BACKENDS, GAMES, SECRET
from bench.stock import Stock
from bench.systems.peer_requests import Asked, discovery, exchanges, jwks, refreshes, userinfos
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
        self._asked: Asked = {
            CODE_EXCHANGE: self._exchange,
            REFRESH: self._refresh,
            CLIENT_CREDENTIALS: self._client_credentials,
            INTROSPECTION: self._introspection,
            USERINFO: self._userinfo,
            DISCOVERY: lambda _, __: discovery(),
            JWKS: lambda _, __: jwks(paths.jwks, 2),
        }

    def __call__(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System.requests`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None

    def _exchange(self, algorithm: Algorithm, count: int) -> Requests:
        codes = self._held[algorithm].codes.take(count)
        return exchanges(self._paths.token, GAMES[algorithm], codes, player_tokens(algorithm))

    def _refresh(self, algorithm: Algorithm, count: int) -> Requests:
        tokens = self._held[algorithm].refresh_tokens.take(count)
        return refreshes(self._paths.token, GAMES[algorithm], tokens, player_tokens(algorithm))

    def _client_credentials(self, algorithm: Algorithm, _: int) -> Requests:
        expected = Expected(values=BEARER, absent=("refresh_token", "id_token"), jwts={"access_token": algorithm})
        return Requests((Request(self._paths.token, client_credentials(BACKENDS[algorithm])),), expected)

    def _introspection(self, algorithm: Algorithm, _: int) -> Requests:
        client = {"client_id": BACKENDS[algorithm], "client_secret": SECRET, "token_type_hint": "access_token"}
        forms = [{**client, "token": token} for token in self._held[algorithm].access_tokens]
        expected = Expected(values={"active": True, "client_id": GAMES[algorithm]}, present=("sub", "exp", "scope"))
        return Requests(tuple(Request(self._paths.introspection, form) for form in forms), expected)

    def _userinfo(self, algorithm: Algorithm, _: int) -> Requests:
        expected = Expected(present=("sub", "nickname"))
        return userinfos(self._paths.userinfo, self._held[algorithm].access_tokens, expected)
