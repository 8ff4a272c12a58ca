"""What authsrv alone among systems of this repository is asked: platforms, tokens that are shown, documents."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bench.asking import answers
from bench.credentials import MADE_UP, epic_id_tokens, steam_tickets
from bench.forms import exchange, exchange_epic, introspect, silent_login
from bench.orders import Expected, Request, Requests
from bench.seed import HOST, Seeds, Site
from bench.servers import DISCOVERY as DISCOVERY_PATH
from bench.site import BACKENDS, GAMES
from bench.stock import Stock
from bench.systems.token_requests import TOKEN, Asked, player_tokens
from bench.workloads import (
    DISCOVERY,
    INTROSPECTION,
    JWKS,
    SILENT_LOGIN,
    TOKEN_EXCHANGE,
    USERINFO,
    Algorithm,
)

SILENT = "/oauth2/social/steam/cross_auth"
SHOWN = 200
"""How many access tokens are shown by turns."""
FRESH_SECONDS = 600
"""After which others are got; they live 900."""
CODES_FOR_ACCESS = 8 * SHOWN
"""Codes of each game beyond those that rounds redeem; enough for more than an hour."""


class AccessTokens:
    """Access tokens of different players, renewed by codes while they are still good for a round."""

    def __init__(self, site: Site, seeds: Seeds) -> None:
        self._site = site
        self._codes = Stock(seeds.codes[GAMES["ES256"]][-CODES_FOR_ACCESS:])
        self._tokens: Sequence[str] = ()
        self._since = 0.0

    def now(self) -> Sequence[str]:
        """Those that are good now. The server must be running."""
        if not self._tokens or time.monotonic() - self._since > FRESH_SECONDS:
            forms = [exchange(GAMES["ES256"], code.text) for code in self._codes.take(SHOWN)]
            got = answers(self._site.port, HOST, (Request(TOKEN, form) for form in forms))
            self._tokens, self._since = [answer["access_token"] for answer in got], time.monotonic()
        return self._tokens


def other_requests(site: Site, seeds: Seeds) -> Asked:
    """The six kinds beside codes, refresh tokens and secrets."""
    access, id_tokens, met = AccessTokens(site, seeds), epic_id_tokens(site.emulator_keys), set[str]()

    def meet(platform: str, requests: Iterable[Request]) -> None:
        """Let every player come once before the first round: what is measured are players who came before."""
        if platform not in met:
            met.add(platform)
            answers(site.port, HOST, requests)

    def by_epic(algorithm: Algorithm, _: int) -> Requests:
        expected = player_tokens(algorithm)
        each = tuple(Request(TOKEN, exchange_epic(GAMES[algorithm], id_token)) for id_token in id_tokens)
        meet("epic", each)
        return Requests(each, replace(expected, present=(*expected.present, "issued_token_type")))

    def by_steam(algorithm: Algorithm, count: int) -> Requests:
        tickets = steam_tickets(site.emulator_keys, count + MADE_UP)
        each = tuple(Request(SILENT, silent_login(GAMES[algorithm], ticket)) for ticket in tickets)
        meet("steam", each[count:])
        return Requests(each[:count], Expected(present=("login_url",)), once=True)

    def introspection(_: Algorithm, _count: int) -> Requests:
        forms = [introspect(BACKENDS["ES256"], token) for token in access.now()]
        expected = Expected(values={"active": True}, present=("sub", "client_id", "exp"))
        return Requests(tuple(Request("/oauth2/introspect", form) for form in forms), expected)

    def userinfo(_: Algorithm, _count: int) -> Requests:
        bearers = [{"Authorization": f"Bearer {token}"} for token in access.now()]
        each = tuple(Request("/oauth2/userinfo", headers=bearer, method="GET") for bearer in bearers)
        return Requests(each, Expected(present=("sub",)))

    return {
        TOKEN_EXCHANGE: by_epic,
        SILENT_LOGIN: by_steam,
        INTROSPECTION: introspection,
        USERINFO: userinfo,
        DISCOVERY: _discovery,
        JWKS: _jwks,
    }


def _discovery(_algorithm: Algorithm, _count: int) -> Requests:
    members = ("issuer", "token_endpoint", "jwks_uri")
    return Requests((Request(DISCOVERY_PATH, method="GET"),), Expected(present=members))


def _jwks(_algorithm: Algorithm, _count: int) -> Requests:
    return Requests((Request("/oauth2/jwks", method="GET"),), Expected(lengths={"keys": 2}))
