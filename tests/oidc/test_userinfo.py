"""UserInfo: which tokens open it, by which way they come, and what is said to those that do not."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest

from tests.oidc.clients import changed, from_older, from_partner, tell_everything_of
from tests.oidc.forgery import forged, signed
from tests.support.browser import Browser
from tests.support.server import ISSUER, Server, running
from tests.support.verification import verified

USERINFO = "/oauth2/userinfo"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=changed("shop", audiences=["https://api.example"])) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def access(server: Server, tokens: dict[str, Any]) -> dict[str, Any]:
    return await verified(server, tokens["access_token"], ISSUER, "at+jwt")


async def asked(server: Server, token: str) -> httpx.Response:
    return await server.http.get(USERINFO, headers={"authorization": f"Bearer {token}"})


def is_refused(answer: httpx.Response) -> bool:
    """RFC 6750 section 3.1."""
    challenge = 'Bearer realm="authsrv", error="invalid_token"'
    told = (answer.status_code, answer.json()["error"], answer.headers["www-authenticate"])
    return told == (401, "invalid_token", challenge)


async def test_the_control_a_token_made_by_the_test_is_taken(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    token = await signed(server, await access(server, tokens), typ="at+jwt")
    assert (await asked(server, token)).json() == (await asked(server, tokens["access_token"])).json()


WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": 1_789_999_999},
    "expires now": {"exp": 1_790_000_000},
    "no expiry": {"exp": None},
    "expiry as text": {"exp": "1790000900"},
    "expiry as fraction": {"exp": 1_790_000_900.5},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another player": {"sub": "00000000-0000-4000-8000-000000000000"},
    "unknown client": {"client_id": "nobody"},
    "no client": {"client_id": None},
    "made-up grant": {"gid": "A" * 22},
    "no jti": {"jti": None},
}


@pytest.mark.parametrize("changes", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_a_token_of_ours_with_a_wrong_claim_opens_nothing(
    server: Server, browser: Browser, changes: dict[str, Any]
) -> None:
    claims = await access(server, await browser.tokens()) | changes
    left = {name: value for name, value in claims.items() if value is not None}
    assert is_refused(await asked(server, await signed(server, left, typ="at+jwt")))


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "AT+JWT", "application/at+jwt", ""])
async def test_a_token_of_another_type_opens_nothing(server: Server, browser: Browser, typ: str) -> None:
    claims = await access(server, await browser.tokens())
    assert is_refused(await asked(server, await signed(server, claims, typ=typ)))


async def test_a_token_that_somebody_else_signed_opens_nothing(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    header, claims = jwt.get_unverified_header(tokens["access_token"]), await access(server, tokens)
    for alg in ("ES256", "RS256"):
        assert is_refused(await asked(server, forged(claims, header | {"alg": alg})))
    assert is_refused(await asked(server, forged(claims, {"alg": "ES256", "typ": "at+jwt", "kid": "theirs"})))
    assert is_refused(await asked(server, forged(claims, {"alg": "ES256", "typ": "at+jwt"})))
    head, body, signature = tokens["access_token"].split(".")
    unsigned = jwt.encode(claims, "", algorithm="none", headers=header | {"alg": "none"})
    for text in (unsigned, f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", f"{head}..{signature}"):
        assert is_refused(await asked(server, text))


async def test_no_other_value_of_ours_is_an_access_token(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    for text in (
        tokens["id_token"],
        tokens["refresh_token"],
        next(iter(browser.cookies.values())),
        "\u00e9",
        "x" * 20000,
    ):
        answer = await server.http.get(USERINFO, headers={b"authorization": f"Bearer {text}".encode()})
        assert is_refused(answer)


async def test_an_access_token_dies_with_its_time(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    server.clock.now += 899
    assert (await asked(server, tokens["access_token"])).status_code == 200
    server.clock.now += 1
    assert is_refused(await asked(server, tokens["access_token"]))


async def test_a_token_made_for_a_service_of_the_studio_is_ours_all_the_same(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens(audience="https://api.example")
    assert (await verified(server, tokens["access_token"], "https://api.example", "at+jwt"))["client_id"] == "shop"
    assert (await asked(server, tokens["access_token"])).status_code == 200


async def test_without_openid_it_is_not_for_the_token(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens(scope="profile")
    answer = await asked(server, tokens["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv", error="insufficient_scope"'


async def test_a_server_of_the_studio_is_no_player(server: Server) -> None:
    answer = await server.token(grant_type="client_credentials", client_id="backend", client_secret="backend-secret")
    assert (await asked(server, answer.json()["access_token"])).status_code == 403


async def test_a_token_of_the_xsolla_profile_opens_nothing(server: Server) -> None:
    minted = server.mint("steam").parameters
    request = {"client_id": "40", "response_type": "code", "state": "12345678", "is_redirect": "false"}
    answer = await server.http.get("/api/oauth2/social/steam/cross_auth", params={**request, **minted})
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": "40",
        "code": code,
        "redirect_uri": "http://127.0.0.1/blank",
    }
    tokens = (await server.http.post("/api/oauth2/token", data=form)).json()
    assert is_refused(await asked(server, tokens["access_token"]))


async def test_without_a_token_the_challenge_names_no_error(server: Server) -> None:
    """RFC 6750 section 3.1: a client that knew of no token is told of none."""
    for headers in ({}, {"authorization": "Basic c2hvcDpzaG9wLXNlY3JldA=="}, {"authorization": "Bearer"}):
        answer = await server.http.get(USERINFO, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="authsrv"')


async def test_the_token_comes_by_header_or_form_and_once(server: Server, browser: Browser) -> None:
    token = (await browser.tokens())["access_token"]
    bearer = {"authorization": f"bearer {token}"}
    assert (await server.http.get(USERINFO, headers=bearer)).status_code == 200
    assert (await server.http.post(USERINFO, data={"access_token": token})).status_code == 200
    both = await server.http.post(USERINFO, data={"access_token": token}, headers=bearer)
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    twice = await server.http.post(USERINFO, data={"access_token": [token, token]})
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    assert (await server.http.get(USERINFO, params={"access_token": token})).status_code == 401
    assert (await server.http.post(USERINFO, params={"access_token": token})).status_code == 401
    assert (await server.http.post(USERINFO, json={"access_token": token})).status_code == 415


async def test_other_methods_are_named(server: Server) -> None:
    for method in ("HEAD", "PUT", "DELETE"):
        answer = await server.http.request(method, USERINFO)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_nobody_caches_what_it_says(server: Server, browser: Browser) -> None:
    answer = await asked(server, (await browser.tokens())["access_token"])
    assert answer.headers.get_list("cache-control") == ["no-store"]


async def test_a_client_is_told_what_its_own_token_was_granted(server: Server, browser: Browser) -> None:
    shops = await browser.tokens(scope="openid email")
    await tell_everything_of(server)
    landed = await from_older(browser).authorize(scope="openid profile")
    olders = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()
    by_shop, by_older = await asked(server, shops["access_token"]), await asked(server, olders["access_token"])
    assert by_shop.json().keys() == {"sub", "email", "email_verified"}
    assert "email" not in by_older.json()
    assert by_older.json()["name"] == "Amber Ochre"


async def test_a_signed_answer_has_issuer_and_audience() -> None:
    """OpenID Connect Core section 5.3.2."""
    async with running(edit=changed("shop", userinfo_alg="RS256")) as server:
        tokens = await Browser(server).tokens()
        answer = await asked(server, tokens["access_token"])
        assert answer.headers["content-type"] == "application/jwt"
        told = await verified(server, answer.text, "shop")
        subject = (await verified(server, tokens["id_token"], "shop"))["sub"]
        assert told == {
            "iss": ISSUER,
            "aud": "shop",
            "sub": subject,
            "name": "Amber",
            "preferred_username": "Amber",
        }


async def test_the_token_of_a_client_that_left_opens_nothing(server: Server, browser: Browser) -> None:
    tokens = await browser.exchanged(await browser.press(await from_partner(browser).sign_in(), "allow"))
    config = server.app.config.model_copy(deep=True)
    del config.projects["demo"].clients["partner"]
    await server.app.reload(config)
    assert is_refused(await asked(server, tokens["access_token"]))


async def test_the_token_of_a_platform_that_was_switched_off_opens_nothing(server: Server, browser: Browser) -> None:
    tokens = await browser.tokens()
    config = server.app.config.model_copy(deep=True)
    del config.projects["demo"].platforms["steam"]
    await server.app.reload(config)
    assert is_refused(await asked(server, tokens["access_token"]))
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"
