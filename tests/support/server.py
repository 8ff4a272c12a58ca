"""The whole server in one process: app, a storage of any kind, and the emulated platforms behind it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import jwt
from starlette.applications import Starlette

from authsrv.app import Application, World, create_app
from authsrv.config import Config
from authsrv.database_url import names_postgres, sqlite_file
from authsrv.demo.configuration import configuration
from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import PLAYERS, MintedCredential, PlatformEmulator
from authsrv.emulator.host import HOSTED, platform_settings, service_settings
from authsrv.emulator.playfab.emulator import PlayFabEmulator
from authsrv.log import Event
from authsrv.models import Grant, StoredKey
from authsrv.nodes import SPREADING
from authsrv.pages.engine import environment
from authsrv.platforms.base import Clock, OutboundResponse, PlatformSettings
from authsrv.storage.base import Storage
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.oauth import stored_keys
from tests.support.outbound import BASE_URL, AsgiOutbound
from tests.support.postgres import execute
from tests.support.sources import GuestDevices, Source
from tests.support.storage import database_on, migrated_file, rows

ISSUER = "http://127.0.0.1:8080"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # the pair of RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CALLBACK = "http://127.0.0.1/callback"
EMULATOR_NAMES = {"steam": "steam", "xbox": "xbox", "epicgames": "epic"}
"""The platforms that are emulated, by their names in addresses; guests come from nowhere."""


PATIENT = {"pool_timeout": 30, "statement_timeout": 30, "lock_timeout": 30, "idle_in_transaction_timeout": 60}
"""A busy machine is no reason for a test to fail that is not about time."""


@dataclass
class ManualClock:
    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@cache
def _keys() -> Mapping[str, Any]:
    return {hosted.name: hosted.generate() for hosted in HOSTED}


def emulators(clock: Clock) -> dict[str, PlatformEmulator]:
    """New emulators on the keys of this test run."""
    return {hosted.name: hosted.build(keys=_keys()[hosted.name], clock=clock) for hosted in HOSTED}


@dataclass
class Notified:
    """Takes what is posted to clients: address and form of each. `status` is what it answers."""

    status: int = 200
    got: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    async def post_form(self, url: str, form: Mapping[str, str], **_: object) -> OutboundResponse:
        self.got.append((url, form))
        return OutboundResponse(self.status, {}, b"")

    async def aclose(self) -> None:
        """Nothing is open."""


async def _no_background(seconds: float) -> None:
    """Rest for ever: a test does by itself what a background task would do in between.

    A request that waits for other nodes has none to wait for.
    """
    if seconds != SPREADING:
        await asyncio.Event().wait()


async def _no_answer_in_time(_: float) -> None:
    raise TimeoutError


@dataclass
class Server:
    """A running server with an HTTP client, its clock, and the platforms it asks."""

    app: Application
    http: httpx.AsyncClient
    clock: ManualClock
    platforms: dict[str, PlatformEmulator]
    outbounds: dict[str, AsgiOutbound] = field(default_factory=dict)
    emulator: Starlette | None = None
    notified: Notified = field(default_factory=Notified)
    """What clients were told by the back channel; `app.notices.round()` delivers."""
    events: list[Event] = field(default_factory=list)
    """Everything that went to the log pipeline: access lines and audit events."""
    playfab: PlayFabEmulator = field(default_factory=PlayFabEmulator)

    @property
    def sources(self) -> dict[str, Source]:
        """Where the credentials of every platform come from, by its name in addresses."""
        return {name: self.platforms[emulated] for name, emulated in EMULATOR_NAMES.items()} | {"guest": GuestDevices()}

    def mint(self, provider: str, player: str = "amber", **how: str) -> MintedCredential:
        return self.sources[provider].mint(PLAYERS[player], **how)

    def calls(self, provider: str) -> Counter[str]:
        """How often the platform was asked, by operation. Nobody is ever asked about a guest."""
        return self.platforms[EMULATOR_NAMES[provider]].calls if provider in EMULATOR_NAMES else Counter()

    async def silent(
        self, provider: str, minted: MintedCredential | None = None, /, **changes: str | None
    ) -> httpx.Response:
        """A silent login of the demo launcher by POST; a parameter changed to None is left out."""
        credential = (minted or self.mint(provider)).parameters
        parameters = launcher_request() | dict(credential) | changes
        return await self.http.post(
            f"/oauth2/social/{provider}/cross_auth", data={k: v for k, v in parameters.items() if v is not None}
        )

    async def code(self, provider: str, minted: MintedCredential | None = None, /, **changes: str | None) -> str:
        answer = await self.silent(provider, minted, **changes)
        assert answer.status_code == 200, answer.text
        return httpx.URL(answer.json()["login_url"]).params["code"]

    async def token(self, **parameters: str | None) -> httpx.Response:
        return await self.http.post("/oauth2/token", data={k: v for k, v in parameters.items() if v is not None})

    async def redeem(self, code: str, /, **changes: str | None) -> httpx.Response:
        request: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": "launcher",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return await self.token(**(request | changes))

    async def login(
        self, provider: str, minted: MintedCredential | None = None, /, **changes: str | None
    ) -> dict[str, Any]:
        """Silent login and code exchange; the token answer."""
        answer = await self.redeem(await self.code(provider, minted, **changes))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says, unverified."""
        decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return decoded

    async def refresh(self, refresh_token: str, **changes: str | None) -> httpx.Response:
        request: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": "launcher",
            "refresh_token": refresh_token,
        }
        return await self.token(**(request | changes))

    async def userinfo(self, access_token: str) -> httpx.Response:
        return await self.http.get("/oauth2/userinfo", headers={"authorization": f"Bearer {access_token}"})

    async def grants(self) -> list[Grant]:
        """Every grant in the storage, by id."""
        storage = self.app.storage
        if isinstance(storage, MemoryStorage):
            return [grant for _, grant in sorted(storage._tables.grants.items())]
        ids = [id_ for (id_,) in self.rows("SELECT id FROM grants ORDER BY id")]
        return [loaded.grant for id_ in ids if isinstance(id_, int) and (loaded := await storage.load_grant(id_))]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What another connection reads from the database."""
        url = self.app.config.database.url.get_secret_value()
        file = sqlite_file(url)
        return rows(file, query) if file else execute(url, query)

    def everything(self) -> list[object]:
        """Every row of every table, in an order that does not change by itself. Not of memory storage."""
        if sqlite_file(self.app.config.database.url.get_secret_value()):
            tables = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        else:
            tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        return [(name, sorted(map(repr, self.rows(f"SELECT * FROM {name}")))) for (name,) in tables]  # noqa: S608

    def audited(self, kind: str) -> list[Event]:
        """The audit events of this kind."""
        return [event for event in self.events if event["logger"] == "authsrv.audit" and event["event"] == kind]


def launcher_request() -> dict[str, str | None]:
    """What the demo launcher sends besides the credential."""
    return {
        "client_id": "launcher",
        "response_type": "code",
        "state": "af0ifjsldkj",
        "redirect_uri": CALLBACK,
        "scope": "openid offline",
        "is_redirect": "false",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


def demo_config(platforms: dict[str, PlatformEmulator], database: str, **changes: Any) -> dict[str, Any]:
    """The demo's configuration as a dict, with the platforms at the in-process address."""
    block = configuration(
        8080,
        Path("/unused"),
        platform_settings(list(platforms.values()), BASE_URL),
        service_settings([PlayFabEmulator()], BASE_URL),
    )
    return block | {"database": {"url": database}} | changes


