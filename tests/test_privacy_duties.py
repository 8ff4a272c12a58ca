"""The duties of docs/privacy.md, P01 to P16: those that no other module shows, and that each is shown somewhere."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from authsrv.config import all_settings
from authsrv.demo.players import PROFILE
from authsrv.emulator.base import PLAYERS
from authsrv.models import TOKEN_EXCHANGE
from authsrv.storage.account_changes import SetDisplayName, SetSegments
from authsrv.storage.changes import SetProfile
from tests.support.browser import Browser
from tests.support.ending import FEED, made_of, own_token, with_everybody
from tests.support.exchange import ACCESS_TOKEN, ID_TOKEN
from tests.support.listening import connections
from tests.support.refusals import clients, tables
from tests.support.residents import resident
from tests.support.server import EMULATOR_NAMES, Server, running
from tests.support.storage import migrated_file, rows
from tests.support.xsolla import Game

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
AMBER = PLAYERS["amber"]
ADDRESS = "198.51.100.77"


def edited(block: dict[str, Any]) -> None:
    with_everybody(block)
    shop = clients(block)["shop"]
    shop |= {"backchannel_logout_uri": "https://shop.example/logout", "scopes": [*shop["scopes"], "account"]}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edited) as started:
        yield started


# --- P01: store little, and put little into tokens ---


def texts(value: object) -> Iterator[str]:
    """Every text in what a token says, names of claims too."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    else:
        yield str(value)


PERSONAL = {
    *(str(PROFILE[name]) for name in ("name", "given_name", "middle_name", "family_name", "email", "phone_number")),
    *(str(PROFILE[name]) for name in ("profile", "picture", "website", "birthdate", "zoneinfo", "locale")),
    *PROFILE["address"].values(),
    "amber-tier",
    ADDRESS,
}
ALL_SCOPES = "openid profile email address phone offline"


async def issued(server: Server) -> dict[str, str]:
    """A token of every kind, for a player of whom everything is stored."""
    amber = await resident(server)
    row = await amber.row()
    told = json.dumps(dict(PROFILE))
    await server.app.storage.apply([SetProfile(row, told), SetSegments(row, '{"tier":"amber-tier"}')])
    browser = Browser(server)
    in_browser = await browser.tokens("steam", scope=ALL_SCOPES)
    access, game = in_browser["access_token"], Game(server)
    exchanged = await made_of(server, amber.tokens["access_token"], actor_token=await own_token(server))
    mod = {"subject_token": amber.tokens["access_token"], "subject_token_type": ACCESS_TOKEN}
    wanted = {"requested_token_type": ID_TOKEN, "audience": "https://mod.io"}
    for_others = await server.token(grant_type=TOKEN_EXCHANGE, client_id="launcher", **mod, **wanted)
    refreshed = (await server.refresh(amber.tokens["refresh_token"])).json()
    await browser.open("/oauth2/logout", id_token_hint=in_browser["id_token"])
    await server.app.notices.round()
    return {
        "access token": amber.tokens["access_token"],
        "access token with every scope": access,
        "id_token of a silent login": amber.tokens["id_token"],
        "id_token with every scope": in_browser["id_token"],
        "refreshed access token": refreshed["access_token"],
        "access token in Xsolla's profile": await game.access_token(),
        "access token of a server": await own_token(server),
        "access token of an actor": exchanged.json()["access_token"],
        "id_token for others": for_others.json()["access_token"],
        "logout token": server.notified.got[0][1]["logout_token"],
        "revocation feed": (await server.http.get(FEED)).text,
    }


async def test_P01_no_token_holds_anything_of_a_player_but_who_they_are(server: Server) -> None:
    """But for the display name where Xsolla's contract has it."""
    found = {
        kind: sorted(PERSONAL & set(texts(jwt.decode(token, options={"verify_signature": False}))))
        for kind, token in (await issued(server)).items()
    }
    assert len(found) == 11
    assert {kind: told for kind, told in found.items() if told} == {
        "access token in Xsolla's profile": [AMBER.display_name]
    }


async def test_P01_names_come_only_with_their_scope_and_from_userinfo(server: Server) -> None:
    for scope, names in (("openid", set()), ("openid profile", {"name"}), ("openid email", {"email"})):
        tokens = await Browser(server).tokens("steam", scope=scope)
        row = (await server.app.storage.load_subject(server.claims(tokens["id_token"])["sub"])).id  # type: ignore[union-attr]
        await server.app.storage.apply([SetProfile(row, json.dumps(dict(PROFILE)))])
        told = (await server.userinfo(tokens["access_token"])).json()
        assert told.keys() & {"name", "email", "phone_number", "address"} == names


