"""The emulated Epic against its own description: what a studio's code would see."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, UnknownCase
from authsrv.emulator.epic.codes import CODE_LIFETIME
from authsrv.emulator.epic.emulator import EpicEmulator
from authsrv.emulator.epic.tokens import EpicKeys, EpicProduct
from tests.support.epic import AMBER, BIRCH, NOW, keys, no_answer

TOKEN = "/epic/api/epic/oauth/v2/token"
KEY_SETS = {
    "/epic/api/epic/oauth/v1/.well-known/jwks.json": "eas",
    "/epic/api/epic/oauth/v2/.well-known/jwks.json": "eas",
    "/epic/api/auth/v1/oauth/jwks": "connect",
}


class Bench:
    """An emulator, a client of it, and its clock."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.emulator = EpicEmulator(keys=keys(), clock=lambda: self.now, sleep=no_answer)
        transport = httpx.ASGITransport(Starlette(routes=self.emulator.routes()))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://emulator.test")

    @property
    def basic(self) -> tuple[str, str]:
        return self.emulator.product.client_id, self.emulator.product.client_secret

    async def redeem(self, exchange_code: str, *, url: str = TOKEN, **form: str) -> httpx.Response:
        data = {"grant_type": "exchange_code", "exchange_code": exchange_code, "scope": "basic_profile openid", **form}
        return await self.http.post(url, data=data, auth=self.basic)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.http.aclose()


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def ending(response: httpx.Response) -> str:
    return str(response.json()["errorCode"]).rpartition(".")[2]


def members(token: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: token.get(name) for name in names}


def test_keys_survive_being_written_and_read() -> None:
    written = json.loads(json.dumps(keys().to_json()))
    read = EpicKeys.from_json(written)
    assert (read.eas.jwk(), read.connect.jwk()) == (keys().eas.jwk(), keys().connect.jwk())
    assert read.to_json() == written


