"""Requests about one registered client that come at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from authsrv.models import RegisteredClient
from authsrv.storage.changes import Change, RemoveClient, UpdateClient
from tests.support.gates import Gate
from tests.support.registration import Registered, audited, registered, registering
from tests.support.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


@pytest.fixture
async def one(server: Server) -> Registered:
    return await registered(server)


def gated_reads(server: Server, parties: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads a registration waits until all have."""
    storage = server.app.storage
    monkeypatch.setattr(storage, "load_registered_client", Gate(parties).after(storage.load_registered_client))


async def test_of_two_updates_at_once_both_are_done_one_after_the_other(
    server: Server, one: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated_reads(server, 2, monkeypatch)
    answers = await asyncio.gather(one.update(client_name="First"), one.update(client_name="Second"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["client_name"] for answer in answers] == ["First", "Second"]
    last = (await one.read()).json()["client_name"]
    found = server.app._registry.get(one.client_id)
    row = await server.app.storage.load_registered_client(one.client_id)
    assert found is not None
    assert row is not None
    assert (found.name, row.version) == (last, 3)


async def test_of_two_updates_that_make_a_secret_one_tells_it_and_it_is_the_one_in_force(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = await registered(server, token_endpoint_auth_method="none")
    gated_reads(server, 2, monkeypatch)
    answers = await asyncio.gather(*(public.update() for _ in range(2)))
    (secret,) = [answer.json()["client_secret"] for answer in answers if "client_secret" in answer.json()]
    answer = await server.token(
        grant_type="refresh_token", refresh_token="x", client_id=public.client_id, client_secret=secret
    )
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("order", "statuses"),
    [
        pytest.param((RemoveClient, UpdateClient), [204, 401], id="deletion first"),
        pytest.param((UpdateClient, RemoveClient), [204, 200], id="update first"),
    ],
)
async def test_an_update_that_meets_a_deletion_brings_nothing_back(
    one: Registered, monkeypatch: pytest.MonkeyPatch, order: tuple[type[Change], type[Change]], statuses: list[int]
) -> None:
    server, (first, second) = one.server, order
    gated_reads(server, 2, monkeypatch)
    storage, written = server.app.storage, asyncio.Event()
    write = storage.apply

    async def in_order(changes: Sequence[Change]) -> None:
        if isinstance(changes[0], second):
            await written.wait()
        await write(changes)
        if isinstance(changes[0], first):
            written.set()

    monkeypatch.setattr(storage, "apply", in_order)
    answers = await asyncio.gather(one.delete(), one.update())
    assert [answer.status_code for answer in answers] == statuses
    assert server.app._registry.get(one.client_id) is None
    assert await storage.load_registered_clients() == ()


async def test_of_two_deletions_at_once_one_is_answered_as_done(
    server: Server, one: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated_reads(server, 2, monkeypatch)
    answers = await asyncio.gather(one.delete(), one.delete())
    assert sorted(answer.status_code for answer in answers) == [204, 401]
    assert len(audited(server, "client.removed")) == 1


async def test_an_update_that_always_loses_is_told_to_come_again(
    server: Server, one: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = server.app.storage

    async def outdated(client_id: str) -> RegisteredClient | None:
        found = await type(storage).load_registered_client(storage, client_id)
        await storage.apply(
            [UpdateClient(client_id, found.version, found.metadata, found.secret_hash)] if found else []
        )
        return found

    monkeypatch.setattr(storage, "load_registered_client", outdated)
    answer = await one.update()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
