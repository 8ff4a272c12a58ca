"""R37: the same calls in the same order give the same results in memory and on SQLite."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.storage.base import Storage, StorageError
from authsrv.storage.changes import (
    AddGrant,
    AddKeys,
    AddPlayer,
    Change,
    CountCodeFailure,
    DeclaredClient,
    LinkIdentity,
    RecordLogin,
    RedeemCode,
    RefuseCredential,
    ReleaseCredential,
    RevokeGrant,
    RotateRefreshToken,
    SettleCredential,
    SyncClients,
)
from tests.support.storage import (
    NOW,
    digest,
    grant,
    identity,
    memory_storage,
    migrated_sqlite,
    player,
    reservation,
    signing_key,
)

Call = Callable[[Storage], Awaitable[object]]

# Few values, so that calls meet the same rows.
IDS = st.integers(1, 3)
TIMES = st.sampled_from([NOW, NOW + 10, NOW + 20, NOW + 1000, NOW + 3000, NOW + 90000])
SUBJECTS = st.sampled_from(["a", "b"]).map(identity)
TICKETS = st.sampled_from(["t1", "t2"])
HOLDERS = st.sampled_from([b"h1", b"h2"])
TOKENS = st.sampled_from(["r1", "r2", "r3"]).map(digest)
TEXTS = st.sampled_from(["", "Amber", "Bärbel \U0001f9f8", "\ud800", "\0"])
KEYS = st.builds(signing_key, st.sampled_from(["k1", "k2", "k3"]), alg=st.sampled_from(["ES256", "RS256"]))
CLIENTS = st.builds(DeclaredClient, st.sampled_from(["launcher", "shop"]), st.just("skyforge"), TEXTS)


def a_grant(number: int, player_id: int, expires_at: int, *, code: bool) -> AddGrant:
    code_hash = digest("code") if code else None
    return AddGrant(replace(grant(number, player_id=player_id), expires_at=expires_at, code_hash=code_hash))


CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(lambda number, name: AddPlayer(player(number, name=name)), IDS, TEXTS),
    st.builds(LinkIdentity, SUBJECTS, IDS, TIMES),
    st.builds(RecordLogin, SUBJECTS, IDS, TEXTS, TIMES),
    st.builds(a_grant, IDS, IDS, TIMES, code=st.booleans()),
    st.builds(RedeemCode, IDS, TIMES, st.none() | TOKENS, TIMES),
    st.builds(CountCodeFailure, IDS | st.just(2**63)),
    st.builds(RotateRefreshToken, IDS, TOKENS, TOKENS, st.just(b"sealed"), TIMES, TIMES),
    st.builds(RevokeGrant, IDS, TIMES, TEXTS),
    st.builds(SettleCredential, TICKETS.map(digest), HOLDERS, SUBJECTS, IDS, TIMES),
    st.builds(RefuseCredential, TICKETS.map(digest), HOLDERS, st.just("credential_rejected"), TIMES),
    st.builds(ReleaseCredential, TICKETS.map(digest), HOLDERS),
    st.builds(AddKeys, st.lists(KEYS, max_size=2).map(tuple)),
    st.builds(SyncClients, st.lists(CLIENTS, max_size=2).map(tuple), TIMES),
)


def applying(changes: Sequence[Change]) -> Call:
    return lambda storage: storage.apply(changes)


def reserving(ticket: str, holder: bytes, now: int, take_over: bool) -> Call:
    wanted = replace(reservation(ticket, now=now), holder=holder)
    return lambda storage: storage.reserve(wanted, take_over=take_over)


def sweeping(now: int, limit: int) -> Call:
    return lambda storage: storage.sweep(now, limit)


async def reopen(storage: Storage) -> None:
    await storage.close()
    await storage.open()


CALLS: st.SearchStrategy[Call] = st.one_of(
    st.builds(applying, st.lists(CHANGES, min_size=1, max_size=3)),
    st.builds(applying, st.lists(CHANGES, min_size=1, max_size=3)),
    st.builds(reserving, TICKETS, HOLDERS, TIMES, st.booleans()),
    st.builds(sweeping, TIMES, st.integers(1, 3)),
    st.just(reopen),
)


async def outcome(call: Call, storage: Storage) -> object:
    try:
        return await call(storage)
    except StorageError as error:
        return type(error), str(error), getattr(error, "change", None)


async def everything(storage: Storage) -> list[object]:
    """All that the loads show."""
    return await asyncio.gather(
        *(storage.load_grant(number) for number in (1, 2, 3)),
        *(storage.load_player(identity(subject)) for subject in ("a", "b")),
        *(storage.load_reservation(digest(ticket)) for ticket in ("t1", "t2")),
        storage.load_keys(),
        storage.load_clients(),
    )


async def compare(calls: Sequence[Call]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model, real = memory_storage(), migrated_sqlite(Path(directory))
        await asyncio.gather(model.open(), real.open())
        try:
            for number in (1, 2):
                await asyncio.gather(*(storage.apply([AddPlayer(player(number))]) for storage in (model, real)))
            for call in calls:
                assert await outcome(call, real) == await outcome(call, model)
                assert await everything(real) == await everything(model)
        finally:
            await asyncio.gather(model.close(), real.close())


@settings(max_examples=10, deadline=None)
@given(st.lists(CALLS, min_size=15, max_size=40))
def test_R37_memory_and_sqlite_agree(calls: Sequence[Call]) -> None:
    asyncio.run(compare(calls))
