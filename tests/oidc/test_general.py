"""What every profile rests on: one issuer, keys, client authentication, the form of answers and of refusals."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from authsrv.config import Config, conformance_report
from tests.oidc.clients import PARTNER, changed, from_partner, provider
from tests.support.browser import SHOP_CALLBACK, Browser, Page
from tests.support.server import ISSUER, VERIFIER, Server, demo_config, emulators, running
from tests.support.verification import verified

STUDIO = "https://login.studio.example"
_DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 5.2
POISONED = {
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "http",
    "x-forwarded-prefix": "/evil",
    "forwarded": "host=evil.example;proto=http",
}


def at_https(block: dict[str, Any]) -> None:
    provider(block)
    block["issuer"] = STUDIO


@pytest.fixture
async def studio() -> AsyncIterator[Server]:
    """A server whose issuer is https, behind a proxy."""
    async with running(edit=at_https) as started:
        yield started


async def test_G1_no_header_changes_the_issuer_or_an_address(studio: Server) -> None:
    browser = Browser(studio, **POISONED)
    found = (await studio.http.get("/.well-known/openid-configuration", headers=POISONED)).json()
    addresses = [value for name, value in found.items() if name == "issuer" or name.endswith(("_endpoint", "_uri"))]
    assert {address.partition("/oauth2")[0] for address in addresses} == {STUDIO}
    page = await browser.authorize()
    assert {form.action for form in page.forms} == {f"{STUDIO}/login"}
    landed = await browser.prove(page)
    assert landed.answer["iss"] == STUDIO
    tokens = await browser.exchanged(landed)
    assert (await verified(studio, tokens["id_token"], "shop"))["iss"] == STUDIO
    assert (await browser.userinfo(tokens["access_token"])).status_code == 200


async def test_G1_another_host_is_not_served(studio: Server) -> None:
    answer = await studio.http.get("/oauth2/authorize", headers={"host": "evil.example"})
    assert answer.status_code == 421


async def test_G2_the_rsa_key_has_2048_bits_and_signs_unless_a_client_chooses(server: Server) -> None:
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/oauth2/jwks")).json()).keys
    sizes = [key.key.key_size for key in keys if isinstance(key.key, rsa.RSAPublicKey)]
    assert sizes
    assert min(sizes) >= 2048
    tokens = await Browser(server).tokens()
    assert jwt.get_unverified_header(tokens["id_token"])["alg"] == "RS256"


async def test_G3_keys_are_named_apart_and_every_token_names_its_key() -> None:
    async with running(edit=changed("shop", userinfo_alg="ES256")) as server:
        keys = (await server.http.get("/oauth2/jwks")).json()["keys"]
        assert all(key.keys() >= {"kid", "kty", "use", "alg"} for key in keys)
        assert {key["use"] for key in keys} == {"sig"}
        kids = [key["kid"] for key in keys]
        assert len(set(kids)) == len(kids)
        browser = Browser(server)
        tokens = await browser.tokens()
        told = (await browser.userinfo(tokens["access_token"])).text
        for token in (tokens["id_token"], tokens["access_token"], told):
            assert jwt.get_unverified_header(token)["kid"] in kids


def basic(client_id: str, secret: str) -> str:
    return "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()


def redemption(code: str) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": SHOP_CALLBACK,
        "code_verifier": VERIFIER,
    }


async def test_G4_both_halves_of_basic_are_percent_decoded() -> None:
    async with running(edit=changed("shop", secret="p%ss w\u00f6rd+:&")) as server:
        code = await Browser(server).code()
        headers = {"authorization": basic("sh%6Fp", "p%25ss+w%C3%B6rd%2B%3A%26")}
        answer = await server.http.post("/oauth2/token", data=redemption(code), headers=headers)
        assert answer.status_code == 200


async def test_G4_two_methods_at_once_are_refused_and_cost_no_code(server: Server) -> None:
    browser = Browser(server)
    code = await browser.code()
    headers = {"authorization": basic("shop", "shop-secret")}
    both = await server.http.post(
        "/oauth2/token", data={**redemption(code), "client_secret": "shop-secret"}, headers=headers
    )
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    assert (await browser.redeem(code)).status_code == 200


async def test_G4_a_wrong_or_missing_secret_is_refused_with_a_challenge(server: Server) -> None:
    code = await Browser(server).code()
    for secret in ("", "wrong", "shop-secret "):
        headers = {"authorization": basic("shop", secret)}
        answer = await server.http.post("/oauth2/token", data=redemption(code), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"] == 'Basic realm="authsrv"'


async def test_G5_parameters_of_the_query_are_not_read(server: Server) -> None:
    code = await Browser(server).code()
    form = redemption(code) | {"client_id": "shop", "client_secret": "shop-secret"}
    without = {name: value for name, value in form.items() if name != "code"}
    in_query = await server.http.post("/oauth2/token", params={"code": code}, data=without)
    assert (in_query.status_code, in_query.json()["error"]) == (400, "invalid_request")
    as_well = await server.http.post("/oauth2/token", params={"code": "x", "client_id": "older"}, data=form)
    assert as_well.status_code == 200


async def test_G5_only_post_of_a_form_is_taken(server: Server) -> None:
    form = redemption("x") | {"client_id": "shop", "client_secret": "shop-secret"}
    got = await server.http.get("/oauth2/token", params=form)
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    assert (await server.http.post("/oauth2/token", json=form)).status_code == 415


@pytest.mark.parametrize("name", ["code", "redirect_uri", "grant_type", "client_id", "code_verifier", "client_secret"])
async def test_G5_a_repeated_parameter_is_refused(server: Server, name: str) -> None:
    browser = Browser(server)
    code = await browser.code()
    form = redemption(code) | {"client_id": "shop", "client_secret": "shop-secret"}
    doubled = {key: [value, value] if key == name else value for key, value in form.items()}
    answer = await server.http.post("/oauth2/token", data=doubled)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await browser.redeem(code)).status_code == 200


async def test_G6_token_answers_are_json_that_nobody_caches(server: Server) -> None:
    browser = Browser(server)
    code = await browser.code()
    answer = await browser.redeem(code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)


async def test_G6_no_two_values_are_alike_and_each_has_256_bits_of_chance(server: Server) -> None:
    browser = Browser(server)
    await browser.sign_in()
    codes = [(await browser.authorize()).answer["code"] for _ in range(20)]
    refresh = [(await browser.redeem(code)).json()["refresh_token"] for code in codes]
    for values in (codes, refresh):
        secrets = {value[-43:] for value in values}  # 43 characters of base64url after prefix and sealed id
        assert len(secrets) == 20
        assert all(re.fullmatch(r"as[cr]_[A-Za-z0-9_-]{65}", value) for value in values)


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no response type": ({"response_type": None}, "invalid_request"),
    "implicit": ({"response_type": "id_token token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "no PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "scope of nobody": ({"scope": "everything"}, "invalid_scope"),
    "scope that is none": ({"scope": 'openid "x"\\'}, "invalid_scope"),
    "audience of nobody": ({"audience": "https://api.example"}, "invalid_target"),
    "prompt of nobody": ({"prompt": "sudo"}, "invalid_request"),
    "mode of nobody": ({"response_mode": "web_message"}, "invalid_request"),
    "claims": ({"claims": "[]"}, "invalid_request"),
    "essential acr": ({"claims": '{"id_token":{"acr":{"essential":true,"values":["gold"]}}}'},
                      "unmet_authentication_requirements"),
    "silent": ({"prompt": "none"}, "login_required"),
    "request": ({"request": "x"}, "request_not_supported"),
    "nonce with a line break": ({"nonce": "a\r\nSet-Cookie: b=c"}, "invalid_request"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "error"), REFUSED.values(), ids=REFUSED)
async def test_G7_a_refusal_carries_code_state_and_issuer_in_plain_text_and_never_a_code(
    browser: Browser, changes: dict[str, str | None], error: str
) -> None:
    landed = await browser.authorize(**changes)
    assert landed.answer.keys() == {"error", "error_description", "state", "iss"}
    assert (landed.answer["error"], landed.answer["state"]) == (error, "af0ifjsldkj")
    assert (landed.answer["iss"], landed.answered_at) == (ISSUER, SHOP_CALLBACK)
    assert _DESCRIPTION.fullmatch(landed.answer["error_description"])


@pytest.mark.parametrize("state", ["\u00e6\u00f8\u00e5", "a b+c%20&=#?/", "<script>", '"\\'])
async def test_G7_the_state_comes_back_as_it_was_sent(browser: Browser, state: str) -> None:
    assert (await browser.authorize(state=state, response_type="token")).answer["state"] == state
    assert (await browser.sign_in(state=state)).answer["state"] == state


async def test_G7_a_state_of_control_characters_comes_back_too_but_not_by_a_form_that_would_change_it() -> None:
    async with running(edit=provider) as server:
        landed = await Browser(server).authorize(state="\r\n\t", response_type="token")
        assert landed.answer["state"] == "\r\n\t"
        posted = await Browser(server).authorize(state="\r\n\t", response_mode="form_post")
        assert (posted.answer["error"], posted.answer.get("state")) == ("invalid_request", None)


async def test_G7_without_a_state_none_comes_back(browser: Browser) -> None:
    assert list((await browser.sign_in(state=None)).answer) == ["code", "iss"]
    assert "state" not in (await browser.authorize(state=None, prompt="none", max_age="0")).answer


async def test_G7_the_token_endpoint_says_its_errors_in_plain_text(server: Server) -> None:
    for form in ({}, {"grant_type": 'a"\\\r\n\u00e9'}, {"grant_type": "refresh_token", "client_id": "launcher"}):
        answer = await server.http.post("/oauth2/token", data=form)
        assert _DESCRIPTION.fullmatch(answer.json()["error_description"])


UNTRUSTED: dict[str, dict[str, str | None]] = {
    "no client": {"client_id": None},
    "unknown client": {"client_id": "nobody"},
    "client of another surface": {"client_id": "40"},
    "client without players": {"client_id": "backend"},
    "no redirect URI": {"redirect_uri": None},
    "another client's redirect URI": {"redirect_uri": PARTNER},
    "unregistered redirect URI": {"redirect_uri": "https://evil.example/"},
}


@pytest.mark.parametrize("changes", UNTRUSTED.values(), ids=UNTRUSTED)
async def test_G8_before_client_and_address_are_trusted_there_is_a_page_and_no_redirect(
    browser: Browser, changes: dict[str, str | None]
) -> None:
    await browser.sign_in()
    for more in ({}, {"response_type": "token"}, {"scope": "everything"}, {"prompt": "none"}):
        page = await browser.authorize(**changes, **more)
        assert (page.status, page.answer) == (400, {})
        assert "location" not in page.headers
        assert 'id="reference"' in page.html


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_G8_two_clients_or_addresses_are_neither(server: Server, name: str) -> None:
    sent = {key: value for key, value in Browser(server).request.items() if value is not None}
    answer = await server.http.get("/oauth2/authorize", params=sent | {name: [sent[name], sent[name]]})
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.parametrize(
    "uri",
    [
        SHOP_CALLBACK.replace("8080", "8081"),
        SHOP_CALLBACK.replace("127.0.0.1", "localhost"),
        SHOP_CALLBACK + "#",
        SHOP_CALLBACK + "%20",
        SHOP_CALLBACK.replace("/demo", "/DEMO"),
        SHOP_CALLBACK.replace("/demo", "/x/../demo"),
        SHOP_CALLBACK.replace("//127", "//user@127"),
    ],
)
async def test_G9_redirect_uris_are_compared_byte_by_byte(server: Server, uri: str) -> None:
    assert (await Browser(server).authorize(redirect_uri=uri)).status == 400


async def test_G10_a_form_is_answered_by_303(server: Server) -> None:
    browser = Browser(server)
    form, _ = (await browser.authorize()).find("sign-in-steam")
    assert (await browser.post("/login/steam", form.fields)).status_code == 303
    assert (await browser.post("/login", {**form.fields, "decision": "cancel"})).status_code == 303
    await browser.sign_in()
    sent = {name: value for name, value in browser.request.items() if value is not None}
    assert (await browser.post("/oauth2/authorize", sent)).status_code == 303
    form, _ = (await browser.open("/oauth2/logout")).find("yes")
    assert (await browser.post("/oauth2/logout/confirm", {**form.fields, "decision": "no"})).status_code == 303


async def test_G11_a_code_dies_after_its_minute(server: Server) -> None:
    browser = Browser(server)
    in_time, too_late = await browser.code(), (await browser.authorize()).answer["code"]
    server.clock.now += 59
    assert (await browser.redeem(in_time)).status_code == 200
    server.clock.now += 1
    assert (await browser.redeem(too_late)).json()["error"] == "invalid_grant"


async def test_G11_a_code_is_bound_to_client_address_and_verifier(server: Server) -> None:
    browser = Browser(server)
    code = await browser.code()
    other = {"client_id": "older", "client_secret": "older-secret"}
    for changes in (other, {"redirect_uri": PARTNER}, {"redirect_uri": None}, {"code_verifier": "x" * 43}):
        assert (await browser.redeem(code, **changes)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(code)).status_code == 200


async def test_G11_a_used_code_is_known_long_after_it_expired_sweeping_or_not(server: Server) -> None:
    browser = Browser(server)
    code = await browser.code(scope="openid")
    tokens = (await browser.redeem(code)).json()
    server.clock.now += 600
    await server.app.storage.sweep(int(server.clock.now), 1000)
    assert (await browser.userinfo(tokens["access_token"])).status_code == 200
    assert (await browser.redeem(code)).json()["error"] == "invalid_grant"
    assert (await browser.userinfo(tokens["access_token"])).status_code == 401


async def test_G12_unknown_scopes_are_left_out_unless_nothing_remains(browser: Browser) -> None:
    tokens = await browser.tokens(scope="openid launch:missiles profile")
    assert tokens["scope"] == "openid profile"
    assert (await browser.authorize(scope="launch:missiles")).answer["error"] == "invalid_scope"


async def test_G12_unknown_parameters_are_ignored_however_broken(server: Server) -> None:
    browser = Browser(server)
    sent = "&".join(f"{name}={encoded(value)}" for name, value in browser.request.items() if value)
    answer = await server.http.get(f"/oauth2/authorize?{sent}&x=1&x=2&y=%ff&%zz&z=%00")
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{ISSUER}/login?request=")


def encoded(text: str) -> str:
    """A query's value; what the shop sends needs no more than this."""
    return text.replace(" ", "+").replace(":", "%3A").replace("/", "%2F")


