"""Rows A01 to A29 of the security checklist at the real endpoint: what is shown, what is redirected, what is stored."""

import json
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.support.browser import SHOP_CALLBACK, Browser, shop_request
from tests.support.refusals import clients, counts, page, refused, tables, told_at
from tests.support.server import CALLBACK, CHALLENGE, Server, running
from tests.support.wire import FORM, Answer, ask

EVIL = "https://evil.test/cb"
TWO_CALLBACKS = [f"http://127.0.0.1:{port}/demo/callback" for port in (8080, 9090)]


def edit(block: dict[str, object]) -> None:
    found = clients(block)
    found["shop"]["redirect_uris"] = [*TWO_CALLBACKS, "https://shop.example/cb?from=login"]
    found["shop"]["scopes"] = ["openid", "profile", "offline"]
    found["lax"] = {**found["shop"], "name": "Lax shop", "pkce": "optional"}
    found["strict"] = {**found["shop"], "name": "Strict shop", "state": "required"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def asked(browser: Browser, **changes: str | None) -> httpx.Response:
    """An authorization request of the shop with changes; whatever it leads to must leave nothing behind."""
    before = counts(browser.server)
    answer = await browser.get("/oauth2/authorize", **(shop_request() | changes))
    assert counts(browser.server) == before
    assert browser.cookies == {}
    return answer


async def asked_raw(server: Server, changes: Mapping[str, str] | str) -> Answer:
    """As `asked`, with the query's bytes as given: `changes` replace or add encoded values, a text is added whole."""
    before = counts(server)
    fixed = {name: quote(str(value), safe="") for name, value in shop_request().items()}
    added = changes if isinstance(changes, str) else ""
    fixed |= {} if isinstance(changes, str) else changes
    query = "&".join(f"{name}={value}" for name, value in fixed.items()) + added
    answer = await ask(server.app, "GET", b"/oauth2/authorize?" + query.encode("latin-1"))
    assert counts(server) == before
    return answer


BAD_REDIRECTS = {
    "A01 unregistered": EVIL,
    "A01 the other client's": "http://127.0.0.1/callback",
    "A02 slash at the end": SHOP_CALLBACK + "/",
    "A02 added query": SHOP_CALLBACK + "?a=b",
    "A02 empty query": SHOP_CALLBACK + "?",
    "A02 case of the path": "http://127.0.0.1:8080/demo/Callback",
    "A02 case of the scheme": "HTTP://127.0.0.1:8080/demo/callback",
    "A02 dot segments": "http://127.0.0.1:8080/demo/%2e%2e/demo/callback",
    "A02 path parameter": SHOP_CALLBACK + ";x",
    "A02 other port": "http://127.0.0.1:8081/demo/callback",
    "A02 default port": "https://shop.example:443/cb?from=login",
    "A02 a registered query left out": "https://shop.example/cb",
    "A02 a registered query and more": "https://shop.example/cb?from=login&a=b",
    "A03 user name": "http://127.0.0.1:8080@evil.test/demo/callback",
    "A03 user name and port": "http://localhost:80@evil.test/cb",
    "A04 without slashes": "https:evil.test",
    "A04 backslashes": "https:\\\\evil.test",
    "A04 without scheme": "//evil.test/cb",
    "A04 tab": "http://127.0.0.1:8080/demo/\tcallback",
    "A04 line break": SHOP_CALLBACK + "\n",
    "A04 space before": " " + SHOP_CALLBACK,
    "A04 look-alike": "https://sh\u043ep.example/cb?from=login",
    "A07 left out": None,
    "A07 empty": "",
    "A08 fragment": SHOP_CALLBACK + "#x",
    "A09 javascript": "javascript:alert(1)",
    "A09 data": "data:text/html,<script>alert(1)</script>",
    "A09 file": "file:///etc/passwd",
    "A11 a name like loopback": "http://127.0.0.1.evil.test:8080/demo/callback",
    "A11 short loopback": "http://127.1:8080/demo/callback",
    "A11 any address": "http://0.0.0.0:8080/demo/callback",
    "A11 localhost": "http://localhost:8080/demo/callback",
}
FAULTS_BESIDE: dict[str, dict[str, str | None]] = {
    "good": {},
    "A05 response_type": {"response_type": "token"},
    "A05 no response_type": {"response_type": None},
    "A06 scope": {"scope": "nothing"},
    "A06 hybrid": {"response_type": "code id_token", "scope": None},
    "A09 form_post": {"response_mode": "form_post"},
    "A25 prompt": {"prompt": "none"},
    "A28 request object": {"request": "e30.e30."},
    "A28 request_uri": {"request_uri": "http://169.254.169.254/"},
}


@pytest.mark.parametrize("uri", BAD_REDIRECTS.values(), ids=BAD_REDIRECTS.keys())
async def test_A01_A02_A03_A04_A07_A08_A09_A11_no_answer_goes_to_an_address_that_is_not_registered(
    browser: Browser, uri: str | None
) -> None:
    html = page(await asked(browser, redirect_uri=uri))
    assert '<code id="parameter">redirect_uri</code>' in html
    assert not uri or uri not in html


@pytest.mark.parametrize("fault", FAULTS_BESIDE.values(), ids=FAULTS_BESIDE.keys())
async def test_A05_A06_A28_no_other_fault_is_answered_before_the_redirect_uri_is_known_to_be_good(
    browser: Browser, fault: dict[str, str | None]
) -> None:
    page(await asked(browser, redirect_uri=EVIL, **fault))
    page(await asked(browser, client_id="nobody", redirect_uri=EVIL, **fault))


async def test_A11_a_native_client_varies_the_port_and_nothing_else(browser: Browser) -> None:
    varied = {"http://127.0.0.1:51004/callback": True, "http://[::1]:51004/callback": False}
    varied |= {"http://localhost:51004/callback": False, "http://127.0.0.1:51004/other": False}
    varied |= {"http://127.0.0.1:51004/callback?a=b": False, "http://127.0.0.1:/callback": False}
    for uri, good in varied.items():
        answer = await browser.get(
            "/oauth2/authorize", **(shop_request() | {"client_id": "launcher", "redirect_uri": uri})
        )
        assert (answer.status_code == 302) is good, uri
        assert good or page(answer)


@pytest.mark.parametrize("name", ["redirect_uri", "client_id"])
async def test_A13_duplicate_parameters_that_decide_where_the_answer_goes_are_shown(server: Server, name: str) -> None:
    for second in (shop_request()[name], EVIL, ""):
        answer = await asked_raw(server, f"&{name}={quote(str(second), safe='')}")
        assert (answer.status, answer.location) == (400, "")


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("scope", "scope"),
        ("nonce", "nonce"),
        ("code_challenge", "code_challenge"),
        ("code_challenge", "code%5Fchallenge"),
        ("code_challenge_method", "code_challenge_method"),
        ("response_type", "response_type"),
        ("prompt", "prompt=login&prompt"),
        ("max_age", "max_age=1&max_age"),
        ("claims", "claims=%7B%7D&claims"),
        ("id_token_hint", "id_token_hint=a&id_token_hint"),
    ],
)
async def test_A13_duplicate_parameters_are_refused_without_choosing_one(server: Server, name: str, spelt: str) -> None:
    answer = await asked_raw(server, f"&{spelt}={quote(str(shop_request().get(name) or 'x'), safe='')}")
    place, told = told_at(answer.location)
    assert (place, told["error"], told["state"]) == (SHOP_CALLBACK, "invalid_request", "af0ifjsldkj")


