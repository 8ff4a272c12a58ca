"""Two nodes between whose statements the other's come: each test holds one of them still at the place that matters."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from authsrv.account_models import Account
from authsrv.accounts.changing import lost
from authsrv.database_url import Database
from authsrv.models import Digest
from authsrv.storage import open_storage
from authsrv.storage.account_changes import AddLinkCode, AdvanceVersion, UnlinkIdentity
from authsrv.storage.base import Conflict
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddPlayer,
    Change,
    GiveConsent,
    LinkIdentity,
    RecordLogin,
    SettleCredential,
    StartSession,
    UseConsent,
    UseSession,
    WithdrawConsent,
)
from authsrv.storage.node_changes import TakeLease
from authsrv.storage.postgres.storage import PostgresStorage
from authsrv.storage.privacy_changes import ErasePlayer
from tests.support import postgres
from tests.support.postgres import execute
from tests.support.postgres_waiting import somebody, until_waiting
from tests.support.storage import NOW, grant, identity, player, reservation
from tests.support.storage_accounts import link_code
from tests.support.storage_browsers import browser, session

pytestmark = pytest.mark.postgres

PLAYER_HELD = "SELECT 1 FROM players WHERE id = 1 FOR UPDATE"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
async def storage(url: str) -> AsyncIterator[PostgresStorage]:
    storage = open_storage(Database(url, pool_timeout=30, statement_timeout=30, lock_timeout=30, idle_timeout=60))
    assert isinstance(storage, PostgresStorage)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def held_up(
    url: str, gate: str, *calls: Coroutine[Any, Any, None]
) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """These calls, begun one after the other, each waiting behind a gate that opens when the block ends."""
    async with somebody(url, gate):
        tasks = []
        for number, call in enumerate(calls, 1):
            tasks.append(asyncio.create_task(call))
            await until_waiting(url, number)
        yield tasks


async def test_of_two_repeats_at_once_one_answer_alone_stays_alive(storage: PostgresStorage, url: str) -> None:
    held = reservation()
    await storage.reserve(held, take_over=False)
    await storage.apply([AddPlayer(player()), *settled(held.digest, 1)])
    gate = "SELECT 1 FROM grants WHERE id = 1 FOR UPDATE"
    async with held_up(url, gate, *(storage.apply(settled(held.digest, n)) for n in (2, 3))) as repeats:
        pass
    await asyncio.gather(*repeats)
    assert execute(url, "SELECT id, revoked_reason FROM grants ORDER BY id") == [
        (1, "superseded"),
        (2, "superseded"),
        (3, ""),
    ]


def settled(ticket: Digest, number: int) -> Sequence[Change]:
    return [SettleCredential(ticket, b"request", identity(), number, NOW), AddGrant(grant(number))]


async def test_of_two_link_codes_made_at_once_one_is_good(storage: PostgresStorage, url: str) -> None:
    await storage.apply([AddPlayer(player())])
    made = [storage.apply([AddLinkCode(link_code(n))]) for n in (1, 2)]
    async with held_up(url, PLAYER_HELD, *made) as both:
        pass
    await asyncio.gather(*both)
    assert execute(url, "SELECT id FROM link_codes") == [(2,)]


async def test_what_a_session_gives_while_its_identity_is_taken_away_ends_with_it(
    storage: PostgresStorage, url: str
) -> None:
    signed_in = replace(session(), idp="steam", idp_subject=identity().subject)
    await storage.apply([AddPlayer(player()), AddBrowser(browser()), StartSession(signed_in)])
    given = storage.apply([UseSession(1, "launcher", NOW, NOW), AddGrant(grant())])
    taken = storage.apply(ended())
    async with held_up(url, PLAYER_HELD, given, taken) as both:
        pass
    await asyncio.gather(*both)
    assert execute(url, "SELECT revoked_reason FROM grants") == [("unlinked",)]


async def test_what_a_client_gets_by_a_consent_while_it_is_withdrawn_ends_with_it(
    storage: PostgresStorage, url: str
) -> None:
    await storage.apply([AddPlayer(player()), GiveConsent(1, "launcher", ("openid",), NOW)])
    given = storage.apply([UseConsent(1, "launcher"), AddGrant(grant())])
    withdrawn = storage.apply([WithdrawConsent(1, "launcher", NOW)])
    async with held_up(url, PLAYER_HELD, given, withdrawn) as both:
        pass
    await asyncio.gather(*both)
    assert execute(url, "SELECT revoked_reason FROM grants") == [("consent_withdrawn",)]


async def test_a_login_and_an_unlink_do_not_wait_for_each_other_crosswise(storage: PostgresStorage, url: str) -> None:
    """Whoever wants both rows begins with the player's."""
    await storage.apply([AddPlayer(player()), LinkIdentity(identity(), 1, NOW)])
    login = storage.apply([RecordLogin(identity(), 1, 1, "", NOW + 1)])
    async with somebody(url, PLAYER_HELD) as unlinking:
        waiting = asyncio.create_task(login)
        await until_waiting(url, 1)
        await unlinking.execute(b"SELECT 1 FROM identities FOR UPDATE NOWAIT")
    await waiting


