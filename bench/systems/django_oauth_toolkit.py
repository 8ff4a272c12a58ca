"""django-oauth-toolkit under gunicorn with one worker.

Of its ways to be served, gthread with several threads answered most: with one it waits for every fsync, sync closes
every connection, gevent and the ASGI workers cost more CPU for the same.

It signs id_tokens by RS256 only and gives opaque access tokens, which it keeps. It knows no tokens of game platforms
and no login without a page, so there is neither token exchange nor silent login.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.forms import client_credentials
from bench.orders import Expected, Request, Requests
from bench.servers import ServerProcess, free_ports
from bench.site import CHALLENGE, REDIRECT_URI, SECRET
from bench.stock import Stock
from bench.systems.base import Cores, Running, Wanted
from bench.systems.environment import Environment
from bench.systems.peer_requests import Asked, basic, discovery, exchanges, introspections, jwks, refreshes, userinfos
from bench.systems.private_keys import new_pem
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
HOST = "login.studio.example"
GAME, BACKEND = "game", "backend"
TOKEN = "/token/"
BEARER = {"token_type": "Bearer", "expires_in": 900}
PLAYER_TOKENS = Expected(values=BEARER, present=("access_token", "refresh_token"), jwts={"id_token": "RS256"})
OPAQUE_TOKEN = Expected(values=BEARER, present=("access_token",), absent=("refresh_token", "id_token"))


class DjangoOAuthToolkit:
    """One gunicorn worker on SQLite."""

    name = "django-oauth-toolkit"
    durability = "SQLite, WAL, synchronous=FULL"

    _python: Environment
    _directory: Path
    _asked: Asked

    def install(self, cache: Path) -> str:
        """Of `System`."""
        self._python = Environment(cache, PARTS / "requirements.txt")
        self._python.install()
        version = self._python.version
        return (
            f"{version('django-oauth-toolkit')} on Django {version('Django')}, gunicorn {version('gunicorn')} with"
            " gthread; access tokens are opaque, id_tokens RS256 only"
        )

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`."""
        self._directory = directory
        (directory / "key.pem").write_text(new_pem("RS256"))
        given = {
            "secret": SECRET,
            "redirect_uri": REDIRECT_URI,
            "challenge": CHALLENGE,
            "codes": wanted.codes,
            "refresh_tokens": wanted.refresh_tokens,
            "players": wanted.players,
        }
        script, log = PARTS / "seed.py", directory / "seed.log"
        self._asked = _asked(json.loads(self._python.run(script, json.dumps(given), self._environment(), log)))

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        (port,) = free_ports(1)
        command = [self._python.program("gunicorn"), "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
        command += ["--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75"]
        command += ["django.core.wsgi:get_wsgi_application()"]
        log = self._directory / "gunicorn.log"
        with ServerProcess(command, port, log, cores.server, environment=self._environment()) as server:
            yield Running(server, port, HOST)

    def _environment(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(PARTS),
            "BENCH_DATABASE": str(self._directory / "django.db"),
            "BENCH_KEY": str(self._directory / "key.pem"),
            "BENCH_ISSUER": f"https://{HOST}",
        }

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None


def _asked(seeds: dict[str, Any]) -> Asked:
    codes, tokens = Stock[str](seeds["codes"]), Stock[str](seeds["refresh_tokens"])
    active = Expected(values={"active": True, "client_id": GAME}, present=("exp", "scope", "username"))
    introspected = introspections("/introspect/", seeds["access_tokens"], basic(BACKEND, SECRET), active)
    told = userinfos("/userinfo/", seeds["access_tokens"], Expected(present=("sub",)))

    def by_code(algorithm: Algorithm, count: int) -> Requests | None:
        return exchanges(TOKEN, GAME, codes.take(count), PLAYER_TOKENS) if algorithm == "RS256" else None

    def by_refresh_token(algorithm: Algorithm, count: int) -> Requests | None:
        return refreshes(TOKEN, GAME, tokens.take(count), PLAYER_TOKENS) if algorithm == "RS256" else None

    return {
        CODE_EXCHANGE: by_code,
        REFRESH: by_refresh_token,
        CLIENT_CREDENTIALS: lambda _, __: Requests((Request(TOKEN, client_credentials(BACKEND)),), OPAQUE_TOKEN),
        INTROSPECTION: lambda _, __: introspected,
        USERINFO: lambda _, __: told,
        DISCOVERY: lambda _, __: discovery(),
        JWKS: lambda _, __: jwks("/.well-known/jwks.json", 1),
    }