@pytest.mark.parametrize(
    "spelt", ["&state=af0ifjsldkj", "&state=other", "&state=", "&st%61te=x", "&response_mode=a&response_mode=b"]
)
async def test_A13_duplicate_parameters_that_decide_how_the_answer_is_given_choose_nothing(
    server: Server, spelt: str
) -> None:
    _, told = told_at((await asked_raw(server, spelt)).location)
    assert told["error"] == "invalid_request"
    assert told.get("state") == (None if "st" in spelt[:4] else "af0ifjsldkj")


async def test_A13_a_parameter_in_the_query_of_a_POST_is_not_looked_at(server: Server) -> None:
    target = f"/oauth2/authorize?redirect_uri={quote(EVIL)}&state=other".encode()
    sent = urlencode({name: value for name, value in shop_request().items() if value}).encode()
    answer = await ask(server.app, "POST", target, FORM, sent)
    assert answer.status == 303
    (kept,) = tables(server).requests.values()
    assert json.loads(kept.parameters)["redirect_uri"] == SHOP_CALLBACK
    assert json.loads(kept.parameters)["state"] == "af0ifjsldkj"


UNUSABLE_CLIENTS = ["nobody", "", "40", "SHOP", "shop ", "shop\u0000", "s" * 256, "' OR 1=1 --"]


