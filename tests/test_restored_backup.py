"""A backup from before an erasure is restored: whoever was erased is erased again before anybody is served."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.storage.account_changes import AdvanceVersion, MergePlayers, UnmergePlayers
from tests.support.refusals import token_error
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running

OPERATOR = Order(Doer("admin", "otto"))


def back_up(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "authsrv.db")) as driver:
        driver.execute("VACUUM INTO ?", (str(directory / "backup"),))


def restore(directory: Path) -> None:
    """As docs/operations.md says: the ledger stays where it is."""
    for name in ("authsrv.db-wal", "authsrv.db-shm"):
        (directory / name).unlink(missing_ok=True)
    (directory / "backup").replace(directory / "authsrv.db")


def stands_in_a_file(directory: Path, text: str) -> bool:
    return any(text.encode() in file.read_bytes() for file in directory.iterdir())


async def is_there(server: Server, who: Resident) -> bool:
    return await server.app.storage.load_subject(who.sub) is not None


async def test_P05_whom_a_backup_brings_back_meets_nobody_and_others_go_on(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        back_up(tmp_path)
        await server.app.desk.forgetting.erase(amber.sub, OPERATOR)
    restore(tmp_path)
    assert stands_in_a_file(tmp_path, identity("steam").subject)
    async with running(tmp_path) as server:
        assert not await is_there(server, amber)
        assert token_error(await server.refresh(amber.tokens["refresh_token"])) == "invalid_grant"
        assert (await server.refresh(birch.tokens["refresh_token"])).status_code == 200
        (event,) = server.audited("player.erased")
        assert (event["sub"], event["reason"]) == (amber.sub, "restored_from_a_backup")
        assert not stands_in_a_file(tmp_path, identity("steam").subject)
    async with running(tmp_path) as server:
        assert server.audited("player.erased") == []


async def test_P05_a_command_meets_them_no_more_than_the_server_does(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        amber = await resident(server)
        back_up(tmp_path)
        await server.app.desk.forgetting.erase(amber.sub, OPERATOR)
        application = server.app
    restore(tmp_path)
    async with application.opened() as desk:
        assert await desk.server.storage.load_subject(amber.sub) is None


@pytest.mark.parametrize("merged_in_backup", [True, False])
async def test_P05_those_who_were_merged_and_erased_together_go_together(
    tmp_path: Path, merged_in_backup: bool
) -> None:
    async with running(tmp_path) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        merge = [MergePlayers(await birch.row(), await amber.row())]
        if merged_in_backup:
            await server.app.storage.apply(merge)
        back_up(tmp_path)
        if not merged_in_backup:
            await server.app.storage.apply(merge)
        await server.app.desk.forgetting.erase(amber.sub, OPERATOR)
    restore(tmp_path)
    async with running(tmp_path) as server:
        assert (await is_there(server, amber), await is_there(server, birch)) == (False, False)


@pytest.mark.parametrize("erased", ["survivor", "merged"])
async def test_P05_who_was_merged_in_the_backup_and_alone_when_the_other_was_erased_stays(
    tmp_path: Path, erased: str
) -> None:
    async with running(tmp_path) as server:
        survivor, merged = await resident(server), await resident(server, "steam", "birch")
        rows = await merged.row(), await survivor.row()
        await server.app.storage.apply([MergePlayers(*rows)])
        back_up(tmp_path)
        await server.app.storage.apply([UnmergePlayers(*rows, ()), AdvanceVersion(rows[0], 1)])
        gone, stays = (survivor, merged) if erased == "survivor" else (merged, survivor)
        await server.app.desk.forgetting.erase(gone.sub, OPERATOR)
    restore(tmp_path)
    async with running(tmp_path) as server:
        assert (await is_there(server, gone), await is_there(server, stays)) == (False, True)
        left = await server.app.storage.load_subject(stays.sub)
        assert left
        assert left.merged_into is None
        assert (await server.refresh(stays.tokens["refresh_token"])).status_code == 200
