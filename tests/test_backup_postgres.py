"""R24 on PostgreSQL: backups of a served database, restores into an empty one, and what comes after a point in time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authsrv.account_models import Erasure
from authsrv.config import Config
from authsrv.database_url import Database
from authsrv.restoring import Plan, Restorer, RestoreRefused
from authsrv.storage.base import SchemaMismatch
from authsrv.storage.erasure_ledger import LedgerDirectory
from authsrv.storage.moving import server_backup
from authsrv.storage.postgres.storage import PostgresStorage
from tests.support import postgres
from tests.support.refusals import token_error
from tests.support.residents import Resident, resident
from tests.support.restoring import OPERATOR, Ledger, back_up, check, ignore, live_on, restore
from tests.support.server import ManualClock, Server, running
from tests.support.storage import migrated_file

pytestmark = pytest.mark.postgres


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.database() as found:
        yield found


@pytest.fixture
def empty() -> Iterator[str]:
    """Another database, with the tables and nothing in them."""
    with postgres.database() as found:
        yield found


def noting(directory: Path) -> Any:
    """Lets erasures be noted in a directory."""

    def edit(block: dict[str, Any]) -> None:
        block["database"]["erasures"] = str(directory)

    return edit


def of(url: str, config: Config) -> Config:
    """The same configuration with another database."""
    block = config.model_dump(mode="python")
    block["database"]["url"] = url
    return config.model_copy(
        update={"database": config.database.model_copy(update={"url": type(config.database.url)(url)})}
    )


async def lived_on(server: Server, tmp_path: Path, ledger: Ledger, clock: ManualClock) -> Path:
    """Two players, a backup, and what happened after it."""
    amber, birch = await resident(server), await resident(server, "steam", "birch")
    ledger.subs["amber"] = amber.sub
    ledger.unused_codes.append(await server.code("steam"))
    code = await server.code("steam")
    backup = await back_up(server, tmp_path)
    clock.now += 5
    await live_on(server, amber, birch, code, ledger)
    return backup


async def test_R24_a_backup_restored_into_an_empty_database_brings_nothing_back(
    tmp_path: Path, url: str, empty: str
) -> None:
    ledger, clock, edit = Ledger(), ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        backup = await lived_on(server, tmp_path, ledger, clock)
        config = of(empty, server.app.config)
    clock.now += 60
    done = await restore(config, backup, clock)
    assert (done.erased, done.cut.grants) == (1, 4)
    clock.now += 120
    async with running(url=empty, clock=clock, edit=edit) as server:
        await check(server, ledger)


async def test_R24_a_backup_of_postgres_becomes_a_file_too(tmp_path: Path, url: str) -> None:
    ledger, clock, edit = Ledger(), ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        backup = await lived_on(server, tmp_path, ledger, clock)
        config = of(f"sqlite:///{tmp_path / 'authsrv.db'}", server.app.config)
    clock.now += 60
    plan = Plan((tmp_path / "erasures",))
    assert (await restore(config, backup, clock, plan)).erased == 1
    clock.now += 120
    async with running(tmp_path, clock=clock) as server:
        await check(server, ledger)


async def test_R24_a_backup_of_a_file_goes_into_postgres(tmp_path: Path, empty: str) -> None:
    ledger, clock, edit = Ledger(), ManualClock(), noting(tmp_path / "erasures")
    migrated_file(tmp_path)
    async with running(tmp_path, clock=clock) as server:
        backup = await lived_on(server, tmp_path, ledger, clock)
        config = of(empty, server.app.config)
    clock.now += 60
    done = await restore(config, backup, clock, Plan((tmp_path / "authsrv.db.erasures",)))
    assert done.erased == 1
    clock.now += 120
    async with running(url=empty, clock=clock, edit=edit) as server:
        await check(server, ledger)


async def test_R24_no_restore_into_a_database_that_holds_anything(tmp_path: Path, url: str) -> None:
    clock = ManualClock()
    async with running(url=url, clock=clock) as server:
        await resident(server)
        backup, config = await back_up(server, tmp_path), server.app.config
    said: list[object] = []
    with pytest.raises(RestoreRefused, match="is not empty"):
        await asyncio.to_thread(Restorer(config, said.append, clock).restore, backup, Plan())
    assert "database.restored" not in str(said)


@pytest.mark.parametrize("where", ["copy", "compare", "finish"])
async def test_R24_a_restore_that_ended_halfway_is_served_by_nobody_and_is_repeated(
    tmp_path: Path, url: str, empty: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, clock, edit = Ledger(), ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        backup = await lived_on(server, tmp_path, ledger, clock)
        config = of(empty, server.app.config)

    with monkeypatch.context() as patch:
        # Nothing is done about it on the way out, so that it is as good as a kill.
        patch.setattr(server_backup, where, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await restore(config, backup, clock)
    with pytest.raises(SchemaMismatch, match="not whole"):
        await PostgresStorage(Database(empty)).open()
    clock.now += 60
    await restore(config, backup, clock)
    clock.now += 120
    async with running(url=empty, clock=clock, edit=edit) as server:
        await check(server, ledger)


async def test_R24_a_backup_that_ended_halfway_leaves_nothing_under_its_name(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with running(url=url, clock=clock) as server:
        await resident(server)
        with monkeypatch.context() as patch:
            patch.setattr(server_backup, "mark", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await back_up(server, tmp_path)
        assert not (tmp_path / "backup").exists()
        assert (await back_up(server, tmp_path)).exists()


# --- a point in time ---


async def point_in_time(server: Server, url: str, amber: Resident) -> None:
    """Go back to before a revocation, as a managed server's own restore does."""
    await server.http.post("/oauth2/revoke", data={"client_id": "launcher", "token": amber.tokens["refresh_token"]})
    postgres.execute(url, "UPDATE grants SET revoked_at = NULL, revoked_reason = ''")