def names(page: Page) -> list[tuple[str, str, str]]:
    return [(button.id, button.name, button.value) for form in page.forms for button in form.buttons]


async def test_G13_pages_are_plain_forms_with_stable_names(server: Server) -> None:
    browser = from_partner(Browser(server))
    page = await browser.authorize()
    assert names(page) == [
        ("sign-in-steam", "", ""),
        ("sign-in-xbox", "", ""),
        ("sign-in-epicgames", "", ""),
        ("cancel", "decision", "cancel"),
    ]
    consent = await browser.prove(page)
    assert names(consent) == [
        ("allow", "decision", "allow"),
        ("deny", "decision", "deny"),
        ("switch", "decision", "switch"),
    ]
    choice = await browser.authorize(prompt="select_account")
    assert names(choice) == [
        ("continue", "decision", "continue"),
        ("switch", "decision", "switch"),
        ("cancel", "decision", "cancel"),
    ]
    for shown in (page, consent, choice):
        (form,) = shown.forms
        assert form.method == "post"
        assert {"request", "csrf"} <= form.fields.keys() <= {"request", "csrf", "session"}
        assert "<script" not in shown.html


async def test_G13_pages_say_who_asks_and_link_its_policy_and_terms(server: Server) -> None:
    browser = from_partner(Browser(server))
    login = await browser.authorize()
    consent = await browser.prove(login)
    for page in (login, consent):
        assert "<bdi>Partner web site</bdi>" in page.html
        assert 'href="https://partner.example/policy"' in page.html
        assert 'href="https://partner.example/terms"' in page.html
    assert "partner.example" in consent.html


