"""Age groups as Xbox tells them: who comes in, what is kept and told of them, and who is asked at all."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.xbox.emulator import XboxEmulator
from authsrv.models import TOKEN_EXCHANGE, AgePolicy, Player
from authsrv.storage.changes import SetProfile
from tests.support.banning import account_of, sub_of
from tests.support.browser import Browser
from tests.support.ending import Kept, reload
from tests.support.exchange import submitted
from tests.support.refusals import clients, counts, demo, page, tables
from tests.support.server import Server, launcher_request, running
from tests.support.xsolla import Game, refusal

POLICIES: tuple[AgePolicy, ...] = ("refuse", "guest_only", "allow_without_pii")
GROUPS = ("Child", "Teen", "Adult", None)
PROFILE = '{"email":"amber@mail.example","email_verified":true}'
TOO_YOUNG = (403, "access_denied", "age_restricted")


def ruled(**rules: object) -> Callable[[dict[str, Any]], None]:
    """The demo without a policy of Xbox's, with these rules for accounts."""

    def edit(block: dict[str, Any]) -> None:
        del demo(block)["platforms"]["xbox"]["min_age_group"]
        demo(block)["accounts"] = {**demo(block).get("accounts", {}), **rules}
        clients(block)["launcher"]["scopes"] = ["openid", "profile", "email", "offline", "account"]

    return edit


@asynccontextmanager
async def serving(**rules: object) -> AsyncIterator[Server]:
    async with running(edit=ruled(**rules)) as server:
        yield server


def token(server: Server, agg: str | None, player: str = "amber") -> MintedCredential:
    """A token of Xbox with this age group, or without one."""
    emulator = server.platforms["xbox"]
    assert isinstance(emulator, XboxEmulator)
    user = {name: value for name, value in emulator.tokens.user(PLAYERS[player], agg=agg).items() if value is not None}
    text = emulator.tokens.text(user)
    return MintedCredential("xbox", "xsts_token", "good", text, {"session_ticket": text})


async def outcome(server: Server, provider: str, minted: MintedCredential) -> tuple[int, str, str]:
    answer = await server.silent(provider, minted)
    told = answer.json()
    return answer.status_code, told.get("error", ""), told.get("reason", "")


async def player_of(server: Server, tokens: dict[str, Any]) -> Player:
    return (await account_of(server, sub_of(server, tokens))).player


async def told_of(server: Server, tokens: dict[str, Any]) -> set[str]:
    """Which claims about the person the client gets, wherever it looks."""
    userinfo = (await server.userinfo(tokens["access_token"])).json()
    claims = [userinfo, server.claims(tokens["id_token"]), server.claims(tokens["access_token"])]
    return {name for each in claims for name in each} & {"name", "preferred_username", "email", "nickname", "picture"}


# --- who comes in ---


@pytest.mark.parametrize(("group", "policy", "directed"), [*product(GROUPS, POLICIES, (False, True))])
async def test_every_age_group_under_every_policy(group: str | None, policy: AgePolicy, directed: bool) -> None:
    async with serving(age_policy=policy, directed_at_children=directed) as server:
        guarded = group == "Child" or (group is None and directed)
        refused = guarded and policy != "allow_without_pii"
        found = await outcome(server, "xbox", token(server, group))
        assert found == (TOO_YOUNG if refused else (200, "", ""))
        players = [*tables(server).players.values()]
        assert [player.display_name for player in players] == ([] if refused else ["" if guarded else "Amber"])
        assert [player.age_group for player in players] == ([] if refused else [(group or "").lower()])


@pytest.mark.parametrize("policy", POLICIES)
async def test_guests_come_where_they_alone_may(policy: AgePolicy) -> None:
    async with serving(age_policy=policy, directed_at_children=True) as server:
        found = await outcome(server, "guest", server.mint("guest"))
        assert found == (TOO_YOUNG if policy == "refuse" else (200, "", ""))


