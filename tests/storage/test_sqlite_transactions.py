"""One writer, groups, savepoints and faults: what a caller is told is what the file holds."""

import asyncio
import inspect
import resource
import sqlite3
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import aiosqlite
import pytest

from authsrv.storage.base import Conflict, StorageError, StorageUnavailable
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddNotice,
    AddPlayer,
    AddRequest,
    AddTrip,
    Change,
    LinkIdentity,
    RecordLogin,
    RedeemCode,
    RevokeGrant,
    StartSession,
    UseSession,
)
from authsrv.storage.sqlite import lane as sqlite_lane
from authsrv.storage.sqlite.connection import WRITER, Connection
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import (
    NOW,
    digest,
    grant,
    identity,
    migrated_file,
    player,
    reading_connection,
    reservation,
    rows,
    traced,
    writing_connection,
)
from tests.support.storage_browsers import browser, notice, pending, session, trip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return migrated_file(tmp_path)


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqliteStorage]:
    opened = SqliteStorage(path)
    await opened.open()
    yield opened
    await opened.close()


async def with_grants(storage: SqliteStorage, count: int) -> None:
    await storage.apply([AddPlayer(player()), *(AddGrant(grant(n)) for n in range(1, count + 1))])


def redeem(number: int) -> Sequence[Change]:
    return [RedeemCode(number, NOW, digest("refresh"), NOW + 50)]


def used(path: Path) -> set[object]:
    """The ids of redeemed grants as another connection sees them."""
    return {id_ for (id_,) in rows(path, "SELECT id FROM grants WHERE code_used_at IS NOT NULL")}


# --- the private part of aiosqlite that one hop for many statements needs ---


def test_aiosqlite_is_the_one_that_the_connection_was_written_for() -> None:
    assert aiosqlite.__version__.startswith("0.22.")
    assert {"_tx", "_running"} <= vars(aiosqlite.Connection(lambda: sqlite3.connect(":memory:"), 64)).keys()
    assert type(inspect.getattr_static(aiosqlite.Connection, "_conn")) is property


# --- how many statements and commits ---


async def test_a_lone_unit_is_begin_statement_commit(storage: SqliteStorage) -> None:
    await with_grants(storage, 1)
    async with traced(writing_connection(storage)) as statements:
        await storage.apply(redeem(1))
    assert statements == ["BEGIN IMMEDIATE", "UPDATE grants", "COMMIT"]


async def test_a_new_credential_is_reserved_by_one_statement(storage: SqliteStorage) -> None:
    async with traced(writing_connection(storage)) as statements:
        await storage.reserve(reservation(), take_over=True)
    assert statements == ["BEGIN IMMEDIATE", "INSERT INTO", "COMMIT"]


async def test_each_load_is_one_select_on_the_reader(storage: SqliteStorage) -> None:
    await storage.apply([AddPlayer(player()), AddBrowser(browser()), AddRequest(pending()), AddTrip(trip())])
    await storage.apply([StartSession(session()), UseSession(1, "shop", NOW, NOW), AddNotice(notice())])
    loads = (
        storage.load_grant(1),
        storage.load_player(identity()),
        storage.load_reservation(digest("ticket")),
        storage.load_visit(1, "skyforge", "shop"),
        storage.load_request(1, 1),
        storage.load_trip(1, 1),
        storage.load_sessions(1),
        storage.load_player_sessions(1),
        storage.load_session(1),
        storage.load_session_clients(1),
        storage.load_due_notices(NOW + 7, 10),
    )
    async with traced(reading_connection(storage)) as reads, traced(writing_connection(storage)) as writes:
        for load in loads:
            await load
    assert [statement.split()[0] for statement in reads] == ["SELECT"] * len(loads)
    assert writes == []


async def test_what_is_asked_together_is_read_at_one_moment(storage: SqliteStorage) -> None:
    await with_grants(storage, 3)
    async with traced(reading_connection(storage)) as reads:
        first, dossier, third = await asyncio.gather(
            storage.load_grant(1), storage.load_dossier(player().id), storage.load_grant(3)
        )
    assert first is not None
    assert dossier is not None
    assert third is not None
    words = [statement.split()[0] for statement in reads]
    assert (words[0], words[-1], set(words[1:-1])) == ("BEGIN", "COMMIT", {"SELECT"})


async def test_a_read_that_fails_fails_alone_and_leaves_no_transaction(storage: SqliteStorage) -> None:
    await with_grants(storage, 2)
    first, failed, second = await asyncio.gather(
        storage.load_grant(1),
        storage._read("SELECT nothing FROM nowhere", {}),  # no load of ours is wrong by itself
        storage.load_grant(2),
        return_exceptions=True,
    )
    assert isinstance(failed, StorageError)
    assert not isinstance(first, BaseException | None)
    assert not isinstance(second, BaseException | None)
    assert not reading_connection(storage).in_transaction


