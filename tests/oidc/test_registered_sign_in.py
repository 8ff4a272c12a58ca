"""Players who sign in to a client that registered itself: the whole flow, what it registered, and what its end ends."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import jwt
import pytest

from authsrv.models import LoadedGrant
from authsrv.storage.changes import RemoveClient
from tests.support.browser import Browser, Page
from tests.support.registration import CALLBACK, error_of, register, registered, registering
from tests.support.server import VERIFIER, Server, running
from tests.support.verification import verified

SECOND = "https://page.example/second"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


async def allowed(browser: Browser) -> Page:
    """A sign-in whose player lets the client have what it asks for."""
    return await browser.press(await browser.sign_in(), "allow")


async def test_a_stock_client_registers_signs_a_player_in_changes_and_goes(server: Server) -> None:
    one = await registered(server, policy_uri="https://page.example/privacy")
    browser = one.browser()
    asked = await browser.sign_in()
    assert "<bdi>Amber&#39;s page</bdi> asks for access to your account." in asked.html
    assert "page.example" in asked.html
    tokens = await browser.exchanged(await browser.press(asked, "allow"))
    claims = await verified(server, tokens["id_token"], one.client_id)
    assert not claims.keys() & {"idp", "idp_sub"}
    assert (await browser.userinfo(tokens["access_token"])).json()["sub"] == claims["sub"]
    refreshed = (await browser.refresh(tokens["refresh_token"])).json()
    assert (await one.update(scope="openid profile")).status_code == 200
    assert (await browser.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"
    assert "code" in (await browser.authorize(scope="openid")).answer
    assert (await one.delete()).status_code == 204
    gone = await browser.authorize()
    assert (gone.status, gone.answer) == (400, {})
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401


# --- what was registered: Y4 to Y9, T1, T3 ---


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_Y4_id_tokens_are_signed_as_registered(server: Server, algorithm: str) -> None:
    one = await registered(server, id_token_signed_response_alg=algorithm)
    browser = one.browser()
    tokens = await browser.exchanged(await allowed(browser))
    assert one.told["id_token_signed_response_alg"] == algorithm
    await verified(server, tokens["id_token"], one.client_id)
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == algorithm


@pytest.mark.parametrize("algorithm", ["PS256", "EdDSA"])
async def test_Y4_Y5_a_client_may_choose_among_all_for_which_the_server_has_keys(algorithm: str) -> None:
    def more(block: dict[str, Any]) -> None:
        registering()(block)
        block["keys"] = {"algorithms": ["RS256", algorithm]}

    async with running(edit=more) as server:
        one = await registered(server, id_token_signed_response_alg=algorithm, userinfo_signed_response_alg=algorithm)
        browser = one.browser()
        tokens = await browser.exchanged(await allowed(browser))
        answer = await browser.userinfo(tokens["access_token"])
        for token in (tokens["id_token"], answer.text):
            await verified(server, token, one.client_id)
            assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert jwt.get_unverified_header(tokens["access_token"])["alg"] == "RS256"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_Y5_userinfo_is_a_signed_jwt_if_so_registered(server: Server, algorithm: str) -> None:
    one = await registered(server, userinfo_signed_response_alg=algorithm)
    browser = one.browser()
    tokens = await browser.exchanged(await allowed(browser))
    answer = await browser.userinfo(tokens["access_token"])
    assert answer.headers["content-type"] == "application/jwt"
    assert jwt.get_unverified_header(answer.text)["alg"] == algorithm
    told = await verified(server, answer.text, one.client_id)
    assert told["sub"] == (await verified(server, tokens["id_token"], one.client_id))["sub"]


async def test_Y6_without_a_redirect_uri_there_is_a_page_whether_one_or_two_are_registered(server: Server) -> None:
    for uris in ([CALLBACK, SECOND], [CALLBACK]):
        one = await registered(server, redirect_uris=uris)
        page = await one.browser().authorize(redirect_uri=None)
        assert (page.status, page.answer, page.headers["content-type"]) == (400, {}, "text/html; charset=utf-8")


async def test_Y7_a_registered_query_works_and_no_other(server: Server) -> None:
    one = await registered(server, redirect_uris=[f"{CALLBACK}?tenant=1"])
    landed = await allowed(one.browser(f"{CALLBACK}?tenant=1"))
    assert landed.url.startswith(f"{CALLBACK}?tenant=1&code=")
    for other in (CALLBACK, f"{CALLBACK}?tenant=2", f"{CALLBACK}?tenant=1&more=1", f"{CALLBACK}?"):
        page = await one.browser(other).authorize()
        assert (page.status, page.answer) == (400, {})


async def test_Y8_a_redirect_uri_with_a_fragment_is_refused(server: Server) -> None:
    for uri in (f"{CALLBACK}#part", f"{CALLBACK}#"):
        answer = await register(server, redirect_uris=[uri])
        assert error_of(answer) == (400, "invalid_redirect_uri", "redirect_uris")


async def test_Y9_policy_and_terms_are_linked_on_the_login_page_and_no_foreign_logo_is_loaded(server: Server) -> None:
    addresses = {
        "policy_uri": "https://page.example/privacy",
        "tos_uri": "https://page.example/terms",
        "logo_uri": "https://page.example/logo.png",
    }
    one = await registered(server, **addresses)
    page = await one.browser().authorize()
    links = {unescape(link) for link in re.findall(r'href="([^"]*)"', page.html)}
    assert {addresses["policy_uri"], addresses["tos_uri"]} <= links
    assert "logo.png" not in page.html
    assert {name: one.told[name] for name in addresses} == addresses


async def test_T1_initiate_login_uri_is_registered_and_returned(server: Server) -> None:
    address = "https://page.example/login?from=studio"
    assert (await registered(server, initiate_login_uri=address)).told["initiate_login_uri"] == address


@pytest.mark.parametrize(
    "uri", ["http://page.example/", "javascript:alert(1)", "com.example.page:/login", "//page.example/login", "/login"]
)
async def test_T3_a_registered_initiate_login_uri_is_https(server: Server, uri: str) -> None:
    answer = await register(server, initiate_login_uri=uri)
    assert error_of(answer) == (400, "invalid_client_metadata", "initiate_login_uri")


async def test_T4_the_studios_pages_lead_to_clients_that_it_let_in_and_not_to_anybodys() -> None:
    async with running(edit=registering(mode="open")) as server:
        await registered(server, client_name="Partner", initiate_login_uri="https://page.example/login")
        await registered(server, token="", client_name="Stranger", initiate_login_uri="https://evil.example/login")
        browser = Browser(server)
        await browser.sign_in()
        page = await browser.open("/login")
        assert "Open <bdi>Partner</bdi>" in page.html
        assert "Stranger" not in page.html


async def test_a_session_older_than_default_max_age_is_not_enough(server: Server) -> None:
    browser = (await registered(server, default_max_age=600)).browser()
    await allowed(browser)
    server.clock.now += 599
    assert "code" in (await browser.authorize()).answer
    server.clock.now += 1
    assert (await browser.authorize()).find("sign-in-steam")
    assert "code" in (await browser.authorize(max_age="3600")).answer


async def test_PKCE_is_required_of_registered_clients(server: Server) -> None:
    for method in ("client_secret_post", "none"):
        browser = (await registered(server, token_endpoint_auth_method=method)).browser()
        landed = await browser.authorize(code_challenge=None, code_challenge_method=None)
        assert landed.answer["error"] == "invalid_request"


async def test_PKCE_may_be_left_to_registered_clients_that_have_a_secret() -> None:
    async with running(edit=registering(pkce="optional")) as server:
        confidential = (await registered(server)).browser()
        public = (await registered(server, token_endpoint_auth_method="none")).browser()
        for browser in (confidential, public):
            browser.request |= {"code_challenge": None, "code_challenge_method": None}
        landed = await allowed(confidential)
        assert (await confidential.redeem(landed.answer["code"], code_verifier=None)).status_code == 200
        assert (await public.authorize()).answer["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("method", "in_header", "status"),
    [
        pytest.param("client_secret_post", False, 200, id="post, in the form"),
        pytest.param("client_secret_post", True, 401, id="post, in the header"),
        pytest.param("client_secret_basic", True, 200, id="basic, in the header"),
        pytest.param("client_secret_basic", False, 401, id="basic, in the form"),
    ],
)
async def test_a_registered_client_proves_itself_as_it_registered(
    server: Server, method: str, in_header: bool, status: int
) -> None:
    one = await registered(server, token_endpoint_auth_method=method)
    code = (await allowed(one.browser())).answer["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    proof = {} if in_header else {"client_id": one.client_id, "client_secret": one.secret}
    basic = "Basic " + b64encode(f"{one.client_id}:{one.secret}".encode()).decode()
    headers = {"authorization": basic} if in_header else {}
    answer = await server.http.post("/oauth2/token", data=form | proof, headers=headers)
    assert answer.status_code == status


async def test_without_the_grant_there_is_no_refresh_token(server: Server) -> None:
    one = await registered(server, grant_types=["authorization_code"])
    browser = one.browser()
    assert "refresh_token" not in await browser.exchanged(await allowed(browser))


@pytest.mark.parametrize(
    ("uri", "used"),
    [
        pytest.param("http://127.0.0.1/callback", "http://127.0.0.1:51004/callback", id="loopback, any port"),
        pytest.param("com.example.page:/callback", "com.example.page:/callback", id="private scheme"),
    ],
)
async def test_RFC8252_a_native_client_has_its_addresses_and_is_allowed_every_time(
    server: Server, uri: str, used: str
) -> None:
    one = await registered(server, redirect_uris=[uri], application_type="native", token_endpoint_auth_method="none")
    browser = one.browser(used)
    for page in (await browser.sign_in(), await browser.authorize()):
        assert 'id="native"' in page.html
        landed = await browser.press(page, "allow")
        assert (landed.answered_at, "code" in landed.answer) == (used, True)


async def test_a_logout_leads_back_to_a_registered_client_and_tells_it(server: Server) -> None:
    back, told_at = "https://page.example/signed-out", "https://page.example/logout"
    one = await registered(server, post_logout_redirect_uris=[back], backchannel_logout_uri=told_at)
    browser = one.browser()
    tokens = await browser.exchanged(await allowed(browser))
    left = await browser.open("/oauth2/logout", id_token_hint=tokens["id_token"], post_logout_redirect_uri=back)
    await server.app.notices.round()
    assert back in left.url + left.html
    assert [url for url, _ in server.notified.got] == [told_at]


# --- what the end of a client ends ---


async def test_deleting_a_client_ends_its_codes_its_refreshes_and_its_consents(server: Server) -> None:
    one = await registered(server)
    browser = one.browser()
    tokens = await browser.exchanged(await allowed(browser))
    code = (await browser.authorize()).answer["code"]
    waiting = await browser.authorize(prompt="consent")
    await one.delete()
    assert (await browser.redeem(code)).json()["error"] == "invalid_client"
    assert (await browser.refresh(tokens["refresh_token"])).json()["error"] == "invalid_client"
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401
    page = await browser.press(waiting, "allow")
    assert (page.status, page.answer) == (400, {})


@pytest.mark.parametrize("use", ["code", "refresh_token"])
async def test_a_client_that_is_deleted_while_it_asks_for_tokens_gets_none(
    server: Server, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    one = await registered(server)
    browser = one.browser()
    tokens = await browser.exchanged(await allowed(browser))
    code = (await browser.authorize()).answer["code"]
    storage, deleted = server.app.storage, asyncio.Event()
    load = storage.load_grant

    async def deleted_meanwhile(grant_id: int) -> LoadedGrant | None:
        found = await load(grant_id)
        if not deleted.is_set():
            deleted.set()
            assert (await one.delete()).status_code == 204
        return found

    monkeypatch.setattr(storage, "load_grant", deleted_meanwhile)
    answer = await (browser.redeem(code) if use == "code" else browser.refresh(tokens["refresh_token"]))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_client_that_is_gone_gets_no_code_although_this_process_still_knows_it(server: Server) -> None:
    """As after a removal by another process."""
    one = await registered(server)
    browser = one.browser()
    asked = await browser.sign_in()
    await server.app.storage.apply([RemoveClient(one.client_id, int(server.clock.now))])
    page = await browser.press(asked, "allow")
    assert (page.status, page.answer) == (400, {})
    assert server.app._registry.get(one.client_id) is not None
