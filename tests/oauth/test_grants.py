"""What the grants decide, told by the server without HTTP: scopes, audiences, and clients that changed meanwhile."""

from dataclasses import replace

import jwt
import pytest

from authsrv.errors import InvalidGrant, InvalidScope, InvalidTarget, UnauthorizedClient
from authsrv.models import Client, Project
from tests.support.oauth import BACKEND, LAUNCHER, SECRET, Bench, bench, token_request
from tests.support.storage import NOW

WEB = replace(
    LAUNCHER,
    client_id="web",
    secrets=BACKEND.secrets,
    grant_types=frozenset({"authorization_code", "refresh_token", "client_credentials"}),
)


def claims(token: str) -> dict[str, object]:
    decoded: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return decoded


async def own_token(table: Bench, client_id: str = "backend", **changes: str | None) -> dict[str, object]:
    request: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": SECRET,
    }
    return dict(await table.server.token(token_request(**(request | changes))))


async def test_a_clients_own_token_comes_without_id_token_and_refresh_token_whatever_its_scopes() -> None:
    table = await bench([WEB])
    for scope in (None, "openid offline profile"):
        answer = await own_token(table, "web", scope=scope)
        assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.parametrize("scope", ["match:join\tmatch:end", "match:join\x0bmatch:end", "match:join\u2003match:end"])
async def test_scopes_are_separated_by_spaces_only(scope: str) -> None:
    table = await bench()
    with pytest.raises(InvalidScope):
        await own_token(table, scope=scope)


async def test_a_scope_asked_for_twice_is_granted_once() -> None:
    table = await bench()
    assert (await own_token(table, scope="match:end match:join match:end"))["scope"] == "match:end match:join"
    _, token = await table.stands_with_refresh_token()
    answer = await table.server.token(table.refreshing(token, scope="openid openid"))
    assert answer["scope"] == claims(answer["access_token"])["scope"] == "openid"


@pytest.mark.parametrize("scope", [" ", "   ", "\t"])
async def test_a_scope_of_nothing_but_spaces_is_no_scope(scope: str) -> None:
    table = await bench()
    _, token = await table.stands_with_refresh_token()
    with pytest.raises(InvalidScope):
        await table.server.token(table.refreshing(token, scope=scope))
    assert (await table.server.token(table.refreshing(token)))["scope"] == "openid offline"


async def test_an_audience_must_be_listed() -> None:
    table = await bench()
    answer = await own_token(table, audience="https://match.example")
    assert claims(str(answer["access_token"]))["aud"] == "https://match.example"
    with pytest.raises(InvalidTarget):
        await own_token(table, audience="https://match.example https://shop.example")


async def test_H08_a_scope_taken_from_the_client_is_gone_from_codes_and_refreshes_at_once() -> None:
    table = await bench()
    _, code = await table.stands()
    _, token = await table.stands_with_refresh_token()
    table.server.registry.replace([replace(LAUNCHER, scopes=frozenset({"offline"}))])
    for request in (table.redeeming(code), table.refreshing(token)):
        answer = await table.server.token(request)
        assert (answer["scope"], "id_token" in answer) == ("offline", False)


async def test_H08_without_offline_a_client_refreshes_no_more() -> None:
    table = await bench()
    _, code = await table.stands()
    _, token = await table.stands_with_refresh_token()
    table.server.registry.replace([replace(LAUNCHER, scopes=frozenset({"openid"}))])
    assert "refresh_token" not in await table.server.token(table.redeeming(code))
    with pytest.raises(InvalidGrant):
        await table.server.token(table.refreshing(token))


async def test_H08_a_grant_type_taken_from_the_client_is_refused_at_once() -> None:
    table = await bench()
    _, token = await table.stands_with_refresh_token()
    table.server.registry.replace([replace(LAUNCHER, grant_types=frozenset({"authorization_code"}))])
    with pytest.raises(UnauthorizedClient):
        await table.server.token(table.refreshing(token))


MOVED = Project("other", "5b3a1c52-0000-4000-8000-000000000002", "Other")


@pytest.mark.parametrize("client", [replace(LAUNCHER, project=MOVED)], ids=["moved"])
async def test_a_client_that_moved_to_another_project_brings_no_players_along(client: Client) -> None:
    table = await bench()
    _, code = await table.stands()
    _, token = await table.stands_with_refresh_token()
    table.server.registry.replace([client])
    for request in (table.redeeming(code), table.refreshing(token)):
        with pytest.raises(InvalidGrant):
            await table.server.token(request)
    table.server.registry.replace([LAUNCHER])
    assert "access_token" in await table.server.token(table.refreshing(token))


async def test_a_code_without_offline_gives_no_refresh_token() -> None:
    table = await bench()
    _, code = await table.stands(scope=("openid",))
    assert (await table.server.token(table.redeeming(code))).keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "id_token",
    }


@pytest.mark.parametrize("used", [None, NOW], ids=["unused", "used"])
async def test_a_revoked_code_is_not_looked_at_further(used: int | None) -> None:
    table = await bench()
    grant, code = await table.stands(revoked_at=NOW, revoked_reason="code_replayed", code_used_at=used)
    with pytest.raises(InvalidGrant):
        await table.server.token(table.redeeming(code, code_verifier="w" * 43))
    kept = await table.storage.load_grant(grant.id)
    assert kept is not None
    assert kept.grant.code_failures == 0
