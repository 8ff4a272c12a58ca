"""Row B28 and section 7 of account linking: a banned player is kept out at every door, and nothing they had is good."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from authsrv.accounts.banning import Sentence
from authsrv.emulator.base import PLAYERS
from authsrv.models import NEVER, TOKEN_EXCHANGE, BarKind, IdentityKey
from authsrv.storage.account_changes import BarPlayer, UnlinkIdentity
from tests.support.banning import REASON, account_of, ban, ban_identity, is_dead, merge, order, sub_of, unban
from tests.support.browser import Browser
from tests.support.ending import INACTIVE, feed, made_of, told, with_everybody
from tests.support.exchange import submitted
from tests.support.refusals import clients, demo, page
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS
from tests.support.xsolla import Game, refusal

DAY = 86400
SUPPORT = "https://studio.example/help"


def edit(block: dict[str, Any]) -> None:
    with_everybody(block)
    clients(block)["launcher"]["grants"] = ["authorization_code", "refresh_token", TOKEN_EXCHANGE]
    demo(block)["look"] = {**demo(block)["look"], "support_url": SUPPORT}


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit) as started:
        yield started


async def exchanged(server: Server, provider: str = "steam", player: str = "amber") -> httpx.Response:
    """Proof in, tokens out."""
    sent = submitted(provider, server.mint(provider, player))
    return await server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", **sent)


def without_text(answer: httpx.Response) -> dict[str, Any]:
    """A refusal without its words for people, which say nothing of the operator's."""
    told = answer.json()
    assert REASON not in answer.text
    return {name: value for name, value in told.items() if name != "error_description"}


# --- every door ---


@pytest.mark.parametrize("seconds", [0, DAY])
@pytest.mark.parametrize("provider", ["steam", "xbox", "epicgames"])
async def test_a_banned_player_is_refused_with_the_end_of_the_ban_at_the_silent_login(
    server: Server, provider: str, seconds: int
) -> None:
    tokens = await server.login(provider)
    await ban(server, sub_of(server, tokens), seconds=seconds)
    answer = await server.silent(provider)
    until = {"until": int(server.clock.now) + seconds} if seconds else {}
    assert answer.status_code == 403
    assert without_text(answer) == {"error": "access_denied", "reason": "banned", **until}


async def test_a_redirect_says_until_when_too(server: Server) -> None:
    await ban(server, sub_of(server, await server.login("steam")), seconds=DAY)
    answer = await server.silent("steam", is_redirect="true")
    found = httpx.URL(answer.headers["location"]).params
    until = str(int(server.clock.now) + DAY)
    assert (found["error"], found["reason"], found["until"]) == ("access_denied", "banned", until)


@pytest.mark.parametrize("seconds", [0, DAY])
@pytest.mark.parametrize("door", ["exchange", "code", "refresh", "own exchange"])
async def test_B28_the_token_endpoint_says_that_the_player_is_banned(server: Server, door: str, seconds: int) -> None:
    tokens, code = await server.login("steam"), await server.code("steam")
    await ban(server, sub_of(server, tokens), seconds=seconds)
    answer = await at(server, door, tokens, code)
    until = {"until": int(server.clock.now) + seconds} if seconds else {}
    assert answer.status_code == 400
    assert without_text(answer) == {"error": "invalid_grant", "reason": "banned", **until}
    assert server.audited("refresh.reused") == []


async def at(server: Server, door: str, tokens: dict[str, Any], code: str) -> httpx.Response:
    match door:
        case "exchange":
            return await exchanged(server)
        case "code":
            return await server.redeem(code)
        case "refresh":
            return await server.refresh(tokens["refresh_token"])
        case _:
            return await made_of(server, tokens["access_token"])


async def test_nobody_learns_of_a_ban_who_does_not_have_the_genuine_token(server: Server) -> None:
    tokens, code = await server.login("steam"), await server.code("steam")
    await ban(server, sub_of(server, tokens))
    for answer in [
        await server.redeem(code, code_verifier="w" * 43),
        await server.redeem(code, redirect_uri="http://127.0.0.1/elsewhere"),
        await server.redeem(code, client_id="other"),
        await server.redeem(code[:-1] + ("A" if code[-1] != "A" else "B")),
        await server.refresh(tokens["refresh_token"], client_id="other"),
        await server.refresh(tokens["refresh_token"][:-1] + "_"),
    ]:
        assert answer.status_code == 400
        assert answer.json().keys() & {"reason", "until"} == set()