@pytest.mark.parametrize("step", ["login", "select_account", "consent"])
async def test_G13_every_question_can_be_cancelled(browser: Browser, step: str) -> None:
    await browser.sign_in()
    page = await browser.authorize(prompt=step)
    landed = await browser.press(page, "deny" if step == "consent" else "cancel")
    assert (landed.answer["error"], landed.answer["state"]) == ("access_denied", "af0ifjsldkj")
    assert (await browser.open(page.url)).answer == {}


async def test_G13_a_sign_in_cancelled_at_the_platform_goes_back_to_the_client(browser: Browser) -> None:
    landed = await browser.prove(await browser.authorize(), case="openid-cancelled")
    assert landed.answer["error"] == "access_denied"


@pytest.mark.parametrize("outage", ["connect_failure", "timeout", "server_error", "garbage"])
async def test_G15_a_platform_that_does_not_answer_is_said_on_a_page_and_may_be_tried_again(
    server: Server, outage: Any
) -> None:
    browser = Browser(server)
    page = await browser.authorize()
    server.outbounds["steam"].outage = outage
    failed = await browser.prove(page)
    assert failed.status == 503
    assert 'id="reference"' in failed.html
    server.outbounds["steam"].outage = None
    assert "code" in (await browser.prove(await browser.open(page.url))).answer


