"""A ban follows the platform accounts that it was made for: through unlinking, linking, transfers, merges, their undo,
and erasure (row D58 and section 10.7 of account linking).
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from authsrv.account_models import Doer
from authsrv.accounts import forgetting
from authsrv.accounts.naming import Wanted
from authsrv.accounts.performing import Performed
from authsrv.errors import AccessDenied
from tests.support.banning import REASON, account_of, ban, is_dead, order, sub_of, unban
from tests.support.connecting import connect
from tests.support.managing import may_manage
from tests.support.refusals import demo
from tests.support.residents import Resident, identity, resident
from tests.support.server import Server, running, running_on
from tests.support.storage import BACKENDS

DAY = 86400
STEAM, EPIC = identity("steam"), identity("epicgames")
OPERATOR = Doer("admin", "operator")


def edit(**rules: object) -> Callable[[dict[str, Any]], None]:
    def change(block: dict[str, Any]) -> None:
        may_manage(block, **rules)
        demo(block)["clients"]["backend"]["introspect"] = True

    return change


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit(merge=True, transfer=True)) as started:
        yield started


async def banned(server: Server, *, seconds: int = DAY) -> Resident:
    """A player with Steam and Epic, banned."""
    player = await resident(server)
    await player.has(EPIC)
    await ban(server, player.sub, seconds=seconds)
    return player


async def reason(server: Server, provider: str, player: str = "amber") -> str:
    """Why a login is refused; empty if it is not."""
    answer = await server.silent(provider, server.mint(provider, player))
    return str(answer.json().get("reason", "")) if answer.status_code != 200 else ""


async def unlinked(server: Server, player: Resident, provider: str) -> Performed:
    wanted = Wanted(provider, {"steam": STEAM, "epicgames": EPIC}[provider].subject)
    return await server.app.desk.changes.unlink(player.sub, wanted, order(server))


async def erased(server: Server, sub: str) -> None:
    await server.app.desk.forgetting.erase(sub, forgetting.Order(OPERATOR))


async def test_it_survives_an_unlink(server: Server) -> None:
    player = await banned(server)
    await unlinked(server, player, "steam")
    assert await reason(server, "steam") == "banned"
    assert await reason(server, "epicgames") == "banned"


async def test_it_survives_a_second_link_by_a_clean_player(server: Server) -> None:
    player, clean = await banned(server), await resident(server, player="birch")
    await unlinked(server, player, "epicgames")
    answer = await connect(server, "epicgames", "amber", clean)
    assert (answer.status_code, answer.json()["reason"]) == (403, "banned")
    with pytest.raises(AccessDenied):
        await server.app.desk.changes.link(clean.sub, EPIC, order(server))
    assert {linked.key.kind for linked in (await account_of(server, clean.sub)).identities} == {"steam"}


async def test_it_survives_a_transfer_to_a_clean_player(server: Server) -> None:
    player, clean = await banned(server), await resident(server, player="birch")
    await server.app.desk.changes.transfer(player.sub, Wanted("epicgames", EPIC.subject), clean.sub, order(server))
    assert await reason(server, "epicgames") == "banned"
    assert await reason(server, "steam", "birch") == ""


async def test_what_an_operator_links_to_a_banned_player_is_banned_and_stays_so(server: Server) -> None:
    player = await resident(server)
    await ban(server, player.sub, seconds=DAY)
    await server.app.desk.changes.link(player.sub, EPIC, order(server))
    assert await reason(server, "epicgames") == "banned"
    await unlinked(server, player, "epicgames")
    assert await reason(server, "epicgames") == "banned"
    server.clock.now += DAY
    assert await reason(server, "epicgames") == ""


async def test_an_undone_unlink_brings_it_back_with_the_ban(server: Server) -> None:
    player = await banned(server)
    performed = await unlinked(server, player, "epicgames")
    assert performed.event
    await server.app.desk.changes.undo(performed.event.id, order(server))
    assert await reason(server, "epicgames") == "banned"
    await unban(server, player.sub)
    assert await reason(server, "epicgames") == ""


async def test_what_an_undo_brings_back_to_a_banned_player_is_banned_too(server: Server) -> None:
    player = await resident(server)
    await player.has(EPIC)
    performed = await unlinked(server, player, "epicgames")
    assert performed.event
    await ban(server, player.sub)
    await server.app.desk.changes.undo(performed.event.id, order(server))
    assert await reason(server, "epicgames") == "banned"


@pytest.mark.parametrize("loses", [True, False], ids=["the banned one is merged away", "the banned one remains"])
async def test_it_survives_a_merge_and_holds_for_everything_that_the_one_player_has(
    server: Server, loses: bool
) -> None:
    bad, clean = await resident(server), await resident(server, "epicgames", "birch")
    await ban(server, bad.sub, seconds=DAY)
    first, second = (bad, clean) if loses else (clean, bad)
    await server.app.desk.changes.merge(first.sub, second.sub, order(server))
    assert await reason(server, "steam") == "banned"
    assert await reason(server, "epicgames", "birch") == "banned"
    assert await is_dead(server, bad.tokens)
    assert await is_dead(server, clean.tokens)
    server.clock.now += DAY
    assert await reason(server, "epicgames", "birch") == ""


async def test_a_player_who_was_merged_away_is_unbanned_with_the_one_who_remains(server: Server) -> None:
    bad, clean = await resident(server), await resident(server, "epicgames", "birch")
    await ban(server, bad.sub)
    await server.app.desk.changes.merge(bad.sub, clean.sub, order(server))
    lifted = await unban(server, bad.sub)
    assert (lifted.sub, lifted.until) == (clean.sub, 0)
    assert await reason(server, "steam") == ""
    assert await reason(server, "epicgames", "birch") == ""


async def test_an_undone_merge_leaves_the_ban_where_it_was(server: Server) -> None:
    bad, clean = await resident(server), await resident(server, "epicgames", "birch")
    merged = await server.app.desk.changes.merge(bad.sub, clean.sub, order(server))
    assert merged.event
    await server.app.desk.changes.undo(merged.event.id, order(server))
    await ban(server, bad.sub)
    assert await reason(server, "steam") == "banned"
    assert await reason(server, "epicgames", "birch") == ""


@pytest.mark.parametrize("seconds", [0, DAY])
async def test_it_survives_the_erasure_of_the_player_until_it_ends(server: Server, seconds: int) -> None:
    player = await banned(server, seconds=seconds)
    await erased(server, player.sub)
    for provider in ("steam", "epicgames"):
        assert await reason(server, provider) == "banned"
    assert await server.app.storage.load_subject(player.sub) is None
    server.clock.now += DAY
    assert await reason(server, "steam") == ("" if seconds else "banned")


async def test_the_ban_of_an_erased_player_keeps_nothing_that_can_be_read(server: Server) -> None:
    player = await banned(server)
    await erased(server, player.sub)
    marks = server.app.desk.server.proofs.logins.marks
    found = await server.app.storage.load_ownership(STEAM, marks.of(STEAM), int(server.clock.now))
    assert found.ban
    assert (found.player, found.ban.player_id, REASON in repr(found.ban)) == (None, 0, False)


async def test_the_ban_of_an_erased_player_is_lifted_by_the_platform_account(server: Server) -> None:
    player = await banned(server)
    await erased(server, player.sub)
    lifted = await server.app.desk.bans.unban_identity(STEAM, order(server))
    assert lifted.event
    assert await reason(server, "steam") == ""
    assert await reason(server, "epicgames") == ""


async def test_a_studio_may_let_erased_players_come_back() -> None:
    async with running(edit=edit(bans_outlive_erasure=False)) as server:
        player = await banned(server)
        await erased(server, player.sub)
        assert await reason(server, "steam") == ""


async def test_D58_an_unlink_and_a_ban_leave_no_token_of_the_identity_alive(server: Server) -> None:
    player = await resident(server)
    await player.has(EPIC)
    await unlinked(server, player, "steam")
    again = await server.login("epicgames")
    await ban(server, sub_of(server, again))
    assert await is_dead(server, player.tokens)
    assert await is_dead(server, again)