async def test_B28_a_ban_is_seen_by_introspection_userinfo_and_the_feed_at_once(server: Server) -> None:
    tokens = await server.login("steam")
    made = (await made_of(server, tokens["access_token"])).json()["access_token"]
    barred = await ban(server, sub_of(server, tokens))
    for token in (tokens["access_token"], tokens["refresh_token"], made):
        assert await told(server, token) == INACTIVE
    answer = await server.userinfo(tokens["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert (await feed(server))["not_before"] == {barred.sub: int(server.clock.now) + 1}
    assert await is_dead(server, tokens)


async def test_a_used_code_of_a_banned_player_is_a_replay_all_the_same(server: Server) -> None:
    code = await server.code("steam")
    tokens = (await server.redeem(code)).json()
    await ban(server, sub_of(server, tokens))
    answer = await server.redeem(code)
    assert without_text(answer) == {"error": "invalid_grant"}
    assert len(server.audited("code.replayed")) == 1


async def test_a_guest_is_banned_like_anybody(server: Server) -> None:
    device = server.mint("guest")
    await ban(server, sub_of(server, await server.login("guest", device)))
    assert (await server.silent("guest", device)).json()["reason"] == "banned"


# --- the browser ---


async def test_a_ban_ends_every_session_and_tells_the_clients(server: Server) -> None:
    here, there = Browser(server), Browser(server)
    tokens = await here.tokens()
    await there.sign_in()
    code = (await there.authorize()).answer["code"]
    barred = await ban(server, sub_of(server, tokens), seconds=DAY)
    for browser in (here, there):
        landed = await browser.authorize(prompt="none")
        assert landed.answer["error"] == "login_required"
        assert 'id="sign-in-steam"' in (await browser.authorize()).html
    answer = await here.redeem(code)
    assert without_text(answer) == {"error": "invalid_grant", "reason": "banned", "until": barred.until}


async def test_a_session_that_is_left_of_a_barred_player_is_of_no_use_while_they_are(server: Server) -> None:
    browser = Browser(server)
    account = await account_of(server, sub_of(server, await browser.tokens()))
    await server.app.storage.apply([BarPlayer(account.player.id, NEVER, "banned")])
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"
    await server.app.storage.apply([BarPlayer(account.player.id, 0, None)])
    assert "code" in (await browser.authorize(prompt="none")).answer


@pytest.mark.parametrize(("locale", "title"), [("en", "You are banned"), ("de", "Du bist gesperrt")])
async def test_a_banned_player_sees_a_page_with_the_end_of_the_ban_and_where_to_ask(
    server: Server, locale: str, title: str
) -> None:
    tokens = await server.login("steam")
    await ban(server, sub_of(server, tokens), seconds=DAY)
    browser = Browser(server, **{"accept-language": locale})
    shown = page(await browser.sign_in(), 403)
    assert title in shown
    assert 'id="until"' in shown
    assert f'href="{SUPPORT}"' in shown
    assert REASON not in shown
    assert tokens["access_token"] not in shown


async def test_the_page_of_a_ban_for_good_names_no_end(server: Server) -> None:
    await ban(server, sub_of(server, await server.login("steam")))
    shown = page(await Browser(server).sign_in(), 403)
    assert "You are banned" in shown
    assert 'id="until"' not in shown


async def test_a_restricted_player_sees_a_page_that_gives_no_reason(server: Server) -> None:
    await ban(server, sub_of(server, await server.login("steam")), kind="restricted", seconds=DAY)
    shown = page(await Browser(server).sign_in(), 403)
    assert "You cannot sign in here" in shown
    assert "banned" not in shown
    assert 'id="until"' not in shown


# --- below /api ---


@pytest.mark.parametrize("seconds", [0, DAY])
async def test_games_on_an_xsolla_sdk_are_told_002_040_everywhere(server: Server, seconds: int) -> None:
    game = Game(server)
    tokens, code = await game.tokens(), await game.code()
    barred = await ban(server, sub_of(server, tokens), seconds=seconds)
    date = {"date_to": "2026-09-22T14:13:20+00:00"} if seconds else {}
    assert not seconds or barred.until == 1_790_086_400
    banned = (401, "002-040", {"reason": "banned", **date})
    silent = await game.get("/api/oauth2/social/steam/cross_auth", **xsolla_request(server))
    assert refusal(silent) == banned
    assert refusal(await game.redeem(code)) == banned
    assert refusal(await game.refresh(tokens["refresh_token"])) == banned
    assert refusal(await game.me(tokens["access_token"])) == banned
    status, *rest = refusal(await game.validate({"token": tokens["access_token"]}))
    assert (status, *rest) == (422, *banned[1:])


def xsolla_request(server: Server) -> dict[str, str]:
    asked = {
        "client_id": "40",
        "response_type": "code",
        "state": "xsollatest",
        "redirect_uri": "http://127.0.0.1/blank",
    }
    return asked | dict(server.mint("steam").parameters) | {"is_redirect": "false"}


async def test_games_on_an_xsolla_sdk_learn_nothing_of_a_restriction(server: Server) -> None:
    game = Game(server)
    tokens, code = await game.tokens(), await game.code()
    await ban(server, sub_of(server, tokens), kind="restricted")
    silent = await game.get("/api/oauth2/social/steam/cross_auth", **xsolla_request(server))
    assert refusal(silent) == (422, "010-015", {})
    assert refusal(await game.redeem(code)) == (400, "010-023", {})
    assert refusal(await game.refresh(tokens["refresh_token"])) == (400, "010-023", {})
    assert refusal(await game.me(tokens["access_token"])) == (401, "010-017", {})
    assert refusal(await game.validate({"token": tokens["access_token"]})) == (422, "002-016", {})


# --- restrictions ---


@pytest.mark.parametrize("door", ["exchange", "code", "refresh", "own exchange"])
async def test_P06_a_restriction_gives_no_reason_at_the_token_endpoint(server: Server, door: str) -> None:
    tokens, code = await server.login("steam"), await server.code("steam")
    await ban(server, sub_of(server, tokens), kind="restricted", seconds=DAY)
    answer = await at(server, door, tokens, code)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert answer.json().get("reason", "") in {"", "access_denied"}
    assert "until" not in answer.json()


async def test_P06_a_restricted_player_is_refused_without_a_reason(server: Server) -> None:
    tokens = await server.login("steam")
    await ban(server, sub_of(server, tokens), kind="restricted", seconds=DAY)
    answer = await server.silent("steam")
    assert answer.status_code == 403
    assert without_text(answer) == {"error": "access_denied"}
    assert await is_dead(server, tokens)


# --- how long ---


@pytest.mark.parametrize("kind", ["banned", "restricted"])
async def test_a_ban_ends_by_itself_and_what_it_voided_stays_void(server: Server, kind: BarKind) -> None:
    tokens = await server.login("steam")
    await ban(server, sub_of(server, tokens), seconds=DAY, kind=kind)
    server.clock.now += DAY - 1
    assert (await server.silent("steam")).status_code == 403
    server.clock.now += 1
    assert (await server.login("steam"))["access_token"]
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400
    assert await told(server, tokens["refresh_token"]) == INACTIVE


async def test_a_lifted_ban_lets_the_player_sign_in_again_and_revives_nothing(server: Server) -> None:
    browser = Browser(server)
    tokens = await browser.tokens()
    sub = sub_of(server, tokens)
    await ban(server, sub)
    server.clock.now += 60
    lifted = await unban(server, sub)
    assert (lifted.until, lifted.kind) == (0, None)
    again = await server.login("steam")
    assert sub_of(server, again) == sub
    assert not await is_dead(server, again)
    assert (await browser.refresh(tokens.get("refresh_token", "none"))).status_code == 400
    assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"


async def test_of_two_bans_the_longer_counts_and_each_is_lifted_by_itself(server: Server) -> None:
    sub = sub_of(server, await server.login("steam"))
    now = int(server.clock.now)
    assert (await ban(server, sub, seconds=DAY)).until == now + DAY
    assert (await ban(server, sub, seconds=60)).until == now + DAY
    longer, shorter = (await account_of(server, sub)).bans
    bans = server.app.desk.bans
    assert (await bans.unban(sub, "banned", order(server), longer.id)).until == now + 60
    assert (await server.silent("steam")).json()["until"] == now + 60
    assert (await bans.unban(sub, "banned", order(server), shorter.id)).until == 0
    assert (await bans.unban(sub, "banned", order(server))).event is None
    assert (await server.silent("steam")).status_code == 200


async def test_a_ban_outlives_a_lifted_restriction(server: Server) -> None:
    sub = sub_of(server, await server.login("steam"))
    await ban(server, sub, seconds=DAY)
    await ban(server, sub, kind="restricted")
    assert "reason" not in (await server.silent("steam")).json()
    lifted = await unban(server, sub, "restricted")
    assert (lifted.until, lifted.kind) == (int(server.clock.now) + DAY, "banned")
    assert (await server.silent("steam")).json()["reason"] == "banned"


# --- the ban follows the identity ---


async def test_a_ban_survives_the_unlinking_of_the_identity(server: Server) -> None:
    sub = sub_of(server, await server.login("steam"))
    await ban(server, sub, seconds=DAY)
    account = await account_of(server, sub)
    (linked,) = account.identities
    await server.app.storage.apply([UnlinkIdentity(linked.key, account.player.id)])
    answer = await server.silent("steam")
    assert without_text(answer)["reason"] == "banned"
    assert answer.json()["until"] == int(server.clock.now) + DAY
    server.clock.now += DAY
    assert sub_of(server, await server.login("steam")) != sub


async def test_a_banned_identity_becomes_no_new_player(server: Server) -> None:
    key = IdentityKey("demo", "steam", "", PLAYERS["birch"].steam_id)
    barred = await ban_identity(server, key, seconds=DAY)
    assert (barred.sub, barred.until) == ("", int(server.clock.now) + DAY)
    assert (await server.silent("steam", server.mint("steam", "birch"))).json()["reason"] == "banned"
    assert (await server.silent("steam")).status_code == 200
    lifted = await server.app.desk.bans.unban_identity(key, order(server))
    assert lifted.event
    assert (await server.silent("steam", server.mint("steam", "birch"))).status_code == 200
    assert [len(server.audited(f"identity.{kind}")) for kind in ("banned", "unbanned")] == [1, 1]


async def test_the_ban_of_a_players_identity_is_the_players(server: Server) -> None:
    steam = await server.login("steam")
    (linked,) = (await account_of(server, sub_of(server, steam))).identities
    barred = await ban_identity(server, linked.key)
    assert barred.sub == sub_of(server, steam)
    assert await is_dead(server, steam)
    lifted = await server.app.desk.bans.unban_identity(linked.key, order(server))
    assert (lifted.sub, lifted.until) == (barred.sub, 0)
    assert (await server.silent("steam")).status_code == 200


# --- merged players ---


async def test_the_ban_of_an_alias_is_its_survivors(server: Server) -> None:
    old, new = await server.login("steam"), await server.login("epicgames")
    await merge(server, sub_of(server, old), sub_of(server, new))
    barred = await ban(server, sub_of(server, old))
    assert barred.sub == sub_of(server, new)
    assert await is_dead(server, new)
    assert await is_dead(server, old)
    assert (await server.silent("epicgames")).json()["reason"] == "banned"


async def test_what_was_banned_before_a_merge_is_free_once_the_survivor_is(server: Server) -> None:
    old, new = await server.login("steam"), await server.login("epicgames")
    await ban(server, sub_of(server, old))
    await merge(server, sub_of(server, old), sub_of(server, new))
    await unban(server, sub_of(server, new))
    assert (await server.silent("steam")).status_code == 200
    assert (await account_of(server, sub_of(server, old))).player.barred_until == 0


# --- who is told what ---


async def test_a_ban_is_audited_and_its_reason_is_in_no_log(server: Server) -> None:
    sub = sub_of(server, await server.login("steam"))
    await ban(server, sub)
    await unban(server, sub)
    await ban(server, sub, kind="restricted")
    await unban(server, sub, "restricted")
    kinds = ("banned", "unbanned", "restricted", "unrestricted")
    assert [server.audited(f"player.{kind}")[0]["sub"] for kind in kinds] == [sub] * 4
    assert REASON not in repr(server.events)


async def test_a_preview_says_what_a_ban_would_do_and_changes_nothing(server: Server) -> None:
    tokens = await server.login("steam")
    sub, bans = sub_of(server, tokens), server.app.desk.bans
    before = await account_of(server, sub)
    would = await bans.ban(sub, Sentence("banned", NEVER), order(server, preview=True))
    assert (would.until, would.kind) == (NEVER, "banned")
    assert await account_of(server, sub) == before
    assert not await is_dead(server, tokens)
    assert server.audited("player.banned") == []
