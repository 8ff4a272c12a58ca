"""Native clients (RFC 8252): loopback ports, private schemes, and why their players are asked every time."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.oidc.clients import clients_of, provider
from tests.support.browser import Browser, Page
from tests.support.server import CALLBACK, Server, running

PRIVATE = "com.example.game:/callback"
CLAIMED = "https://game.example/callback"
BY_ADDRESS = "http://[::1]/callback"
CONFIDENTIAL = "http://127.0.0.1/launcher"


def with_natives(block: dict[str, Any]) -> None:
    provider(block)
    clients_of(block)["game"] = {
        "name": "Mobile game",
        "type": "public",
        "native": True,
        "redirect_uris": [PRIVATE, CLAIMED, BY_ADDRESS],
    }
    clients_of(block)["kiosk"] = {
        "name": "Kiosk with a secret",
        "secret": "kiosk-secret",
        "native": True,
        "redirect_uris": [CONFIDENTIAL],
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_natives) as started:
        yield started


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


def asks(page: Page) -> bool:
    return page.status == 200 and any(button.value == "allow" for form in page.forms for button in form.buttons)


@pytest.mark.parametrize(
    "uri",
    [CALLBACK, CALLBACK.replace("0.1/", "0.1:51004/"), CALLBACK.replace("0.1/", "0.1:65535/")],
)
async def test_any_port_of_the_loopback_address_gets_the_code(browser: Browser, uri: str) -> None:
    landed = await browser.press(await browser.sent_by("launcher", uri).sign_in(), "allow")
    assert landed.answered_at == uri
    assert (await browser.redeem(landed.answer["code"])).status_code == 200


async def test_the_port_must_be_the_same_at_the_token_endpoint(browser: Browser) -> None:
    uri = "http://127.0.0.1:51004/callback"
    landed = await browser.press(await browser.sent_by("launcher", uri).sign_in(), "allow")
    for other in (CALLBACK, uri.replace("51004", "51005")):
        assert (await browser.redeem(landed.answer["code"], redirect_uri=other)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(landed.answer["code"])).status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:51004/callback",
        "http://127.0.0.2:51004/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:051004/callback",
        "http://127.0.0.1:51004/callback/",
        "http://127.0.0.1:51004/callback?x=1",
        "https://127.0.0.1:51004/callback",
    ],
)
async def test_nothing_but_the_port_may_differ(browser: Browser, uri: str) -> None:
    assert (await browser.sent_by("launcher", uri).authorize()).status == 400


async def test_a_client_that_is_not_native_has_no_other_port(browser: Browser) -> None:
    assert (await browser.authorize(redirect_uri="http://127.0.0.1:9999/demo/callback")).status == 400


@pytest.mark.parametrize("uri", [BY_ADDRESS, BY_ADDRESS.replace("]/", "]:51004/")])
async def test_the_loopback_address_of_ipv6_works_as_well(browser: Browser, uri: str) -> None:
    landed = await browser.press(await browser.sent_by("game", uri).sign_in(), "allow")
    assert landed.answered_at == uri


async def test_no_form_is_posted_to_a_private_scheme(browser: Browser) -> None:
    refused = await browser.sent_by("game", PRIVATE).authorize(response_mode="form_post")
    assert refused.url.startswith(f"{PRIVATE}?error=invalid_request")
    posted = await browser.sent_by("game", BY_ADDRESS).authorize(response_mode="form_post", prompt="none")
    assert posted.answer["error"] == "login_required"


async def test_a_private_scheme_gets_the_code_and_the_page_lets_the_browser_go_there(browser: Browser) -> None:
    page = await browser.sent_by("game", PRIVATE).sign_in()
    (action,) = [
        part.split()[1:]
        for part in page.headers["content-security-policy"].split("; ")
        if part.startswith("form-action")
    ]
    assert "com.example.game:" in action
    assert 'id="native"' in page.html
    landed = await browser.press(page, "allow")
    assert landed.url.startswith(f"{PRIVATE}?code=asc_")
    assert (landed.answer["state"], landed.answered_at) == ("af0ifjsldkj", PRIVATE)


@pytest.mark.parametrize(
    ("client_id", "uri", "secret"),
    [
        pytest.param("launcher", CALLBACK, None, id="loopback"),
        pytest.param("game", PRIVATE, None, id="private scheme"),
        pytest.param("kiosk", CONFIDENTIAL, "kiosk-secret", id="native with a secret"),
    ],
)
async def test_whoever_could_take_the_answer_in_its_place_is_asked_for_every_time(
    browser: Browser, client_id: str, uri: str, secret: str | None
) -> None:
    """RFC 8252 section 8.6."""
    browser.sent_by(client_id, uri, secret)
    await browser.press(await browser.sign_in(), "allow")
    for _ in range(2):
        page = await browser.authorize()
        assert asks(page)
        assert "code" in (await browser.press(page, "allow")).answer
        assert (await browser.authorize(prompt="none")).answer["error"] == "consent_required"


async def test_an_address_that_only_the_client_can_claim_is_not_asked_for(browser: Browser) -> None:
    assert "code" in (await browser.sent_by("game", CLAIMED).sign_in()).answer
    assert "code" in (await browser.authorize(prompt="none")).answer
