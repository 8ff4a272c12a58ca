"""canaille as its command serves it: `canaille run`, which is Hypercorn, with one worker on uvloop.

It gives JWTs to players, signed by the algorithm of the id_token, and opaque tokens to backends. It refreshes without
an id_token. It knows no tokens of game platforms and no login without a page, so there is neither token exchange nor
silent login.

Its JWTs have no `jti`, whole seconds and a unique column: two by RS256, which always signs alike, for one player
within a second are the same text, and the second is answered with 500. So with RS256 no chain can go on at full
speed, and each refresh token is used once instead, a different player's each time.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Template

from joserfc.jwk import ECKey, RSAKey

from bench.orders import Expected, Request, Requests
from bench.servers import ServerProcess, free_ports
from bench.site import CHALLENGE, GAMES, REDIRECT_URI, SECRET
from bench.systems.base import Cores, Running, Wanted
from bench.systems.environment import Environment
from bench.systems.held import Held
from bench.systems.peer_requests import Asked, basic, discovery, exchanges, introspections, jwks, refreshes, userinfos
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

PARTS = Path(__file__).with_suffix("")
BACKEND = "backend"
TOKEN = "/oauth/token"
ROTATED_AT_ONCE = 8
"""How many refresh tokens take the place of a chain that cannot go on."""


class Canaille:
    """One Hypercorn worker on SQLite."""

    name = "canaille"
    durability = "SQLite, WAL, synchronous=FULL"

    _python: Environment
    _directory: Path
    _port: int
    _asked: Asked

    def install(self, cache: Path) -> str:
        """Of `System`."""
        self._python = Environment(cache, PARTS / "requirements.txt")
        self._python.install()
        version = self._python.version
        return (
            f"{version('canaille')} with Authlib {version('authlib')} on Hypercorn {version('hypercorn')}; backends get"
            " opaque access tokens, a refresh gives no id_token, RS256 refreshes without chains"
        )

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`."""
        self._directory = directory
        (self._port,) = free_ports(1)
        self._configuration.write_text(_configured(self._port, directory / "canaille.db"))
        given = {
            "games": GAMES,
            "backend": BACKEND,
            "secret": SECRET,
            "redirect_uri": REDIRECT_URI,
            "challenge": CHALLENGE,
            "codes": wanted.codes,
            "refresh_tokens": {"ES256": wanted.refresh_tokens, "RS256": wanted.refresh_tokens * ROTATED_AT_ONCE},
            "players": wanted.players,
        }
        script, log = PARTS / "seed.py", directory / "seed.log"
        self._asked = _asked(Held.from_json(self._python.run(script, json.dumps(given), self._environment(), log)))

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        command, log = [self._python.program("canaille"), "run"], self._directory / "canaille.log"
        with ServerProcess(command, self._port, log, cores.server, environment=self._environment()) as server:
            yield Running(server, self._port, f"127.0.0.1:{self._port}")

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None

    @property
    def _configuration(self) -> Path:
        return self._directory / "canaille.toml"

    def _environment(self) -> dict[str, str]:
        return {"CANAILLE_CONFIG": str(self._configuration)}


def _configured(port: int, database: Path) -> str:
    keys = ", ".join(_inline(key) for key in (RSAKey.generate_key(2048), ECKey.generate_key("P-256")))
    return Template((PARTS / "canaille.toml").read_text()).substitute(port=port, database=database, keys=keys)


def _inline(key: RSAKey | ECKey) -> str:
    """A private JWK as an inline table of TOML."""
    key.ensure_kid()
    return f"{{{', '.join(f'{name} = {json.dumps(value)}' for name, value in key.as_dict(private=True).items())}}}"


def _asked(held: Mapping[str, Held]) -> Asked:
    backend, shown = basic(BACKEND, SECRET), held["ES256"].access_tokens
    active = Expected(values={"active": True, "client_id": GAMES["ES256"]}, present=("sub", "exp", "scope"))
    introspected = introspections("/oauth/introspect", shown, backend, active)
    told = userinfos("/oauth/userinfo", shown, Expected(present=("sub", "name")))
    secret = Request(TOKEN, {"grant_type": "client_credentials", "scope": "profile"}, backend)
    opaque = Expected(values={"token_type": "Bearer"}, present=("access_token",), absent=("refresh_token", "id_token"))

    def by_code(algorithm: Algorithm, count: int) -> Requests:
        codes = held[algorithm].codes.take(count)
        return exchanges(TOKEN, GAMES[algorithm], codes, _tokens(algorithm, "access_token", "id_token"))

    def by_refresh_token(algorithm: Algorithm, count: int) -> Requests:
        chained, expected = algorithm == "ES256", _tokens(algorithm, "access_token")
        tokens = held[algorithm].refresh_tokens.take(count if chained else count * ROTATED_AT_ONCE)
        return refreshes(TOKEN, GAMES[algorithm], tokens, expected, chained=chained)

    return {
        CODE_EXCHANGE: by_code,
        REFRESH: by_refresh_token,
        CLIENT_CREDENTIALS: lambda _, __: Requests((secret,), opaque),
        INTROSPECTION: lambda _, __: introspected,
        USERINFO: lambda _, __: told,
        DISCOVERY: lambda _, __: discovery(),
        JWKS: lambda _, __: jwks("/oauth/jwks.json", 2),
    }


def _tokens(algorithm: Algorithm, *signed: str) -> Expected:
    jwts = dict.fromkeys(signed, algorithm)
    return Expected(values={"token_type": "Bearer"}, present=("refresh_token",), jwts=jwts)
