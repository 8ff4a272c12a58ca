"""`GET /api/oauth2/logout`: what ends with the browser's session alone, what with everything, and who may order it."""

from collections.abc import AsyncIterator
from unittest.mock import AsyncMock, patch

import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import TOKEN_EXCHANGE, IdentityKey
from authsrv.storage.account_changes import MergePlayers, MoveIdentity
from tests.support.browser import Browser
from tests.support.ending import Block, down, feed, is_active, refused_offline, with_everybody
from tests.support.exchange import ACCESS_TOKEN
from tests.support.refusals import clients
from tests.support.server import Server, running
from tests.support.xsolla import BLANK, Game, Refusal, change_player, player_id, redeemed, refusal

SHOP_HEARS = "https://shop.example/backchannel"
INVALID: Refusal = (401, "010-017", {})
both = pytest.mark.parametrize("sessions", ["sso", "all"])


def edit(block: Block) -> None:
    with_everybody(block)
    found = clients(block)
    found["40"] |= {"grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE], "exchange_from": ["launcher"]}
    found["41"] = {"compat": "xsolla", "type": "server", "secret": "forty-one-secret"}
    found["46"] = {**found["40"], "first_party": False, "name": "Somebody's game"}
    found["shop"] |= {"backchannel_logout_uri": SHOP_HEARS}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


@pytest.fixture
def game(server: Server) -> Game:
    return Game(server)


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def end(game: Game, access_token: str, sessions: str | None = None) -> None:
    answer = await game.logout(access_token, sessions)
    assert (answer.status_code, answer.content) == (204, b""), answer.text


async def is_signed_in(browser: Browser) -> bool:
    """Whether the browser has a session, as a client that must not ask finds out."""
    told = (await browser.authorize(prompt="none")).answer
    return told.get("error") != "login_required"


async def works(game: Game, token: str) -> bool:
    answer = await game.me(token)
    assert answer.status_code == 200 or refusal(answer) == INVALID
    return answer.status_code == 200


async def told_to_clients(server: Server) -> list[str]:
    await server.app.notices.round()
    return [url for url, _ in server.notified.got]


# --- the browser's session ---


@pytest.mark.parametrize("scope", ["offline", None], ids=["with offline", "without"])
async def test_sso_ends_the_session_that_the_token_came_from_and_no_token(
    game: Game, browser: Browser, scope: str | None
) -> None:
    tokens = await game.browser_tokens(browser, scope=scope)
    assert await is_signed_in(browser)
    await end(game, tokens["access_token"], "sso")
    assert not await is_signed_in(browser)
    assert await works(game, tokens["access_token"])
    assert not await refused_offline(game.server, tokens["access_token"])
    if scope:
        assert await works(game, redeemed(await game.refresh(tokens["refresh_token"]))["access_token"])


async def test_sso_leaves_the_players_other_browsers(game: Game, server: Server) -> None:
    here, there = Browser(server), Browser(server)
    tokens = await game.browser_tokens(here)
    await game.browser_tokens(there)
    await end(game, tokens["access_token"], "sso")
    assert (await is_signed_in(here), await is_signed_in(there)) == (False, True)


async def test_sso_leaves_whoever_signed_in_in_the_browser_since(game: Game, browser: Browser) -> None:
    tokens = await game.browser_tokens(browser)
    await game.browser_tokens(browser, "birch")
    await end(game, tokens["access_token"], "sso")
    assert await is_signed_in(browser)


async def test_sso_ends_no_session_for_a_token_of_a_silent_login(game: Game, browser: Browser) -> None:
    await game.browser_tokens(browser)
    await end(game, await game.access_token(), "sso")
    assert await is_signed_in(browser)


async def test_what_others_were_given_for_the_session_alone_ends_with_it(game: Game, browser: Browser) -> None:
    tokens = await game.browser_tokens(browser)
    shop = await browser.tokens_at_once(scope="openid")
    await end(game, tokens["access_token"], "sso")
    assert not await is_active(game.server, shop["access_token"])


# --- everything ---


@pytest.mark.parametrize("sessions", [None, "", "all"])
async def test_all_ends_every_session_and_voids_every_token(server: Server, game: Game, sessions: str | None) -> None:
    here, there = Browser(server), Browser(server)
    tokens, elsewhere = await game.browser_tokens(here), await game.browser_tokens(there)
    silent, standard = await game.tokens(), await server.login("steam")
    await end(game, tokens["access_token"], sessions)
    assert not await is_signed_in(here)
    assert not await is_signed_in(there)
    for each in (tokens, elsewhere, silent):
        assert not await works(game, each["access_token"])
        assert refusal(await game.refresh(each["refresh_token"])) == (400, "010-023", {})
        assert await refused_offline(server, each["access_token"])
    assert not await is_active(server, standard["access_token"])
    assert (await server.refresh(standard["refresh_token"])).json()["error"] == "invalid_grant"


async def test_all_ends_a_session_that_began_while_the_others_were_looked_for(
    server: Server, game: Game, browser: Browser
) -> None:
    tokens = await game.browser_tokens(browser)
    with patch.object(server.app.storage, "load_player_sessions", AsyncMock(return_value=())):
        await end(game, tokens["access_token"], "all")
    assert not await is_signed_in(browser)


async def test_all_ends_a_code_that_was_not_redeemed_yet(game: Game) -> None:
    code = await game.code()
    await end(game, await game.access_token())
    assert refusal(await game.redeem(code)) == (400, "010-023", {})


async def test_all_is_about_one_player(server: Server, game: Game, browser: Browser) -> None:
    birch = await game.browser_tokens(browser, "birch")
    await end(game, await game.access_token())
    assert await is_signed_in(browser)
    assert await works(game, birch["access_token"])


async def test_after_all_the_player_may_come_back(server: Server, game: Game) -> None:
    await end(game, await game.access_token())
    server.clock.now += 1
    assert await works(game, await game.access_token())


async def test_all_reaches_tokens_in_the_name_of_an_account_that_was_merged(server: Server, game: Game) -> None:
    old, new = await game.access_token(player="birch"), await game.access_token()
    loser, survivor = await player_id(server, "birch"), await player_id(server)
    birch = IdentityKey("demo", "steam", "", PLAYERS["birch"].steam_id)
    await change_player(server, MoveIdentity(birch, loser, survivor, 1), MergePlayers(loser, survivor))
    assert await works(game, old)
    await end(game, new)
    assert not await works(game, old)
    subs = {server.claims(token)["sub"] for token in (old, new)}
    assert subs <= (await feed(server))["not_before"].keys()
    assert await refused_offline(server, old)


# --- who is told ---


@both
async def test_clients_that_took_part_in_the_session_are_told_by_the_back_channel(
    server: Server, game: Game, browser: Browser, sessions: str
) -> None:
    tokens = await game.browser_tokens(browser)
    await browser.tokens_at_once()
    await end(game, tokens["access_token"], sessions)
    assert await told_to_clients(server) == [SHOP_HEARS]


async def test_all_tells_the_clients_of_every_browser(server: Server, game: Game) -> None:
    for browser in (Browser(server), Browser(server)):
        await browser.sign_in()
    await end(game, await game.access_token(), "all")
    assert await told_to_clients(server) == [SHOP_HEARS, SHOP_HEARS]


@pytest.mark.parametrize(
    ("sessions", "kinds"),
    [("sso", ["session.ended"]), ("all", ["session.ended", "tokens.revoked_before"])],
)
async def test_the_audit_trail_has_what_ended(
    server: Server, game: Game, browser: Browser, sessions: str, kinds: list[str]
) -> None:
    tokens = await game.browser_tokens(browser)
    await end(game, tokens["access_token"], sessions)
    found = [event for kind in ("session.ended", "tokens.revoked_before") for event in server.audited(kind)]
    assert [event["event"] for event in found] == kinds
    for event in found:
        assert (event["sub"], event["client_id"]) == (server.claims(tokens["access_token"])["sub"], "40")


# --- once more, and by whom ---


@both
async def test_a_logout_may_be_repeated(game: Game, browser: Browser, sessions: str) -> None:
    token = (await game.browser_tokens(browser))["access_token"]
    await browser.tokens_at_once()
    for _ in range(3):
        await end(game, token, sessions)
    assert await told_to_clients(game.server) == [SHOP_HEARS]
    assert len(game.server.audited("session.ended")) == 1


@both
async def test_so_may_one_with_a_token_of_a_family_that_ended(game: Game, sessions: str) -> None:
    tokens = await game.tokens()
    await game.refresh(tokens["refresh_token"])
    game.server.clock.now += 31
    await game.refresh(tokens["refresh_token"])
    assert not await works(game, tokens["access_token"])
    await end(game, tokens["access_token"], sessions)


@both
async def test_a_token_that_was_ended_ends_nothing_more(
    server: Server, game: Game, browser: Browser, sessions: str
) -> None:
    before = (await game.browser_tokens(browser))["access_token"]
    await end(game, before)
    server.clock.now += 1
    after = await game.browser_tokens(browser)
    await end(game, before, sessions)
    assert await is_signed_in(browser)
    assert await works(game, after["access_token"])
    redeemed(await game.refresh(after["refresh_token"]))


@both
async def test_without_a_players_own_token_nothing_ends(
    server: Server, game: Game, browser: Browser, sessions: str
) -> None:
    mine = await game.browser_tokens(browser)
    form = {"grant_type": "client_credentials", "client_id": "41", "client_secret": "forty-one-secret"}
    own = (await server.http.post("/api/oauth2/token", data=form)).json()["access_token"]
    standard = await server.login("steam")
    made = await game.token(
        grant_type=TOKEN_EXCHANGE, subject_token=standard["access_token"], subject_token_type=ACCESS_TOKEN
    )
    exchanged = redeemed(made)["access_token"]
    forged = mine["access_token"][:-4] + "AAAA"
    for token in (
        "junk",
        forged,
        mine["refresh_token"],
        own,
        standard["access_token"],
        standard["id_token"],
        exchanged,
    ):
        assert refusal(await game.logout(token, sessions)) == INVALID
    assert refusal(await game.logout("", sessions)) == (401, "010-017", {"reason": "no_token"})
    assert await works(game, mine["access_token"])
    assert await is_signed_in(browser)


@both
async def test_a_token_out_of_time_ends_nothing(server: Server, game: Game, browser: Browser, sessions: str) -> None:
    tokens = await game.browser_tokens(browser)
    server.clock.now += 3600
    assert refusal(await game.logout(tokens["access_token"], sessions)) == INVALID
    assert await is_signed_in(browser)


async def test_a_game_of_somebody_elses_ends_the_browser_session_and_not_what_others_were_given(
    server: Server, game: Game, browser: Browser
) -> None:
    theirs = Game(server, "46")
    there = await browser.open(
        "/api/oauth2/social/steam/login_redirect",
        client_id="46",
        response_type="code",
        state="12345678",
        redirect_uri=BLANK,
        scope="offline",
    )
    landed = await browser.press(await browser.press(there, "amber", case="good"), "allow")
    token = redeemed(await theirs.redeem(landed.query["code"]))["access_token"]
    mine = await game.access_token()
    assert refusal(await theirs.logout(token, "all"))[:2] == (403, "010-026")
    assert await works(game, mine)
    assert await is_signed_in(browser)
    await end(theirs, token, "sso")
    assert not await is_signed_in(browser)
    assert await works(game, mine)


@pytest.mark.parametrize("sessions", ["SSO", "none", "all,sso", "sso all"])
async def test_another_extent_is_refused(game: Game, sessions: str) -> None:
    token = await game.access_token()
    answer = await game.logout(token, sessions)
    assert refusal(answer) == (400, "0", {"reason": "invalid_parameter", "parameter": "sessions"})
    assert await works(game, token)


async def test_it_is_asked_by_get_and_what_sdks_append_is_ignored(game: Game) -> None:
    token = await game.access_token()
    headers = {"authorization": f"Bearer {token}"}
    posted = await game.server.http.post("/api/oauth2/logout", headers=headers)
    assert refusal(posted)[:2] == (405, "0")
    answer = await game.get("/api/oauth2/logout", token, sessions="all", engine="unreal", sdk_v="1.0")
    assert answer.status_code == 204


@both
async def test_when_the_database_cannot_nothing_is_said_to_have_ended(
    server: Server, game: Game, browser: Browser, sessions: str
) -> None:
    token = (await game.browser_tokens(browser))["access_token"]
    with patch.object(server.app.storage, "apply", down):
        answer = await game.logout(token, sessions)
    assert refusal(answer) == (503, "004-001", {})
    assert await works(game, token)
    assert await is_signed_in(browser)