RENEWED = {
    "credentials": "UPDATE credentials SET expires_at = expires_at + 9999999",
    "browsers": "UPDATE browsers SET expires_at = expires_at + 9999999",
    "rate_counts": "UPDATE rate_counts SET ends_at = ends_at + 9999999",
    "leases": "UPDATE leases SET expires_at = expires_at + 9999999",
}


@pytest.mark.parametrize("table", RENEWED)
async def test_a_sweep_leaves_what_was_renewed_while_it_waited(storage: PostgresStorage, url: str, table: str) -> None:
    await storage.reserve(reservation(), take_over=False)
    await storage.apply([AddBrowser(browser()), TakeLease("work", "node-1", NOW, NOW + 20)])
    await storage.exchange_counts({b"key": 1}, NOW)
    late = NOW + 9_000_000
    async with somebody(url, RENEWED[table]) as renewing:
        sweeping = asyncio.create_task(storage.sweep(late, 100))
        await until_waiting(url, 1)
        await renewing.commit()
    await sweeping
    left = {name: len(execute(url, f"SELECT 1 FROM {name}")) for name in RENEWED}  # noqa: S608 - names of ours
    assert left == {name: int(name == table) for name in RENEWED}


async def test_an_erasure_that_something_is_given_meanwhile_is_a_conflict_and_takes_it_along_the_second_time(
    storage: PostgresStorage, url: str
) -> None:
    await storage.apply([AddPlayer(player()), AddBrowser(browser()), StartSession(session())])
    erase = [ErasePlayer(1, 1, ("sub-1",), -7, NOW)]
    async with somebody(url, "UPDATE sessions SET used_at = used_at") as giving:
        erasing = asyncio.create_task(storage.apply(erase))
        await until_waiting(url, 1)  # it has looked for grants, and comes to the sessions
        await giving.execute(GIVEN)
        await giving.commit()
    with pytest.raises(Conflict):
        await erasing
    await storage.apply(erase)
    assert execute(url, "SELECT id FROM grants") == execute(url, "SELECT id FROM players") == []


GIVEN = b"""INSERT INTO consents (player_id, client_id, scope, given_at) VALUES (1, 'shop', 'openid', 1)"""


async def test_an_unlink_waits_for_a_login_and_comes_after_it(storage: PostgresStorage, url: str) -> None:
    await storage.apply([AddPlayer(player()), LinkIdentity(identity(), 1, NOW)])
    async with held_up(
        url,
        PLAYER_HELD,
        storage.apply([RecordLogin(identity(), 1, 1, "", NOW + 1), AddGrant(grant())]),
        storage.apply([AdvanceVersion(1, 1), UnlinkIdentity(identity(), 1), *ended()]),
        storage.apply([RecordLogin(identity(), 1, 1, "", NOW + 2), AddGrant(grant(2))]),
    ) as (before, unlinking, after):
        pass
    await before
    await unlinking
    with pytest.raises(Conflict):
        await after
    assert execute(url, "SELECT id, revoked_reason FROM grants") == [(1, "unlinked")]


def ended() -> Sequence[Change]:
    return [*lost(Account(player()), identity(), NOW, "unlinked")]