@pytest.mark.parametrize("policy", ["refuse", "guest_only"])
@pytest.mark.parametrize("provider", ["steam", "epicgames"])
async def test_P13_a_platform_that_tells_no_age_is_asked_nothing_about_a_child(
    provider: str, policy: AgePolicy
) -> None:
    async with serving(age_policy=policy, directed_at_children=True) as server:
        before = sum(server.platforms[provider.removesuffix("games")].calls.values())
        assert await outcome(server, provider, server.mint(provider)) == TOO_YOUNG
        assert sum(server.platforms[provider.removesuffix("games")].calls.values()) == before
        assert counts(server)["reservations"] == 0
        (line,) = server.audited("login.refused")
        assert line["reason"] == "age_restricted"


async def test_games_for_everybody_ask_the_platforms_that_tell_no_age() -> None:
    async with serving(age_policy="refuse") as server:
        for provider in ("steam", "epicgames"):
            assert await outcome(server, provider, server.mint(provider)) == (200, "", "")


async def test_an_unknown_age_can_be_guarded_without_the_games_being_made_for_children() -> None:
    async with serving(age_policy="refuse", guarded_age_groups=["child", "unknown"]) as server:
        assert await outcome(server, "steam", server.mint("steam")) == TOO_YOUNG
        assert await outcome(server, "xbox", token(server, "Teen")) == (200, "", "")
        assert counts(server)["players"] == 1


async def test_of_whom_their_age_keeps_out_nothing_is_kept() -> None:
    async with serving(age_policy="refuse", guarded_age_groups=["unknown"]) as server:
        minted = server.mint("steam")
        assert await outcome(server, "steam", minted) == TOO_YOUNG
        (held,) = tables(server).reservations.values()
        assert (held.state, held.outcome, held.identity) == ("refused", "age_restricted", None)
        assert await outcome(server, "steam", minted) == TOO_YOUNG


async def test_a_signed_request_that_comes_again_makes_nobody_whose_age_was_forgotten() -> None:
    async with serving(age_policy="refuse") as server:
        emulator = server.platforms["xbox"]
        assert isinstance(emulator, XboxEmulator)
        text = emulator.tokens.text(emulator.tokens.user(PLAYERS["amber"], agg="Adult"))
        asked = {**launcher_request(), "no_user_creation": "true"}
        body = urlencode({name: value for name, value in asked.items() if value}).encode()
        path = "/oauth2/social/xbox/cross_auth"
        signature = emulator.signer().sign("POST", path.encode(), text.encode(), body)
        headers = {"authorization": text, "signature": signature, "content-type": "application/x-www-form-urlencoded"}
        first = await server.http.post(path, content=body, headers=headers)
        assert first.json()["error"] == "user_not_found"
        again = await server.http.post(path, content=body, headers=headers)
        assert again.json()["reason"] == "credential_replayed"


# --- every door ---


async def test_too_young_at_the_token_endpoint_and_below_api() -> None:
    async with serving(age_policy="refuse") as server:
        sent = submitted("xbox", token(server, "Child"))
        exchanged = await server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", **sent)
        told = exchanged.json()
        assert (exchanged.status_code, told["error"], told["reason"]) == (400, "invalid_grant", "age_restricted")
        game = Game(server)
        asked = {
            "client_id": "40",
            "response_type": "code",
            "state": "xsollatest",
            "redirect_uri": "http://127.0.0.1/blank",
            "is_redirect": "false",
            "session_ticket": sent["subject_token"],
        }
        answer = await game.get("/api/oauth2/social/xbox/cross_auth", **asked)
        assert refusal(answer) == (422, "002-060", {"reason": "age_restricted"})


async def test_a_child_in_a_browser_is_asked_to_fetch_an_adult() -> None:
    async with serving(age_policy="refuse", directed_at_children=True) as server:
        browser = Browser(server)
        asked = await browser.authorize()
        shown = page(await browser.press(asked, "sign-in-steam"), 403)
        assert "Please ask an adult" in shown
        assert counts(server)["trips"] == 0


