"""What stands in the revocation feed, and for how long: whatever ended is there within a second, and stays as long as a
token that it ends could be in time to a verifier whose clock is a minute behind.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authsrv.storage.changes import DeclaredClient, SetNotBefore, SyncClients, WithdrawConsent
from tests.support.browser import Browser
from tests.support.ending import Block, Kept, feed, own_token, refused_offline, reload, revoke, with_everybody
from tests.support.refusals import clients
from tests.support.registration import registered, registering
from tests.support.server import ManualClock, Server, running

LEEWAY = 60
LIVES = [pytest.param(900, id="15 min"), pytest.param(86400, id="24 h")]


@dataclass
class Host:
    """A server whose access tokens live for so many seconds, and the configuration it has."""

    server: Server
    life: int
    kept: Kept


def everybody(life: int) -> Kept:
    """The demo with everybody in it, all of whose tokens live equally long."""

    def edit(block: Block) -> None:
        with_everybody(block)
        registering()(block)
        living(life)(block)
        clients(block)["shop"]["refresh_ends_with_session"] = True

    return Kept(edit)


def living(seconds: int) -> Callable[[Block], None]:
    def edit(block: Block) -> None:
        block["tokens"] = {"access_token_lifetime": seconds, "id_token_lifetime": 60}
        clients(block)["40"]["access_token_lifetime"] = seconds

    return edit


@pytest.fixture(params=LIVES)
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    kept = everybody(request.param)
    async with running(tmp_path, edit=kept) as server:
        yield Host(server, request.param, kept)


async def swept(server: Server) -> None:
    """The sweeper takes whatever it may."""
    while (await server.app.storage.sweep(int(server.clock.now), 1000)).more:
        pass


async def is_told(server: Server, token: str, at: float) -> bool:
    """Whether the feed of that moment refuses the token, after the sweeper came."""
    server.clock.now = at
    await swept(server)
    return await refused_offline(server, token)


# --- everything that ends a token ---


async def revoked(host: Host) -> str:
    tokens = await host.server.login("steam")
    assert (await revoke(host.server, tokens["refresh_token"])).status_code == 200
    return str(tokens["access_token"])


async def revoked_alone(host: Host) -> str:
    def alone(block: Block) -> None:
        clients(block)["launcher"]["revoke_grant_with_access_token"] = False

    await reload(host.server, host.kept.changed(alone))
    tokens = await host.server.login("steam")
    assert (await revoke(host.server, tokens["access_token"])).status_code == 200
    return str(tokens["access_token"])


async def own_one_revoked(host: Host) -> str:
    token = await own_token(host.server)
    backend = {"client_id": "backend", "client_secret": "backend-secret"}
    assert (await revoke(host.server, token, **backend)).status_code == 200
    return token


async def code_replayed(host: Host) -> str:
    code = await host.server.code("steam")
    tokens = (await host.server.redeem(code)).json()
    assert (await host.server.redeem(code)).status_code == 400
    return str(tokens["access_token"])


async def refresh_reused(host: Host) -> str:
    first = await host.server.login("steam")
    second = (await host.server.refresh(first["refresh_token"])).json()
    third = (await host.server.refresh(second["refresh_token"])).json()
    assert (await host.server.refresh(first["refresh_token"])).status_code == 400
    return str(third["access_token"])


async def signed_out(host: Host) -> str:
    browser = Browser(host.server)
    tokens = await browser.tokens()
    await browser.press(await browser.open("/login"), "sign-out")
    return str(tokens["access_token"])


async def signed_out_without_a_refresh_token(host: Host) -> str:
    browser = Browser(host.server)
    tokens = await browser.tokens(scope="openid")
    await browser.get("/oauth2/logout", id_token_hint=tokens["id_token"])
    return str(tokens["access_token"])


async def consent_withdrawn(host: Host) -> str:
    tokens = await host.server.login("steam")
    storage, now = host.server.app.storage, int(host.server.clock.now)
    grant_id = host.server.app.desk.server.opaque.row_id("gid", host.server.claims(tokens["access_token"])["gid"])
    loaded = await storage.load_grant(grant_id or 0)
    assert loaded is not None
    await storage.apply([WithdrawConsent(loaded.player.id, "launcher", now)])
    return str(tokens["access_token"])


async def client_left(host: Host) -> str:
    tokens = await host.server.login("steam")
    await reload(host.server, host.kept.changed(lambda block: clients(block).pop("launcher")))
    return str(tokens["access_token"])


async def server_left(host: Host) -> str:
    token = await own_token(host.server, "plain")
    await reload(host.server, host.kept.changed(lambda block: clients(block).pop("plain")))
    return token


async def project_left(host: Host) -> str:
    token = await own_token(host.server, "keeper")
    await reload(host.server, host.kept.changed(lambda block: block["projects"].pop("ironkeep")))
    return token


async def client_moved(host: Host) -> str:
    def move(block: Block) -> None:
        block["projects"]["ironkeep"]["clients"]["launcher"] = clients(block).pop("launcher")

    tokens = await host.server.login("steam")
    await reload(host.server, host.kept.changed(move))
    return str(tokens["access_token"])


async def registered_tokens(host: Host) -> tuple[Any, str]:
    client = await registered(host.server)
    browser = client.browser()
    page = await browser.sign_in(scope="openid")
    tokens = await browser.exchanged(await browser.press(page, "allow"))
    return client, str(tokens["access_token"])


async def registration_removed(host: Host) -> str:
    client, token = await registered_tokens(host)
    assert (await client.delete()).status_code == 204
    return token


async def registered_client_shut_out(host: Host) -> str:
    client, token = await registered_tokens(host)

    def shut_out(block: Block) -> None:
        block["projects"]["demo"]["registration"]["blocked"] = [client.client_id]

    host.kept.block = host.kept.changed(shut_out)
    await reload(host.server, host.kept.block)
    return token


ENDS = [
    *(revoked, revoked_alone, own_one_revoked, code_replayed, refresh_reused),
    *(signed_out, signed_out_without_a_refresh_token, consent_withdrawn),
    *(client_left, server_left, project_left, client_moved, registration_removed, registered_client_shut_out),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_what_ended_is_told_within_a_second_and_until_no_token_can_be_in_time(
    host: Host, end: Callable[[Host], Awaitable[str]]
) -> None:
    server = host.server
    before = await feed(server)
    token = await end(host)
    server.clock.now += 1
    assert await refused_offline(server, token)
    last = server.claims(token)["exp"] + LEEWAY - 1
    for moment in (server.clock.now + 30, server.clock.now + host.life // 2, last - LEEWAY, last):
        assert await is_told(server, token, moment)
    server.clock.now = last + 2  # a not-before stays for a second more
    assert await feed_entries(server) == entries(before)


async def feed_entries(server: Server) -> dict[str, Any]:
    return entries(await feed(server))


def entries(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("jti", "gid", "not_before", "clients", "kid")}


@pytest.mark.parametrize("kind", ["player", "client", "project"])
async def test_a_not_before_is_told_until_no_token_can_be_in_time(host: Host, kind: Any) -> None:
    server = host.server
    token = str((await server.login("steam"))["access_token"])
    claims, now = server.claims(token), int(server.clock.now)
    subject = {"player": claims["sub"], "client": "launcher", "project": "demo"}[kind]
    await server.app.storage.apply([SetNotBefore(kind, subject, now + 1)])
    for moment in (now + 1, now + host.life // 2, now + host.life + LEEWAY - 1):
        assert await is_told(server, token, moment)
    server.clock.now = now + host.life + LEEWAY + 1
    assert not any((await feed_entries(server)).values())


async def test_a_family_whose_access_token_outlives_it_is_told_of_to_the_end(tmp_path: Path) -> None:
    def short(block: Block) -> None:
        everybody(86400)(block)
        block["tokens"] |= {"refresh_idle": 3600, "refresh_absolute": 3600}

    async with running(tmp_path, edit=short) as server:
        first = await server.login("steam")
        server.clock.now += 3599
        tokens = (await server.refresh(first["refresh_token"])).json()
        assert (await revoke(server, tokens["refresh_token"])).status_code == 200
        issued = server.claims(tokens["access_token"])["iat"]
        for later in (1, 2, 61, 1800, 86400, 86400 + LEEWAY - 1):
            assert await is_told(server, tokens["access_token"], issued + later)


# --- lifetimes changed by a reload ---


@pytest.mark.parametrize("polled", [True, False], ids=["with a verifier", "and nobody had asked before"])
async def test_shorter_lives_do_not_take_out_what_ends_longer_ones(tmp_path: Path, *, polled: bool) -> None:
    kept = everybody(86400)
    async with running(tmp_path, edit=kept) as server:
        host = Host(server, 86400, kept)
        token = await revoked(host)
        if polled:
            assert await refused_offline(server, token)
        for seconds in (3600, 60):
            await reload(server, host.kept.changed(living(seconds)))
        assert await is_told(server, token, server.claims(token)["exp"] + LEEWAY - 1)


async def test_longer_lives_hold_for_what_ends_afterwards(tmp_path: Path) -> None:
    kept = everybody(60)
    async with running(tmp_path, edit=kept) as server:
        host = Host(server, 60, kept)
        await feed(server)
        await reload(server, host.kept.changed(living(86400)))
        token = await revoked(host)
        assert await is_told(server, token, server.claims(token)["exp"] + LEEWAY - 1)


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    kept, clock = everybody(86400), ManualClock()
    async with running(tmp_path, edit=kept, clock=clock) as server:
        host = Host(server, 86400, kept)
        tokens = [await revoked(host), await own_one_revoked(host), await registered_client_shut_out(host)]
    clock.now += 80_000
    async with running(
        tmp_path, edit=lambda fresh: fresh.update(as_before(host.kept.block, fresh)), clock=clock
    ) as server:
        for token in tokens:
            assert await refused_offline(server, token)


def as_before(block: Block, fresh: Block) -> Block:
    """The configuration of before, at the platforms of the present run."""
    found = deepcopy(block)
    for project in found["projects"].values():
        project["platforms"] = fresh["projects"]["demo"]["platforms"]
    return found


# --- what does not belong there ---


async def test_codes_that_were_given_again_and_never_redeemed_are_not_in_it(host: Host) -> None:
    server = host.server
    minted = server.mint("steam")
    for _ in range(5):
        assert (await server.silent("steam", minted)).status_code == 200
    assert await feed_entries(server) == {"jti": [], "gid": [], "not_before": {}, "clients": {}, "kid": []}


async def test_nor_is_anything_that_goes_on(host: Host) -> None:
    server = host.server
    tokens = await server.login("steam")
    await server.refresh(tokens["refresh_token"])
    browser = Browser(server)
    await browser.tokens()
    await browser.tokens_at_once()
    await reload(server, host.kept.block)
    server.clock.now += 1
    assert not any((await feed_entries(server)).values())


async def test_a_client_that_came_back_is_told_of_no_more(host: Host) -> None:
    token = await client_left(host)
    assert await refused_offline(host.server, token)
    await reload(host.server, host.kept.block)
    host.server.clock.now += 1
    assert not await refused_offline(host.server, token)
    assert (await host.server.userinfo(token)).status_code == 200


async def test_the_time_of_a_project_reaches_its_registered_clients_too(host: Host) -> None:
    client, token = await registered_tokens(host)
    await host.server.app.storage.apply([SetNotBefore("project", "demo", int(host.server.clock.now) + 1)])
    host.server.clock.now += 1
    listed = (await feed(host.server))["clients"]
    assert listed.keys() == {*clients(host.kept.block), client.client_id}
    assert set(listed.values()) == {host.server.claims(token)["iat"] + 1}
    assert await refused_offline(host.server, token)


async def test_a_client_known_to_the_database_alone_is_told_of_by_its_name(host: Host) -> None:
    now = int(host.server.clock.now)
    gone = DeclaredClient("gone", "demo", "Gone")
    stored = [one.client for one in await host.server.app.storage.load_clients() if one.disabled_at is None]
    await host.server.app.storage.apply([SyncClients((*stored, gone), now), SyncClients(tuple(stored), now)])
    assert (await feed(host.server))["clients"] == {"gone": now + 1}
