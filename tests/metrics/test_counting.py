"""What is counted below the surface: calls to platforms, and what the database did for whom."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authsrv.outbound.client import HttpOutbound, OutboundLimits
from authsrv.platforms.base import OutboundError
from authsrv.storage.base import Conflict, StorageUnavailable
from authsrv.storage.changes import AddKeys
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.fault_server import Fault, answer, black_hole, raw, serving
from tests.support.storage import migrated_sqlite, signing_key

QUICK = OutboundLimits(connect=20, total=0.3, queue=0.01, pause=0.001, max_in_flight=1)


def outbound(base: str) -> HttpOutbound:
    return HttpOutbound("steam", allowed=(base,), clock=lambda: 0.0, limits=QUICK)


OUTCOMES = [
    pytest.param(answer(), "success", id="an answer"),
    pytest.param(answer("400 Bad Request"), "success", id="a refused ticket"),
    pytest.param(answer("403 Forbidden"), "denied", id="a refused key"),
    pytest.param(answer("429 Too Many Requests"), "throttled", id="too many calls"),
    pytest.param(answer("500 Internal Server Error"), "failure", id="an outage"),
    pytest.param(raw(b"no HTTP at all\r\n\r\n"), "failure", id="garbage"),
    pytest.param(black_hole, "timeout", id="a black hole"),
]


@pytest.mark.parametrize(("fault", "outcome"), OUTCOMES)
async def test_a_call_is_counted_by_how_it_ended(fault: Fault, outcome: str) -> None:
    async with serving(fault) as server:
        calling = outbound(server.base)
        await calling.start()
        with contextlib.suppress(OutboundError):
            await calling.get(server.base)
        await calling.aclose()
    assert calling.figures.outcomes.items() == [(("steam", "127.0.0.1", outcome), 1)]
    ((labels, spread),) = calling.figures.seconds.items()
    assert (labels, spread.cumulated()[-1][1]) == (("steam", "127.0.0.1"), 1)


async def test_what_was_not_sent_is_counted_as_such() -> None:
    async with serving(black_hole) as server:
        calling = outbound(server.base)
        await calling.start()
        first = asyncio.create_task(calling.get(server.base))
        await server.arrived(1)
        assert [one.in_flight for one in calling.vitals()] == [1]
        with pytest.raises(OutboundError):
            await calling.get(server.base)
        with pytest.raises(OutboundError):
            await first
        for _ in range(4):
            with pytest.raises(OutboundError):
                await calling.get(server.base)
        with pytest.raises(OutboundError):
            await calling.get(server.base)
        await calling.aclose()
    assert {labels[2]: count for labels, count in calling.figures.outcomes.items()} == {
        "no_place": 1,
        "timeout": 5,
        "circuit_open": 1,
    }
    assert [(one.host, one.circuit, one.in_flight, one.places) for one in calling.vitals()] == [
        ("127.0.0.1", "open", 0, 1)
    ]


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    opened = migrated_sqlite(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_lost_race_is_a_conflict_and_no_failure(storage: SqliteStorage) -> None:
    before = storage.vitals().traffic["write"].done
    await storage.apply([AddKeys((signing_key(),))])
    with pytest.raises(Conflict):
        await storage.apply([AddKeys((signing_key(),))])
    found = storage.vitals().traffic["write"]
    assert (found.done - before, found.conflicts, found.unavailable) == (1, 1, 0)


async def test_a_transaction_that_failed_counts_for_everybody_who_waited_for_it(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> list[object]:
        raise sqlite3.OperationalError("database or disk is full")

    assert storage._writer
    monkeypatch.setattr(storage._writer, "_run_group", full)
    found = await asyncio.gather(*(storage.ping() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(one, StorageUnavailable) for one in found)
    assert storage.vitals().traffic["write"].unavailable == 5


async def test_who_waits_is_seen_and_shares_a_transaction(storage: SqliteStorage) -> None:
    waiting = [asyncio.create_task(storage.ping()) for _ in range(9)]
    await asyncio.sleep(0)
    assert storage.vitals().queued == {"read": 0, "write": 9}
    await asyncio.gather(*waiting)
    assert storage.vitals().queued == {"read": 0, "write": 0}
    assert dict(storage.vitals().traffic["write"].group_sizes.cumulated())[16] >= 1
    assert storage.vitals().traffic["write"].group_sizes.total >= 9


async def test_a_closed_storage_tells_what_it_can(tmp_path: Path) -> None:
    vitals = migrated_sqlite(tmp_path).vitals()
    assert (vitals.backend, vitals.traffic, vitals.pool) == ("sqlite", {}, None)
