"""Games on the SDKs for Unity, Unreal and iOS, from the first login to the logout: what they send and how they read."""

from base64 import b64encode
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.browser import Browser
from tests.support.ending import Block
from tests.support.refusals import clients
from tests.support.server import Server, running
from tests.support.xsolla_sdks import LOOPBACK, UNITY_DEFAULT, Ios, Sdk, SdkError, Unity, Unreal

CLIENT_ID = 57
SDKS = {"Unity": Unity, "Unreal": Unreal, "iOS": Ios}
EXPIRED_TOKEN = "010-017"


def edit(block: Block) -> None:
    clients(block)[str(CLIENT_ID)] = {
        "name": "A game on an Xsolla SDK",
        "type": "public",
        "compat": "xsolla",
        "redirect_uris": [UNITY_DEFAULT, LOOPBACK],
        "scopes": ["openid", "offline"],
    }


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture(params=SDKS)
def game(request: pytest.FixtureRequest, server: Server) -> Unity | Unreal:
    found: Unity | Unreal = SDKS[request.param](server, CLIENT_ID)
    return found


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def log_in_silently(game: Unity | Unreal) -> None:
    minted = game.server.mint("steam")
    await game.log_in_silently(minted.text, minted.parameters["app_id"])


async def told(game: Sdk) -> str:
    """The code of the error that the game is told when it asks for its player."""
    with pytest.raises(SdkError) as refused:
        await game.me()
    return refused.value.code


async def test_a_game_signs_in_plays_on_and_signs_out(game: Unity | Unreal, browser: Browser) -> None:
    await game.log_in(browser, "amber")
    me = await game.me()
    assert me["nickname"] == "Amber"
    assert me["id"] == game.server.claims(game.access_token)["sub"]
    first = dict(game.tokens)
    game.server.clock.now += 3600
    assert await told(game) == EXPIRED_TOKEN
    await game.refresh(UNITY_DEFAULT)
    assert game.tokens["refresh_token"] not in {"", first["refresh_token"]}
    assert (await game.me())["id"] == me["id"]
    await game.logout()
    assert await told(game) == EXPIRED_TOKEN
    with pytest.raises(SdkError) as refused:
        await game.refresh(UNITY_DEFAULT)
    assert refused.value.code == "010-023"
    game.server.clock.now += 1
    await game.log_in(browser, "amber")
    assert (await game.me())["id"] == me["id"]


async def test_a_game_logs_in_silently_and_is_the_same_player(game: Unity | Unreal, browser: Browser) -> None:
    await log_in_silently(game)
    silent = await game.me()
    assert game.server.claims(game.access_token)["is_cross_auth"] is True
    await game.log_in(browser, "amber")
    assert (await game.me())["id"] == silent["id"]
    assert "is_cross_auth" not in game.server.claims(game.access_token)
    await game.logout()
    assert await told(game) == EXPIRED_TOKEN


async def test_a_ticket_in_base64_may_hold_a_plus_that_nobody_encodes(game: Unity | Unreal) -> None:
    minted = game.server.mint("steam")
    while "+" not in b64encode(bytes.fromhex(minted.text)).decode():
        minted = game.server.mint("steam")
    ticket = b64encode(bytes.fromhex(minted.text)).decode()
    await game.log_in_silently(ticket, minted.parameters["app_id"])
    assert (await game.me())["nickname"] == "Amber"


@pytest.mark.parametrize(
    ("case", "code"),
    [("openid-cancelled", "010-015"), ("openid-forged", "010-015"), ("openid-check-503", "004-001")],
)
async def test_a_game_is_told_why_a_sign_in_failed(
    game: Unity | Unreal, browser: Browser, case: str, code: str
) -> None:
    with pytest.raises(SdkError) as refused:
        await game.log_in(browser, "amber", case=case)
    assert refused.value.code == code


async def test_a_game_is_told_why_a_ticket_was_refused(game: Unity | Unreal) -> None:
    minted = game.server.mint("steam", case="banned")
    with pytest.raises(SdkError) as refused:
        await game.log_in_silently(minted.text, minted.parameters["app_id"])
    assert refused.value.code == "010-015"


async def test_a_game_that_is_misconfigured_is_told_so(game: Unity | Unreal) -> None:
    game.client_id = 58
    with pytest.raises(SdkError) as refused:
        await log_in_silently(game)
    assert refused.value.code == "003-061"


async def test_unreal_listens_on_another_port_when_its_own_is_taken(server: Server, browser: Browser) -> None:
    game = Unreal(server, CLIENT_ID, port=50123)
    await game.log_in(browser, "amber")
    await game.refresh(UNITY_DEFAULT)
    assert (await game.me())["nickname"] == "Amber"


async def test_without_offline_there_is_no_refresh_token_and_the_answer_is_understood(server: Server) -> None:
    game = Unreal(server, CLIENT_ID)
    await log_in_silently(game)
    assert game.tokens["refresh_token"] == ""
    unity = Unity(server, CLIENT_ID)
    await log_in_silently(unity)
    assert unity.tokens["refresh_token"] != ""


async def test_a_token_that_is_kept_is_verified_by_asking_for_its_player(server: Server) -> None:
    game = Unreal(server, CLIENT_ID)
    await log_in_silently(game)
    kept = game.access_token
    again = Unreal(server, CLIENT_ID, tokens={"access_token": kept})
    assert (await again.me())["id"] == server.claims(kept)["sub"]
    again.tokens = {"access_token": kept[:-4] + "AAAA"}
    assert await told(again) == EXPIRED_TOKEN


async def test_nothing_that_sdks_send_is_in_the_access_log(server: Server, browser: Browser) -> None:
    game = Unreal(server, CLIENT_ID)
    await log_in_silently(game)
    await game.log_in(browser, "amber")
    await game.me()
    await game.logout()
    secrets = [game.access_token, game.tokens["refresh_token"], "xsollatest", "session_ticket", "code=", "request="]
    lines = [str(event) for event in server.events]
    assert any("/api/oauth2/social/{provider}/login_url" in line for line in lines)
    assert not [line for line in lines for secret in secrets if secret in line]


async def test_an_address_for_the_browser_is_none_for_the_game(server: Server, browser: Browser) -> None:
    asked = {"client_id": str(CLIENT_ID), "response_type": "code", "state": "xsollatest", "redirect_uri": LOOPBACK}
    found = (await server.http.get("/api/oauth2/social/steam/login_url", params=asked)).json()["url"]
    opened_by_the_game = await server.http.get(found.removeprefix(browser.issuer))
    assert opened_by_the_game.status_code == httpx.codes.FOUND
    server.http.cookies.clear()
    assert (await browser.open(found.removeprefix(browser.issuer))).status == httpx.codes.BAD_REQUEST