@asynccontextmanager
async def running_on(backend: str, directory: Path, *, edit: Any = None) -> AsyncIterator[Server]:
    """A server on an empty database of this backend: one of `BACKENDS`."""
    with database_on(backend, directory) as url:
        async with running(url=url, edit=edit) as server:
            yield server


@asynccontextmanager
async def running(
    tmp_path: Path | None = None,
    *,
    url: str = "",
    edit: Any = None,
    clock: ManualClock | None = None,
    sleep: Callable[[float], Awaitable[None]] = _no_background,
    storage: Storage | None = None,
) -> AsyncIterator[Server]:
    """A server on memory storage, on a SQLite file below `tmp_path`, or on the migrated database of a `url`.

    `edit` may change the configuration's dict. Background tasks rest by `sleep`. Another `storage` may be brought.
    """
    clock = clock or ManualClock()
    platforms = emulators(clock)
    playfab = PlayFabEmulator(sleep=_no_answer_in_time)
    emulator: Starlette = create_emulator(list(platforms.values()), [playfab], clock=clock)
    url = url or ("memory://" if tmp_path is None else f"sqlite:///{_database(tmp_path)}")
    block = demo_config(platforms, url)
    if names_postgres(url):
        block["database"] |= PATIENT
    if edit:
        edit(block)
    outbounds: dict[str, AsgiOutbound] = {}

    def connect(name: str, _: PlatformSettings, __: Clock) -> AsgiOutbound:
        return outbounds.setdefault(name, AsgiOutbound(emulator))

    events: list[Event] = []
    notified = Notified()
    world = World(clock=clock, emit=events.append, connect=connect, call_clients=lambda _: notified, sleep=sleep)
    with patch("authsrv.app.open_storage", lambda _: storage) if storage else nullcontext():
        app = create_app(_config(json.dumps(block)), world)
    async with lifespan(app), client(app) as http:
        yield Server(app, http, clock, platforms, outbounds, emulator, notified, events, playfab)


@cache
def _config(block: str) -> Config:
    """Reading the relying party's key takes long, and most tests have the same configuration."""
    return Config.model_validate(json.loads(block))


def client(app: Application, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """An HTTP client that follows no redirects."""
    transport = httpx.ASGITransport(app, client=(address, 50000))
    return httpx.AsyncClient(transport=transport, base_url=app.config.issuer)


@asynccontextmanager
async def lifespan(app: Application) -> AsyncIterator[None]:
    """Run the application's lifespan around a test. First keys and templates are made once for the whole run."""
    with _SHORTCUTS:
        async with app.router.lifespan_context(app):
            yield


class _Shortcuts:
    """What saves time, in force while some server runs. They may start and stop in any order."""

    def __init__(self) -> None:
        self._running = 0
        self._patched = ExitStack()

    def __enter__(self) -> None:
        if not self._running:
            made = patch("authsrv.oauth.key_keeper.first_keys", lambda _rules, _vault, now: _signing_keys(now))
            self._patched.enter_context(made)
            self._patched.enter_context(patch("authsrv.pages.engine.environment", _templates))
        self._running += 1

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if not self._running:
            self._patched.close()


_SHORTCUTS = _Shortcuts()


def _signing_keys(now: int) -> tuple[StoredKey, ...]:
    return tuple(replace(key, created_at=now, signs_from=now) for key in stored_keys())


_templates = cache(environment)


def _database(directory: Path) -> Path:
    existing = directory / "authsrv.db"
    return existing if existing.exists() else migrated_file(directory)
