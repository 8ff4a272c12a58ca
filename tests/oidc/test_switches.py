"""The switches of a client's entry that the profiles rest on: what each allows, and what it leaves as it was."""

from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.oidc.clients import OLDER, changed, from_older, from_partner
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.configuration import CONFIDENTIAL, WEB, problems
from tests.support.server import CALLBACK, ISSUER, Server, running
from tests.support.verification import verified

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def error(page: Page) -> str:
    assert "code" not in page.answer
    return page.answer["error"]


def is_sound(tmp_path: Path, text: str) -> bool:
    return problems(tmp_path, text) == []


def asks_for_consent(page: Page) -> bool:
    return any(button.value == "allow" for form in page.forms for button in form.buttons)


async def test_pkce_is_required_of_every_client_whose_entry_says_nothing(browser: Browser) -> None:
    without = {"code_challenge": None, "code_challenge_method": None}
    for client_id, uri in (("shop", SHOP_CALLBACK), ("launcher", CALLBACK)):
        assert error(await browser.sent_by(client_id, uri).authorize(**without)) == "invalid_request"


async def test_pkce_that_is_optional_is_checked_where_it_is_used(browser: Browser) -> None:
    from_older(browser)
    whole = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
    landed = await browser.sign_in(**whole)
    assert (await browser.redeem(landed.answer["code"], code_verifier=None)).json()["error"] == "invalid_request"
    assert (await browser.redeem(landed.answer["code"])).status_code == 200
    for half in ({"code_challenge_method": "plain"}, {"code_challenge_method": None}, {"code_challenge": None}):
        assert error(await browser.authorize(**(whole | half))) == "invalid_request"


def test_pkce_can_be_optional_for_clients_with_a_secret_only(tmp_path: Path) -> None:
    assert is_sound(tmp_path, CONFIDENTIAL + 'pkce = "optional"')
    assert not is_sound(tmp_path, WEB + 'pkce = "optional"')
    assert not is_sound(tmp_path, CONFIDENTIAL + 'pkce = "plain"')


async def test_nonce_may_be_required() -> None:
    async with running(edit=changed("shop", nonce="required")) as server:
        browser = Browser(server)
        assert error(await browser.authorize(nonce=None)) == "invalid_request"
        assert "code" in (await browser.sign_in()).answer


async def test_state_may_be_required() -> None:
    async with running(edit=changed("shop", state="required")) as server:
        browser = Browser(server)
        for missing in (None, ""):
            assert error(await browser.authorize(state=missing)) == "invalid_request"
        assert "code" in (await browser.sign_in()).answer


async def test_token_endpoint_auth_method_is_a_secret_where_there_is_one_and_none_where_there_is_none(
    server: Server, browser: Browser
) -> None:
    code = await browser.code()
    assert (await browser.redeem(code, client_secret=None)).status_code == 401
    assert (await browser.redeem(code)).status_code == 200
    launcher = Browser(server).sent_by("launcher", CALLBACK)
    landed = await launcher.press(await launcher.sign_in(), "allow")
    assert (await launcher.redeem(landed.answer["code"], client_secret="guess")).status_code == 401
    assert (await launcher.redeem(landed.answer["code"])).status_code == 200


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
async def test_id_token_alg_signs_id_tokens_and_refreshed_ones(alg: str) -> None:
    async with running(edit=changed("shop", id_token_alg=alg)) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        refreshed = (await browser.refresh(tokens["refresh_token"])).json()
        for each in (tokens, refreshed):
            await verified(server, each["id_token"], "shop")
            assert jwt.get_unverified_header(each["id_token"])["alg"] == alg


async def test_userinfo_alg_makes_userinfo_a_jwt_for_that_client_only() -> None:
    async with running(edit=changed("shop", userinfo_alg="ES256")) as server:
        browser = Browser(server)
        answer = await browser.userinfo((await browser.tokens())["access_token"])
        assert answer.headers["content-type"] == "application/jwt"
        assert jwt.get_unverified_header(answer.text)["alg"] == "ES256"
        landed = await from_older(browser).authorize()
        olders = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()
        assert (await browser.userinfo(olders["access_token"])).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "response_type", ["token", "id_token", "id_token token", "code id_token", "code token", "none", "CODE", "code code"]
)
async def test_response_types_are_code_alone(browser: Browser, response_type: str) -> None:
    await browser.sign_in()
    assert error(await browser.authorize(response_type=response_type)) == "unsupported_response_type"