async def test_R01_many_units_share_one_commit(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 30)
    async with traced(writing_connection(storage)) as statements:
        await asyncio.gather(*(storage.apply(redeem(n)) for n in range(1, 31)))
    counted = Counter(statements)
    assert counted["COMMIT"] == 1
    assert (counted["SAVEPOINT unit"], counted["RELEASE unit"]) == (30, 30)
    assert used(path) == set(range(1, 31))


async def test_a_group_has_at_most_64_units(storage: SqliteStorage) -> None:
    await with_grants(storage, 130)
    async with traced(writing_connection(storage)) as statements:
        await asyncio.gather(*(storage.apply(redeem(n)) for n in range(1, 131)))
    assert Counter(statements)["COMMIT"] == 3


async def test_nobody_is_answered_before_the_commit(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 20)

    async def redeem_and_look(number: int) -> bool:
        await storage.apply(redeem(number))
        return number in used(path)

    assert all(await asyncio.gather(*(redeem_and_look(n) for n in range(1, 21))))


# --- a unit's failure is its own ---


async def test_a_conflict_undoes_one_unit_of_a_group(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 3)
    doomed = [AddPlayer(player(2)), LinkIdentity(identity(), 2, NOW), *redeem(99)]
    async with traced(writing_connection(storage)) as statements:
        results = await asyncio.gather(
            storage.apply(redeem(1)), storage.apply(doomed), storage.apply(redeem(2)), return_exceptions=True
        )
    assert [type(result) for result in results] == [type(None), Conflict, type(None)]
    assert Counter(statements)["COMMIT"] == 1
    assert used(path) == {1, 2}
    assert rows(path, "SELECT id FROM players") == [(1,)]


async def test_an_unexpected_error_belongs_to_its_own_unit(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 2)

    def broken(driver: sqlite3.Connection) -> None:
        driver.execute("UPDATE players SET display_name = 'lost'")
        raise ZeroDivisionError

    writer = storage._writing()
    results = await asyncio.gather(storage.apply(redeem(1)), writer.run(broken), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ZeroDivisionError]
    with pytest.raises(ZeroDivisionError):
        await writer.run(broken)
    await storage.apply(redeem(2))
    assert used(path) == {1, 2}
    assert rows(path, "SELECT display_name FROM players") == [("Amber",)]


async def test_a_rule_of_the_schema_is_named_without_its_values(storage: SqliteStorage) -> None:
    with pytest.raises(StorageError, match=r"AddGrant breaks a rule of the schema \(SQLITE_CONSTRAINT_CHECK\)"):
        await storage.apply([AddPlayer(player()), AddGrant(replace(grant(), code_failures=-1))])
    await storage.apply([AddPlayer(player())])


# --- R07: cancellation ---


@pytest.mark.parametrize("turns", range(6))
async def test_R07_a_cancelled_caller_leaves_no_transaction(storage: SqliteStorage, path: Path, turns: int) -> None:
    await with_grants(storage, 2)
    caller = asyncio.create_task(storage.apply(redeem(1)))
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await storage.apply(redeem(2))
    assert not writing_connection(storage).in_transaction
    # Queued is begun: only a caller that never ran (turns == 0) asked for nothing.
    assert used(path) == ({2} if turns == 0 else {1, 2})


async def test_R07_cancelling_one_of_a_group_keeps_the_others(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 20)
    callers = [asyncio.create_task(storage.apply(redeem(n))) for n in range(1, 21)]
    await asyncio.sleep(0)
    for caller in callers[::2]:
        caller.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)] * 10
    await storage.ping()
    assert used(path) == set(range(1, 21))