async def test_G16_browsers_stay_with_https(studio: Server) -> None:
    for path in ("/oauth2/authorize", "/oauth2/token", "/login", "/.well-known/openid-configuration", "/nowhere"):
        answer = await studio.http.get(path)
        assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    browser = Browser(studio)
    answer = await browser.get("/oauth2/authorize", **browser.request)
    assert answer.headers["set-cookie"].startswith("__Host-authsrv_sid=")
    assert answer.headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


CORS = {
    "/.well-known/openid-configuration": "*",
    "/.well-known/oauth-authorization-server": "*",
    "/oauth2/jwks": "*",
    "/oauth2/token": "https://play.example",
    "/oauth2/userinfo": "https://play.example",
    "/oauth2/authorize": None,
    "/oauth2/logout": None,
    "/login": None,
}


@pytest.mark.parametrize(("path", "allowed"), CORS.items())
async def test_G16_scripts_of_other_sites_read_what_is_for_them_and_never_the_authorization_endpoint(
    path: str, allowed: str | None
) -> None:
    async with running(edit=changed("spa", cors_origins=["https://play.example"])) as server:
        for origin, expected in (("https://play.example", allowed), ("https://evil.example", "*")):
            answer = await server.http.get(path, headers={"origin": origin})
            shown = answer.headers.get("access-control-allow-origin")
            assert shown == (expected if allowed == "*" or origin == "https://play.example" else None)
            assert "access-control-allow-credentials" not in answer.headers


