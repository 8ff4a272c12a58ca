"""The application in this process, asked without HTTP: requests as ASGI calls, and platforms that answer at once.

Owns what `where.py` profiles and `overhead.py` weighs. Knows nothing of servers and cores.
"""

import asyncio
import json
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpcore
from starlette.types import ASGIApp, Message

from authsrv import config as configuration
from authsrv.app import Application, World, create_app
from authsrv.emulator import host
from authsrv.emulator.app import create_emulator
from authsrv.emulator.toml import to_toml
from authsrv.outbound.client import HttpOutbound
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, PlatformSettings
from authsrv.services import Connect, Connections
from bench.credentials import epic_id_tokens, steam_player, steam_tickets
from bench.forms import client_credentials, exchange, exchange_epic, introspect, refresh, silent_login
from bench.orders import Request
from bench.seed import HOST, Seeds, Site, fill, migrate, write_config
from bench.servers import DISCOVERY
from bench.site import BACKENDS, GAMES
from bench.stock import Stock
from bench.systems.authsrv_requests import SHOWN, SILENT
from bench.systems.base import Wanted
from bench.systems.token_requests import TOKEN

AT_ONCE = 32
GAME, BACKEND = GAMES["ES256"], BACKENDS["ES256"]
_DOCUMENTS = {"discovery": DISCOVERY, "jwks": "/oauth2/jwks"}
KINDS = (
    "exchange",
    "refresh",
    "client_credentials",
    "exchange_credential",
    "silent",
    "userinfo",
    "introspect",
    *_DOCUMENTS,
)


class Call:
    """One request to the application. Gives the body; raises SystemExit for an answer that is not 200."""

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self._app = app
        self._body = urlencode(request.form).encode()
        headers = {"host": HOST, "accept": "application/json", **request.headers}
        if request.form:
            kind = "application/x-www-form-urlencoded"
            headers |= {"content-type": kind, "content-length": str(len(self._body))}
        self._scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "path": request.path,
            "raw_path": request.path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
        }

    async def __call__(self) -> bytes:
        status, body = 0, b""

        async def send(message: Message) -> None:
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await self._app({**self._scope, "state": {}}, self._receive, send)
        if status != 200:
            raise SystemExit(f"the application answered {status}: {body[:300]!r}")
        return body

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._body}


class InstantPlatforms(httpcore.AsyncNetworkBackend):
    """Confirms every Steam ticket for the player it names; what else is asked, the emulator answers."""

    def __init__(self, keys: Path) -> None:
        self._emulator = create_emulator(host.load_or_generate(keys))

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Of httpcore."""
        return _Answering(self._answer)

    async def _answer(self, target: str) -> bytes:
        url = urlsplit(target)
        if "AuthenticateUserTicket" not in url.path:
            return await Call(self._emulator, Request(url.path, method="GET"))()
        player = steam_player(dict(parse_qsl(url.query))["ticket"])
        params = {"steamid": player, "ownersteamid": player, "vacbanned": False, "publisherbanned": False}
        return json.dumps({"response": {"params": {"result": "OK", **params}}}).encode()


class _Answering(httpcore.AsyncMockStream):
    """A connection whose other end answers each GET as soon as its head has been written."""

    def __init__(self, answer: Callable[[str], Awaitable[bytes]]) -> None:
        super().__init__([])
        self._answer = answer
        self._due = b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's own
        """Of httpcore, which also writes an empty end."""
        if not buffer:
            return
        _, target, _ = buffer.decode().split(" ", 2)
        body = await self._answer(target)
        self._due = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own
        """Of httpcore."""
        due, self._due = self._due[:max_bytes], self._due[max_bytes:]
        return due


def instantly(keys: Path) -> Connect:
    """The way out to platforms that are answered in this process."""
    network = InstantPlatforms(keys)

    def connect(name: str, settings: PlatformSettings, clock: Clock) -> Connections:
        denials = PLATFORMS[name].denials_are_ours
        return HttpOutbound(name, allowed=settings.addresses(), clock=clock, denials_are_ours=denials, network=network)

    return connect


class Inside:
    """A database with all that requests need, for one application after the other."""

    def __init__(self, site: Site, seeds: Seeds) -> None:
        self._site = site
        self._codes = Stock(seeds.codes[GAME])
        self._refresh_tokens = Stock(seeds.refresh_tokens[GAME])
        self._access_tokens: Sequence[str] = ()

    @asynccontextmanager
    async def application(self, world: World | None = None, **sections: Any) -> AsyncIterator[Application]:
        """A running application; `sections` stand in place of the file's."""
        path = self._site.directory / "inside.toml"
        path.write_text(to_toml(tomllib.loads(self._site.config.read_text()) | sections))
        app = create_app(configuration.load(path), world or World(connect=self.connect))
        async with app.router.lifespan_context(app):
            yield app

    @property
    def connect(self) -> Connect:
        """For a `World`."""
        return instantly(self._site.emulator_keys)

    async def calls(self, app: Application, kind: str, count: int) -> Sequence[Call]:
        """Requests of a kind. A code and a ticket are good for one; the rest is shown by turns."""
        made = [Call(app, request) for request in await self._requests(app, kind, count)]
        return (made * (count // len(made) + 1))[:count]

    async def _requests(self, app: Application, kind: str, count: int) -> list[Request]:
        if kind in _DOCUMENTS:
            return [Request(_DOCUMENTS[kind], method="GET")]
        if kind == "silent":
            tickets = steam_tickets(self._site.emulator_keys, count)
            return [Request(SILENT, silent_login(GAME, ticket)) for ticket in tickets]
        if kind == "userinfo":
            bearers = [{"Authorization": f"Bearer {token}"} for token in await self._shown(app)]
            return [Request("/oauth2/userinfo", headers=bearer, method="GET") for bearer in bearers]
        if kind == "introspect":
            forms = [introspect(BACKEND, token) for token in await self._shown(app)]
            return [Request("/oauth2/introspect", form) for form in forms]
        return [Request(TOKEN, form) for form in self._token_forms(kind, count)]

    def _token_forms(self, kind: str, count: int) -> list[dict[str, str]]:
        if kind == "exchange":
            return [exchange(GAME, code.text) for code in self._codes.take(count)]
        if kind == "refresh":
            return [refresh(GAME, token.text) for token in self._refresh_tokens.take(count)]
        if kind == "exchange_credential":
            return [exchange_epic(GAME, id_token) for id_token in epic_id_tokens(self._site.emulator_keys)]
        return [client_credentials(BACKEND)]

    async def _shown(self, app: Application) -> Sequence[str]:
        """Access tokens of different players; the same ones each time."""
        if not self._access_tokens:
            forms = [exchange(GAME, code.text) for code in self._codes.take(SHOWN)]
            bodies = [await Call(app, Request(TOKEN, form))() for form in forms]
            self._access_tokens = [json.loads(body)["access_token"] for body in bodies]
        return self._access_tokens


async def inside(directory: Path, count: int) -> Inside:
    """A database for so many requests of a kind."""
    site = Site(directory, 8080, 9, f"sqlite:///{directory}/authsrv.db")
    write_config(site)
    migrate(site)
    return Inside(site, await fill(site, Wanted(count + SHOWN, count)))


async def cpu_of(calls: Sequence[Call], at_once: int = AT_ONCE) -> float:
    """CPU seconds of all threads of this process for each call, so many of them at a time."""
    left = iter(calls)

    async def one_after_the_other() -> None:
        for call in left:
            await call()

    began = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return (time.process_time() - began) / len(calls)
