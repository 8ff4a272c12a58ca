"""The same requests to two applications in this process, one with metrics and audit trail and one without, by turns.

Run as `python -m bench.overhead DIRECTORY ROUNDS REQUESTS`; prints for each kind of request the ratios of CPU time of
neighbouring rounds, as JSON. DIRECTORY is empty.
"""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import uvloop

from authsrv.app import Application, World
from authsrv.audit import Audit, AuditEvent
from authsrv.log import Emit, LogPipeline
from bench.inside import Inside, cpu_of, inside

KINDS = ("client_credentials", "exchange", "refresh", "userinfo", "introspect")
WARM_UP = 64


class Unheard(Audit):
    """An audit trail that nobody keeps."""

    def record(self, event: AuditEvent) -> None:
        """Nothing."""


@contextmanager
def without_audit() -> Iterator[None]:
    """Applications that are made inside keep no audit trail."""
    with patch("authsrv.app.Audit", Unheard):
        yield


@contextmanager
def logging_to_nowhere() -> Iterator[LogPipeline]:
    """The log as in a server, with its thread."""
    with Path("/dev/null").open("w") as sink:
        pipeline = LogPipeline(sink)
        try:
            yield pipeline
        finally:
            pipeline.stop()


@dataclass(frozen=True, slots=True)
class Side:
    """An application with a database of its own."""

    found: Inside
    app: Application

    async def cost(self, kind: str, count: int) -> float:
        """CPU seconds of a request."""
        calls = await self.found.calls(self.app, kind, count)
        gc.collect()
        return await cpu_of(calls)


@asynccontextmanager
async def side(directory: Path, emit: Emit, stock: int, *, metrics: bool) -> AsyncIterator[Side]:
    """One that is running, with so many codes and refresh tokens."""
    directory.mkdir()  # noqa: ASYNC240 - nobody is served yet
    found = await inside(directory, stock)
    world = World(connect=found.connect, emit=emit)
    async with found.application(world, metrics={"enabled": metrics}) as app:
        yield Side(found, app)


async def overheads(directory: Path, rounds: int, requests: int) -> Mapping[str, Sequence[float]]:
    """Ratios by kind. Both applications write their access log."""
    stock = rounds * requests + WARM_UP
    async with AsyncExitStack() as stack:
        emit = stack.enter_context(logging_to_nowhere()).emit
        with without_audit():
            bare = await stack.enter_async_context(side(directory / "bare", emit, stock, metrics=False))
        whole = await stack.enter_async_context(side(directory / "whole", emit, stock, metrics=True))
        return {kind: await ratios(kind, whole, bare, rounds, requests) for kind in KINDS}


async def ratios(kind: str, whole: Side, bare: Side, rounds: int, requests: int) -> Sequence[float]:
    """How much dearer the whole is, round by round."""
    for one in (whole, bare):
        await one.cost(kind, WARM_UP)
    found: list[float] = []
    for number in range(rounds):  # the first of two has the colder caches, so they take turns
        first, second = (whole, bare) if number % 2 else (bare, whole)
        costs = {first: await first.cost(kind, requests), second: await second.cost(kind, requests)}
        found.append(costs[whole] / costs[bare])
    return found


def main() -> None:
    """Measure and print."""
    directory, rounds, requests = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(overheads(Path(directory), int(rounds), int(requests)))))


if __name__ == "__main__":
    main()
