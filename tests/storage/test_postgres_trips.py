"""How often a request goes to PostgreSQL and back, and with which statements: what it costs where the network is slow.

Counted on the wire, by a proxy. Whoever adds a round trip must say so here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from typing import Any

import httpx
import pytest

from tests.support import postgres
from tests.support.exchange import exchange_of, exchanging, narrow
from tests.support.postgres_wire import Wire, watched
from tests.support.server import Server, running

pytestmark = pytest.mark.postgres

READ = ["SELECT g.id,"]
UNBANNED = "SELECT 1"
"""The lock that keeps a ban from being written beside a link."""


def edit(block: dict[str, Any]) -> None:
    exchanging(block)
    block["database"] |= {"pool_size": 2}  # each connection has to prepare a statement once


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    with postgres.database() as url:
        async with watched(url) as wire:
            yield wire


@pytest.fixture
async def server(wire: Wire) -> AsyncIterator[Server]:
    async with running(url=wire.url, edit=edit) as started:
        yield started


async def _code(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    code = await server.code("steam")
    return lambda: server.redeem(code)


async def _refresh(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    token = (await server.login("steam"))["refresh_token"]
    return lambda: server.refresh(token)


async def _client_credentials(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: server.token(grant_type="client_credentials", client_id="backend", client_secret="backend-secret")


async def _exchange_of_a_token(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    token = (await server.login("steam"))["access_token"]
    return lambda: narrow(server, token)


async def _exchange_of_a_ticket(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: exchange_of(server, "steam")


async def _exchange_of_a_guests_secret(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    return lambda: exchange_of(server, "guest")


async def _silent_login(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    minted = server.mint("steam")
    return lambda: server.silent("steam", minted)


async def _introspection(server: Server) -> Callable[[], Awaitable[httpx.Response]]:
    token = (await server.login("steam"))["access_token"]
    return lambda: server.userinfo(token)


LOGIN = ["UPDATE players", "UPDATE identities", "SELECT 1", "UPDATE grants", "UPDATE credentials", "INSERT INTO"]


@pytest.mark.parametrize(
    ("prepare", "trips", "statements"),
    [
        pytest.param(_code, 2, [*READ, "UPDATE grants"], id="code"),
        pytest.param(_refresh, 2, [*READ, "UPDATE grants"], id="refresh"),
        pytest.param(_client_credentials, 0, [], id="client credentials"),
        pytest.param(_exchange_of_a_token, 1, READ, id="exchange of a token"),
        pytest.param(_introspection, 1, READ, id="userinfo"),
        pytest.param(
            _exchange_of_a_guests_secret,
            3,
            ["SELECT p.id,", "BEGIN", "UPDATE players", "UPDATE identities", "INSERT INTO", "COMMIT"],
            id="exchange of a guest's secret",
        ),
        pytest.param(
            _exchange_of_a_ticket,
            4,
            ["INSERT INTO", "SELECT p.id,", "BEGIN", *LOGIN, "COMMIT"],
            id="exchange of a ticket",
        ),
        pytest.param(_silent_login, 4, ["INSERT INTO", "SELECT p.id,", "BEGIN", *LOGIN, "COMMIT"], id="silent login"),
    ],
)
async def test_a_token_request_needs_two_round_trips_at_most_after_its_read(
    server: Server,
    wire: Wire,
    prepare: Callable[[Server], Awaitable[Callable[[], Awaitable[httpx.Response]]]],
    trips: int,
    statements: list[str],
) -> None:
    for _ in range(4):
        ask = await prepare(server)
        wire.clear()
        answer = await ask()
        assert answer.status_code == 200, answer.text
    assert (wire.trips, wire.statements) == (trips, statements)


async def test_a_first_login_locks_what_bans_lock_and_needs_no_further_round_trip(server: Server, wire: Wire) -> None:
    for provider, player in product(("steam", "epicgames"), ("amber", "birch", "cedar")):
        minted = server.mint(provider, player)
        wire.clear()
        assert (await server.silent(provider, minted)).status_code == 200
    assert wire.trips == 4
    assert wire.statements[:5] == ["INSERT INTO", "SELECT p.id,", "BEGIN", UNBANNED, "INSERT INTO"]
    assert wire.statements[-1] == "COMMIT"
