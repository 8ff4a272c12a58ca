"""`/api/users/me/social_providers`: the list as the SDKs decode it, and what is taken away by platform."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey
from authsrv.storage.account_changes import UnlinkIdentity
from authsrv.storage.changes import LinkIdentity
from tests.support.banning import ban
from tests.support.browser import Browser, Page
from tests.support.ending import Block, Kept, reload
from tests.support.exchange import ACCESS_TOKEN
from tests.support.linking import proven
from tests.support.refusals import clients, demo, tables
from tests.support.residents import identity, kinds
from tests.support.server import ISSUER, Server, running
from tests.support.xsolla import BLANK, Game, Refusal, change_player, is_error_to_unity, player_id, refusal

PROVIDERS = "/api/users/me/social_providers"
ANDROIDS = {
    *("amazon", "apple", "baidu", "battlenet", "discord", "facebook", "github", "google", "kakao", "linkedin"),
    *("mailru", "microsoft", "msn", "naver", "ok", "paypal", "psn", "qq", "reddit", "steam", "twitch", "twitter"),
    *("vimeo", "vk", "wechat", "weibo", "xbox", "yahoo", "yandex", "youtube"),
}
"""The names that Android's SDK decodes, of the contract."""
XBOX = IdentityKey("demo", "xbox", "rp://auth.skyforge.example/ RETAIL", PLAYERS["amber"].partner_xuid)
PUID = IdentityKey("demo", "eos_puid", "a-product", PLAYERS["amber"].product_user_id)
DEVICE = IdentityKey("demo", "guest", "", "d" * 43)
EPIC = identity("epicgames")
INVALID: Refusal = (401, "010-017", {})


def edit(block: Block) -> None:
    grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"]
    clients(block)["40"] |= {"grants": grants, "exchange_from": ["launcher"]}


@pytest.fixture
def kept() -> Kept:
    return Kept(edit)


@pytest.fixture
async def server(kept: Kept) -> AsyncIterator[Server]:
    async with running(edit=kept) as started:
        yield started


@pytest.fixture
def game(server: Server) -> Game:
    return Game(server)


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server)


async def player_with(game: Game, *keys: IdentityKey) -> str:
    """Amber's access token, by Steam, with these platform accounts beside it."""
    token = await game.access_token()
    row, now = await player_id(game.server), int(game.server.clock())
    await change_player(game.server, *(LinkIdentity(key, row, now) for key in keys))
    return token