async def test_R20_closing_finishes_what_was_asked(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await with_grants(storage, 100)
    callers = [asyncio.create_task(storage.apply(redeem(n))) for n in range(1, 101)]
    await asyncio.sleep(0)
    await storage.close()
    assert await asyncio.gather(*callers) == [None] * 100
    assert used(path) == set(range(1, 101))


async def test_R20_a_cancelled_close_still_ends_the_transaction_and_answers(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await with_grants(storage, 1)
    reader_thread, going_on = reading_connection(storage)._thread, threading.Event()
    slow = asyncio.create_task(storage._writing().run(lambda _: going_on.wait(20)))
    caller = asyncio.create_task(storage.apply(redeem(1)))
    closing_task = asyncio.create_task(storage.close())
    await asyncio.to_thread(reader_thread.join)
    for _ in range(20):  # now closing waits for the writer
        await asyncio.sleep(0)
    closing_task.cancel()
    await asyncio.gather(closing_task, return_exceptions=True)
    going_on.set()
    async with asyncio.timeout(10):
        await asyncio.gather(slow, caller)
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert used(path) == {1}
    await storage.open()
    await storage.close()


# --- R03: full disk, failing commit ---


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Writes beyond the size fail in the kernel, as they do on a broken or full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_R03_a_full_disk_fails_the_whole_group_and_heals(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 10)
    connection = writing_connection(storage)
    ((pages,),) = await connection.execute_fetchall("PRAGMA page_count")
    await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    large = [AddPlayer(replace(player(n), display_name="x" * 9000)) for n in range(2, 40)]
    results = await asyncio.gather(
        storage.apply(redeem(1)), storage.apply(large), storage.apply(redeem(2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [StorageUnavailable] * 3
    assert used(path) == set()
    assert await storage.load_grant(1) is not None
    assert not connection.in_transaction
    await connection.execute_fetchall("PRAGMA max_page_count = 1000000")
    await storage.apply([*redeem(1), *large])
    assert used(path) == {1}


async def test_R03_a_failing_commit_is_nobodys_success(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 10)
    with no_file_longer_than(path.with_name("authsrv.db-wal").stat().st_size):
        results = await asyncio.gather(*(storage.apply(redeem(n)) for n in range(1, 6)), return_exceptions=True)
        assert [type(result) for result in results] == [StorageUnavailable] * 5
        assert await storage.load_grant(1) is not None
    assert used(path) == set()
    await asyncio.gather(*(storage.apply(redeem(n)) for n in range(1, 6)))
    assert used(path) == {1, 2, 3, 4, 5}


async def test_S3_a_drivers_error_ends_the_transaction_of_the_whole_group(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 2)
    before = writing_connection(storage)

    def broken(driver: sqlite3.Connection) -> None:
        driver.execute("SELECT 1 FROM no_such_table")

    results = await asyncio.gather(storage.apply(redeem(1)), storage._writing().run(broken), return_exceptions=True)
    assert [type(result) for result in results] == [StorageUnavailable] * 2
    assert not before.in_transaction
    await storage.apply(redeem(2))
    assert writing_connection(storage) is before
    assert used(path) == {2}


async def test_a_connection_in_an_unknown_state_is_replaced(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 2)
    first = writing_connection(storage)
    await first.close()
    with pytest.raises(StorageUnavailable):
        await storage.apply(redeem(1))
    await storage.apply(redeem(2))
    assert writing_connection(storage) is not first
    assert used(path) == {2}
    assert dict(await pragmas(writing_connection(storage))) == {name: expected for name, _, expected in WRITER}


async def pragmas(connection: Connection) -> list[tuple[str, object]]:
    return [(name, value) for name, _, _ in WRITER for (value,) in await connection.execute_fetchall(f"PRAGMA {name}")]


@contextmanager
def away(path: Path) -> Iterator[None]:
    """In the file's place stands something that cannot be opened."""
    aside = path.with_name("aside.db")
    path.rename(aside)
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


async def test_a_writer_that_cannot_come_back_says_unavailable_until_it_can(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 1)
    await writing_connection(storage).close()
    with pytest.raises(StorageUnavailable):
        await storage.apply(redeem(1))
    with away(path), pytest.raises(StorageUnavailable, match="cannot be opened"):
        await storage.apply(redeem(1))
    await storage.apply(redeem(1))
    assert used(path) == {1}


# --- R05, R06: another process with the write lock ---


async def test_R05_a_held_write_lock_is_unavailable_for_all_who_wait(
    storage: SqliteStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_lane, "GROUP_LIMIT", 2)
    await with_grants(storage, 10)
    await writing_connection(storage).execute_fetchall("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with traced(writing_connection(storage)) as statements:
            results = await asyncio.gather(*(storage.apply(redeem(n)) for n in range(1, 11)), return_exceptions=True)
        assert [type(result).__mro__[1] for result in results] == [StorageUnavailable] * 10
        assert statements == ["BEGIN IMMEDIATE"]
        with pytest.raises(StorageUnavailable):
            await storage.ping()
        assert await storage.load_grant(1) is not None
        other.execute("ROLLBACK")
    await storage.apply(redeem(1))
    assert used(path) == {1}


async def test_R06_every_transaction_takes_the_write_lock_first(storage: SqliteStorage, path: Path) -> None:
    await with_grants(storage, 3)
    async with traced(writing_connection(storage)) as statements:
        await storage.reserve(reservation(), take_over=False)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE players SET display_name = 'from outside'")
        await storage.reserve(reservation(), take_over=False)
        await storage.apply([RevokeGrant(1, NOW, "logout"), LinkIdentity(identity(), 1, NOW)])
        await storage.apply([RecordLogin(identity(), 1, 1, "", NOW)])
        await storage.sweep(NOW, 10)
        await storage.ping()
    begins = [statement for statement in statements if statement.startswith("BEGIN")]
    assert begins == ["BEGIN IMMEDIATE"] * 6
    assert statements[0] == "BEGIN IMMEDIATE"


async def test_a_reader_cannot_write(storage: SqliteStorage) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reading_connection(storage).execute_fetchall("DELETE FROM players")