async def test_response_modes_are_query_and_form_post_unless_the_entry_says_otherwise() -> None:
    async with running() as server:
        browser = Browser(server)
        await browser.sign_in()
        for mode, works in (("query", True), ("form_post", True), ("fragment", False), ("jwt", False)):
            landed = await browser.authorize(response_mode=mode)
            assert ("code" in landed.answer) is works, mode
        assert "code" in (await browser.authorize()).query


async def test_response_modes_without_query_keep_codes_out_of_addresses() -> None:
    async with running(edit=changed("shop", response_modes=["form_post"])) as server:
        browser = Browser(server)
        landed = await browser.sign_in()
        assert (landed.status, "code" in landed.answer, landed.query.get("code")) == (200, True, None)
        assert error(await browser.authorize(response_mode="query")) == "invalid_request"


async def test_grants_are_those_of_the_entry() -> None:
    async with running(edit=changed("shop", grants=["authorization_code"])) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        assert "refresh_token" not in tokens
        answer = await browser.refresh("asr_" + "A" * 65)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_redirect_uri_default_there_is_none_even_with_one_registered(browser: Browser) -> None:
    page = await browser.sent_by("older", OLDER).authorize(redirect_uri=None)
    assert (page.status, page.answer) == (400, {})
    assert '<code id="parameter">redirect_uri</code>' in page.html


def test_native_is_what_private_schemes_need(tmp_path: Path) -> None:
    private = WEB.replace("https://web.example/cb", "com.example.game:/cb")
    assert is_sound(tmp_path, private + "native = true")
    assert not is_sound(tmp_path, private)


async def test_request_object_is_off_for_everybody(browser: Browser) -> None:
    await browser.sign_in()
    for client_id, uri in (("shop", SHOP_CALLBACK), ("older", OLDER)):
        browser.sent_by(client_id, uri)
        assert error(await browser.authorize(request="e30.e30.")) == "request_not_supported"
        assert error(await browser.authorize(request_uri="urn:x")) == "request_uri_not_supported"


async def test_offline_needs_consent_of_third_parties_and_none_of_the_studios_own(
    server: Server, browser: Browser
) -> None:
    assert "refresh_token" in await browser.tokens(scope="openid offline_access")
    partner = from_partner(browser)
    await partner.press(await partner.authorize(scope="openid"), "allow")
    assert asks_for_consent(await partner.authorize(scope="openid offline_access"))


async def test_consent_is_not_asked_for_the_studios_own(server: Server, browser: Browser) -> None:
    assert "code" in (await browser.sign_in()).answer
    assert asks_for_consent(await from_partner(browser).authorize())


async def test_consent_is_asked_once_first_party_is_taken_from_an_entry(server: Server, browser: Browser) -> None:
    assert "code" in (await browser.sign_in()).answer
    config = server.app.config.model_copy(deep=True)
    shop = config.projects["demo"].clients["shop"].model_copy(update={"first_party": False})
    config.projects["demo"].clients["shop"] = shop
    await server.app.reload(config)
    assert asks_for_consent(await browser.authorize())


async def test_claims_in_id_token_are_few_unless_the_entry_wants_them_there() -> None:
    for wanted in (False, True):
        async with running(edit=changed("shop", profile_in_id_token=wanted)) as server:
            tokens = await Browser(server).tokens(scope="openid profile")
            told = await verified(server, tokens["id_token"], "shop")
            assert (told.get("name"), "email" in told) == ("Amber" if wanted else None, False)


async def test_aud_style_is_a_text_for_one_and_a_list_for_several() -> None:
    async with running(edit=changed("shop", audiences=["https://a.example", "https://b.example"])) as server:
        browser = Browser(server)
        tokens = await browser.tokens()
        assert (await verified(server, tokens["id_token"], "shop"))["aud"] == "shop"
        assert (await verified(server, tokens["access_token"], ISSUER, "at+jwt"))["aud"] == ISSUER
        both = await browser.tokens_at_once(audience="https://a.example https://b.example")
        told = await verified(server, both["access_token"], "https://b.example", "at+jwt")
        assert told["aud"] == ["https://a.example", "https://b.example"]