@pytest.mark.parametrize("damaged", [{}, {"eas": {}}, {"eas": {"kid": "k", "pkcs8": "!"}, "connect": {}}])
def test_damaged_keys_are_refused(damaged: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        EpicKeys.from_json(damaged)


@pytest.mark.parametrize("path", KEY_SETS)
async def test_key_sets_have_neither_alg_nor_use_nor_anything_private(bench: Bench, path: str) -> None:
    [entry] = (await bench.http.get(path)).json()["keys"]
    assert set(entry) == {"kty", "e", "kid", "n"}
    assert bench.emulator.calls == {f"{KEY_SETS[path]}_keys": 1}


async def test_the_key_ids_look_like_those_of_their_family(bench: Bench) -> None:
    ids = [(await bench.http.get(path)).json()["keys"][0]["kid"] for path in KEY_SETS]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 43
    assert ids[2].endswith("Z")
    assert ":" in ids[2]


async def test_a_rotated_key_signs_and_the_old_one_stays_published(bench: Bench) -> None:
    old = bench.emulator.ring.current("eas").kid
    new = bench.emulator.ring.rotate("eas").kid
    published = (await bench.http.get(next(iter(KEY_SETS)))).json()["keys"]
    assert [entry["kid"] for entry in published] == [old, new]


async def test_discovery_exists_for_accounts_only_and_names_no_scopes(bench: Bench) -> None:
    found = (await bench.http.get("/epic/api/epic/oauth/v1/.well-known/openid-configuration")).json()
    assert found["issuer"] == "https://api.epicgames.dev/epic/oauth/v1"
    assert "scopes_supported" not in found
    connect = await bench.http.get("/epic/api/auth/v1/oauth/.well-known/openid-configuration")
    assert connect.status_code == 404


async def test_a_code_brings_tokens_and_the_account(bench: Bench) -> None:
    answer = (await bench.redeem(bench.emulator.mint(AMBER).text)).json()
    assert members(answer, "token_type", "expires_in", "refresh_expires_in", "account_id", "client_id") == {
        "token_type": "bearer",
        "expires_in": 7200,
        "refresh_expires_in": 28800,
        "account_id": AMBER.epic_account_id,
        "client_id": bench.emulator.product.client_id,
    }
    assert answer["expires_at"].endswith("Z")


async def test_the_first_version_has_the_older_spelling(bench: Bench) -> None:
    answer = (await bench.redeem(bench.emulator.mint(AMBER).text, url=TOKEN.replace("v2", "v1"))).json()
    assert answer["refresh_expires"] == 28800
    assert isinstance(answer["expires_at"], int)


async def test_only_openid_brings_an_id_token(bench: Bench) -> None:
    with_it = (await bench.redeem(bench.emulator.mint(AMBER).text)).json()
    without = (await bench.redeem(bench.emulator.mint(AMBER).text, scope="basic_profile")).json()
    assert claims_of(with_it["id_token"])["sub"] == AMBER.epic_account_id
    assert "id_token" not in without


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, "invalid_client", id="none"),
        pytest.param("Bearer x", "invalid_client", id="bearer"),
        pytest.param("Basic eDp5", "invalid_client_credentials", id="wrong"),
        pytest.param(
            "Basic " + base64.b64encode(b"emulated-epic-client:Emulated%2FEpic%2Bsecret%2Fwith").decode(),
            "invalid_client_credentials",
            id="form-encoded",
        ),
    ],
)
async def test_plain_basic_is_required_even_with_credentials_in_the_body(
    bench: Bench, header: str | None, expected: str
) -> None:
    client_id, secret = bench.basic
    form = {
        "grant_type": "exchange_code",
        "exchange_code": bench.emulator.mint(AMBER).text,
        "client_id": client_id,
        "client_secret": secret,
    }
    response = await bench.http.post(TOKEN, data=form, headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert ending(response) == expected


async def test_a_code_works_once(bench: Bench) -> None:
    code = bench.emulator.mint(AMBER).text
    assert (await bench.redeem(code)).status_code == 200
    assert ending(await bench.redeem(code)) == "exchange_code_not_found"
    assert bench.emulator.calls == {"token": 2}


async def test_a_code_works_for_five_minutes(bench: Bench) -> None:
    code = bench.emulator.mint(AMBER).text
    bench.now += CODE_LIFETIME
    assert ending(await bench.redeem(code)) == "exchange_code_not_found"


async def test_a_code_of_one_kind_is_unknown_to_the_other(bench: Bench) -> None:
    code = bench.emulator.mint(AMBER, kind="exchange_code").text
    assert (
        ending(await bench.redeem(code, grant_type="authorization_code", code=code)) == "authorization_code_not_found"
    )


async def test_an_unknown_grant_is_unsupported(bench: Bench) -> None:
    assert ending(await bench.redeem("x", grant_type="password")) == "unsupported_grant_type"


@pytest.mark.parametrize("deployment", ["public", "private"])
async def test_the_deployment_asked_for_is_in_the_token(bench: Bench, deployment: str) -> None:
    product = bench.emulator.product
    wanted = product.deployment_id if deployment == "public" else product.private_deployment_id
    answer = (await bench.redeem(bench.emulator.mint(AMBER).text, deployment_id=wanted)).json()
    assert claims_of(answer["id_token"])["pfdid"] == wanted


async def test_without_a_deployment_the_token_names_none(bench: Bench) -> None:
    claims = claims_of((await bench.redeem(bench.emulator.mint(AMBER).text)).json()["id_token"])
    assert members(claims, "pfsid", "pfdid") == {"pfsid": None, "pfdid": None}


async def test_an_unknown_deployment_is_refused_and_a_private_one_for_strangers(bench: Bench) -> None:
    unknown = await bench.redeem(bench.emulator.mint(AMBER).text, deployment_id="nobodys")
    stranger = await bench.redeem(
        bench.emulator.mint(BIRCH).text, deployment_id=bench.emulator.product.private_deployment_id
    )
    assert (ending(unknown), ending(stranger)) == ("invalid_deployment", "account_forbidden")


async def test_a_failure_before_leaves_the_code_good_and_one_after_does_not(bench: Bench) -> None:
    before = bench.emulator.mint(AMBER, case="server-error-before").text
    after = bench.emulator.mint(AMBER, case="server-error-after").text
    assert [(await bench.redeem(before)).status_code for _ in range(2)] == [502, 200]
    assert [(await bench.redeem(after)).status_code for _ in range(2)] == [500, 400]


async def test_a_corrective_action_leads_to_the_emulated_pages(bench: Bench) -> None:
    body = (await bench.redeem(bench.emulator.mint(AMBER, case="corrective-action-required").text)).json()
    assert body["continuationUrl"].startswith("http://emulator.test/epic/www/id/login?continuation=")
    bench.emulator.codes.error_shape = "browser"
    body = (await bench.redeem(bench.emulator.mint(AMBER, case="corrective-action-required").text)).json()
    assert set(body) == {"errorCode", "message", "metadata", "correlationId"}
    assert body["metadata"]["correctiveAction"] == "PRIVACY_POLICY_ACCEPTANCE"


async def test_throttling_says_how_long(bench: Bench) -> None:
    response = await bench.redeem(bench.emulator.mint(AMBER, case="throttled").text)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")


async def test_a_token_can_be_looked_up_until_it_is_revoked(bench: Bench) -> None:
    token = (await bench.redeem(bench.emulator.mint(AMBER).text)).json()["access_token"]
    oauth = "/epic/api/epic/oauth/v2"
    info = (await bench.http.post(f"{oauth}/tokenInfo", data={"token": token})).json()
    assert members(info, "active", "account_id") == {"active": True, "account_id": AMBER.epic_account_id}
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await bench.http.get(f"{oauth}/userInfo", headers=bearer)).json() == {
        "sub": AMBER.epic_account_id,
        "preferred_username": "Amber",
    }
    accounts = "/epic/api/epic/id/v2/accounts"
    found = await bench.http.get(accounts, params={"accountId": [AMBER.epic_account_id, "x"]}, headers=bearer)
    assert found.json() == [{"accountId": AMBER.epic_account_id, "displayName": "Amber"}]
    assert (await bench.http.post(f"{oauth}/revoke", data={"token": token})).status_code == 204
    assert (await bench.http.post(f"{oauth}/tokenInfo", data={"token": token})).json() == {"active": False}
    assert [(await bench.http.get(url, headers=bearer)).status_code for url in (f"{oauth}/userInfo", accounts)] == [
        401,
        401,
    ]


