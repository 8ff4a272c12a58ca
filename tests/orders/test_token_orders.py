"""`tokens.revoke`: whom it finds, what it voids, what it says without doing anything, and what it leaves behind."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from authsrv.models import NotBeforeKind
from authsrv.orders.desk import OrderRefused
from authsrv.orders.tokens import revoke_tokens
from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.changes import Change
from tests.support.ending import Block, Kept, down, is_active, own_token, refused_offline, reload, with_everybody
from tests.support.refusals import clients, token_error
from tests.support.registration import registered, registering
from tests.support.server import Server, running, running_on
from tests.support.storage import BACKENDS

NOW = 1_790_000_000
KINDS: tuple[NotBeforeKind, ...] = ("player", "client", "project")


def edit(block: Block) -> None:
    with_everybody(block)
    registering()(block)


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit) as started:
        yield started


async def order(server: Server, kind: str, subject: str, **arguments: Any) -> dict[str, Any]:
    return {**await revoke_tokens(server.app.desk, {"kind": kind, "subject": subject, **arguments})}


def subject_of(server: Server, kind: str, token: str) -> str:
    return {"player": str(server.claims(token)["sub"]), "client": "launcher", "project": "demo"}[kind]


async def is_dead(server: Server, tokens: dict[str, Any]) -> bool:
    """Whether nothing of the login works any more; all ways must agree."""
    said = {
        not await is_active(server, tokens["access_token"]),
        (await server.userinfo(tokens["access_token"])).status_code == 401,
        await refused_offline(server, tokens["access_token"]),
    }
    assert len(said) == 1
    return said.pop()


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_until_now_is_void_at_once_and_what_comes_next_is_good(
    server: Server, kind: NotBeforeKind
) -> None:
    tokens = await server.login("steam")
    subject = subject_of(server, kind, tokens["access_token"])
    assert await order(server, kind, subject) == {
        "kind": kind,
        "subject": subject,
        "project": "demo",
        "not_before": NOW + 1,
        "done": True,
    }
    assert await is_dead(server, tokens)
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    server.clock.now += 1
    anew = await server.login("steam")
    assert not await is_dead(server, anew)
    assert (await server.refresh(anew["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("kind", "facts"),
    [("player", {"project", "sub"}), ("client", {"project", "client_id"}), ("project", {"project"})],
)
async def test_it_is_audited_with_whom_it_met(server: Server, kind: NotBeforeKind, facts: set[str]) -> None:
    token = (await server.login("steam"))["access_token"]
    await order(server, kind, subject_of(server, kind, token))
    (event,) = server.audited("tokens.revoked_before")
    assert event.keys() - {"event", "logger", "level", "time"} == facts
    assert subject_of(server, kind, token) in event.values()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dry_run_says_the_same_and_changes_nothing(server: Server, kind: NotBeforeKind) -> None:
    tokens = await server.login("steam")
    subject = subject_of(server, kind, tokens["access_token"])
    dry = await order(server, kind, subject, dry_run=True)
    assert not await is_dead(server, tokens)
    assert server.audited("tokens.revoked_before") == []
    assert await order(server, kind, subject, dry_run=False) == {**dry, "done": True}
    assert dry["done"] is False


async def test_others_keep_theirs(server: Server) -> None:
    amber, birch = await server.login("steam"), await server.login("steam", server.mint("steam", "birch"))
    own = await own_token(server)
    await order(server, "player", server.claims(amber["access_token"])["sub"])
    assert not await is_dead(server, birch)
    await order(server, "client", "launcher")
    assert await is_active(server, own)
    await order(server, "project", "ironkeep")
    assert await is_active(server, own)


async def test_a_client_that_left_the_file_and_one_that_is_shut_out_are_found(tmp_path: Path) -> None:
    kept = Kept(edit)
    async with running(tmp_path, edit=kept) as server:
        client = await registered(server)
        assert (await order(server, "client", client.client_id))["project"] == "demo"
        changed = kept.changed(lambda block: clients(block).pop("launcher"))
        del changed["projects"]["ironkeep"]
        changed["projects"]["demo"]["registration"]["blocked"] = [client.client_id]
        await reload(server, changed)
        for client_id in ("launcher", client.client_id):
            assert (await order(server, "client", client_id))["project"] == "demo"
        assert (await order(server, "project", "ironkeep"))["done"] is True


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        pytest.param("player", "b2f4a7f0-0000-4000-8000-000000000000", id="no such player"),
        pytest.param("player", "launcher", id="a client as a player"),
        pytest.param("client", "nobody", id="no such client"),
        pytest.param("client", "demo", id="a project as a client"),
        pytest.param("client", "LAUNCHER", id="a client in another case"),
        pytest.param("project", "launcher", id="a client as a project"),
        pytest.param("project", "Demo Studio", id="a project by its title"),
        pytest.param("everybody", "demo", id="no such kind"),
        pytest.param("player", "", id="nobody"),
        pytest.param("player", "a\0b", id="NUL"),
    ],
)
async def test_what_names_nobody_is_refused_and_nothing_is_written(server: Server, kind: str, subject: str) -> None:
    tokens = await server.login("steam")
    with pytest.raises((OrderRefused, StorageError), match=r"^[^\0]+$"):
        await order(server, kind, subject)
    assert not await is_dead(server, tokens)
    assert server.audited("tokens.revoked_before") == []


@pytest.mark.parametrize("arguments", [{}, {"kind": "player"}, {"kind": "player", "subject": 7}, {"kind": ["player"]}])
async def test_an_order_without_its_arguments_is_refused(server: Server, arguments: dict[str, Any]) -> None:
    with pytest.raises(OrderRefused, match="name a player by its sub"):
        await revoke_tokens(server.app.desk, arguments)


async def test_a_database_that_fails_voids_nothing_and_audits_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await server.login("steam")
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "apply", down)
        with pytest.raises(StorageUnavailable):
            await order(server, "project", "demo")
    assert not await is_dead(server, tokens)
    assert server.audited("tokens.revoked_before") == []


async def test_what_is_given_while_a_slow_disk_writes_is_void_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = server.app.storage.apply

    async def slow(changes: Sequence[Change]) -> None:
        server.clock.now += 2
        tokens.append(await server.login("steam"))
        await write(changes)

    tokens: list[dict[str, Any]] = []
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "apply", once(slow, write))
        found = await order(server, "client", "launcher")
    server.clock.now += 1
    assert found["not_before"] == NOW + 3
    assert await is_dead(server, tokens[0])


def once(first: Any, then: Any) -> Any:
    """The one step at the first call, the other one ever after."""
    steps = iter([first])

    async def step(changes: Sequence[Change]) -> None:
        await next(steps, then)(changes)

    return step
