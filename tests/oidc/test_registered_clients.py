"""What a client is that registered itself: no friend of the studio's, there after a restart, gone with its project."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from authsrv.config.schema import ProjectSettings
from tests.support.registration import (
    CALLBACK,
    Registered,
    audited,
    error_of,
    register,
    registered,
    registering,
    reregistering,
)
from tests.support.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


# --- what a registered client is ---


async def test_a_registered_client_is_a_third_party_without_privileges(server: Server) -> None:
    found = server.app._registry.get((await registered(server)).client_id)
    assert found is not None
    assert (found.first_party, found.native, found.profile, found.cors_origins) == (
        False,
        False,
        "standard",
        frozenset(),
    )
    assert found.audiences == frozenset()
    assert found.extra_scopes == frozenset()


async def test_a_registered_client_logs_nobody_in_silently_and_is_unknown_to_game_sdks(server: Server) -> None:
    one = await registered(server, token_endpoint_auth_method="none")
    answer = await server.silent("steam", None, client_id=one.client_id, redirect_uri=CALLBACK)
    assert error_of(answer)[:2] == (400, "unauthorized_client")
    below_api = await server.http.post("/api/oauth2/token", data={"client_id": one.client_id, "grant_type": "x"})
    assert below_api.status_code == 400
    assert below_api.json()["error"]["code"] == "010-019"


async def test_a_registered_client_has_no_tokens_of_its_own(server: Server) -> None:
    one = await registered(server, grant_types=["authorization_code", "client_credentials"])
    answer = await server.token(
        grant_type="client_credentials", client_id=one.client_id, client_secret=one.secret or ""
    )
    assert one.told["grant_types"] == ["authorization_code"]
    assert error_of(answer)[:2] == (400, "unauthorized_client")


async def test_B42_no_registered_id_looks_like_a_players(server: Server) -> None:
    ids = [(await registered(server)).client_id for _ in range(5)]
    assert all(one.startswith("c_") and "-" not in one for one in ids)


async def test_a_client_of_the_file_wins_over_a_registered_one_of_its_id() -> None:
    async with running(edit=registering()) as server:
        one = await registered(server)
        found = server.app._registry
        mine = found.get("shop")
        assert mine is not None
        server.app._registered._clients["shop"] = found.get(one.client_id)  # type: ignore[assignment]  # it is there
        assert found.get("shop") is mine


# --- reload and restart ---


async def test_a_reload_keeps_registered_clients_under_the_new_settings(server: Server) -> None:
    one = await registered(server)
    config = reregistering(server.app.config, scopes=("openid",))
    renamed = config.projects["demo"].model_copy(update={"name": "Another name"})
    tokens = config.tokens.model_copy(update={"access_token_lifetime": 60})
    await server.app.reload(config.model_copy(update={"projects": {"demo": renamed}, "tokens": tokens}))
    found = server.app._registry.get(one.client_id)
    assert found is not None
    assert found.scopes == {"openid"}
    assert (found.lifetimes.access_token, found.project.name) == (60, "Another name")


async def test_a_project_that_left_the_file_takes_its_clients_with_it_at_once(server: Server) -> None:
    one = await registered(server)

    before = server.app.config
    await server.app.reload(before.model_copy(update={"projects": {"other": ProjectSettings(name="Other")}}))
    assert server.app._registry.get(one.client_id) is None
    assert (await one.read()).status_code == 404
    await server.app.reload(before)
    assert server.app._registry.get(one.client_id) is not None
    assert (await one.read()).status_code == 200


async def test_a_client_that_is_blocked_is_shut_out_at_once_and_comes_back_with_the_setting(server: Server) -> None:
    one, other = await registered(server), await registered(server)
    browser = one.browser()
    tokens = await browser.exchanged(await browser.press(await browser.sign_in(), "allow"))
    before = server.app.config
    await server.app.reload(reregistering(before, blocked=(one.client_id,)))
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_client"
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    assert [(await each.read()).status_code for each in (one, other)] == [401, 200]
    await server.app.reload(before)
    assert (await browser.userinfo(tokens["access_token"])).status_code == 200
    assert (await one.read()).status_code == 200


async def test_registered_clients_are_there_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, edit=registering()) as first:
        one = await registered(first)
        before = first.app._registry.get(one.client_id)
    async with running(tmp_path, edit=registering()) as second:
        assert second.app._registry.get(one.client_id) == before
        assert (await Registered(second, one.told).read()).status_code == 200


# --- audit ---


async def test_every_step_is_audited_and_no_secret_is_logged(server: Server) -> None:
    one = await registered(server)
    await one.update()
    await one.read("asg_wrong")
    await register(server, token="other-token-that-nobody-knows")
    await one.delete()
    mine = {"project": "demo", "client_id": one.client_id, "registered_with": "partner"}
    kinds = ("client.registered", "client.updated", "client.removed", "registration.refused")
    assert audited(server, *kinds) == [
        {"event": "client.registered", **mine},
        {"event": "client.updated", **mine},
        {
            "event": "registration.refused",
            "client_id": one.client_id,
            "reason": "registration_token_unknown",
        },
        {"event": "registration.refused", "reason": "initial_token_unknown"},
        {"event": "client.removed", **mine},
    ]
    everything = repr(server.events)
    for secret in (one.secret, one.token, "partner-token", "other-token-that-nobody-knows", "Amber's page"):
        assert str(secret) not in everything


async def test_RFC7591_5_secrets_are_in_the_database_as_digests_only(tmp_path: Path) -> None:
    async with running(tmp_path, edit=registering()) as server:
        one = await registered(server)
    everything = written(tmp_path)
    assert one.client_id.encode() in everything
    for secret in (one.secret, one.token):
        assert str(secret)[-43:].encode() not in everything


def written(directory: Path) -> bytes:
    """All that the files of a database hold."""
    return b"".join(path.read_bytes() for path in directory.iterdir())