@pytest.mark.parametrize("client_id", UNUSABLE_CLIENTS)
async def test_A14_an_unknown_client_is_shown_and_one_of_the_other_surface_looks_the_same(
    browser: Browser, client_id: str
) -> None:
    html = page(await asked(browser, client_id=client_id))
    assert '<code id="parameter">client_id</code>' in html


async def test_A14_unknown_disabled_and_compatible_clients_get_the_same_page(browser: Browser) -> None:
    def without_reference(html: str) -> str:
        reference = html.partition('id="reference">')[2].partition("<")[0]
        nonce = html.partition('nonce="')[2].partition('"')[0]
        return html.replace(reference, "").replace(nonce, "")

    shown = {without_reference(page(await asked(browser, client_id=each))) for each in ("nobody", "40", "SHOP")}
    assert len(shown) == 1


async def test_A14_a_client_that_signs_no_players_in_is_shown(browser: Browser) -> None:
    page(await asked(browser, client_id="backend", redirect_uri=SHOP_CALLBACK))


NO_PKCE: dict[str, dict[str, str | None]] = {
    "A15 no challenge": {"code_challenge": None, "code_challenge_method": None},
    "A15 an empty challenge": {"code_challenge": ""},
    "A16 plain": {"code_challenge_method": "plain"},
    "A16 no method": {"code_challenge_method": None},
    "A16 unknown method": {"code_challenge_method": "S512"},
    "A16 case of the method": {"code_challenge_method": "s256"},
    "A16 method alone": {"code_challenge": None},
    "A17 42 characters": {"code_challenge": "a" * 42},
    "A17 129 characters": {"code_challenge": "a" * 129},
    "A17 base64": {"code_challenge": CHALLENGE[:-1] + "+"},
    "A17 padding": {"code_challenge": CHALLENGE + "="},
    "A17 line break": {"code_challenge": CHALLENGE + "\n"},
    "A17 not ASCII": {"code_challenge": CHALLENGE[:-1] + "\u00e9"},
    "A17 full-width": {"code_challenge": CHALLENGE[:-1] + "\uff11"},
}


@pytest.mark.parametrize("client_id", ["shop", "spa"])
@pytest.mark.parametrize("changes", NO_PKCE.values(), ids=NO_PKCE.keys())
async def test_A15_A16_A17_a_request_without_sound_PKCE_is_refused(
    browser: Browser, client_id: str, changes: dict[str, str | None]
) -> None:
    uri = {"shop": SHOP_CALLBACK, "spa": "http://127.0.0.1:8080/demo/spa"}[client_id]
    answer = await asked(browser, client_id=client_id, redirect_uri=uri, **changes)
    assert refused(answer, uri) == "invalid_request"


async def test_A15_a_confidential_client_may_be_exempt_by_its_own_setting_but_never_send_half_of_it(
    browser: Browser,
) -> None:
    without: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}
    for fault in ({"code_challenge_method": "plain"}, {"code_challenge": "a" * 42}, {"code_challenge": None}):
        assert refused(await asked(browser, client_id="lax", **fault)) == "invalid_request"
    answer = await browser.get("/oauth2/authorize", **(shop_request() | without | {"client_id": "lax"}))
    assert "/login?request=" in answer.headers["location"]


@pytest.mark.parametrize(
    ("response_type", "error"),
    [
        ("token", "unsupported_response_type"),
        ("id_token", "unsupported_response_type"),
        ("id_token token", "unsupported_response_type"),
        ("code id_token", "unsupported_response_type"),
        ("none", "unsupported_response_type"),
        ("code code", "unsupported_response_type"),
        ("CODE", "unsupported_response_type"),
        (" code", "unsupported_response_type"),
        ("", "invalid_request"),
        (None, "invalid_request"),
    ],
)
async def test_A18_only_the_code_flow_is_offered(browser: Browser, response_type: str | None, error: str) -> None:
    assert refused(await asked(browser, response_type=response_type)) == error


@pytest.mark.parametrize("mode", ["fragment", "web_message", "jwt", "form_post.jwt", "FORM_POST", "query "])
async def test_A20_E12_a_response_mode_that_is_not_granted_is_refused_in_the_query(browser: Browser, mode: str) -> None:
    assert refused(await asked(browser, response_mode=mode)) == "invalid_request"