async def listed(game: Game, token: str) -> list[dict[str, Any]]:
    answer = await game.get(PROVIDERS, token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert not is_error_to_unity(answer.text)
    found: list[dict[str, Any]] = answer.json()
    return found


async def link_url(game: Game, token: str, provider: str = "steam", **sent: str) -> Any:
    return await game.get(f"{PROVIDERS}/{provider}/login_url", token, **sent)


async def unlink(game: Game, token: str, provider: str) -> Refusal | None:
    """What is refused; None for 204."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await game.server.http.delete(f"{PROVIDERS}/{provider}", headers=headers)
    if answer.status_code == 204:
        assert answer.content == b""
        return None
    return refusal(answer)


async def keys_of(server: Server, row: int) -> set[IdentityKey]:
    account = await server.app.storage.load_account(row)
    assert account
    return {linked.key for linked in account.identities}


# --- the list ---


async def test_the_list_is_a_bare_array_of_what_is_linked(game: Game) -> None:
    token = await player_with(game, XBOX)
    assert await listed(game, token) == [
        {"provider": "steam", "social_id": PLAYERS["amber"].steam_id, "nickname": "Amber"}
        | {"full_name": None, "picture": None},
        {"provider": "xbox", "social_id": PLAYERS["amber"].partner_xuid, "nickname": "Amber"}
        | {"full_name": None, "picture": None},
    ]


async def test_every_platform_has_a_name_that_android_decodes_or_none(game: Game) -> None:
    found = await listed(game, await player_with(game, XBOX, EPIC))
    names = {one["social_id"]: one["provider"] for one in found}
    assert names[PLAYERS["amber"].epic_account_id] is None
    assert {name for name in names.values() if name is not None} == {"steam", "xbox"} <= ANDROIDS


async def test_every_entry_has_what_ios_and_android_cannot_do_without(game: Game) -> None:
    for one in await listed(game, await player_with(game, XBOX, EPIC)):
        assert isinstance(one["social_id"], str)
        assert one.keys() == {"provider", "social_id", "nickname", "full_name", "picture"}


async def test_a_device_is_no_platform(game: Game) -> None:
    token = await player_with(game, DEVICE)
    assert [one["provider"] for one in await listed(game, token)] == ["steam"]
    await change_player(game.server, UnlinkIdentity(identity("steam"), await player_id(game.server)))
    assert await listed(game, token) == []


async def test_the_list_is_the_players_own(game: Game) -> None:
    await player_with(game, XBOX)
    birch = await game.access_token(player="birch")
    assert [one["social_id"] for one in await listed(game, birch)] == [PLAYERS["birch"].steam_id]


# --- taking one away ---


async def test_a_platform_is_taken_away_by_its_name(server: Server, game: Game) -> None:
    token = await player_with(game, EPIC)
    row = await player_id(server)
    assert await unlink(game, token, "epicgames") is None
    assert await keys_of(server, row) == {identity("steam")}
    assert kinds(server) == ["unlinked"]
    (event,) = server.audited("identity.unlinked")
    assert (event["client_id"], event["platform"]) == ("40", "epicgames")


async def test_what_began_with_it_is_over_and_the_rest_goes_on(game: Game) -> None:
    token = await player_with(game, EPIC)
    by_epic = await game.access_token("epicgames")
    assert await unlink(game, token, "epicgames") is None
    assert refusal(await game.me(by_epic)) == INVALID
    assert (await game.me(token)).status_code == 200


async def test_every_account_of_the_platform_goes_with_it(server: Server, game: Game) -> None:
    token = await player_with(game, EPIC, PUID)
    row = await player_id(server)
    assert len(await listed(game, token)) == 3
    assert await unlink(game, token, "epicgames") is None
    assert await keys_of(server, row) == {identity("steam")}


async def test_the_last_way_to_sign_in_stays(server: Server, game: Game) -> None:
    token, row = await player_with(game), await player_id(game.server)
    assert await unlink(game, token, "steam") == (422, "003-020", {"reason": "last_identity"})
    assert await keys_of(server, row) == {identity("steam")}


async def test_all_accounts_of_one_platform_together_may_be_the_last_way(server: Server, game: Game) -> None:
    token, row = await player_with(game, EPIC, PUID, DEVICE), await player_id(game.server)
    assert await unlink(game, token, "steam") is None
    token = await game.access_token("epicgames")
    before = await keys_of(server, row)
    assert before == {EPIC, PUID, DEVICE}
    assert await unlink(game, token, "epicgames") == (422, "003-020", {"reason": "last_identity"})
    assert await keys_of(server, row) == before


@pytest.mark.parametrize("provider", ["epicgames", "guest", "nowhere", "STEAM"])
async def test_what_is_not_linked_cannot_be_taken_away(game: Game, provider: str) -> None:
    token = await player_with(game, DEVICE)
    assert await unlink(game, token, provider) == (404, "003-061", {"reason": "not_linked"})


async def test_D46_a_sign_in_of_some_time_ago_is_not_enough(server: Server, game: Game) -> None:
    token, row = await player_with(game, EPIC), await player_id(game.server)
    server.clock.now += 600
    assert await unlink(game, token, "nowhere") == (404, "003-061", {"reason": "not_linked"})
    server.clock.now += 1
    again = (403, "010-026", {"reason": "reauthentication_required"})
    assert await unlink(game, token, "epicgames") == again
    assert EPIC in await keys_of(server, row)
    assert len(await listed(game, token)) == 2


async def test_D46_a_refresh_is_no_sign_in(server: Server, game: Game) -> None:
    tokens = await game.tokens()
    await player_with(game, EPIC)
    server.clock.now += 601
    fresh = (await game.refresh(tokens["refresh_token"])).json()["access_token"]
    again = (403, "010-026", {"reason": "reauthentication_required"})
    assert await unlink(game, fresh, "epicgames") == again


async def test_a_project_may_do_without_it_for_games_that_cannot_ask_again(
    server: Server, game: Game, kept: Kept
) -> None:
    token = await player_with(game, EPIC)
    accounts = {"xsolla_reauthentication": False}
    await reload(server, kept.changed(lambda block: demo(block).update(accounts=accounts)))
    server.clock.now += 3000
    assert await unlink(game, token, "epicgames") is None


async def test_a_token_that_was_made_for_a_server_changes_nothing(server: Server, game: Game) -> None:
    standard = (await server.login("steam"))["access_token"]
    made = await game.token(
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=standard,
        subject_token_type=ACCESS_TOKEN,
    )
    await player_with(game, EPIC)
    assert await unlink(game, made.json()["access_token"], "epicgames") == (403, "010-026", {})
    assert kinds(server) == []


async def test_a_client_of_somebody_elses_changes_nothing(server: Server, game: Game, kept: Kept) -> None:
    token = await player_with(game, EPIC)
    await reload(server, kept.changed(lambda block: clients(block)["40"].update(first_party=False)))
    assert await unlink(game, token, "epicgames") == (403, "010-026", {})
    assert kinds(server) == []


async def test_a_banned_player_changes_nothing(server: Server, game: Game) -> None:
    token = await player_with(game, EPIC)
    await ban(server, server.claims(token)["sub"])
    banned = (401, "002-040", {"reason": "banned"})
    assert await unlink(game, token, "epicgames") == banned
    assert refusal(await game.get(PROVIDERS, token)) == banned


async def test_without_a_good_token_nothing_is_told_or_taken(server: Server, game: Game) -> None:
    token = await player_with(game, EPIC)
    standard = (await server.login("steam"))["access_token"]
    for bad in ("junk", token[:-4] + "AAAA", standard):
        assert await unlink(game, bad, "epicgames") == INVALID
        assert refusal(await game.get(PROVIDERS, bad)) == INVALID
    nobody = (401, "010-017", {"reason": "no_token"})
    assert (await unlink(game, "", "epicgames"), refusal(await game.get(PROVIDERS))) == (nobody, nobody)
    assert not tables(server).events or kinds(server) == []


# --- linking another one in a browser ---


async def test_a_game_gets_an_address_of_ours_with_a_code_and_nothing_else(server: Server, game: Game) -> None:
    token = await player_with(game)
    answer = await link_url(game, token, "epicgames", login_url=BLANK)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"url"}
    address, _, query = answer.json()["url"].partition("?")
    assert address == f"{ISSUER}/link"
    told = dict(parse_qsl(query))
    assert told.keys() == {"code", "provider"}
    assert told["provider"] == "epicgames"
    assert token not in answer.text
    (code,) = tables(server).link_codes.values()
    assert (code.client_id, code.return_to, code.check_number) == ("40", BLANK, "")
    assert code.expires_at - code.created_at == 600


async def test_an_address_is_good_until_the_game_asks_for_another(server: Server, game: Game) -> None:
    token = await player_with(game)
    for _ in range(2):
        assert (await link_url(game, token, login_url=BLANK)).status_code == 200
    assert len(tables(server).link_codes) == 1


REFUSED = [
    pytest.param({"login_url": "https://evil.test/"}, "steam", (422, "010-012"), id="return address of others"),
    pytest.param({"login_url": f"{BLANK}/"}, "steam", (422, "010-012"), id="return address almost right"),
    pytest.param({"login_url": BLANK}, "nowhere", (404, "003-061"), id="unknown platform"),
    pytest.param({"login_url": BLANK}, "guest", (422, "003-022"), id="no page to sign in at"),
]


@pytest.mark.parametrize(("sent", "provider", "outcome"), REFUSED)
async def test_what_leads_nowhere_is_refused(
    server: Server, game: Game, sent: dict[str, str], provider: str, outcome: tuple[int, str]
) -> None:
    token = await player_with(game)
    assert refusal(await link_url(game, token, provider, **sent))[:2] == outcome
    assert not tables(server).link_codes


async def test_the_only_return_address_may_be_left_out_and_one_of_several_may_not(
    server: Server, game: Game, kept: Kept
) -> None:
    token = await player_with(game)
    assert (await link_url(game, token)).status_code == 200
    more = {"redirect_uris": [BLANK, "http://localhost:65421"]}
    await reload(server, kept.changed(lambda block: clients(block)["40"].update(more)))
    details = {"reason": "redirect_uri_missing", "parameter": "login_url"}
    assert refusal(await link_url(game, token)) == (422, "010-011", details)
    assert (await link_url(game, token, login_url="http://localhost:50123")).status_code == 200


async def test_D46_linking_takes_a_sign_in_of_a_moment_ago(server: Server, game: Game) -> None:
    token = await player_with(game)
    server.clock.now += 601
    again = (403, "010-026", {"reason": "reauthentication_required"})
    assert refusal(await link_url(game, token, login_url=BLANK)) == again
    assert not tables(server).link_codes


async def test_without_a_good_token_there_is_no_address(server: Server, game: Game) -> None:
    standard = (await server.login("steam"))["access_token"]
    for bad in ("junk", standard):
        assert refusal(await link_url(game, bad, login_url=BLANK)) == INVALID
    assert not tables(server).link_codes


async def url_for(game: Game, token: str, provider: str = "epicgames") -> str:
    """The address that the game opens, as a path here."""
    url: str = (await link_url(game, token, provider, login_url=BLANK)).json()["url"]
    return url.removeprefix(ISSUER)


async def opened(browser: Browser, path: str) -> Page:
    """From the address to the page that names the player: the code stands in the field already."""
    page, code = await browser.open(path), dict(parse_qsl(urlsplit(path).query))["code"]
    assert f'value="{code}"' in page.html
    return await browser.press(page, "continue", code=code)


async def test_a_platform_account_is_linked_in_a_browser_which_ends_at_the_game(
    server: Server, game: Game, browser: Browser
) -> None:
    token = await player_with(game)
    check = await opened(browser, await url_for(game, token))
    assert "Amber" in check.html
    confirm = await proven(browser, check)
    assert [one["social_id"] for one in await listed(game, token)] == [PLAYERS["amber"].steam_id]
    assert (await browser.press(confirm, "link")).url == BLANK
    found = {one["social_id"] for one in await listed(game, token)}
    assert found == {PLAYERS["amber"].steam_id, PLAYERS["amber"].epic_account_id}
    by_epic = await game.access_token("epicgames")
    assert server.claims(by_epic)["sub"] == server.claims(token)["sub"]


async def test_only_the_platform_that_the_game_named_is_offered(game: Game, browser: Browser) -> None:
    check = await opened(browser, await url_for(game, await player_with(game)))
    assert check.find("sign-in-epicgames")
    for other in ("sign-in-steam", "sign-in-xbox"):
        with pytest.raises(AssertionError):
            check.find(other)


async def test_an_account_of_another_player_is_told_to_the_game_as_a_linking_error(
    game: Game, browser: Browser
) -> None:
    token = await player_with(game)
    await game.access_token("epicgames", "birch")
    landed = await proven(browser, await opened(browser, await url_for(game, token)), player="birch")
    assert landed.url.partition("?")[0] == BLANK
    assert landed.query["error_code"] == "010-016"
    assert landed.query["error_description"]
    assert len(await listed(game, token)) == 1


@pytest.mark.parametrize("step", ["on the page", "at the platform"])
async def test_a_player_who_does_not_go_on_is_told_to_the_game(game: Game, browser: Browser, step: str) -> None:
    token = await player_with(game)
    check = await opened(browser, await url_for(game, token))
    if step == "at the platform":
        landed = await browser.press(await browser.press(check, "sign-in-epicgames"), "1")
    else:
        landed = await browser.press(check, "cancel")
    assert landed.url.partition("?")[0] == BLANK
    assert landed.query["error_code"]
    assert landed.query["error_description"]
    assert len(await listed(game, token)) == 1


async def test_an_address_links_once(game: Game, browser: Browser) -> None:
    token = await player_with(game)
    path = await url_for(game, token)
    await browser.press(await proven(browser, await opened(browser, path)), "link")
    assert (await opened(browser, path)).status == 400
    assert len(await listed(game, token)) == 2


async def test_an_address_is_too_old_after_ten_minutes(game: Game, browser: Browser) -> None:
    path = await url_for(game, await player_with(game))
    game.server.clock.now += 600
    assert (await opened(browser, path)).status == 400
