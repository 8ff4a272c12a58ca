"""Puts the server together: the only file that knows every other part.

`create_app` gives an ASGI application whose lifespan opens the storage, loads the keys, starts platforms and jobs, and
closes them all again. Decides nothing about a request.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv import __version__, playfab
from authsrv.accounts.keeping import Keeping
from authsrv.addresses import AddressResolver
from authsrv.audit import Audit, AuditEvent
from authsrv.composition import Parts, order_desk, registrar, served, token_server
from authsrv.config import Config
from authsrv.config.fingerprint import fingerprint
from authsrv.config.logos import read_logo
from authsrv.config.registered_clients import client_of
from authsrv.config.schema import OutboundSettings
from authsrv.endpoints.assets import Image, Logos
from authsrv.endpoints.discovery import MetadataEndpoint, metadata
from authsrv.endpoints.endpoint import ErrorRenderer, not_found
from authsrv.endpoints.hosts import HostCheck
from authsrv.endpoints.hygiene import Hygiene
from authsrv.endpoints.routes import routes
from authsrv.endpoints.routing import RouteTable
from authsrv.endpoints.screens import Facts, Screens
from authsrv.jobs.account_rounds import AccountRounds
from authsrv.jobs.key_rounds import KeyRounds
from authsrv.jobs.logout_notices import FormOutbound, LogoutNotices
from authsrv.jobs.rate_exchange import RateExchange
from authsrv.jobs.sweeper import Sweeper
from authsrv.limits import RateLimiter
from authsrv.log import Emit, Event
from authsrv.metrics.figures import Spread
from authsrv.metrics.seen import Seen
from authsrv.metrics.sources import Sources
from authsrv.models import Project, Retention
from authsrv.nodes import Node
from authsrv.oauth.claim_sources import ClaimSources
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.key_material import Vault
from authsrv.oauth.keys import KeyRing
from authsrv.oauth.registration.clients import RegisteredClients
from authsrv.oauth.server import GRANT_TYPES, TokenServer
from authsrv.orders.desk import Desk
from authsrv.outbound.guarded import GuardedOutbound
from authsrv.pages.render import Pages
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, PlatformSettings
from authsrv.playfab.settings import PlayFabSettings
from authsrv.records import dataclass
from authsrv.services import Connect, Place
from authsrv.serving.readiness import Absent, Probe, Readiness
from authsrv.storage import open_storage
from authsrv.storage.base import RESTORED, CountStore, Storage
from authsrv.storage.changes import DeclaredClient, SyncClients
from authsrv.storage.redis_counts import RedisCounts
from authsrv.verifiers import PlayFabTitles, Verifiers, connect_by_http

_log = logging.getLogger("authsrv.retention")

_RESTART_ONLY = ("issuer", "dev", "server", "database", "keys", "limits", "log", "metrics", "sessions", "outbound")


CallClients = Callable[[OutboundSettings], FormOutbound]


def call_by_http(settings: OutboundSettings) -> FormOutbound:
    """Guarded calls: to the public Internet, and to what the configuration allows besides."""
    return GuardedOutbound(allow=settings.allow, extra_ca=Path(settings.extra_ca) if settings.extra_ca else None)


def _discard(_: Event) -> None:
    """Nobody listens."""


class ReloadRefused(Exception):
    """The new configuration cannot be taken while serving. The text says why; the present one stays in force."""


@dataclass(frozen=True, slots=True)
class World:
    """What the server takes from outside, so that tests can bring their own.

    `clock` gives Unix seconds, `random` that many unpredictable bytes; `connect` makes the way out to a platform or to
    PlayFab, `call_clients` that to addresses that clients gave. `sleep` is what background tasks rest by. `emit` takes
    log events; without it audit events go nowhere.
    """

    clock: Clock = time.time
    random: Callable[[int], bytes] = os.urandom
    emit: Emit = _discard
    connect: Connect = connect_by_http
    call_clients: CallClients = call_by_http
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Application:
    """The whole server as one ASGI application. Serves nothing before its lifespan has begun."""

    def __init__(self, config: Config, world: World) -> None:
        self.config = config
        self._world = world
        self.seen = Seen(tuple(PLATFORMS), sorted(GRANT_TYPES))
        emit = self.seen.passing(world.emit) if config.metrics.enabled else world.emit
        self._audit = Audit(emit, now=world.clock)
        self.storage: Storage = open_storage(config.database.model())
        self._registered = RegisteredClients(client_of)
        self._registry = ClientRegistry(config.clients().values(), self._registered.clients)
        self._platforms = PlatformDirectory({name: one.identity_kinds for name, one in PLATFORMS.items()})
        self._verifiers = Verifiers(world.clock, world.connect)
        self._claim_sources = ClaimSources()
        self._playfab = PlayFabTitles(world.clock, world.connect)
        self._reloading = asyncio.Lock()
        self._projects = config.project_models()
        self._metadata = MetadataEndpoint(metadata_of(config))
        self.node = self._joining()
        self.rate_exchange: RateExchange | None = None
        self.readiness = self._watched()
        self._logos = Logos()
        facts = self._facts()
        self._screens = Screens(Pages(random=world.random), facts)
        self._parts = self._shared(facts)
        self.router = Router(lifespan=self._lifespan)
        self._serving: ASGIApp = not_found
        self._hygiene = self._guard(emit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan and requests."""
        await (self.router if scope["type"] == "lifespan" else self._hygiene)(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serving(scope, receive, send)

    def _joining(self) -> Node:
        world = self._world
        return Node(
            self.storage,
            clock=world.clock,
            sleep=world.sleep,
            random=world.random,
            takers={"keys": self._take_keys, "clients": self._take_registered},
            agreed=self._all_agree,
            own_life=self._registry.present_token_life,
            heard_life=self._registry.remember_token_life,
        )

    def _watched(self) -> Readiness:
        providers: dict[str, Probe] = {name: partial(self._verifiers.probe, name) for name in PLATFORMS}
        providers[playfab.NAME] = partial(self._playfab.probe, playfab.NAME)
        providers.update(self.node.probes)
        providers["limits"] = self._check_limits
        return Readiness({"storage": self.storage.ping, "keys": self._check_keys}, providers)

    def _shared(self, facts: Facts) -> Parts:
        return Parts(
            issuer=self.config.issuer,
            quotas=self.config.limits.quotas(),
            rules=self.config.sessions.rules(),
            clock=self._world.clock,
            random=self._world.random,
            storage=self.storage,
            registry=self._registry,
            registered=self._registered,
            platforms=self._platforms,
            claim_sources=self._claim_sources,
            audit=self._audit,
            metadata=self._metadata,
            readiness=self.readiness,
            screens=self._screens,
            facts=facts,
            logos=self._logos,
            retention=self._retention,
            spread=self.node.spread,
        )

    def _guard(self, emit: Emit) -> Hygiene:
        return Hygiene(
            self._serve,
            issuer=self.config.issuer,
            render_error=ErrorRenderer(self._screens),
            emit=emit,
            allowed_origins=self._registry.cors_origins,
            addresses=AddressResolver(self.config.server.trusted_proxies),
            hosts=HostCheck(self.config.issuer, dev=self.config.dev),
        )

    def _facts(self) -> Facts:
        return Facts(
            issuer=self.config.issuer,
            dev=self.config.dev,
            titles={name: platform.title for name, platform in PLATFORMS.items()},
            projects=lambda: self._projects,
            client=self._registry.get,
            platforms_of=self._platforms.for_browsers,
            provider_of=self._platforms.provider_of,
        )

    async def reload(self, config: Config) -> None:
        """Take clients, lifetimes and platforms from a new configuration, all of them or none.

        Reloads that come together are taken one after the other.
        """
        changed = [name for name in _RESTART_ONLY if getattr(config, name) != getattr(self.config, name)]
        if changed:
            raise ReloadRefused(f"these settings change only by a restart: {', '.join(changed)}")
        async with self._reloading:
            await self._take(config)
        self._tell_retention()
        self._audit.record(AuditEvent("config.reloaded"))

    async def _take(self, config: Config) -> None:
        projects = config.project_models()
        images = images_of(projects)
        verifiers = self._verifiers.prepare(platforms_of(config))
        titles = self._playfab.prepare(playfab_of(config))
        await self._sync_clients(config, all_agree=await self.node.announce(partial(fingerprint, config)))
        self._registry.replace(config.clients().values())
        self._registered.configure(config.registration_policies(), int(self._world.clock()))
        self._platforms.replace(verifiers)
        self._claim_sources.replace(titles)
        self._metadata.replace(metadata_of(config))
        self._projects = projects
        self._logos.replace(images)
        self.config = config
        self._taken_at = self._world.clock()
        self._verifiers.settle()
        self._playfab.settle()

    async def _sync_clients(self, config: Config, *, all_agree: bool) -> None:
        await self.storage.apply([SyncClients(declared_clients(config), int(self._world.clock()), all_agree)])

    async def _all_agree(self) -> None:
        async with self._reloading:
            await self._sync_clients(self.config, all_agree=True)

    async def _take_keys(self) -> bool:
        return await self.desk.keys.refresh()

    async def _take_registered(self) -> bool:
        edits = self._registered.edits
        return self._registered.exchange(await self.storage.load_registered_clients(), edits)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Desk]:
        """The storage with the keys and the clients upon it, without a surface: what an order needs.

        Raises `StorageError` or `KeyRingError`; their texts are for operators.
        """
        try:
            await self.storage.open()
            self._registered.load(await self.storage.load_registered_clients())
            self._registered.configure(self.config.registration_policies(), int(self._world.clock()))
            keeper = self._key_keeper()
            ring = await keeper.open()
            restored_at = (await self.storage.load_versions()).get(RESTORED, 0)
            server = token_server(self._parts, ring, restored_at)
            self.desk = order_desk(self._parts, server, keeper)
            # Whom a restored backup brought back is met by nobody.
            await self.desk.forgetting.erase_again()
            yield self.desk
        finally:
            await self.storage.close()

    def figures(self, *, lag: Spread, dropped: Callable[[], int]) -> Sources:
        """Where the figures of the server are, while it serves. `lag` and `dropped` are the process's own."""
        services = (self._verifiers, self._playfab)
        return Sources(
            version=__version__,
            seen=self.seen,
            readiness=self.readiness,
            storage=self.storage.vitals,
            calls=[one.figures for one in services],
            hosts=lambda: [*self._verifiers.vitals(), *self._playfab.vitals()],
            keys=lambda: self.desk.keys.ring.stored,
            key_rules=self.config.keys.rules(),
            swept=lambda: self._sweeping.removed,
            loaded_at=lambda: self._taken_at,
            counts_alone=lambda: self.rate_exchange is not None and self.rate_exchange.alone,
            node=self.node.vitals,
            dropped=dropped,
            lag=lag,
            clock=self._world.clock,
        )

    async def _check_limits(self) -> None:
        if self.rate_exchange is None:
            raise Absent
        await self.rate_exchange.probe()

    async def _check_keys(self) -> None:
        for alg in self.config.keys.algorithms:
            self.desk.keys.ring.signer(alg)

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(self.opened())
            stack.push_async_callback(self._verifiers.stop)
            stack.push_async_callback(self._playfab.stop)
            await self._take(self.config)
            server = opened.server
            self.registrar = registrar(self._parts, server)
            self._serving = self._build(opened.keys.ring, server)
            outbound = self._world.call_clients(self.config.outbound)
            stack.push_async_callback(outbound.aclose)
            self.notices = LogoutNotices(server, outbound, self.node.rest)
            self.account_rounds = self._account_rounds(opened)
            self._sweeping = self._sweeper()
            jobs = (self.notices, self._sweeping, self.account_rounds, KeyRounds(opened.keys, self.node.rest))
            await stack.enter_async_context(self.node.working(jobs))
            self._share_limits(server.limits, stack)
            self.readiness.start()
            self._tell_retention()
            self._audit.record(AuditEvent("server.started"))
            yield
            self.readiness.drain()
            self._audit.record(AuditEvent("server.stopped"))

    def _share_limits(self, limits: RateLimiter, stack: AsyncExitStack) -> None:
        store = self._count_store(stack)
        if store is None:
            return
        self.rate_exchange = RateExchange(limits, store, clock=self._world.clock, sleep=self._world.sleep)
        stack.callback(asyncio.create_task(self.rate_exchange.run()).cancel)

    def _count_store(self, stack: AsyncExitStack) -> CountStore | None:
        """Where nodes add up what they count; None for a node that has no others."""
        url = self.config.limits.store
        if not url:
            return self.storage if self.storage.shared else None
        password = self.config.limits.store_password
        store = RedisCounts(
            url, password=password.get_secret_value() if password else "", ca=self.config.limits.store_ca
        )
        stack.push_async_callback(store.aclose)
        return store

    def _demo_routes(self) -> list[BaseRoute]:
        if not self.config.dev:
            return []
        from authsrv.demo import page  # noqa: PLC0415 - loads the template engine, which a real server has no use for

        return page.routes(self.config)

    def _key_keeper(self) -> KeyKeeper:
        secret = self.config.keys.passphrase
        vault = Vault(secret.get_secret_value() if secret else "", self._world.random)
        return KeyKeeper(self.storage, self.config.keys.rules(), vault, self._world.clock, self._audit)

    def _account_rounds(self, desk: Desk) -> AccountRounds:
        keeping = Keeping(desk.server, desk.forgetting, desk.projects, self._retention)
        return AccountRounds(self.storage, keeping, self.node.rest)

    def _sweeper(self) -> Sweeper:
        return Sweeper(
            self.storage,
            clock=self._world.clock,
            sleep=self.node.rest,
            chance=random.random,
            retention=self._retention,
            chores=[self.registrar.expire],
        )

    def _retention(self) -> Retention:
        return self.config.retention.rules()

    def _tell_retention(self) -> None:
        """For how long things are kept is a matter of record: at every start, and whenever it may have changed."""
        _log.info("retention", extra=self.config.retention.model_dump())

    def _build(self, ring: KeyRing, server: TokenServer) -> ASGIApp:
        table = [*routes(served(self._parts, ring, server)), *self._demo_routes()]
        self.seen.know({route.path for route in table if isinstance(route, Route)})
        return RouteTable(table, default=not_found)