async def test_A21_a_client_may_demand_a_state_and_none_is_ever_longer_than_512(browser: Browser) -> None:
    assert refused(await asked(browser, client_id="strict", state=None), state=None) == "invalid_request"
    assert refused(await asked(browser, client_id="strict", state=""), state=None) == "invalid_request"
    assert refused(await asked(browser, state="x" * 513), state=None) == "invalid_request"
    kept = await browser.get("/oauth2/authorize", **(shop_request() | {"state": "x" * 512}))
    assert "/login?request=" in kept.headers["location"]


HOSTILE_STATES = {
    "line ends": "a\r\nSet-Cookie: x=1\r\n\r\n<html>",
    "tab": "a\tb",
    "ampersand": "a&code=stolen&iss=https://evil.test",
    "hash": "a#b?c",
    "percent": "%0d%0a%2500",
    "plus and space": "a+b c",
    "markup": "<script>alert(1)</script>\"'",
    "beyond ASCII": "\u00e9\u4e2d\U0001f600\u202e",
    "invisible": "\u2028\u2029\ufeff",
}


@pytest.mark.parametrize("state", HOSTILE_STATES.values(), ids=HOSTILE_STATES.keys())
async def test_A22_a_state_comes_back_exactly_and_never_as_a_header_or_another_parameter(
    server: Server, state: str
) -> None:
    answer = await asked_raw(server, {"state": quote(state, safe=""), "response_type": "token"})
    (location,) = answer.all(b"location")
    assert b"\r" not in location
    assert b"\n" not in location
    assert answer.all(b"set-cookie") == []
    place, told = told_at(answer.location)
    assert (place, told["state"], told["error"]) == (SHOP_CALLBACK, state, "unsupported_response_type")
    assert told.keys() == {"error", "error_description", "state", "iss"}


async def test_A22_a_state_comes_back_exactly_with_the_code(browser: Browser) -> None:
    await browser.sign_in()
    for state in HOSTILE_STATES.values():
        landed = await browser.authorize(state=state)
        _, told = told_at(landed.url)
        assert told.keys() == {"code", "state", "iss"}
        assert told["state"] == state


@pytest.mark.parametrize("state", ["a%00b", "a%ffb", "a%c0%80b", "a%ed%a0%80b", "a%zzb", "x" * 6000], ids=ascii)
async def test_A22_A23_a_state_that_cannot_be_sent_back_is_refused_without_it(server: Server, state: str) -> None:
    _, told = told_at((await asked_raw(server, {"state": state})).location)
    assert told.keys() == {"error", "error_description", "iss"}
    assert told["error"] == "invalid_request"


async def test_A22_A29_a_request_line_that_is_too_long_is_a_page(server: Server) -> None:
    for name in ("state", "claims", "nonsense"):
        answer = await asked_raw(server, {name: "x" * 65536})
        assert (answer.status, answer.location) == (414, "")
        assert answer.one(b"cache-control") == "no-store"


BROKEN = ["%ff", "%c0%af", "%ed%a0%80", "%00", "a%0", "\xff"]


@pytest.mark.parametrize("broken", BROKEN, ids=ascii)
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_A23_broken_encodings_of_client_or_redirect_uri_are_shown(server: Server, name: str, broken: str) -> None:
    answer = await asked_raw(server, {name: quote(str(shop_request()[name]), safe="") + broken})
    assert (answer.status, answer.location) == (400, "")


@pytest.mark.parametrize("broken", BROKEN, ids=ascii)
@pytest.mark.parametrize("name", ["nonce", "scope", "claims", "prompt", "ui_locales", "login_hint", "audience"])
async def test_A23_broken_encodings_elsewhere_are_refused(server: Server, name: str, broken: str) -> None:
    place, told = told_at((await asked_raw(server, {name: "openid" + broken})).location)
    assert (place, told["error"], told["state"]) == (SHOP_CALLBACK, "invalid_request", "af0ifjsldkj")


UNKNOWN_SCOPES = ["OPENID", "admin", "match:join", "email", "openid;profile", "*"]
MALFORMED_SCOPES = ['"', "\\", "openid\u00a0email", "openid\tprofile", "openid\nprofile", "openid,\u00e9"]
MANY_SCOPES = " ".join(f"s{number}" for number in range(200))


@pytest.mark.parametrize("scope", [*UNKNOWN_SCOPES, " ", MANY_SCOPES], ids=lambda scope: scope[:8])
async def test_A24_A41_scopes_that_are_unknown_or_not_the_clients_are_refused_if_nothing_is_left(
    browser: Browser, scope: str
) -> None:
    assert refused(await asked(browser, scope=scope)) == "invalid_scope"


