"""What we rely on in Authlib, and what it does when relied on wrongly: the rules of driving it, one test each."""

import importlib
import inspect
import logging
import os
import pkgutil
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from authlib.oauth2.rfc6749.hooks import Hookable

import authsrv.oauth
from authsrv import log
from authsrv.errors import InvalidClient, InvalidGrant, InvalidRequest, InvalidScope
from authsrv.oauth.grants.platform import PlatformGrant
from authsrv.oauth.request import GrantRequest, Payload, TokenRequest
from authsrv.oauth.silent.request import PARAMETERS
from authsrv.storage.changes import Change, RedeemCode
from tests.support.oauth import BACKEND, ISSUER, LAUNCHER, SECRET, bench, token_request
from tests.support.server import Server, running
from tests.support.storage import NOW

WRAPPER = "hooked.<locals>.decorator.<locals>.wrapper"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(authsrv.oauth.__path__, "authsrv.oauth."):
        yield importlib.import_module(found.name)


def our_classes() -> list[type]:
    """Every class below authsrv/oauth that has one of Authlib's among its bases."""
    found = {cls for module in modules() for _, cls in inspect.getmembers(module, inspect.isclass)}
    ours = [cls for cls in found if cls.__module__.startswith("authsrv.oauth") and issubclass(cls, Hookable)]
    return sorted(ours, key=lambda cls: cls.__name__)


def is_hooked(member: object) -> bool:
    return getattr(member, "__qualname__", "") == WRAPPER


def hooked_names(cls: type) -> set[str]:
    """What some base of the class has under the decorator."""
    return {name for base in cls.__mro__ for name, member in vars(base).items() if is_hooked(member)}


@pytest.mark.parametrize("cls", our_classes(), ids=lambda cls: str(cls.__name__))
def test_T1_no_class_of_ours_overrides_a_hooked_method(cls: type) -> None:
    overridden = {name for name in hooked_names(cls) if not is_hooked(inspect.getattr_static(cls, name))}
    assert overridden == set()


def test_T1_the_hooked_methods_of_authlib_are_those_we_read() -> None:
    by_class = {cls.__name__: hooked_names(cls) for cls in our_classes()}
    assert by_class == {
        "AuthorizationCodeGrant": {"validate_consent_request", "validate_token_request", "create_token_response"},
        "RefreshTokenGrant": {"create_token_response"},
        "ClientCredentialsGrant": {"create_token_response"},
        "PlatformGrant": {"validate_consent_request"},
        "BrowserGrant": {"validate_consent_request"},
        "CodeIssuingGrant": {"validate_consent_request"},
        "PlatformExchangeGrant": {"create_token_response"},
        "OwnExchangeGrant": {"create_token_response"},
        "UnknownSubject": {"create_token_response"},
        "TokenExchangeGrant": {"create_token_response"},
        "LoadingGrant": set(),
        "StoredGrant": set(),
        "TokenServer": {"get_authorization_grant", "create_authorization_response"},
    }


def test_authlib_stays_on_the_minor_version_that_was_read() -> None:
    assert version("authlib").startswith("1.9.")
    declared = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert [line for line in declared if line.startswith("authlib")] == ["authlib>=1.9.8,<1.10"]


def backend(**changes: str | None) -> TokenRequest:
    return token_request(
        **{"grant_type": "client_credentials", "client_id": "backend", "client_secret": SECRET} | changes
    )


# One test for each trap that concerns what is built.


async def test_T1_with_the_hooks_in_place_a_wrong_verifier_gets_no_token() -> None:
    table = await bench()
    _, code = await table.stands()
    with pytest.raises(InvalidGrant):
        await table.server.token(table.redeeming(code, code_verifier="w" * 43))


async def test_T2_plain_http_behind_a_proxy_does_not_matter() -> None:
    def behind_a_proxy(block: dict[str, Any]) -> None:
        block["issuer"] = "https://login.studio.example"

    assert "AUTHLIB_INSECURE_TRANSPORT" not in os.environ
    async with running(edit=behind_a_proxy) as started:
        answer = await started.http.post(
            "http://login.studio.example/oauth2/token",
            data={"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"},
        )
    assert answer.status_code == 200


@pytest.mark.parametrize("name", sorted(PARAMETERS - {"session_ticket", "state"}))
@pytest.mark.parametrize("text", ['a"b', "a\\b", "aéb"], ids=["quote", "backslash", "not ASCII"])
async def test_T3_no_text_of_the_client_reaches_an_error_of_authlib(server: Server, name: str, text: str) -> None:
    answer = await server.silent("steam", None, **{name: text})
    assert answer.status_code < 500
    assert text not in answer.json().get("error_description", "")


async def test_T4_basic_authentication_works_with_lower_case_header_names(server: Server) -> None:
    basic = "Basic " + b64encode(b"backend:backend-secret").decode()
    for name in ("authorization", "Authorization", "AUTHORIZATION"):
        answer = await server.http.post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, headers={name: basic}
        )
        assert answer.status_code == 200


def test_T5_authlib_sees_each_parameter_once() -> None:
    payload = Payload({"code": "a", "scope": "openid"})
    assert payload.datalist == {"code": ["a"], "scope": ["openid"]}
    assert payload.datalist["absent"] == []


