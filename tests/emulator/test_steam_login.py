"""The emulated sign-in page of Steam: what it shows, where it leads, and what it confirms afterwards."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import PLAYERS, FaultMode, UnknownCase
from authsrv.emulator.steam.emulator import SteamEmulator
from authsrv.emulator.steam.openid_cases import OPENID_CASES
from tests.support.outbound import BASE_URL
from tests.support.steam import AMBER, CALLBACK, STATE, TRIP, ManualClock, steam_keys, steam_setup

PATH = "/steam/openid/login"
REQUEST = {
    "openid.ns": "http://specs.openid.net/auth/2.0",
    "openid.mode": "checkid_setup",
    "openid.claimed_id": "http://specs.openid.net/auth/2.0/identifier_select",
    "openid.identity": "http://specs.openid.net/auth/2.0/identifier_select",
    "openid.return_to": f"{CALLBACK}?state={STATE}",
    "openid.realm": "https://login.studio.test",
}
VALID = "ns:http://specs.openid.net/auth/2.0\nis_valid:true\n"
INVALID = "ns:http://specs.openid.net/auth/2.0\nis_valid:false\n"


@dataclass(frozen=True)
class Visitor:
    """A browser at the emulator, and the server that asks about what the browser carried."""

    http: httpx.AsyncClient
    emulator: SteamEmulator
    clock: ManualClock

    async def choose(self, **choice: str) -> httpx.Response:
        return await self.http.post(PATH, data={**REQUEST, **choice})

    async def carry(self, **choice: str) -> dict[str, str]:
        """What the browser is sent back with."""
        answer = await self.choose(**choice)
        assert answer.status_code == 303
        query = urlsplit(answer.headers["location"]).query
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))

    async def check(self, carried: Mapping[str, str], **headers: str) -> httpx.Response:
        sent = {"Origin": BASE_URL, "Referer": f"{BASE_URL}/steam/", **headers}
        form = {**carried, "openid.mode": "check_authentication"}
        return await self.http.post(PATH, data=form, headers=sent)


@pytest.fixture
async def visitor() -> AsyncIterator[Visitor]:
    clock = ManualClock()
    emulator = SteamEmulator(steam_keys(), clock=clock, sleep=clock.sleep)
    transport = httpx.ASGITransport(create_emulator([emulator], clock=clock))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        yield Visitor(http, emulator, clock)


# The page


async def test_the_page_has_every_player_a_way_out_and_every_case(visitor: Visitor) -> None:
    shown = await visitor.http.get(PATH, params=REQUEST)
    assert shown.status_code == 200
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    for button in (*(f'name="player" value="{name}"' for name in PLAYERS), 'name="cancel" value="1"'):
        assert f"<button {button}" in shown.text or f'<button class="cancel" {button}' in shown.text
    assert [name for name in OPENID_CASES if f'<option value="{name}">' not in shown.text] == []
    assert f'<input type="hidden" name="openid.return_to" value="{CALLBACK}?state={STATE}">' in shown.text


async def test_the_page_is_where_the_platform_sends_browsers_with_the_proposed_settings(visitor: Visitor) -> None:
    steam = steam_setup()
    address = steam.platform.sign_in_url(TRIP)
    assert address == f"{BASE_URL}{PATH}?{urlencode(REQUEST)}"
    assert (await visitor.http.get(address)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"openid.ns": ""}, id="no OpenID 2.0"),
        pytest.param({"openid.mode": "checkid_immediate"}, id="another mode"),
        pytest.param({"openid.claimed_id": "https://players.example/"}, id="a claimed account"),
        pytest.param({"openid.identity": ""}, id="no identity"),
        pytest.param({"openid.return_to": ""}, id="no way back"),
        pytest.param({"openid.return_to": "https://players.example/"}, id="another site"),
        pytest.param({"openid.return_to": "http://login.studio.test/"}, id="another scheme"),
        pytest.param({"openid.return_to": "https://["}, id="no address"),
        pytest.param({"openid.return_to": "javascript:1", "openid.realm": "javascript:"}, id="no web address"),
        pytest.param({"openid.realm": "https://login.studio.test/log"}, id="another path"),
        pytest.param({"openid.realm": ""}, id="no realm"),
    ],
)
async def test_a_request_without_a_good_way_back_is_told_so_on_a_page(
    visitor: Visitor, change: Mapping[str, str]
) -> None:
    shown = await visitor.http.get(PATH, params={**REQUEST, **change})
    posted = await visitor.choose(player="amber", **change)
    for answer in (shown, posted):
        assert answer.status_code == 400
        assert "The emulated Steam cannot go on" in answer.text
        assert "location" not in answer.headers


async def test_a_realm_with_a_path_holds_what_lies_below_it(visitor: Visitor) -> None:
    request = {**REQUEST, "openid.realm": "https://login.studio.test/login/"}
    assert (await visitor.http.get(PATH, params=request)).status_code == 200


@pytest.mark.parametrize(
    "choice", [{}, {"player": "dune"}, {"player": "amber", "case": "openid-no-such-case"}], ids=str
)
async def test_a_choice_that_is_none_is_told_so_on_a_page(visitor: Visitor, choice: dict[str, str]) -> None:
    assert (await visitor.choose(**choice)).status_code == 400


# The way back


async def test_a_player_is_sent_back_with_a_signed_assertion_in_steams_shape(visitor: Visitor) -> None:
    answer = await visitor.choose(player="birch")
    assert answer.headers["location"].startswith(f"{CALLBACK}?state={STATE}&openid.ns=")
    carried = await visitor.carry(player="birch", case="openid-good")
    nonce, signature = carried.pop("openid.response_nonce"), carried.pop("openid.sig")
    assert carried == {
        "state": STATE,
        "openid.ns": "http://specs.openid.net/auth/2.0",
        "openid.mode": "id_res",
        "openid.op_endpoint": f"{BASE_URL}/steam/openid/login",
        "openid.claimed_id": f"{BASE_URL}/steam/openid/id/76561202255232003",
        "openid.identity": f"{BASE_URL}/steam/openid/id/76561202255232003",
        "openid.return_to": f"{CALLBACK}?state={STATE}",
        "openid.assoc_handle": "1234567890",
        "openid.signed": "signed,op_endpoint,claimed_id,identity,return_to,response_nonce,assoc_handle",
    }
    assert nonce.startswith("2026-09-21T14:13:19Z")
    assert len(signature) == 28


async def test_a_way_back_without_a_query_gets_one(visitor: Visitor) -> None:
    answer = await visitor.choose(player="amber", **{"openid.return_to": CALLBACK})
    assert answer.headers["location"].startswith(f"{CALLBACK}?openid.ns=")


async def test_who_cancels_goes_back_without_an_assertion(visitor: Visitor) -> None:
    assert await visitor.carry(cancel="1", case="openid-good") == {
        "state": STATE,
        "openid.ns": "http://specs.openid.net/auth/2.0",
        "openid.mode": "cancel",
    }


async def test_a_case_may_be_named_without_its_prefix(visitor: Visitor) -> None:
    assert (await visitor.carry(player="amber", case="error"))["openid.mode"] == "error"


def test_what_happens_on_the_page_is_listed_and_not_minted() -> None:
    emulator = SteamEmulator(steam_keys())
    assert set(OPENID_CASES) <= set(emulator.cases)
    for case in OPENID_CASES:
        with pytest.raises(UnknownCase, match="in a browser"):
            emulator.mint(AMBER, case=case)


# check_authentication


async def test_an_assertion_is_confirmed_once(visitor: Visitor) -> None:
    carried = await visitor.carry(player="amber")
    first, second = await visitor.check(carried), await visitor.check(carried)
    assert (first.status_code, first.text, first.headers["content-type"]) == (200, VALID, "text/plain; charset=utf-8")
    assert (second.status_code, second.text) == (200, INVALID)


@pytest.mark.parametrize(
    "name", ["op_endpoint", "claimed_id", "identity", "return_to", "response_nonce", "assoc_handle", "signed", "sig"]
)
async def test_what_was_changed_on_the_way_is_not_confirmed(visitor: Visitor, name: str) -> None:
    carried = await visitor.carry(player="amber")
    changed = {**carried, f"openid.{name}": carried[f"openid.{name}"] + "0"}
    assert (await visitor.check(changed)).text == INVALID


@pytest.mark.parametrize("form", [{}, {"openid.response_nonce": "x", "openid.sig": "\u00e9"}], ids=["nothing", "junk"])
async def test_junk_is_not_confirmed(visitor: Visitor, form: Mapping[str, str]) -> None:
    assert (await visitor.check(form)).text == INVALID


@pytest.mark.parametrize("header", ["Origin", "Referer"])
async def test_a_check_that_does_not_come_as_from_steam_is_forbidden(visitor: Visitor, header: str) -> None:
    carried = await visitor.carry(player="amber")
    assert (await visitor.check(carried, **{header: "https://players.example"})).status_code == 403


@pytest.mark.parametrize(
    "case",
    sorted(
        name
        for name, case in OPENID_CASES.items()
        if case.summary.startswith("credential_")
        and name not in {"openid-error", "openid-setup-needed", "openid-repeated", "openid-forged"}
    ),
)
async def test_steam_confirms_an_odd_assertion_so_that_only_the_check_of_its_case_can_refuse_it(
    visitor: Visitor, case: str
) -> None:
    assert (await visitor.check(await visitor.carry(player="amber", case=case))).text == VALID


async def test_a_replayed_nonce_is_confirmed_again_and_replaced_after_four_minutes(visitor: Visitor) -> None:
    first = await visitor.carry(player="amber", case="openid-replayed")
    second = await visitor.carry(player="birch", case="openid-replayed")
    assert first["openid.response_nonce"] == second["openid.response_nonce"]
    assert [(await visitor.check(carried)).text for carried in (first, first, second)] == [VALID] * 3
    visitor.clock.now += 240
    third = await visitor.carry(player="amber", case="openid-replayed")
    assert third["openid.response_nonce"] != first["openid.response_nonce"]


async def test_only_so_many_assertions_are_remembered(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authsrv.emulator.steam.openid._REMEMBERED", 2)
    carried = [await visitor.carry(player="amber") for _ in range(3)]
    assert [(await visitor.check(one)).text for one in carried] == [INVALID, VALID, VALID]


async def test_pages_and_checks_are_counted(visitor: Visitor) -> None:
    await visitor.http.get(PATH, params=REQUEST)
    await visitor.check(await visitor.carry(player="amber"))
    assert visitor.emulator.calls == {"SignInPage": 1, "CheckAuthentication": 1}


@pytest.mark.parametrize(("mode", "status"), [("down", 503), ("throttle", 429), ("garbage", 200)])
async def test_an_outage_hits_the_page_and_the_check(visitor: Visitor, mode: FaultMode, status: int) -> None:
    carried = await visitor.carry(player="amber")
    await visitor.http.post("/emulator/fault", json={"platform": "steam", "mode": mode})
    answers: list[Any] = [
        await visitor.http.get(PATH, params=REQUEST),
        await visitor.choose(player="amber"),
        await visitor.check(carried),
    ]
    assert [answer.status_code for answer in answers] == [status] * 3
    assert not [answer for answer in answers if "is_valid" in answer.text or "Sign in as" in answer.text]


def test_the_document_names_every_case_of_the_page() -> None:
    document = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
    assert [case for case in OPENID_CASES if f"`{case}`" not in document] == []