def test_P01_P10_the_data_map_names_every_table_and_no_other(tmp_path: Path) -> None:
    stored = {str(name) for (name,) in rows(migrated_file(tmp_path), "SELECT name FROM pragma_table_list WHERE strict")}
    section = PAGE.partition("## What is stored")[2].partition("\n## ")[0]
    named = {name for row in section.splitlines() if row.startswith("|") for name in re.findall(r"`([a-z_]+)`", row)}
    assert stored - named == set()
    assert named - stored == {"sub"}


# --- P02, P11: logs ---


async def everything_once(server: Server) -> None:
    """Logins by every platform, silent and in a browser, and what a player may do afterwards."""
    for provider in EMULATOR_NAMES:
        await server.login(provider)
        await Browser(server).tokens(provider)
    amber = await resident(server)
    for path in ("/v1/me", "/v1/me/identities", "/v1/me/timeline", "/v1/me/export"):
        await amber.get(path)
    await amber.delete(f"/v1/me/identities/steam/{AMBER.steam_id}", preview="true")
    await amber.delete("/v1/me", confirm=amber.sub)


async def test_P02_no_platform_id_and_no_name_is_ever_in_the_log(server: Server) -> None:
    await everything_once(server)
    logged = json.dumps(server.events, default=str)
    assert logged.count('"authsrv.access"') > 20
    ids = (AMBER.steam_id, AMBER.partner_xuid, AMBER.xuid, AMBER.epic_account_id, AMBER.product_user_id)
    assert [mark for mark in (*ids, AMBER.display_name, AMBER.email) if mark and mark in logged] == []


async def test_P11_of_an_address_the_log_and_the_journal_hold_the_network_alone(server: Server) -> None:
    server.http._transport.client = (ADDRESS, 50000)  # type: ignore[attr-defined]  # of httpx's ASGI transport
    await everything_once(server)
    stored = str(list(tables(server).events.values()))
    assert ADDRESS not in json.dumps(server.events, default=str) + stored
    assert "198.51.100.0/24" in stored


# --- P03: rectification ---


async def test_P03_the_name_follows_the_platform_at_every_login(server: Server) -> None:
    amber = await resident(server)
    await server.app.storage.apply([SetDisplayName(await amber.row(), "Ambre", "steam")])
    assert (await amber.get("/v1/me")).json()["display_name"] == "Ambre"
    assert (await (await resident(server)).get("/v1/me")).json()["display_name"] == "Amber"


# --- P14, P16: what platforms tell and what is kept of it ---


def everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def test_P14_P16_of_an_xbox_login_the_partner_id_and_the_age_group_are_kept_and_neither_xuid_nor_token(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, edit=edited) as server:
        minted = server.mint("xbox")
        await server.login("xbox", minted)
        content = everything_in(tmp_path)
        told = rows(tmp_path / "authsrv.db", "SELECT age_group FROM players")
    assert told == [("adult",)]
    assert AMBER.partner_xuid.encode() in content
    parts = [part for part in re.split(r"[;.]", minted.text) if len(part) > 40]
    assert parts
    assert [mark for mark in (AMBER.xuid, *parts) if mark.encode() in content] == []


# --- P15: where data goes ---


async def test_P15_nothing_is_ever_called_but_platforms_and_clients(server: Server) -> None:
    with connections() as seen:
        await everything_once(server)
        await server.app.notices.round()
    assert seen == []
    assert {name for name, outbound in server.outbounds.items() if outbound.requests} == {*EMULATOR_NAMES}
    assert {url for url, _ in server.notified.got} <= {"https://shop.example/logout"}


# --- the page itself ---


def test_P08_P10_the_page_names_every_setting_of_retention() -> None:
    settings = {path[1] for path in all_settings() if path[0] == "retention" and len(path) > 1}
    assert {name for name in settings if f"`{name}`" not in PAGE} == {"beyond_limits"}


def test_P10_the_template_asks_for_what_a_record_of_processing_needs() -> None:
    template = PAGE.partition("## Template for an impact assessment")[2]
    words = (
        "Who",
        "Purpose",
        "Data",
        "Whose",
        "Recipients",
        "How long",
        "Rights",
        "Risks and measures",
        "What is left",
    )
    assert [word for word in words if f"**{word}**" not in template] == []


DUTIES = [f"P{number:02}" for number in range(1, 17)]
ELSEWHERE = {
    "P09": "G01",  # secrets rest as digests: tests/test_canary.py
    "P12": "age",  # the age gate: tests of the policy by age group
    "P13": "age",
}
"""Duties that are shown under the name of another checklist."""


@pytest.mark.parametrize("duty", DUTIES)
def test_every_duty_stands_on_the_page_and_is_shown_by_a_test(duty: str) -> None:
    assert f"| {duty} |" in PAGE
    names = [
        name
        for file in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    ]
    mark = ELSEWHERE.get(duty, duty)
    assert [name for name in names if re.search(rf"_{mark}(_|$)", name)], duty