def create_app(config: Config, world: World | None = None) -> Application:
    """The server for a configuration."""
    return Application(config, world or World())


def declared_clients(config: Config) -> tuple[DeclaredClient, ...]:
    """The file's clients as the database remembers them."""
    return tuple(DeclaredClient(c.client_id, c.project.key, c.name) for c in config.clients().values())


def images_of(projects: Mapping[str, Project]) -> Mapping[str, Image]:
    """The logos of these projects, by key. Raises ValueError for a file that is none."""
    logos = {key: read_logo(Path(project.look.logo)) for key, project in projects.items() if project.look.logo}
    return {key: Image(logo.media_type, logo.content) for key, logo in logos.items()}


def platforms_of(config: Config) -> dict[Place, PlatformSettings]:
    """The blocks of every project's platforms."""
    return {(key, name): block for key, project in config.projects.items() for name, block in project.platforms.items()}


def playfab_of(config: Config) -> dict[Place, PlayFabSettings]:
    """The PlayFab titles of the projects that have one, each by the scope that asks for a session with it."""
    return {(key, playfab.NAME): project.playfab for key, project in config.projects.items() if project.playfab}


def metadata_of(config: Config) -> dict[str, Any]:
    """What the discovery documents say."""
    open_ones = [policy for policy in config.registration_policies().values() if policy.mode != "off"]
    registered = {scope for policy in open_ones for scope in policy.scopes}
    declared = {scope for client in config.clients().values() for scope in client.scopes}
    return metadata(
        config.issuer, declared | registered, algorithms=config.keys.algorithms, registration=bool(open_ones)
    )
