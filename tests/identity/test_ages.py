"""Connecting at an age at which a project lets nobody in, or lets nobody link, and what a link does to an age."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.endpoints.test_age_groups import ruled, token
from tests.support.connecting import account, connect
from tests.support.residents import SCOPE, Resident, resident
from tests.support.server import Server, running


@asynccontextmanager
async def serving(**rules: object) -> AsyncIterator[Server]:
    async with running(edit=ruled(**rules)) as server:
        yield server


async def child(server: Server) -> Resident:
    """Came by Xbox, which said that it is one."""
    return Resident(server, await server.login("xbox", token(server, "Child"), scope=SCOPE))


async def test_a_child_links_nothing_unless_the_project_lets_it() -> None:
    async with serving() as server:
        session = await child(server)
        answer = await connect(server, "steam", "amber", session)
        assert (answer.status_code, answer.json()["reason"]) == (403, "age_restricted")
        assert len((await account(server, session.sub)).identities) == 1
    async with serving(guarded_may_link=True) as server:
        session = await child(server)
        assert (await connect(server, "steam", "amber", session)).json()["outcome"] == "linked"


@pytest.mark.parametrize("may_link", [False, True])
async def test_a_child_gets_no_platform_account_of_another_player_by_choice_either(may_link: bool) -> None:
    async with serving(transfer=True, merge=True, guarded_may_link=may_link) as server:
        await resident(server)
        session = await child(server)
        answer = await connect(server, "steam", "amber", session)
        offered = {one["id"] for one in answer.json()["choices"]}
        assert offered == {"switch", "cancel"} | ({"transfer", "merge"} if may_link else set())


async def test_nobody_gets_a_childs_platform_account_by_choice() -> None:
    async with serving(transfer=True, merge=True) as server:
        await child(server)
        answer = await connect(server, "xbox", "amber", await resident(server), minted=token(server, "Child"))
        assert {one["id"] for one in answer.json()["choices"]} == {"switch", "cancel"}


async def test_whoever_turns_out_to_be_a_child_by_a_link_does_not_link() -> None:
    async with serving() as server:
        session = await resident(server)
        answer = await connect(server, "xbox", "amber", session, minted=token(server, "Child"))
        assert (answer.status_code, answer.json()["reason"]) == (403, "age_restricted")
        assert (await account(server, session.sub)).player.age_group == ""


@pytest.mark.parametrize(("group", "found"), [("Child", "child"), ("Teen", "teen"), ("Adult", "adult"), (None, "")])
async def test_a_link_tells_the_age_of_a_player_of_whom_none_was_known(group: str | None, found: str) -> None:
    async with serving(guarded_may_link=True) as server:
        session = await resident(server)
        assert (await connect(server, "xbox", "amber", session, minted=token(server, group))).status_code == 200
        assert (await account(server, session.sub)).player.age_group == found


async def test_a_link_makes_nobody_older() -> None:
    async with serving(guarded_may_link=True, identities=2) as server:
        session = await child(server)
        grown = await connect(server, "xbox", "birch", session, minted=token(server, "Adult", "birch"))
        assert grown.json()["outcome"] == "linked"
        assert (await account(server, session.sub)).player.age_group == "child"


async def test_the_name_of_a_child_follows_no_platform() -> None:
    async with serving(guarded_may_link=True) as server:
        session = await child(server)
        answer = await connect(server, "steam", "amber", session, flags={"sync_display_name": True})
        assert answer.json()["outcome"] == "linked"
        assert (await account(server, session.sub)).player.display_name == ""


@pytest.mark.parametrize("session_is_the_childs", [False, True])
async def test_nobody_connects_at_an_age_that_is_refused(session_is_the_childs: bool) -> None:
    async with serving(age_policy="refuse", guarded_may_link=True) as server:
        session = await resident(server, "guest") if session_is_the_childs else None
        before = len(server.audited("player.created"))
        answer = await connect(server, "xbox", "amber", session, minted=token(server, "Child"))
        assert (answer.status_code, answer.json()["reason"]) == (403, "age_restricted")
        assert len(server.audited("player.created")) == before


async def test_steam_is_asked_nothing_where_games_are_made_for_children() -> None:
    async with serving(age_policy="guest_only", directed_at_children=True) as server:
        guest = await resident(server, "guest")
        answer = await connect(server, "steam", "amber", guest)
        assert (answer.status_code, answer.json()["reason"]) == (403, "age_restricted")
        assert server.audited("login.refused")[0]["reason"] == "age_restricted"
