"""Rows D04 and D05: bans by a platform and borrowed games count where the studio says so, at every door alike.

They are the platform's: nothing of ours marks the player, so that one who is forgiven there comes in again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from authsrv.models import TOKEN_EXCHANGE
from tests.support.browser import Browser
from tests.support.exchange import submitted
from tests.support.refusals import demo, page, tables
from tests.support.server import Server, running
from tests.support.xsolla import Game, refusal


@dataclass(frozen=True)
class Flag:
    """A setting that makes a fact about an account count: its strict value, the emulator's case, and the reasons by
    which we and Xsolla's details tell it.
    """

    provider: str
    setting: str
    strict: object
    case: str
    reason: str
    theirs: str


FLAGS = {
    "VAC": Flag("steam", "reject_vac", True, "banned", "account_banned", "platform_banned"),
    "publisher": Flag("steam", "reject_publisher_ban", True, "publisher-banned", "account_banned", "platform_banned"),
    "borrowed": Flag("steam", "allow_family_sharing", False, "family-shared", "account_not_entitled", "not_owned"),
    "not owned": Flag("steam", "require_ownership", True, "not-owned", "account_not_entitled", "not_owned"),
    "Xbox enforcement": Flag(
        "xbox", "required_privileges", [254], "missing-privileges", "account_restricted", "age_restricted"
    ),
}
flags = pytest.mark.parametrize("flag", FLAGS.values(), ids=FLAGS)
LENIENT = {
    "steam": {
        "reject_vac": False,
        "reject_publisher_ban": False,
        "allow_family_sharing": True,
        "require_ownership": False,
    },
    "xbox": {"required_privileges": []},
}


@asynccontextmanager
async def serving(provider: str, **settings: object) -> AsyncIterator[Server]:
    """The demo, lenient but for these settings of a platform."""

    def edit(block: dict[str, Any]) -> None:
        for name, lenient in LENIENT.items():
            demo(block)["platforms"][name] |= lenient
        demo(block)["platforms"][provider] |= settings

    async with running(edit=edit) as server:
        yield server


@flags
async def test_D04_D05_a_flag_of_the_platform_counts_where_its_setting_says_so(flag: Flag) -> None:
    async with serving(flag.provider) as server:
        assert (await server.silent(flag.provider, server.mint(flag.provider, case=flag.case))).status_code == 200
    async with serving(flag.provider, **{flag.setting: flag.strict}) as server:
        answer = await server.silent(flag.provider, server.mint(flag.provider, case=flag.case))
        told = answer.json()
        assert (answer.status_code, told["error"], told["reason"]) == (403, "access_denied", flag.reason)
        assert (await server.silent(flag.provider)).status_code == 200


@flags
async def test_D04_D05_at_the_token_endpoint_and_below_api_too(flag: Flag) -> None:
    async with serving(flag.provider, **{flag.setting: flag.strict}) as server:
        sent = submitted(flag.provider, server.mint(flag.provider, case=flag.case))
        exchanged = await server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", **sent)
        told = exchanged.json()
        assert (exchanged.status_code, told["error"], told["reason"]) == (400, "invalid_grant", flag.reason)
        asked = {"client_id": "40", "response_type": "code", "state": "xsollatest", "is_redirect": "false"}
        asked |= {"redirect_uri": "http://127.0.0.1/blank", **server.mint(flag.provider, case=flag.case).parameters}
        status, code, details = refusal(
            await Game(server).get(f"/api/oauth2/social/{flag.provider}/cross_auth", **asked)
        )
        assert (status, code) == (422, "002-060" if flag.provider == "xbox" else "010-015")
        assert details["reason"] == flag.theirs


@flags
async def test_D05_the_platforms_ban_is_none_of_ours(flag: Flag) -> None:
    async with serving(flag.provider, **{flag.setting: flag.strict}) as server:
        assert (await server.silent(flag.provider)).status_code == 200
        assert (await server.silent(flag.provider, server.mint(flag.provider, case=flag.case))).status_code == 403
        assert (tables(server).bans, tables(server).identity_bans) == ({}, set())
        assert (await server.silent(flag.provider)).status_code == 200


@pytest.mark.parametrize("case", ["browser-banned", "browser-third-party-ban"])
async def test_D05_an_enforcement_of_xbox_ends_on_a_page_that_says_so(case: str) -> None:
    async with serving("xbox") as server:
        browser = Browser(server)
        there = await browser.press(await browser.authorize(), "sign-in-xbox")
        shown = page(await browser.press(there, "amber", case=case), 403)
        assert "This account is banned" in shown
