"""R24: a backup under load and what a restore of it must not bring back. A ledger of facts is compared afterwards."""

import asyncio
import json
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from authsrv.account_models import Erasure
from authsrv.config import Config
from authsrv.restoring import Plan, Restorer, RestoreRefused
from authsrv.storage.base import SchemaMismatch, StorageError
from authsrv.storage.erasure_ledger import ErasureLedger, LedgerDirectory
from authsrv.storage.schema import BACKUP, REVISIONS
from tests.support.refusals import token_error
from tests.support.residents import Resident, resident
from tests.support.restoring import OPERATOR, Ledger, back_up, check, ignore, live_on, restore
from tests.support.server import ManualClock, demo_config, emulators, running


def names_in(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def statement(file: Path, text: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as driver:
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute(text)


def flip_a_page(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096 : 2 * 4096] = bytes(byte ^ 0xFF for byte in data[4096 : 2 * 4096])
    file.write_bytes(data)


async def test_R24_a_restored_backup_brings_no_code_no_token_and_no_erased_player_back(tmp_path: Path) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with running(tmp_path, clock=clock) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        ledger.subs["amber"] = amber.sub
        ledger.unused_codes.append(await server.code("steam"))
        code = await server.code("steam")
        backup = await back_up(server, tmp_path)
        clock.now += 5
        await live_on(server, amber, birch, code, ledger)
        config = server.app.config
    clock.now += 60
    done = await restore(config, backup, clock)
    assert done.erased == 1
    assert done.cut.grants == 4
    clock.now += 120
    async with running(tmp_path, clock=clock) as server:
        await check(server, ledger)


async def served_and_backed_up(tmp_path: Path, clock: ManualClock) -> tuple[Config, Path, Resident]:
    """A server that was stopped after a backup of it; and a player who was signed in when the backup was made."""
    async with running(tmp_path, clock=clock) as server:
        amber = await resident(server)
        backup = await back_up(server, tmp_path)
        return server.app.config, backup, amber


async def test_R24_a_backup_under_load_is_whole(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        known: dict[str, str] = {}
        somebody_is_known = asyncio.Event()

        async def log_in(player: str) -> None:
            for _ in range(4):
                tokens = await server.login("steam", server.mint("steam", player))
                known[player] = server.claims(tokens["access_token"])["sub"]
                somebody_is_known.set()

        load = asyncio.gather(*(log_in(player) for player in ("amber", "birch", "cedar")))
        await somebody_is_known.wait()
        before = dict(known)
        backup = await back_up(server, tmp_path)
        await load
        config = server.app.config
    clock.now += 60
    await restore(config, backup, clock)
    clock.now += 120
    async with running(tmp_path, clock=clock) as server:
        await check(server, Ledger(subs=before))


@pytest.mark.parametrize(
    ("provider", "how"),
    [
        pytest.param("steam", {"kind": "encrypted_app_ticket"}, id="an encrypted app ticket"),
        pytest.param("epicgames", {"kind": "id_token"}, id="an id_token of Epic"),
    ],
)
async def test_R24_a_proof_of_before_the_restore_is_not_taken_again_and_a_new_one_is(
    tmp_path: Path, provider: str, how: dict[str, str]
) -> None:
    clock = ManualClock()
    config, backup, _ = await served_and_backed_up(tmp_path, clock)
    async with running(tmp_path, clock=clock) as server:
        used = server.mint(provider, **how)
        assert (await server.silent(provider, used)).status_code == 200
    clock.now += 10
    await restore(config, backup, clock)
    clock.now += 30
    async with running(tmp_path, clock=clock) as server:
        refused = await server.silent(provider, used)
        assert (token_error(refused), refused.json()["reason"]) == ("invalid_grant", "credential_expired")
        assert token_error(await server.silent(provider, server.mint(provider, **how))) == "invalid_grant"
        clock.now += 100
        assert (await server.silent(provider, server.mint(provider, **how))).status_code == 200


async def test_R24_a_credential_that_the_backup_knows_as_used_stays_used(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        used = server.mint("steam")
        assert (await server.silent("steam", used)).status_code == 200
        backup = await back_up(server, tmp_path)
        config = server.app.config
    await restore(config, backup, clock)
    with closing(sqlite3.connect(tmp_path / "authsrv.db")) as driver:
        assert driver.execute("SELECT DISTINCT state, identity_subject FROM credentials").fetchall() == [
            ("refused", None)
        ]


async def test_S14_a_backup_is_one_private_file_and_overwrites_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        backup = await back_up(server, tmp_path)
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        assert [name for name in names_in(tmp_path) if name.startswith("backup")] == ["backup"]
        with pytest.raises(RestoreRefused, match="is there already"):
            await back_up(server, tmp_path)


async def test_R24_nobody_serves_a_backup_as_it_is(tmp_path: Path) -> None:
    clock = ManualClock()
    _, backup, _ = await served_and_backed_up(tmp_path, clock)
    backup.replace(tmp_path / "authsrv.db")
    with closing(sqlite3.connect(tmp_path / "authsrv.db")) as driver:
        assert driver.execute("SELECT version_num FROM alembic_version").fetchall() == [(BACKUP + REVISIONS[-1],)]
    with pytest.raises(SchemaMismatch, match="authsrv restore"):
        async with running(tmp_path, clock=clock):
            pass


async def test_R24_a_database_that_was_served_is_moved_aside_and_only_when_told(tmp_path: Path) -> None:
    clock = ManualClock()
    config, backup, _ = await served_and_backed_up(tmp_path, clock)
    with pytest.raises(RestoreRefused, match="--replace"):
        await restore(config, backup, clock, Plan())
    done = await restore(config, backup, clock)
    assert done.aside
    assert stat.S_IMODE(done.aside.stat().st_mode) == 0o600
    assert not (tmp_path / "authsrv.db.restoring").exists()
    with closing(sqlite3.connect(done.aside)) as driver:
        assert driver.execute("SELECT count(*) FROM grants WHERE revoked_at IS NULL").fetchall() == [(1,)]


async def test_R24_no_restore_while_a_server_uses_the_database(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        backup = await back_up(server, tmp_path)
        config = server.app.config
        with pytest.raises(RestoreRefused, match="another authsrv process uses"):
            await restore(config, backup, clock)
        with pytest.raises(RestoreRefused, match="another authsrv process uses"):
            await asyncio.to_thread(Restorer(config, ignore, clock).restored, Plan())


async def test_R24_a_drill_tries_everything_and_changes_nothing_while_the_server_serves(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        backup = await back_up(server, tmp_path)
        await server.app.desk.forgetting.erase(birch.sub, OPERATOR)
        files = names_in(tmp_path)
        done = await restore(server.app.config, backup, clock, Plan(preview=True))
        assert (done.cut.grants, done.erased, done.revision, done.aside) == (2, 1, REVISIONS[-1], None)
        assert names_in(tmp_path) == files
        assert (await server.refresh(amber.tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        pytest.param(lambda file: file.write_bytes(b"no database at all" * 99), "damaged", id="no database"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-9000]), "damaged", id="cut off"),
        pytest.param(lambda file: file.unlink(), "there is no file", id="gone"),
        pytest.param(lambda file: statement(file, "DROP TABLE alembic_version"), "no database of authsrv", id="schema"),
        pytest.param(
            lambda file: statement(file, "UPDATE alembic_version SET version_num = 'backup-9999'"), "newer", id="newer"
        ),
        pytest.param(lambda file: statement(file, "DELETE FROM players"), "missing", id="rows that point nowhere"),
        pytest.param(flip_a_page, "damaged", id="a flipped page"),
    ],
)
async def test_R24_what_is_no_whole_backup_is_refused_and_the_database_stays(
    tmp_path: Path, damage: Callable[[Path], object], text: str
) -> None:
    clock = ManualClock()
    config, backup, amber = await served_and_backed_up(tmp_path, clock)
    damage(backup)
    with pytest.raises(RestoreRefused, match=text):
        await restore(config, backup, clock)
    async with running(tmp_path, clock=clock) as server:
        assert (await server.refresh(amber.tokens["refresh_token"])).status_code == 200


async def test_R24_a_ledger_of_another_machine_erases_too(tmp_path: Path) -> None:
    clock, elsewhere = ManualClock(), tmp_path / "elsewhere"
    config, backup, amber = await served_and_backed_up(tmp_path, clock)
    LedgerDirectory(elsewhere).add([Erasure(amber.sub, int(clock()))])
    assert (await restore(config, backup, clock, Plan((elsewhere,), replace=True))).erased == 1
    async with running(tmp_path, clock=clock) as server:
        assert await server.app.storage.load_subject(amber.sub) is None
    assert amber.sub in ErasureLedger.beside(tmp_path / "authsrv.db").read()


# --- restored by other means ---


async def test_R24_an_older_copy_in_the_place_of_the_database_is_not_served(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        amber, config = await resident(server), server.app.config
        copy_file(tmp_path)
    async with running(tmp_path, clock=clock):
        pass
    put_back(tmp_path)
    for _ in range(3):
        with pytest.raises(StorageError, match="authsrv restored"):
            async with running(tmp_path, clock=clock):
                pass
    done = await asyncio.to_thread(Restorer(config, ignore, clock).restored, Plan())
    assert done.cut.grants == 1
    clock.now += 120
    async with running(tmp_path, clock=clock) as server:
        await check(server, Ledger(dead_refresh_tokens=[amber.tokens["refresh_token"]], subs={"amber": amber.sub}))


async def test_R24_a_copy_of_the_hour_before_is_noticed_without_a_start_in_between(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock) as server:
        await server.app.storage.sweep(int(clock()), 9)
        copy_file(tmp_path)
        await server.app.storage.sweep(int(clock()) + 3600, 9)
    put_back(tmp_path)
    with pytest.raises(StorageError, match="authsrv restored"):
        async with running(tmp_path, clock=clock):
            pass


@pytest.mark.parametrize("elsewhere", [False, True], ids=["in its place", "on another machine"])
async def test_R24_after_a_restore_no_row_id_of_the_lost_time_is_given_again(tmp_path: Path, elsewhere: bool) -> None:
    clock = ManualClock()
    config, backup, _ = await served_and_backed_up(tmp_path, clock)
    lost = []
    for _ in range(3):
        async with running(tmp_path, clock=clock) as server:
            lost.append(server.app.storage.next_id())
    if elsewhere:
        (tmp_path / "authsrv.db.start").unlink()
    await restore(config, backup, clock)
    async with running(tmp_path, clock=clock) as server:
        assert server.app.storage.next_id() > max(lost)


async def test_R24_trying_restored_changes_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    config, _, amber = await served_and_backed_up(tmp_path, clock)
    done = await asyncio.to_thread(Restorer(config, ignore, clock).restored, Plan(preview=True))
    assert done.cut.grants == 1
    async with running(tmp_path, clock=clock) as server:
        assert (await server.refresh(amber.tokens["refresh_token"])).status_code == 200


def copy_file(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "authsrv.db")) as driver:
        driver.execute("VACUUM INTO ?", (str(directory / "copy"),))


def put_back(directory: Path) -> None:
    for name in ("authsrv.db-wal", "authsrv.db-shm"):
        (directory / name).unlink(missing_ok=True)
    (directory / "copy").replace(directory / "authsrv.db")


# --- killed in the middle ---

KILLED = """
import os, signal, sys, time
from pathlib import Path
from authsrv import restoring
from authsrv.config import Config
from authsrv.storage.sqlite import backup as sqlite_backup
from authsrv.storage.sqlite import restore as sqlite_restore

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

module, name = sys.argv[1].split(".")
setattr({"backup": sqlite_backup, "restore": sqlite_restore, "restoring": restoring}[module], name, die)
config = Config.model_validate_json(sys.stdin.read())
restorer = restoring.Restorer(config, print)
if sys.argv[2] == "backup":
    restorer.back_up(Path(sys.argv[3]))
else:
    restorer.restore(Path(sys.argv[3]), restoring.Plan(replace=True))
"""


async def killed(tmp_path: Path, where: str, doing: str, file: Path) -> None:
    """Let a process back up or restore, and kill it with SIGKILL where it comes to this function."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, where, doing, str(file), stdin=asyncio.subprocess.PIPE
    )
    block = demo_config(emulators(ManualClock()), f"sqlite:///{tmp_path / 'authsrv.db'}")
    await process.communicate(json.dumps(block).encode())
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("where", ["backup.mark", "backup.appear"])
async def test_R24_a_backup_that_was_killed_leaves_nothing_under_its_name(tmp_path: Path, where: str) -> None:
    async with running(tmp_path) as server:
        await resident(server)
        await killed(tmp_path, where, "backup", tmp_path / "backup")
        assert not (tmp_path / "backup").exists()
        backup = await back_up(server, tmp_path)
        assert not (tmp_path / "backup.part").exists()
        config = server.app.config
    assert (await restore(config, backup, ManualClock())).cut.grants == 1


@pytest.mark.parametrize(
    "where",
    [
        "restore.unmark",
        "restore.upgrade",
        "restoring.cut_file",
        "restoring.present",
        "restoring.put_in_place",
        "restore._set_aside",
        "restore.StartMark",
        "restore.appear",
    ],
)
async def test_R24_a_restore_that_was_killed_serves_nothing_of_the_backup_and_is_repeated(
    tmp_path: Path, where: str
) -> None:
    ledger, clock = Ledger(), ManualClock()
    async with running(tmp_path, clock=clock) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        ledger.subs["amber"] = amber.sub
        code = await server.code("steam")
        backup = await back_up(server, tmp_path)
        await live_on(server, amber, birch, code, ledger)
        config = server.app.config
    await killed(tmp_path, where, "restore", backup)
    if (tmp_path / "authsrv.db").exists():
        # The database is the one of before: a token that was revoked since the backup is not live in it.
        async with running(tmp_path, clock=clock) as server:
            assert token_error(await server.refresh(ledger.dead_refresh_tokens[-2])) == "invalid_grant"
            assert await server.app.storage.load_subject(birch.sub) is None
    await restore(config, backup, clock)
    clock.now += 120
    async with running(tmp_path, clock=clock) as server:
        await check(server, ledger)
