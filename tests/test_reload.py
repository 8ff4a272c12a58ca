"""Taking over a changed configuration while serving: all of it or nothing, and at once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authsrv.app import ReloadRefused
from authsrv.config import Config, ConfigError
from authsrv.serving.process import Process
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.changes import Change
from tests.support.server import Server, running
from tests.support.storage import rows

Edit = Callable[[dict[str, Any]], object]
NEW_CLIENT = {"name": "New", "type": "public", "native": True, "redirect_uris": ["http://127.0.0.1/callback"]}


@dataclass
class Reloading:
    """A running server with the configuration it began with."""

    server: Server
    block: dict[str, Any]

    def edited(self, edit: Edit) -> dict[str, Any]:
        block = deepcopy(self.block)
        edit(block)
        return block

    async def reload(self, edit: Edit) -> None:
        await self.server.app.reload(Config.model_validate(self.edited(edit)))

    def platform(self, name: str) -> object:
        return self.server.app._platforms.find("demo", name)


@asynccontextmanager
async def reloading(tmp_path: Path | None = None) -> AsyncIterator[Reloading]:
    kept: list[dict[str, Any]] = []
    async with running(tmp_path, edit=lambda block: kept.append(deepcopy(block))) as server:
        yield Reloading(server, kept[0])


@pytest.fixture
async def host() -> AsyncIterator[Reloading]:
    async with reloading() as started:
        yield started


def clients(block: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = block["projects"]["demo"]["clients"]
    return found


def platforms(block: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = block["projects"]["demo"]["platforms"]
    return found


def nothing(_: dict[str, Any]) -> None:
    """The same configuration once more."""


def with_new_client(block: dict[str, Any]) -> None:
    clients(block)["new"] = NEW_CLIENT


def without_launcher(block: dict[str, Any]) -> None:
    del clients(block)["launcher"]


async def test_a_new_client_appears(host: Reloading) -> None:
    assert (await host.server.silent("steam", None, client_id="new")).status_code == 400
    await host.reload(with_new_client)
    assert (await host.server.silent("steam", None, client_id="new")).status_code == 200


async def test_H08_what_a_removed_client_got_fails_at_once_and_its_row_is_kept(tmp_path: Path) -> None:
    async with reloading(tmp_path) as host:
        token = (await host.server.login("steam"))["refresh_token"]
        code = await host.server.code("steam")
        await host.reload(without_launcher)
        for answer in (await host.server.redeem(code), await host.server.refresh(token)):
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert (await host.server.silent("steam")).status_code == 400
        query = "SELECT client_id, disabled_at FROM clients WHERE client_id IN ('launcher', 'spa') ORDER BY client_id"
        assert rows(tmp_path / "authsrv.db", query) == [("launcher", int(host.server.clock.now)), ("spa", None)]
        await host.reload(nothing)
        assert rows(tmp_path / "authsrv.db", query) == [("launcher", None), ("spa", None)]
        assert (await host.server.refresh(token)).status_code == 200


async def test_a_changed_secret_counts_from_the_next_request_on(host: Reloading) -> None:
    def other_secret(block: dict[str, Any]) -> None:
        clients(block)["backend"]["secret"] = "another-secret"

    await host.reload(other_secret)
    statuses = [
        (await host.server.token(grant_type="client_credentials", client_id="backend", client_secret=each)).status_code
        for each in ("backend-secret", "another-secret")
    ]
    assert statuses == [401, 200]


async def test_changed_lifetimes_count_for_what_is_issued_from_then_on(host: Reloading) -> None:
    await host.reload(lambda block: block.update(tokens={"access_token_lifetime": 60}))
    assert (await host.server.login("steam"))["expires_in"] == 60


async def test_changed_platform_settings_take_effect_and_unchanged_platforms_stay(host: Reloading) -> None:
    def other_apps(block: dict[str, Any]) -> None:
        platforms(block)["steam"]["app_ids"] = [4800002]

    kept, changed = host.platform("xbox"), host.platform("steam")
    assert (await host.server.silent("steam")).status_code == 200
    await host.reload(other_apps)
    refused = await host.server.silent("steam")
    assert (refused.status_code, refused.json()["reason"]) == (400, "credential_wrong_app")
    assert host.platform("xbox") is kept
    assert host.platform("steam") is not changed
    assert (await host.server.silent("xbox")).status_code == 200


async def test_a_reload_of_the_same_file_keeps_every_platform(host: Reloading) -> None:
    before = [host.platform(name) for name in ("steam", "xbox", "epicgames")]
    await host.reload(nothing)
    assert [host.platform(name) for name in ("steam", "xbox", "epicgames")] == before


async def test_D51_a_removed_platform_is_refused_at_once(host: Reloading) -> None:
    await host.reload(lambda block: platforms(block).pop("steam"))
    answer = await host.server.silent("steam")
    assert (answer.status_code, answer.json()["error"]) == (404, "unsupported_provider")
    assert (await host.server.silent("xbox")).status_code == 200


async def test_discovery_tells_of_a_new_scope(host: Reloading) -> None:
    before = await host.server.http.get("/.well-known/openid-configuration")
    await host.reload(lambda block: clients(block)["launcher"].update(scopes=["openid", "offline", "match:join"]))
    after = await host.server.http.get(
        "/.well-known/openid-configuration", headers={"if-none-match": before.headers["etag"]}
    )
    assert (after.status_code, "match:join" in after.json()["scopes_supported"]) == (200, True)


async def test_new_browser_origins_are_allowed_at_once(host: Reloading) -> None:
    await host.reload(lambda block: clients(block)["spa"].update(cors_origins=["https://new.example"]))
    answer = await host.server.http.post("/oauth2/token", headers={"origin": "https://new.example"})
    assert answer.headers["access-control-allow-origin"] == "https://new.example"


RESTART_ONLY: list[tuple[str, object]] = [
    ("issuer", "http://127.0.0.1:9999"),
    ("dev", False),
    ("server", {"port": 9999}),
    ("database", {"url": "sqlite:///elsewhere.db"}),
    ("keys", {"passphrase": "p" * 32}),
    ("limits", {"multiplier": 7}),
    ("log", {"level": "debug"}),
]


@pytest.mark.parametrize(("name", "value"), RESTART_ONLY, ids=[name for name, _ in RESTART_ONLY])
async def test_what_needs_a_restart_is_refused_by_name_and_nothing_of_the_file_is_taken(
    host: Reloading, name: str, value: object
) -> None:
    def edit(block: dict[str, Any]) -> None:
        with_new_client(block)
        block[name] = value

    before = host.server.app.config
    with pytest.raises(ReloadRefused, match=rf"^these settings change only by a restart: {name}$"):
        await host.reload(edit)
    assert host.server.app.config is before
    assert (await host.server.silent("steam", None, client_id="new")).status_code == 400
    assert (await host.server.http.get("/.well-known/openid-configuration")).json()["issuer"] == before.issuer


BAD_FILES = [
    pytest.param(None, id="no file"),
    pytest.param("", id="empty"),
    pytest.param("issuer = [", id="no TOML"),
    pytest.param("issuer = 'ftp://login.studio.example'\n", id="bad value"),
    pytest.param("[projects.demo.clients.launcher]\nredirect_urls = []\n", id="misspelt key"),
]


@pytest.mark.parametrize("text", BAD_FILES)
async def test_H07_a_bad_file_changes_nothing(host: Reloading, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "authsrv.toml"
    if text is not None:
        path.write_text(text)
    before = host.server.app.config
    with pytest.raises(ConfigError):
        await Process(host.server.app, path).reload()
    assert host.server.app.config is before
    assert "refresh_token" in await host.server.login("steam")


async def test_a_database_that_cannot_write_refuses_the_reload_and_the_old_platforms_go_on(
    host: Reloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(block: dict[str, Any]) -> None:
        with_new_client(block)
        platforms(block).pop("epicgames")
        platforms(block)["steam"]["fetch_profile"] = False

    async def full(_: Sequence[Change]) -> None:
        raise StorageUnavailable("the disk is full")

    steam = host.platform("steam")
    with monkeypatch.context() as patch:
        patch.setattr(host.server.app.storage, "apply", full)
        with pytest.raises(StorageUnavailable):
            await host.reload(edit)
    assert host.platform("steam") is steam
    for provider in ("steam", "epicgames"):
        assert (await host.server.silent(provider)).status_code == 200
    assert (await host.server.silent("steam", None, client_id="new")).status_code == 400
    await host.reload(edit)
    assert (await host.server.silent("steam", None, client_id="new")).status_code == 200


def named(name: str, **steam: bool) -> Edit:
    """A configuration with another name of the project and other settings for Steam."""

    def edit(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["name"] = name
        platforms(block)["steam"].update(steam)

    return edit


async def test_two_reloads_at_once_are_taken_one_after_the_other(
    host: Reloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, held, go_on = host.server.app.storage.apply, asyncio.Event(), asyncio.Event()

    async def apply(changes: Sequence[Change]) -> None:
        if not held.is_set():
            held.set()
            await go_on.wait()
        await genuine(changes)

    monkeypatch.setattr(host.server.app.storage, "apply", apply)
    first = asyncio.create_task(host.reload(named("first", fetch_profile=False)))
    await held.wait()
    second = asyncio.create_task(host.reload(named("second", reject_vac=False)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    await asyncio.gather(first, second)
    assert host.server.app.config.projects["demo"].name == "second"
    assert host.platform("steam") is host.server.app._verifiers._running["demo", "steam"].service