async def test_R24_after_a_point_in_time_restored_cuts_the_database(tmp_path: Path, url: str) -> None:
    clock, edit = ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        amber, config = await resident(server), server.app.config
        await point_in_time(server, url, amber)
    tried = await asyncio.to_thread(Restorer(config, ignore, clock).restored, Plan(preview=True))
    done = await asyncio.to_thread(Restorer(config, ignore, clock).restored, Plan())
    assert tried == done
    assert done.cut.grants == 1
    clock.now += 120
    ledger = Ledger(dead_refresh_tokens=[amber.tokens["refresh_token"]], subs={"amber": amber.sub})
    ledger.access_tokens.append(amber.tokens["access_token"])
    async with running(url=url, clock=clock, edit=edit) as server:
        await check(server, ledger)


async def test_R24_restored_erases_whom_any_nodes_ledger_knows(tmp_path: Path, url: str) -> None:
    clock, edit = ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        config = server.app.config
    LedgerDirectory(tmp_path / "erasures").add([Erasure(amber.sub, int(clock()))])
    LedgerDirectory(tmp_path / "elsewhere").add([Erasure(birch.sub, int(clock()))])
    plan = Plan((tmp_path / "elsewhere",))
    assert (await asyncio.to_thread(Restorer(config, ignore, clock).restored, plan)).erased == 2
    async with running(url=url, clock=clock, edit=edit) as server:
        assert await server.app.storage.load_subject(amber.sub) is None
        assert await server.app.storage.load_subject(birch.sub) is None
    assert birch.sub in LedgerDirectory(tmp_path / "erasures").read()


async def test_R24_restored_is_refused_while_a_node_holds_a_lease(url: str) -> None:
    clock = ManualClock()
    async with running(url=url, clock=clock) as server:
        config = server.app.config
    postgres.execute(
        url, "INSERT INTO leases VALUES ('jobs', 'a node', CAST(extract(epoch FROM now()) AS BIGINT) + 20)"
    )
    for plan in (Plan(), Plan(preview=True)):
        with pytest.raises(RestoreRefused, match="is served"):
            await asyncio.to_thread(Restorer(config, ignore, clock).restored, plan)


# --- the ledger ---


async def test_P05_an_erasure_is_noted_and_whoever_comes_back_is_erased_before_anybody_is_served(
    tmp_path: Path, url: str
) -> None:
    clock, edit = ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        await server.app.desk.forgetting.erase(amber.sub, OPERATOR)
        assert LedgerDirectory(tmp_path / "erasures").read() == {amber.sub: int(clock())}
    LedgerDirectory(tmp_path / "erasures").add([Erasure(birch.sub, int(clock()))])
    async with running(url=url, clock=clock, edit=edit) as server:
        assert await server.app.storage.load_subject(birch.sub) is None
        assert token_error(await server.refresh(birch.tokens["refresh_token"])) == "invalid_grant"
        (event,) = server.audited("player.erased")
        assert (event["sub"], event["reason"]) == (birch.sub, "restored_from_a_backup")


async def test_P05_what_the_ledger_missed_is_noted_at_the_next_start(tmp_path: Path, url: str) -> None:
    clock = ManualClock()
    async with running(url=url, clock=clock) as server:
        amber = await resident(server)
        await server.app.desk.forgetting.erase(amber.sub, OPERATOR)
    async with running(url=url, clock=clock, edit=noting(tmp_path / "erasures")):
        assert LedgerDirectory(tmp_path / "erasures").read() == {amber.sub: int(clock())}


async def test_P05_nodes_that_start_together_erase_whoever_came_back_once(tmp_path: Path, url: str) -> None:
    clock, edit = ManualClock(), noting(tmp_path / "erasures")
    async with running(url=url, clock=clock, edit=edit) as server:
        players = [await resident(server, "steam", name) for name in ("amber", "birch", "cedar")]
        LedgerDirectory(tmp_path / "erasures").add([Erasure(one.sub, int(clock())) for one in players])
        await asyncio.gather(*(server.app.desk.forgetting.erase_again() for _ in range(3)))
        assert await server.app.storage.load_resurrected() == ()
        assert sorted(event["sub"] for event in server.audited("player.erased")) == sorted(one.sub for one in players)


async def test_R24_a_backup_under_load_is_one_moment(tmp_path: Path, url: str, empty: str) -> None:
    clock, known, somebody_is_known = ManualClock(), dict[str, str](), asyncio.Event()

    async def log_in(server: Server, player: str) -> None:
        for _ in range(4):
            tokens = await server.login("steam", server.mint("steam", player))
            known[player] = server.claims(tokens["access_token"])["sub"]
            somebody_is_known.set()

    async with running(url=url, clock=clock) as server:
        load = asyncio.gather(*(log_in(server, player) for player in ("amber", "birch", "cedar")))
        await somebody_is_known.wait()
        before = dict(known)
        backup = await back_up(server, tmp_path)
        await load
        config = of(empty, server.app.config)
    clock.now += 60
    await restore(config, backup, clock)
    clock.now += 120
    async with running(url=empty, clock=clock) as server:
        await check(server, Ledger(subs=before))