@pytest.mark.parametrize("scope", [*MALFORMED_SCOPES, MANY_SCOPES], ids=lambda scope: ascii(scope[:8]))
async def test_A24_what_is_no_list_of_scopes_is_refused_whatever_stands_beside_it(browser: Browser, scope: str) -> None:
    assert refused(await asked(browser, scope=f"openid {scope}")) == "invalid_scope"


async def test_A24_A41_beside_a_good_scope_they_are_dropped_and_no_token_has_them(browser: Browser) -> None:
    tokens = await browser.tokens(scope=" ".join(["openid", *UNKNOWN_SCOPES]))
    assert tokens["scope"] == "openid"
    assert browser.server.claims(tokens["access_token"])["scope"] == "openid"


async def test_A25_without_a_session_prompt_none_shows_no_page_and_goes_to_a_registered_address_only(
    browser: Browser,
) -> None:
    assert refused(await asked(browser, prompt="none")) == "login_required"
    page(await asked(browser, prompt="none", redirect_uri=EVIL))


async def test_A25_a_parked_request_with_prompt_none_shows_no_page_either(browser: Browser) -> None:
    answer = await browser.post_from_elsewhere("/oauth2/authorize", **(shop_request() | {"prompt": "none"}))
    landed = await browser.follow(answer)
    assert (landed.html, landed.query["error"]) == ("", "login_required")


@pytest.mark.parametrize("prompt", ["none login", "none none2", "login sudo", "NONE", "none\tlogin", "consent,login"])
async def test_A25_a_prompt_that_says_two_things_is_refused(browser: Browser, prompt: str) -> None:
    assert refused(await asked(browser, prompt=prompt)) == "invalid_request"


UNSUPPORTED = {
    "request": ("eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwudGVzdCJ9.", "request_not_supported"),
    "request_uri": ("http://169.254.169.254/", "request_uri_not_supported"),
    "registration": ('{"redirect_uris":["https://evil.test"]}', "registration_not_supported"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
async def test_A28_a_request_object_is_refused_and_nothing_is_fetched(browser: Browser, name: str) -> None:
    value, error = UNSUPPORTED[name]
    assert refused(await asked(browser, **{name: value})) == error
    assert refused(await asked(browser, **{name: value, "prompt": "none", "scope": None})) == error
    assert [request for out in browser.server.outbounds.values() for request in out.requests] == []


CLAIMS_BOMBS = {
    "nested lists": "[" * 8000,
    "nested objects": '{"a":' * 1600,
    "nested in its place": '{"id_token":{"sub":' + "[" * 7000,
    "too long": '{"userinfo":{"' + "x" * 8192 + '":null}}',
    "huge number": '{"id_token":{"a":' + "9" * 5000 + "}}",
    "no number": '{"id_token":{"a":NaN}}',
    "repeated member": '{"id_token":{},"id_token":{}}',
    "list": '["id_token"]',
    "text": '"id_token"',
    "list of claims": '{"id_token":["sub"]}',
    "odd player": '{"id_token":{"sub":{"value":7}}}',
    "NUL in the player": '{"id_token":{"sub":{"value":"a\\u0000b"}}}',
    "half a surrogate pair": '{"id_token":{"sub":{"value":"\\ud800"}}}',
}


@pytest.mark.parametrize("claims", CLAIMS_BOMBS.values(), ids=CLAIMS_BOMBS.keys())
async def test_A29_a_claims_parameter_that_is_a_bomb_or_nonsense_is_refused(browser: Browser, claims: str) -> None:
    assert refused(await asked(browser, claims=claims)) == "invalid_request"


async def test_A29_a_bomb_in_a_body_is_too_large(browser: Browser) -> None:
    before = counts(browser.server)
    page(await browser.post("/oauth2/authorize", {"claims": "[" * 1_000_000}), 413)
    assert counts(browser.server) == before


async def test_A36_a_native_or_public_client_without_https_is_asked_for_every_time(browser: Browser) -> None:
    browser.sent_by("launcher", CALLBACK)
    asked_for = await browser.sign_in()
    assert 'id="native"' in asked_for.html
    assert "code" in (await browser.press(asked_for, "allow")).query
    again = await browser.authorize()
    assert 'id="allow"' in again.html
    assert (await browser.authorize(prompt="none")).query["error"] == "consent_required"
