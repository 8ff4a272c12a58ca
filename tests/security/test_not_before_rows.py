"""Row B35: what player, client or project were given before a time is void everywhere, and the latest time wins."""

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from authsrv.models import NotBeforeKind
from authsrv.storage.changes import SetNotBefore
from tests.support.ending import (
    feed,
    is_active,
    made_of,
    own_token,
    refused_offline,
    void_before,
    with_everybody,
)
from tests.support.refusals import token_error
from tests.support.server import ManualClock, Server, running, running_on
from tests.support.storage import BACKENDS

KINDS: tuple[NotBeforeKind, ...] = ("player", "client", "project")


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=with_everybody) as started:
        yield started


def subject(server: Server, kind: NotBeforeKind, access_token: str) -> str:
    claims = server.claims(access_token)
    return str({"player": claims["sub"], "client": claims["client_id"], "project": "demo"}[kind])


async def is_void(server: Server, tokens: dict[str, Any]) -> bool:
    """Whether every way says that the login is over; the ways must agree."""
    said = {
        (await server.userinfo(tokens["access_token"])).status_code == 401,
        not await is_active(server, tokens["access_token"]),
        not await is_active(server, tokens["refresh_token"]),
        await refused_offline(server, tokens["access_token"]),
    }
    assert len(said) == 1
    return said.pop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("issued", "void"),
    [
        pytest.param(-1, True, id="a second before"),
        pytest.param(0, True, id="in the second of the revocation"),
        pytest.param(1, False, id="a second after"),
    ],
)
async def test_B35_a_revocation_voids_what_was_issued_until_and_in_its_second(
    server: Server, kind: NotBeforeKind, issued: int, *, void: bool
) -> None:
    revoked_at = server.clock.now + 100
    server.clock.now = revoked_at + issued
    tokens = await server.login("steam")
    (at, name) = (int(revoked_at) + 1, subject(server, kind, tokens["access_token"]))
    await server.app.storage.apply([SetNotBefore(kind, name, at)])
    server.clock.now = revoked_at + 2
    assert await is_void(server, tokens) is void
    refreshed = await server.refresh(tokens["refresh_token"])
    assert refreshed.status_code == (400 if void else 200)


@pytest.mark.parametrize("order", list(permutations(KINDS)), ids=" ".join)
@pytest.mark.parametrize("strictest", KINDS)
async def test_B35_the_strictest_wins_in_whatever_order_they_were_set(
    server: Server, strictest: NotBeforeKind, order: tuple[NotBeforeKind, ...]
) -> None:
    server.clock.now += 50
    tokens = await server.login("steam")
    for kind in order:
        seconds = 1 if kind == strictest else -9
        await void_before(server, kind, subject(server, kind, tokens["access_token"]), seconds)
    assert await is_void(server, tokens)
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize("kind", KINDS)
async def test_B35_an_earlier_time_never_revives_what_a_later_one_voided(server: Server, kind: NotBeforeKind) -> None:
    tokens = await server.login("steam")
    for seconds in (1, -100):
        await void_before(server, kind, subject(server, kind, tokens["access_token"]), seconds)
    assert await is_void(server, tokens)


@pytest.mark.parametrize("kind", KINDS)
async def test_B35_a_code_of_before_is_not_redeemed_and_one_of_after_is(server: Server, kind: NotBeforeKind) -> None:
    tokens = await server.login("steam")
    before = await server.code("steam")
    await void_before(server, kind, subject(server, kind, tokens["access_token"]))
    assert token_error(await server.redeem(before)) == "invalid_grant"
    server.clock.now += 1
    assert (await server.redeem(await server.code("steam"))).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["current", "previous"])
async def test_B35_no_refresh_of_before_gives_a_token_of_after_not_even_within_the_grace(
    server: Server, kind: NotBeforeKind, state: str
) -> None:
    tokens = await server.login("steam")
    if state == "previous":
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    await void_before(server, kind, subject(server, kind, tokens["access_token"]))
    server.clock.now += 5
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert server.audited("refresh.reused") == []