async def test_G16_a_public_client_in_a_browser_reads_its_tokens() -> None:
    origin = {"origin": "https://play.example"}
    callback = "https://play.example/callback"
    async with running(edit=changed("spa", cors_origins=["https://play.example"], redirect_uris=[callback])) as server:
        browser = Browser(server).sent_by("spa", callback)
        code = await browser.code()
        form = redemption(code) | {"client_id": "spa", "redirect_uri": callback}
        answer = await server.http.post("/oauth2/token", data=form, headers=origin)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://play.example")
        bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
        told = await server.http.get("/oauth2/userinfo", headers=origin | bearer)
        assert (told.status_code, told.headers["access-control-allow-origin"]) == (200, "https://play.example")


def told_of(client: dict[str, Any], client_id: str = "shop") -> str:
    """What the self-check says of a configuration with this one client."""
    block = {
        "issuer": STUDIO,
        "dev": True,
        "database": {"url": "memory://"},
        "projects": {"demo": {"clients": {client_id: client}}},
    }
    return conformance_report(Config.model_validate(block))


SOUND = {"secret": "s" * 32, "redirect_uris": ["https://shop.example/callback"]}
BEARER = "its access tokens are bearer tokens, not bound to a key"
NOT_PUSHED = "its authorization requests are not pushed (PAR)"
SECRET = "it authenticates by a secret, not by private_key_jwt or mTLS"


@pytest.mark.parametrize(
    ("changes", "oauth_21", "fapi_2"),
    [
        pytest.param(
            {}, "conforms", f"no; {SECRET}; {BEARER}; {NOT_PUSHED}; its id_tokens are signed by RS256", id="sound"
        ),
        pytest.param(
            {"pkce": "optional", "id_token_alg": "ES256", "access_token_alg": "RS256"},
            "no; PKCE is optional",
            f"no; {SECRET}; {BEARER}; {NOT_PUSHED}; PKCE is optional; its access tokens are signed by RS256",
            id="without PKCE",
        ),
        pytest.param(
            {"secret": None, "id_token_alg": "ES256"},
            "conforms",
            f"no; it is a public client; {BEARER}; {NOT_PUSHED}",
            id="public",
        ),
        pytest.param(
            {"type": "server", "redirect_uris": []}, "conforms", f"no; {SECRET}; {BEARER}", id="without players"
        ),
    ],
)
def test_G17_the_self_check_says_how_a_client_stands(changes: dict[str, Any], oauth_21: str, fapi_2: str) -> None:
    assert told_of(SOUND | changes) == f"shop\n  OAuth 2.1: {oauth_21}\n  FAPI 2.0:  {fapi_2}"


def test_G17_what_the_xsolla_profile_loosens_is_told() -> None:
    redirects = ["http://localhost:3000/blank", "app://xlogin.studio"]
    told = told_of({"compat": "xsolla", "native": True, "redirect_uris": redirects, "extra_scopes": "*"}, "40")
    assert told.splitlines()[1] == (
        "  OAuth 2.1: no; PKCE is optional; a redirect URI names localhost; a private scheme has no dot; "
        "any scope is granted"
    )


def test_G17_every_client_of_the_file_is_reported_in_its_order() -> None:
    config = Config.model_validate(demo_config(emulators(lambda: 0.0), "memory://"))
    headings = [line for line in conformance_report(config).splitlines() if line and not line.startswith(" ")]
    assert headings == list(config.clients())


def test_G17_a_file_without_clients_is_told_so() -> None:
    config = Config.model_validate({"issuer": STUDIO, "database": {"url": "memory://"}})
    assert conformance_report(config) == "The configuration has no clients."