async def test_T6_a_client_that_came_by_reload_is_known_at_once_and_one_that_left_is_not() -> None:
    table = await bench([LAUNCHER])
    with pytest.raises(InvalidClient):
        await table.server.token(backend())
    table.server.registry.replace([BACKEND])
    assert (await table.server.token(backend()))["token_type"] == "Bearer"
    with pytest.raises(InvalidClient):
        await table.server.token(token_request(grant_type="refresh_token", client_id="launcher", refresh_token="x"))


async def test_T7_authlib_logs_no_token_even_at_debug_level() -> None:
    sink = StringIO()
    pipeline = log.configure(level="debug", sink=sink)
    try:
        table = await bench()
        _, code = await table.stands()
        tokens = await table.server.token(table.redeeming(code))
        await table.server.token(backend())
    finally:
        pipeline.stop()
        logging.getLogger().setLevel(logging.WARNING)
    assert logging.getLogger("authlib").getEffectiveLevel() >= logging.INFO
    assert tokens["access_token"] not in sink.getvalue()
    assert "Issue token" not in sink.getvalue()


async def test_T8_using_the_code_and_issuing_its_tokens_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    table = await bench()
    _, code = await table.stands()
    applied: list[list[Change]] = []
    genuine = table.storage.apply

    async def watched(changes: list[Change]) -> None:
        applied.append(changes)
        await genuine(changes)

    monkeypatch.setattr(table.storage, "apply", watched)
    await table.server.token(table.redeeming(code))
    ((change,),) = applied
    assert isinstance(change, RedeemCode)
    assert change.refresh_hash is not None


@pytest.mark.parametrize("method", [None, "plain", "s256"])
async def test_T10_only_S256_is_taken_and_nothing_is_the_default(server: Server, method: str | None) -> None:
    answer = await server.silent("steam", None, code_challenge_method=method)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "code_challenge_method")


async def test_T11_a_broken_basic_header_is_not_saved_by_a_good_secret_in_the_body(server: Server) -> None:
    answer = await server.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "client_id": "backend", "client_secret": "backend-secret"},
        headers={"authorization": "Basic !!!"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_T12_a_refresh_without_its_grant_is_invalid_grant() -> None:
    table = await bench()
    unknown = table.server.opaque.new("refresh", 77, 1)
    with pytest.raises(InvalidGrant):
        await table.server.token(table.refreshing(unknown))


async def test_T13_client_credentials_cannot_obtain_a_scope_that_is_not_listed() -> None:
    table = await bench()
    with pytest.raises(InvalidScope):
        await table.server.token(backend(scope="admin"))
    assert (await table.server.token(backend(scope="match:end admin")))["scope"] == "match:end"


@pytest.mark.parametrize("is_redirect", ["true", "false"])
async def test_T14_iss_stands_in_every_shape_of_the_answer(server: Server, is_redirect: str) -> None:
    answer = await server.silent("steam", None, is_redirect=is_redirect)
    url = answer.headers.get("location") or answer.json()["login_url"]
    assert "&iss=http%3A%2F%2F127.0.0.1%3A8080" in url


async def test_T15_no_two_hooks_wait_for_the_same_event() -> None:
    server = (await bench()).server
    for kind, extensions in [*server._authorization_grants, *server._token_grants]:
        grant = kind(GrantRequest(ISSUER, {}, LAUNCHER, "none", NOW), server)
        for extension in extensions:
            extension(grant)
        assert {len(hooks) for hooks in grant._hooks.values()} <= {1}


async def test_T15_a_request_with_two_faults_always_gets_the_same_error(server: Server) -> None:
    answers = [await server.silent("steam", None, code_challenge=None, scope="admin") for _ in range(5)]
    assert {answer.json()["error"] for answer in answers} == {"invalid_scope"}


async def test_T16_a_refreshed_id_token_keeps_auth_time_and_a_plain_audience(server: Server) -> None:
    tokens = await server.login("steam")
    logged_in_at = int(server.clock.now)
    server.clock.now += 3600
    refreshed = (await server.refresh(tokens["refresh_token"])).json()
    claims = server.claims(refreshed["id_token"])
    assert (claims["auth_time"], claims["iat"], claims["aud"]) == (logged_in_at, logged_in_at + 3600, "launcher")


async def test_T17_who_owes_a_challenge_owes_it_at_the_authorization_request(server: Server) -> None:
    answer = await server.silent("steam", None, code_challenge=None, code_challenge_method=None)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "code_challenge")


async def test_T17_a_client_may_be_excused_and_then_a_verifier_is_refused() -> None:
    table = await bench([replace(LAUNCHER, pkce_required=False)])
    _, code = await table.stands(code_challenge="")
    with pytest.raises(InvalidRequest):
        await table.server.token(table.redeeming(code))
    assert "access_token" in await table.server.token(table.redeeming(code, code_verifier=None))


async def test_T18_a_nonce_that_comes_again_is_no_replay(server: Server) -> None:
    for _ in range(2):
        tokens = await server.login("steam", nonce="the-same-nonce")
        assert server.claims(tokens["id_token"])["nonce"] == "the-same-nonce"


async def test_T20_only_silent_logins_reach_the_platform_grant() -> None:
    plain = GrantRequest(ISSUER, {"response_type": "code"}, LAUNCHER, "none", NOW)
    assert not PlatformGrant.check_authorization_endpoint(plain)
    table = await bench()
    assert next(cls for cls, _ in table.server._authorization_grants) is PlatformGrant