async def test_a_child_who_comes_back_from_xbox_is_asked_to_fetch_an_adult() -> None:
    async with serving(age_policy="refuse") as server:
        browser = Browser(server)
        there = await browser.press(await browser.authorize(), "sign-in-xbox")
        shown = page(await browser.press(there, "amber", case="child"), 403)
        assert "Please ask an adult" in shown
        assert counts(server)["players"] == 0


# --- what is kept and told ---


@pytest.mark.parametrize("scope", ["openid profile email offline"])
async def test_of_a_child_nothing_personal_is_stored_or_told(scope: str) -> None:
    async with serving() as server:
        tokens = await server.login("xbox", token(server, "Child"), scope=scope)
        player = await player_of(server, tokens)
        assert (player.display_name, player.name_from, player.age_group) == ("", "", "child")
        assert await told_of(server, tokens) == set()
        adult = await server.login("xbox", token(server, "Adult", "birch"), scope=scope)
        assert await told_of(server, adult) >= {"name"}


async def test_what_was_stored_of_a_player_who_turns_out_to_be_a_child_goes() -> None:
    async with serving() as server:
        tokens = await server.login("xbox", token(server, None), scope="openid profile email offline")
        player = await player_of(server, tokens)
        await server.app.storage.apply([SetProfile(player.id, PROFILE)])
        assert await told_of(server, tokens) >= {"name", "email"}
        again = await server.login("xbox", token(server, "Child"), scope="openid profile email offline")
        found = await player_of(server, again)
        assert (found.display_name, found.age_group) == ("", "child")
        assert await server.app.storage.load_profile(player.id) == ""
        assert await told_of(server, again) == set()
        assert await told_of(server, tokens) <= {"name", "preferred_username"}  # the old id_token says what it said
        (line,) = server.audited("player.age_group_changed")
        assert line["sub"] == found.sub


async def test_a_child_grows_up_when_the_platform_says_so() -> None:
    async with serving() as server:
        await server.login("xbox", token(server, "Child"))
        tokens = await server.login("xbox", token(server, "Teen"), scope="openid profile")
        player = await player_of(server, tokens)
        assert (player.age_group, player.display_name) == ("teen", "Amber")


async def test_a_login_by_which_nothing_is_told_changes_no_age() -> None:
    async with serving() as server:
        child = await player_of(server, await server.login("xbox", token(server, "Child")))
        await server.login("xbox", token(server, None))
        assert (await account_of(server, child.sub)).player.age_group == "child"
        assert (await account_of(server, child.sub)).player.display_name == ""
        assert server.audited("player.age_group_changed") == []


# --- rules that become stricter ---


async def test_a_stricter_rule_holds_at_the_next_refresh_and_in_browsers() -> None:
    kept = Kept(ruled())
    async with running(edit=kept) as server:
        tokens = await server.login("xbox", token(server, "Child"), scope="openid profile offline")
        browser = Browser(server)
        await browser.sign_in()
        await reload(server, kept.changed(ruled_again(age_policy="refuse", directed_at_children=True)))
        answer = await server.refresh(tokens["refresh_token"])
        assert (answer.status_code, answer.json()["reason"]) == (400, "age_restricted")
        assert (await browser.authorize(prompt="none")).answer["error"] == "login_required"
        await reload(server, kept.block)
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_what_was_stored_before_a_rule_is_told_no_more() -> None:
    kept = Kept(ruled(guarded_age_groups=[]))
    async with running(edit=kept) as server:
        tokens = await server.login("xbox", token(server, "Child"), scope="openid profile offline")
        assert (await server.userinfo(tokens["access_token"])).json()["name"] == "Amber"
        await reload(server, kept.changed(ruled_again(guarded_age_groups=["child"])))
        assert "name" not in (await server.userinfo(tokens["access_token"])).json()
        refreshed = (await server.refresh(tokens["refresh_token"])).json()
        assert "name" not in server.claims(refreshed["access_token"])
        assert "name" not in server.claims(refreshed["id_token"])


def ruled_again(**rules: object) -> Callable[[dict[str, Any]], None]:
    def change(block: dict[str, Any]) -> None:
        demo(block)["accounts"] |= rules

    return change