async def test_audiences_are_those_of_the_entry() -> None:
    async with running(edit=changed("shop", audiences=["https://a.example"])) as server:
        browser = Browser(server)
        tokens = await browser.tokens(audience="https://a.example")
        told = await verified(server, tokens["access_token"], "https://a.example", "at+jwt")
        assert told["aud"] == "https://a.example"
        for other in ("https://b.example", "https://a.example https://b.example", ISSUER):
            assert error(await browser.authorize(audience=other)) == "invalid_target"


async def test_subject_type_is_public_so_that_clients_of_a_project_share_a_players_sub(
    server: Server, browser: Browser
) -> None:
    shops = await verified(server, (await browser.tokens())["id_token"], "shop")
    landed = await from_older(browser).authorize()
    olders = (await browser.redeem(landed.answer["code"], code_verifier=None)).json()
    assert (await verified(server, olders["id_token"], "older"))["sub"] == shops["sub"]


LOGOUT_SETTINGS: dict[str, bool] = {
    'post_logout_redirect_uris = ["https://web.example/bye", "https://other.example/bye"]': True,
    'post_logout_redirect_uris = ["http://web.example/bye"]': False,
    'post_logout_redirect_uris = ["https://web.example/bye#x"]': False,
    'post_logout_redirect_uris = ["https://*.example/bye"]': False,
    'backchannel_logout_uri = "https://web.example/out"': True,
    'backchannel_logout_uri = "http://web.example/out"': False,
    'backchannel_logout_uri = "https://web.example/out#x"': False,
    'frontchannel_logout_uri = "https://web.example/out"': True,
    'frontchannel_logout_uri = "https://web.example/out#x"': False,
}


@pytest.mark.parametrize(("text", "sound"), LOGOUT_SETTINGS.items())
def test_logout_addresses_are_https_and_whole(tmp_path: Path, text: str, sound: bool) -> None:
    assert is_sound(tmp_path, WEB + text) is sound


def test_initiate_login_uri_is_an_https_address(tmp_path: Path) -> None:
    assert is_sound(tmp_path, WEB + 'initiate_login_uri = "https://web.example/login"')
    assert not is_sound(tmp_path, WEB + 'initiate_login_uri = "http://web.example/login"')


async def test_cors_origins_are_none_unless_the_entry_lists_them(server: Server) -> None:
    answer = await server.http.post("/oauth2/token", headers={"origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers


async def test_compat_makes_a_client_unknown_on_the_standard_paths(server: Server, browser: Browser) -> None:
    page = await browser.sent_by("40", "http://127.0.0.1/blank").authorize()
    assert (page.status, page.answer) == (400, {})
    answer = await server.token(grant_type="authorization_code", client_id="40", code="x")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


NEVER: dict[str, str] = {
    "password grant": CONFIDENTIAL + 'grants = ["authorization_code", "password"]',
    "implicit grant": CONFIDENTIAL + 'grants = ["implicit"]',
    "PKCE plain": CONFIDENTIAL + 'pkce = "plain"',
    "unsigned id_tokens": WEB + 'id_token_alg = "none"',
    "unsigned userinfo": WEB + 'userinfo_alg = "none"',
    "id_tokens by a secret": CONFIDENTIAL + 'id_token_alg = "HS256"',
    "access tokens by a secret": CONFIDENTIAL + 'access_token_alg = "HS256"',
    "a wildcard": WEB.replace("https://web.example/cb", "https://*.web.example/cb"),
    "a prefix": WEB.replace("https://web.example/cb", "https://web.example/*"),
    "plain http": WEB.replace("https://", "http://", 2).replace("http://login", "https://login"),
    "another response mode": WEB + 'response_modes = ["web_message"]',
}


@pytest.mark.parametrize("text", NEVER.values(), ids=NEVER)
def test_never_can_an_entry_switch_this_on(tmp_path: Path, text: str) -> None:
    assert is_sound(tmp_path, CONFIDENTIAL)
    found = problems(tmp_path, text)
    assert found
    assert all(problem.key.startswith("projects.p.clients.web.") for problem in found)


async def test_never_is_a_password_or_a_secret_in_an_address_taken(server: Server) -> None:
    form: dict[str, Any] = {"username": "amber", "password": "x", "client_id": "shop", "client_secret": "shop-secret"}
    assert (await server.token(grant_type="password", **form)).json()["error"] == "unsupported_grant_type"
    query = {"client_id": "backend", "client_secret": "backend-secret"}
    answer = await server.http.post("/oauth2/token", params=query, data={"grant_type": "client_credentials"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