def test_minted_credentials_travel_as_the_silent_login_takes_them() -> None:
    emulator = Bench().emulator
    code, token = emulator.mint(AMBER), emulator.mint(AMBER, kind="id_token")
    assert (code.platform, code.kind, code.case) == ("epic", "exchange_code", "good")
    assert code.parameters == {"session_ticket": code.text}
    assert token.parameters == {"session_ticket": token.text, "credential_type": "id_token"}
    assert emulator.mint(AMBER, case="unlisted-deployment").parameters["deployment_id"]


def test_a_case_without_a_kind_is_of_the_first_kind_that_has_it() -> None:
    emulator = Bench().emulator
    kinds = [emulator.mint(AMBER, case=case).kind for case in ("used-code", "refresh-token", "device-account")]
    assert kinds == ["exchange_code", "id_token", "connect_id_token"]


@pytest.mark.parametrize(("kind", "case"), [("", "nonsense"), ("id_token", "used-code"), ("xsts_token", "good")])
def test_what_it_does_not_have_is_told_with_what_it_has(kind: str, case: str) -> None:
    with pytest.raises(UnknownCase, match="choose one of: "):
        Bench().emulator.mint(AMBER, kind=kind, case=case)


def test_every_case_is_described_and_tokens_differ_from_each_other() -> None:
    emulator = Bench().emulator
    assert all(emulator.cases.values())
    tokens = {emulator.mint(player, kind="connect_id_token").text for player in PLAYERS.values()}
    assert len(tokens) == len(PLAYERS)


def test_a_replayed_token_is_the_same_token_again() -> None:
    emulator = Bench().emulator
    first, second = (emulator.mint(AMBER, kind="id_token", case="replayed").text for _ in range(2))
    assert first == second


def test_the_launcher_says_who_plays_and_hands_over_a_code() -> None:
    arguments = Bench().emulator.launcher_arguments(AMBER)
    assert "-AUTH_TYPE=exchangecode" in arguments
    assert f"-epicuserid={AMBER.epic_account_id}" in arguments


def test_the_settings_point_a_project_at_it() -> None:
    found = Bench().emulator.settings("http://127.0.0.1:8090")
    assert found["hosts"] == {"api": "http://127.0.0.1:8090/epic/api", "www": "http://127.0.0.1:8090/epic/www"}
    assert found["client_secret"] == EpicProduct().client_secret
    other = EpicEmulator(keys(), lambda: NOW, product=replace(EpicProduct(), client_id="mine"))
    assert other.settings("http://x")["client_ids"] == ["mine"]
