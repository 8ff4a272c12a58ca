"""Limits hold back who tries too often and nobody else: strangers cannot use up the quota of a player or an address."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import RSAKey

from tests.support.server import client, launcher_request, running

REGISTRY = jwe.JWERegistry(algorithms=["RSA-OAEP", "A128CBC-HS256", "DEF"], strict_check_header=False)


def five_token_requests(block: dict[str, Any]) -> None:
    block["limits"] = {"token_requests_per_minute": 5}


async def test_F20_a_used_code_that_was_seen_does_not_use_up_the_players_token_requests() -> None:
    async with running(edit=five_token_requests) as server:
        code = await server.code("steam")
        tokens = (await server.redeem(code)).json()
        for _ in range(8):
            refused = await server.redeem(code, code_verifier="x" * 43)
            assert refused.status_code in {400, 429}
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_F20_a_changed_refresh_token_does_not_use_up_the_players_token_requests() -> None:
    async with running(edit=five_token_requests) as server:
        tokens = await server.login("steam")
        changed = tokens["refresh_token"][:-4] + "AAAA"
        for _ in range(8):
            await server.refresh(changed)
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_F13_refused_token_requests_of_a_client_are_limited_among_themselves() -> None:
    async with running(edit=five_token_requests) as server:
        answers = [await server.redeem("asc_" + "A" * 65) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [*[400] * 5, 429]


async def test_F13_a_players_token_requests_through_a_client_are_limited() -> None:
    async with running(edit=five_token_requests) as server:
        token = (await server.login("steam"))["refresh_token"]
        answers = [await server.refresh(token) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [*[200] * 4, 429]


async def test_F20_wrong_secrets_for_a_public_client_do_not_shut_out_players_behind_the_same_address() -> None:
    async with running(edit=lambda block: block.pop("limits")) as server:
        tokens = await server.login("steam")
        for _ in range(12):
            refused = await server.refresh(tokens["refresh_token"], client_secret="nonsense")
            assert refused.status_code == 401
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_B15_wrong_secrets_for_a_confidential_client_are_limited_at_the_address_they_come_from() -> None:
    async with running(edit=lambda block: block.pop("limits")) as server:
        request = {"grant_type": "client_credentials", "client_id": "backend"}
        wrong = [await server.token(**request, client_secret="nonsense") for _ in range(11)]
        assert [answer.status_code for answer in wrong] == [*[401] * 10, 429]
        async with client(server.app, "198.51.100.9") as elsewhere:
            good = await elsewhere.post("/oauth2/token", data=request | {"client_secret": "backend-secret"})
        assert good.status_code == 200


async def test_F20_tickets_that_only_claim_to_be_a_players_do_not_keep_the_player_out() -> None:
    async with running(edit=lambda block: block.update(limits={"logins_per_minute_per_player": 3})) as server:
        true = server.mint("steam")
        (name, ticket), *_ = true.parameters.items()
        claim = ticket[:8] + "ff" * 4 + ticket[16:]  # another game connect token for the same SteamID
        async with client(server.app, "198.51.100.9") as stranger:
            for _ in range(5):
                form = {key: value for key, value in launcher_request().items() if value} | {name: claim}
                refused = await stranger.post("/oauth2/social/steam/cross_auth", data=form)
                assert refused.status_code in {400, 429}
            assert refused.status_code == 429
        assert (await server.silent("steam", true)).status_code == 200


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
async def test_F20_one_credential_repeated_over_and_over_does_not_use_up_the_clients_logins(provider: str) -> None:
    own = {"logins_per_minute_per_player": 3, "logins_per_minute_per_client": 5}
    async with running(edit=lambda block: block.update(limits=own)) as server:
        form = {key: value for key, value in launcher_request().items() if value} | dict(
            server.mint(provider).parameters
        )
        async with client(server.app, "198.51.100.9") as stranger:
            answers = [await stranger.post(f"/oauth2/social/{provider}/cross_auth", data=form) for _ in range(10)]
        assert [answer.status_code for answer in answers] == [*[200] * 3, *[429] * 7]
        others = await server.silent(provider, server.mint(provider, "birch"))
        assert others.status_code == 200


async def test_F14_forged_xbox_tokens_that_name_key_addresses_count_as_refusals() -> None:
    async with running(edit=lambda block: block.update(limits={"failures_per_minute_per_address": 5})) as server:
        ((thumbprint, key),) = server.app._platforms.find("demo", "xbox")._ring.items()  # type: ignore[attr-defined]
        header = {"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "zip": "DEF", "cty": "JWT", "x5t": _base64url(thumbprint)}
        form = {name: value for name, value in launcher_request().items() if value}
        statuses = []
        for number in range(8):
            jku = f"https://xsts-keys.auth.xboxlive.com/invented/{number}"
            parts = ({"alg": "PS256", "kid": "k", "jku": jku}, {"xui": [{"ptx": f"P{number}", "uhs": "1"}]})
            inner = ".".join([*(_base64url(json.dumps(part).encode()) for part in parts), "AAAA"])
            outer = jwe.encrypt_compact(header, inner, RSAKey.import_key(key.public_key()), registry=REGISTRY)
            answer = await server.http.post(
                "/oauth2/social/xbox/cross_auth", data=form | {"session_ticket": f"XBL3.0 x=1;{outer}"}
            )
            statuses.append(answer.status_code)
        assert statuses == [*[503] * 5, *[429] * 3]


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_F18_invented_client_ids_share_one_counter_for_each_address() -> None:
    async with running(edit=lambda block: block.pop("limits")) as server:
        statuses = [
            (
                await server.token(grant_type="client_credentials", client_id=f"made-up-{n}", client_secret="x")
            ).status_code
            for n in range(11)
        ]
        assert statuses == [401] * 10 + [429]
        known = await server.token(grant_type="client_credentials", client_id="backend", client_secret="backend-secret")
        assert known.status_code == 200