@pytest.mark.parametrize("kind", KINDS)
async def test_B35_what_an_exchange_made_goes_with_the_token_it_was_made_of(
    server: Server, kind: NotBeforeKind
) -> None:
    tokens = await server.login("steam")
    made: str = (await made_of(server, tokens["access_token"])).json()["access_token"]
    assert await is_active(server, made)
    await void_before(server, kind, subject(server, kind, tokens["access_token"]))
    assert not await is_active(server, made)
    assert token_error(await made_of(server, tokens["access_token"])) == "invalid_grant"


@pytest.mark.parametrize("kind", KINDS)
async def test_B35_and_with_the_client_it_was_made_for(server: Server, kind: NotBeforeKind) -> None:
    tokens = await server.login("steam")
    made: str = (await made_of(server, tokens["access_token"])).json()["access_token"]
    await void_before(server, kind, subject(server, kind, made))
    assert not await is_active(server, made)
    assert await refused_offline(server, made)
    assert (await is_void(server, tokens)) is (kind != "client")


@pytest.mark.parametrize(
    ("made", "active"),
    [
        pytest.param(99, False, id="a second before"),
        pytest.param(100, False, id="in its second"),
        pytest.param(101, True, id="a second after"),
    ],
)
async def test_B35_what_an_exchange_made_is_judged_by_its_own_age_and_not_by_that_of_the_players_login(
    server: Server, made: int, *, active: bool
) -> None:
    tokens, begun = await server.login("steam"), server.clock.now
    server.clock.now = begun + made
    token: str = (await made_of(server, tokens["access_token"])).json()["access_token"]
    await server.app.storage.apply([SetNotBefore("client", "backend", int(begun) + 101)])
    server.clock.now = begun + 102
    assert await is_active(server, token) is active
    assert await refused_offline(server, token) is not active
    assert not await is_void(server, tokens)


@pytest.mark.parametrize(("kind", "name"), [("client", "backend"), ("project", "demo")])
async def test_B35_a_servers_own_token_goes_with_its_client_and_its_project(
    server: Server, kind: NotBeforeKind, name: str
) -> None:
    before = await own_token(server)
    await void_before(server, kind, name)
    assert not await is_active(server, before)
    assert await refused_offline(server, before)
    server.clock.now += 1
    after = await own_token(server)
    assert await is_active(server, after)
    assert not await refused_offline(server, after)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("player", "launcher", id="a player called as the client"),
        pytest.param("client", "demo", id="a client called as the project"),
        pytest.param("client", "other", id="another client"),
        pytest.param("project", "launcher", id="a project called as the client"),
        pytest.param("project", "ironkeep", id="another project"),
    ],
)
async def test_B35_the_time_of_another_voids_nothing(server: Server, kind: NotBeforeKind, name: str) -> None:
    tokens = await server.login("steam")
    await void_before(server, kind, name)
    assert not await is_void(server, tokens)
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_B35_nor_does_that_of_another_player(server: Server) -> None:
    amber, birch = await server.login("steam"), await server.login("steam", server.mint("steam", "birch"))
    await void_before(server, "player", server.claims(amber["access_token"])["sub"])
    assert await is_void(server, amber)
    assert not await is_void(server, birch)


async def test_B35_it_outlives_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, clock=clock, edit=with_everybody) as server:
        tokens = await server.login("steam")
        await void_before(server, "project", "demo")
    async with running(tmp_path, clock=clock, edit=with_everybody) as server:
        assert await is_void(server, tokens)
        assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_B35_the_feed_tells_each_client_of_a_project_once_with_its_strictest_time(server: Server) -> None:
    now = int(server.clock.now)
    await server.app.storage.apply(
        [
            SetNotBefore("project", "demo", now - 5),
            SetNotBefore("client", "launcher", now - 3),
            SetNotBefore("client", "shop", now - 9),
            SetNotBefore("player", "sub-1", now - 1),
        ]
    )
    listed = await feed(server)
    assert listed["not_before"] == {"sub-1": now - 1}
    demo = dict.fromkeys(("40", "backend", "other", "plain", "shop", "spa"), now - 5)
    assert listed["clients"] == {**demo, "launcher": now - 3}
