"""Several nodes in one process, over one storage, in a time that only tests move."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from authsrv.storage.base import StorageUnavailable
from authsrv.storage.memory.storage import MemoryStorage
from authsrv.storage.memory.tables import Tables
from tests.support.server import ManualClock, Server, running

_SETTLING = 200


@dataclass
class Home:
    """What the database holds, and its clock."""

    clock: ManualClock = field(default_factory=ManualClock)
    tables: Tables = field(default_factory=Tables)
    starts: int = 0


class NodesStorage(MemoryStorage):
    """A node's way to a storage that others share. While `is_away` it reaches nothing, as behind a broken network."""

    shared = True

    def __init__(self, home: Home) -> None:
        self.home = home
        self.is_away = False
        super().__init__()

    @property
    def _tables(self) -> Tables:  # the others' too
        return self.home.tables

    @_tables.setter
    def _tables(self, tables: Tables) -> None:
        if self._began:
            self.home.tables = tables

    @property
    def _epoch(self) -> int:  # the others' too
        return self.home.starts

    @_epoch.setter
    def _epoch(self, value: int) -> None:
        self.home.starts = max(self.home.starts, value)

    @property
    def _began(self) -> bool:
        return hasattr(self, "_swept_up_to")

    async def load_time(self) -> int:
        await self._turn()
        return int(self.home.clock())

    async def _turn(self) -> None:
        await super()._turn()
        if self.is_away:
            raise StorageUnavailable("the database is away")


@dataclass
class SlowTime:
    """A clock with sleepers, which stands until a test moves it."""

    clock: ManualClock
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        sleeper = (self.clock.now + seconds, awake)
        self.sleepers.append(sleeper)
        try:
            await awake.wait()
        finally:
            self.sleepers.remove(sleeper)

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass; whoever sleeps less long wakes up in turn."""
        end = self.clock.now + seconds
        await settle()
        while due := [until for until, awake in self.sleepers if until <= end and not awake.is_set()]:
            self.clock.now = max(self.clock.now, min(due))
            for until, awake in list(self.sleepers):
                if until <= self.clock.now:
                    awake.set()
            await settle()
        self.clock.now = end
        await settle()


async def settle() -> None:
    """Let everybody do what they do without waiting for time."""
    for _ in range(_SETTLING):
        await asyncio.sleep(0)


@dataclass
class Nodes:
    """Servers that share a storage. A later one may be started, and one stopped, by a test."""

    time: SlowTime
    home: Home
    servers: list[Server] = field(default_factory=list)
    _stacks: list[AsyncExitStack] = field(default_factory=list)

    def __iter__(self) -> Iterator[Server]:
        return iter(self.servers)

    def __getitem__(self, number: int) -> Server:
        return self.servers[number]

    async def start(self, edit: Any = None) -> Server:
        stack = AsyncExitStack()
        storage = NodesStorage(self.home)
        started = running(edit=edit, clock=self.home.clock, sleep=self.time.sleep, storage=storage)
        server = await stack.enter_async_context(started)
        self.servers.append(server)
        self._stacks.append(stack)
        return server

    async def stop(self, number: int) -> None:
        """An orderly stop."""
        await self._stacks[number].aclose()

    async def aclose(self) -> None:
        for stack in self._stacks:
            await stack.aclose()

    def workers(self) -> list[int]:
        """The numbers of the nodes that do the work of all, as they believe."""
        return [number for number, server in enumerate(self.servers) if server.app.node.work.left]


def storage_of(server: Server) -> NodesStorage:
    """A node's way to the storage."""
    assert isinstance(server.app.storage, NodesStorage)
    return server.app.storage


@asynccontextmanager
async def nodes(count: int = 2, edits: Sequence[Any] = ()) -> AsyncIterator[Nodes]:
    """So many nodes; `edits` change the configuration of one after the other."""
    home = Home()
    several = Nodes(SlowTime(home.clock), home)
    try:
        for number in range(count):
            await several.start(edits[number] if number < len(edits) else None)
        yield several
    finally:
        await several.aclose()
