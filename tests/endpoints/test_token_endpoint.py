"""`POST /oauth2/token` over HTTP: the three grants, client authentication, and every refusal with its literal body."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from tests.support.server import CALLBACK, ISSUER, VERIFIER, Server, running

BASIC = "Basic " + b64encode(b"backend:backend-secret").decode()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def claims(server: Server, token: str, audience: str, typ: str) -> dict[str, Any]:
    """The verified claims of a token, by the published keys alone."""
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/oauth2/jwks")).json())
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    key = keys[header["kid"]]
    decoded: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[header["alg"]],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    return decoded


async def test_a_code_gives_an_rfc_9068_access_token(server: Server) -> None:
    tokens = await server.login("steam", scope="openid offline", state="12345678", nonce="n-0S6_WzA2Mj")
    access = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    assert access.keys() == {
        "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "gid", "auth_time", "idp", "idp_sub",
    }  # fmt: skip
    assert (access["client_id"], access["scope"]) == ("launcher", "openid offline")
    assert (access["idp"], access["idp_sub"]) == ("steam", "76561202255232001")
    assert access["exp"] - access["iat"] == tokens["expires_in"] == 900


async def test_openid_gives_an_id_token_with_the_nonce(server: Server) -> None:
    tokens = await server.login("steam", nonce="n-0S6_WzA2Mj")
    identity = await claims(server, tokens["id_token"], "launcher", "JWT")
    access = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    assert identity["nonce"] == "n-0S6_WzA2Mj"
    assert identity["sub"] == access["sub"]
    assert identity["amr"] == ["steam"]
    assert identity["auth_time"] == int(server.clock.now)
    assert "sid" not in identity


async def test_without_openid_there_is_no_id_token_and_without_offline_no_refresh_token(server: Server) -> None:
    tokens = await server.login("steam", scope="profile")
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "scope"}


async def test_B39_answers_are_not_cacheable(server: Server) -> None:
    good = await server.redeem(await server.code("steam"))
    bad = await server.redeem("nonsense")
    assert [good.headers["cache-control"], bad.headers["cache-control"]] == ["no-store", "no-store"]


async def test_client_credentials_give_a_server_token_and_nothing_else(server: Server) -> None:
    answer = await server.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, headers={"authorization": BASIC}
    )
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
    access = await claims(server, answer.json()["access_token"], ISSUER, "at+jwt")
    assert access["sub"] == access["client_id"] == "backend"
    assert "idp" not in access
    assert "gid" not in access


async def test_B42_a_client_token_has_a_subject_that_no_player_can_have(server: Server) -> None:
    answer = await server.token(grant_type="client_credentials", client_id="backend", client_secret="backend-secret")
    access = await claims(server, answer.json()["access_token"], ISSUER, "at+jwt")
    assert len(access["sub"]) != 36


WRONG_CODE = [
    pytest.param({"code": "asc_" + "A" * 65}, 400, "invalid_grant", id="made up"),
    pytest.param({"code": "nonsense"}, 400, "invalid_grant", id="not a code"),
    pytest.param({"code": None}, 400, "invalid_request", id="missing code"),
    pytest.param({"redirect_uri": None}, 400, "invalid_grant", id="B06 redirect URI missing"),
    pytest.param({"redirect_uri": CALLBACK + "/"}, 400, "invalid_grant", id="B06 other redirect URI"),
    pytest.param({"redirect_uri": "http://127.0.0.1:9/callback"}, 400, "invalid_grant", id="B06 other port"),
    pytest.param({"code_verifier": None}, 400, "invalid_request", id="B09 verifier missing"),
    pytest.param({"code_verifier": "x" * 43}, 400, "invalid_grant", id="B08 wrong verifier"),
    pytest.param({"code_verifier": "x" * 42}, 400, "invalid_request", id="B10 verifier of 42"),
    pytest.param({"code_verifier": "x" * 129}, 400, "invalid_request", id="B10 verifier of 129"),
    pytest.param({"code_verifier": VERIFIER + "\n"}, 400, "invalid_request", id="B10 verifier with newline"),
    pytest.param({"code_verifier": "é" * 43}, 400, "invalid_request", id="B10 verifier not ASCII"),
    pytest.param({"client_id": "spa"}, 400, "invalid_grant", id="B05 code of another client"),
    pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="unknown client"),
    pytest.param({"client_id": None}, 401, "invalid_client", id="no client"),
    pytest.param({"client_id": "shop"}, 401, "invalid_client", id="B17 confidential client as public"),
    pytest.param({"client_id": "40"}, 401, "invalid_client", id="client of the other surface"),
    pytest.param({"grant_type": None}, 400, "invalid_request", id="no grant type"),
    pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="B21 password grant"),
    pytest.param({"grant_type": 'x"\\\n'}, 400, "unsupported_grant_type", id="B21 grant type that cannot be echoed"),
    pytest.param({"grant_type": "client_credentials"}, 400, "unauthorized_client", id="B21 grant not allowed"),
]


@pytest.mark.parametrize(("changes", "status", "error"), WRONG_CODE)
async def test_a_wrong_parameter_is_refused_and_the_code_stays_usable(
    server: Server, changes: dict[str, str | None], status: int, error: str
) -> None:
    code = await server.code("steam")
    refused = await server.redeem(code, **changes)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert refused.json().keys() <= {"error", "error_description", "parameter"}
    assert (await server.redeem(code)).status_code == 200


async def test_B07_a_code_dies_after_its_minute(server: Server) -> None:
    first, second = await server.code("steam"), await server.code("xbox")
    server.clock.now += 59
    assert (await server.redeem(first)).status_code == 200
    server.clock.now += 1
    assert (await server.redeem(second)).json()["error"] == "invalid_grant"


async def test_B08_five_wrong_verifiers_kill_the_code(server: Server) -> None:
    code = await server.code("steam")
    for _ in range(5):
        assert (await server.redeem(code, code_verifier="x" * 43)).json()["error"] == "invalid_grant"
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"


async def test_B01_replaying_a_code_revokes_what_it_gave(server: Server) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_B02_a_late_replay_revokes_too(server: Server) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    server.clock.now += 30
    assert (await server.redeem(code)).json()["error"] == "invalid_grant"
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_verifier": "x" * 43}, id="wrong verifier"),
        pytest.param({"client_id": "spa"}, id="wrong client"),
        pytest.param({"redirect_uri": "http://127.0.0.1:9/callback"}, id="wrong redirect URI"),
    ],
)
async def test_B03_only_the_rightful_holders_replay_revokes(server: Server, changes: dict[str, str]) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    assert (await server.redeem(code, **changes)).json()["error"] == "invalid_grant"
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_B11_two_client_authentications_are_refused(server: Server) -> None:
    answer = await server.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"},
        headers={"authorization": BASIC},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "authorization",
    [b"Basic !!!", b"Basic /zr/", b"Basic " + b64encode(b"backend"), b"Basic ", b"Bearer x", b"Basic \xff", b"\xff"],
)
async def test_B12_a_broken_authorization_header_is_invalid_client_with_a_challenge(
    server: Server, authorization: bytes
) -> None:
    answer = await server.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, headers={b"authorization": authorization}
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_B13_a_secret_that_is_not_ascii_is_just_wrong(server: Server) -> None:
    answer = await server.token(grant_type="client_credentials", client_id="backend", client_secret="é")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_B14_unknown_client_and_wrong_secret_are_answered_alike(server: Server) -> None:
    unknown = await server.token(grant_type="client_credentials", client_id="nobody", client_secret="x")
    wrong = await server.token(grant_type="client_credentials", client_id="backend", client_secret="x")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())


async def test_B15_guessing_secrets_ends_in_429_for_that_client_and_address() -> None:
    def ordinary_limits(block: dict[str, Any]) -> None:
        block["limits"] = {}

    async with running(edit=ordinary_limits) as server:
        guess = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "guess"}
        statuses = [(await server.token(**guess)).status_code for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        limited = await server.token(**(guess | {"client_secret": "backend-secret"}))
        assert limited.json()["error"] == "rate_limited"
        assert int(limited.headers["retry-after"]) > 0


async def test_B16_a_secret_in_the_address_is_refused(server: Server) -> None:
    answer = await server.http.post(
        "/oauth2/token?client_secret=backend-secret", data={"grant_type": "client_credentials", "client_id": "backend"}
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_parameters_in_the_query_are_ignored(server: Server) -> None:
    answer = await server.http.post("/oauth2/token?grant_type=client_credentials&client_id=backend")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_B37_get_is_not_a_way_to_ask_for_tokens(server: Server) -> None:
    answer = await server.http.get("/oauth2/token?grant_type=client_credentials")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        pytest.param(b'{"grant_type":"client_credentials"}', "application/json", id="json"),
        pytest.param(b"grant_type=client_credentials", "text/plain", id="text"),
        pytest.param(b"--x\r\n", "multipart/form-data; boundary=x", id="multipart"),
        pytest.param(b"grant_type=client_credentials", None, id="no type"),
    ],
)
async def test_B38_only_forms_are_read(server: Server, content: bytes, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await server.http.post("/oauth2/token", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "code", "client_id", "redirect_uri", "code_verifier", "refresh_token"])
async def test_A13_a_repeated_parameter_is_refused(server: Server, name: str) -> None:
    answer = await server.http.post(
        "/oauth2/token",
        content=f"grant_type=authorization_code&client_id=launcher&{name}=a&{name}=b",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_refresh_rotates_and_keeps_the_player(server: Server) -> None:
    tokens = await server.login("steam")
    answer = await server.refresh(tokens["refresh_token"])
    refreshed = answer.json()
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    before = await claims(server, tokens["access_token"], ISSUER, "at+jwt")
    after = await claims(server, refreshed["access_token"], ISSUER, "at+jwt")
    assert (before["sub"], before["gid"], before["auth_time"]) == (after["sub"], after["gid"], after["auth_time"])
    assert before["jti"] != after["jti"]


async def test_B23_a_repeated_refresh_gets_the_same_successor(server: Server) -> None:
    tokens = await server.login("steam")
    first = (await server.refresh(tokens["refresh_token"])).json()
    server.clock.now += 29
    second = (await server.refresh(tokens["refresh_token"])).json()
    assert first["refresh_token"] == second["refresh_token"]


async def test_B22_late_reuse_of_a_refresh_token_ends_the_family(server: Server) -> None:
    tokens = await server.login("steam")
    successor = (await server.refresh(tokens["refresh_token"])).json()["refresh_token"]
    server.clock.now += 30
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await server.refresh(successor)).json()["error"] == "invalid_grant"


async def test_B24_reuse_after_the_successor_was_used_ends_the_family(server: Server) -> None:
    tokens = await server.login("steam")
    second = (await server.refresh(tokens["refresh_token"])).json()["refresh_token"]
    third = (await server.refresh(second)).json()["refresh_token"]
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await server.refresh(third)).json()["error"] == "invalid_grant"


async def test_B26_another_client_cannot_refresh_and_harms_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    assert (await server.refresh(tokens["refresh_token"], client_id="spa")).json()["error"] == "invalid_grant"
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_B27_a_refresh_may_narrow_the_scope_but_not_widen_it(server: Server) -> None:
    tokens = await server.login("steam", scope="openid offline")
    assert (await server.refresh(tokens["refresh_token"], scope="openid profile")).json()["error"] == "invalid_scope"
    narrowed = (await server.refresh(tokens["refresh_token"], scope="openid")).json()
    assert narrowed["scope"] == "openid"
    again = (await server.refresh(narrowed["refresh_token"])).json()
    assert again["scope"] == "openid offline"


async def test_B30_refreshing_does_not_outlive_the_absolute_lifetime(server: Server) -> None:
    tokens = await server.login("steam")
    for _ in range(7):
        server.clock.now += 29 * 86400
        answer = await server.refresh(tokens["refresh_token"])
        tokens = answer.json()
    assert tokens["error"] == "invalid_grant"


async def test_an_idle_refresh_token_ends(server: Server) -> None:
    tokens = await server.login("steam")
    server.clock.now += 30 * 86400
    assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
