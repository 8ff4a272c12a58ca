"""Token requests that authsrv and the floor are asked alike, from the codes and refresh tokens of one database."""

from collections.abc import Callable, Mapping

from bench.forms import client_credentials, exchange, refresh
from bench.orders import Expected, Request, Requests
from bench.seed import Seeds
from bench.site import BACKENDS, GAMES
from bench.stock import Stock
from bench.workloads import CLIENT_CREDENTIALS, CODE_EXCHANGE, REFRESH, Algorithm, Workload

TOKEN = "/oauth2/token"
BEARER = {"token_type": "Bearer", "expires_in": 900}

Asked = Mapping[Workload, Callable[[Algorithm, int], Requests]]
"""How each workload is asked for, by algorithm and count."""


def token_requests(seeds: Seeds) -> Asked:
    """The three kinds that need no platform."""
    codes = {game: Stock(codes) for game, codes in seeds.codes.items()}
    tokens = {game: Stock(tokens) for game, tokens in seeds.refresh_tokens.items()}

    def by_code(algorithm: Algorithm, count: int) -> Requests:
        game = GAMES[algorithm]
        each = tuple(Request(TOKEN, exchange(game, code.text)) for code in codes[game].take(count))
        return Requests(each, player_tokens(algorithm), once=True)

    def by_refresh_token(algorithm: Algorithm, count: int) -> Requests:
        game = GAMES[algorithm]
        each = tuple(Request(TOKEN, refresh(game, token.text)) for token in tokens[game].take(count))
        return Requests(each, player_tokens(algorithm), chained=True)

    def by_secret(algorithm: Algorithm, _: int) -> Requests:
        expected = Expected(values=BEARER, absent=("refresh_token", "id_token"), jwts={"access_token": algorithm})
        return Requests((Request(TOKEN, client_credentials(BACKENDS[algorithm])),), expected)

    return {CODE_EXCHANGE: by_code, REFRESH: by_refresh_token, CLIENT_CREDENTIALS: by_secret}


def player_tokens(algorithm: Algorithm) -> Expected:
    """The answer with a player's tokens; its access token is always signed by ES256."""
    return Expected(values=BEARER, present=("refresh_token",), jwts={"access_token": "ES256", "id_token": algorithm})
