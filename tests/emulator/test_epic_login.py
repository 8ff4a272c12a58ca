"""The emulated sign-in page of Epic: whom it answers, whom it sends back, and what with."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import PLAYERS, FaultMode, UnknownCase
from authsrv.emulator.epic.cases import PAGE_CASES, PAGE_ERRORS
from authsrv.emulator.epic.emulator import EpicEmulator
from authsrv.emulator.epic.pages import CASES
from authsrv.platforms.epic.settings import EpicSettings
from tests.support.epic import AMBER, NOW, TRIP, hidden_in, keys, no_answer

PAGE = "/epic/www/id/authorize"
TOKEN = "/epic/api/epic/oauth/v2/token"
ASKED = {
    "client_id": "emulated-epic-client",
    "response_type": "code",
    "scope": "basic_profile openid",
    "redirect_uri": TRIP.callback,
    "state": "a state & more",
    "nonce": TRIP.nonce,
}
CHALLENGE = {
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # RFC 7636 appendix B
    "code_challenge_method": "S256",
}


class Bench:
    """An emulator, a browser and a back end on it, and its clock."""

    def __init__(self) -> None:
        self.now: float = NOW
        self.emulator = EpicEmulator(keys=keys(), clock=lambda: self.now, sleep=no_answer)
        transport = httpx.ASGITransport(create_emulator([self.emulator]))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://emulator.test")

    async def show(self, **changes: str | None) -> httpx.Response:
        return await self.http.get(PAGE, params=asked(**changes))

    async def press(self, case: str = "good", **pressed: str) -> httpx.Response:
        buttons = pressed or {"player": "amber"}
        return await self.http.post(PAGE, data={**ASKED, "case": case, **buttons})

    async def code(self, **more: str) -> str:
        answer = await self.http.post(PAGE, data={**ASKED, "player": "amber", **more})
        return dict(brought_back(answer))["code"]

    async def redeem(self, code: str, **form: str) -> httpx.Response:
        product = self.emulator.product
        data = {"grant_type": "authorization_code", "code": code, "scope": "basic_profile openid", **form}
        return await self.http.post(TOKEN, data=data, auth=(product.client_id, product.client_secret))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.http.aclose()


def asked(**changes: str | None) -> dict[str, str]:
    """A good request, some parameters changed or (None) left out."""
    return {name: value for name, value in {**ASKED, **changes}.items() if value is not None}


def brought_back(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 303
    assert answer.headers["cache-control"] == "no-store"
    target, _, query = answer.headers["location"].partition("?")
    assert target == TRIP.callback
    return parse_qsl(query, keep_blank_values=True)


def ending(answer: httpx.Response) -> str:
    return str(answer.json()["errorCode"]).rpartition(".")[2]


def claims_of(answer: httpx.Response) -> Mapping[str, Any]:
    part = answer.json()["id_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def test_the_page_has_a_button_for_each_player_and_says_that_it_is_not_epic(bench: Bench) -> None:
    answer = await bench.show()
    assert answer.status_code == 200
    assert "<strong>not Epic Games</strong>" in answer.text
    assert all(f'<button name="player" value="{name}">' in answer.text for name in PLAYERS)
    assert 'name="cancel" value="1"' in answer.text
    assert f'<form method="post" action="{PAGE}">' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_page_offers_every_case_with_the_good_one_first(bench: Bench) -> None:
    text = (await bench.show()).text
    places = [text.index(f'<option value="{case}">') for case in CASES]
    assert places == sorted(places)
    assert next(iter(CASES)) == "good"


async def test_the_page_hands_on_the_request_and_nothing_else(bench: Bench) -> None:
    shown = await bench.show(player="birch", case="used-code", cancel="1", **CHALLENGE)
    assert hidden_in(shown.text) == {**ASKED, **CHALLENGE}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": None}, id="no-client"),
        pytest.param({"client_id": "another-client"}, id="other-client"),
        pytest.param({"redirect_uri": None}, id="no-redirect"),
        pytest.param({"redirect_uri": "https://evil.example/"}, id="other-path"),
        pytest.param({"redirect_uri": "https://login.studio.example/login/steam/callback"}, id="other-platform"),
        pytest.param({"redirect_uri": f"{TRIP.callback}/"}, id="more-path"),
        pytest.param({"redirect_uri": f"{TRIP.callback}?next=x"}, id="query"),
        pytest.param({"redirect_uri": f"{TRIP.callback}#x"}, id="fragment"),
        pytest.param({"redirect_uri": f"{TRIP.callback}?"}, id="empty-query"),
        pytest.param({"redirect_uri": "https://a@login.studio.example/login/epicgames/callback"}, id="user"),
        pytest.param({"redirect_uri": "javascript://x/login/epicgames/callback"}, id="scheme"),
        pytest.param({"redirect_uri": "/login/epicgames/callback"}, id="relative"),
        pytest.param({"redirect_uri": "https:///login/epicgames/callback"}, id="no-host"),
        pytest.param({"redirect_uri": "https://[/login/epicgames/callback"}, id="broken-host"),
    ],
)
async def test_a_wrong_client_or_callback_gets_a_page_and_never_a_redirect(
    bench: Bench, changes: dict[str, str | None]
) -> None:
    shown = await bench.show(**changes)
    chosen = await bench.http.post(PAGE, data={**asked(**changes), "player": "amber", "case": "good"})
    for answer in (shown, chosen):
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "cannot go on" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": None}, "unsupported_response_type", id="no-response-type"),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="other-response-type"),
        pytest.param({"scope": None}, "invalid_scope", id="no-scope"),
        pytest.param({"scope": "openid"}, "invalid_scope", id="less-scope"),
        pytest.param({"scope": "basic_profile openid friends_list"}, "invalid_scope", id="more-scope"),
        pytest.param({"code_challenge": "x"}, "invalid_request", id="no-method"),
        pytest.param({"code_challenge": "x", "code_challenge_method": "plain"}, "invalid_request", id="plain"),
    ],
)
async def test_what_the_application_does_not_allow_is_told_by_going_back(
    bench: Bench, changes: dict[str, str | None], error: str
) -> None:
    expected = [("error", error), ("state", "a state & more")]
    assert brought_back(await bench.show(**changes)) == expected
    chosen = await bench.http.post(PAGE, data={**asked(**changes), "player": "amber", "case": "good"})
    assert brought_back(chosen) == expected


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080", "https://studio.example/a/b-c"],
)
async def test_the_callback_may_stand_at_any_origin_and_below_any_path(bench: Bench, origin: str) -> None:
    assert (await bench.show(redirect_uri=f"{origin}/login/epicgames/callback")).status_code == 200


@pytest.mark.parametrize("scope", ["basic_profile", "openid basic_profile"])
async def test_openid_is_no_permission_of_the_application(bench: Bench, scope: str) -> None:
    assert (await bench.show(scope=scope)).status_code == 200


@pytest.mark.parametrize("player", PLAYERS)
async def test_a_player_goes_back_with_a_code_that_names_the_player_and_the_nonce(bench: Bench, player: str) -> None:
    [(name, code), state] = brought_back(await bench.press(player=player))
    assert (name, state) == ("code", ("state", "a state & more"))
    answer = await bench.redeem(code, redirect_uri=TRIP.callback)
    assert answer.json()["account_id"] == PLAYERS[player].epic_account_id
    assert claims_of(answer)["nonce"] == TRIP.nonce


async def test_what_was_not_asked_is_not_brought_back(bench: Bench) -> None:
    answer = await bench.http.post(PAGE, data={**asked(state=None, nonce=None), "player": "amber"})
    [(name, code)] = brought_back(answer)
    assert name == "code"
    assert "nonce" not in claims_of(await bench.redeem(code, redirect_uri=TRIP.callback))


async def test_who_cancels_goes_back_with_access_denied_whatever_case_is_chosen(bench: Bench) -> None:
    for case in ("good", "page-server-error"):
        assert brought_back(await bench.press(case, cancel="1")) == [
            ("error", "access_denied"),
            ("state", "a state & more"),
        ]


@pytest.mark.parametrize("form", [{}, {"redirect_uri": "https://other.example/login/epicgames/callback"}])
async def test_a_code_is_bound_to_its_callback(bench: Bench, form: dict[str, str]) -> None:
    assert ending(await bench.redeem(await bench.code(), **form)) == "authorization_code_not_found"


@pytest.mark.parametrize(
    ("verifier", "expected"),
    [
        pytest.param({}, "single_use_code_verifier_required", id="none"),
        pytest.param({"code_verifier": "x" * 43}, "single_use_code_verifier_invalid", id="other"),
        pytest.param({"code_verifier": CHALLENGE["code_challenge"]}, "single_use_code_verifier_invalid", id="plain"),
        pytest.param({"code_verifier": TRIP.code_verifier}, None, id="right"),
    ],
)
async def test_a_code_is_bound_to_its_challenge(bench: Bench, verifier: dict[str, str], expected: str | None) -> None:
    answer = await bench.redeem(await bench.code(**CHALLENGE), redirect_uri=TRIP.callback, **verifier)
    assert (answer.status_code == 200) is (expected is None)
    assert expected is None or ending(answer) == expected


async def test_a_code_of_the_page_works_once(bench: Bench) -> None:
    code = await bench.code()
    answers = [await bench.redeem(code, redirect_uri=TRIP.callback) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]


async def test_a_code_of_the_page_works_for_five_minutes(bench: Bench) -> None:
    code = await bench.code()
    bench.now += 300
    assert ending(await bench.redeem(code, redirect_uri=TRIP.callback)) == "authorization_code_not_found"


@pytest.mark.parametrize(("case", "error"), PAGE_ERRORS.items())
async def test_a_page_error_comes_back_without_a_code(bench: Bench, case: str, error: str) -> None:
    assert brought_back(await bench.press(case)) == [("error", error), ("state", "a state & more")]


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("page-nothing", ["state"]),
        ("page-odd-code", ["code", "state"]),
        ("page-long-code", ["code", "state"]),
        ("page-two-codes", ["code", "code", "state"]),
        ("page-code-and-error", ["code", "error", "state"]),
        ("page-foreign-state", ["code", "state"]),
        ("used-code", ["code", "state"]),
    ],
)
async def test_a_case_changes_what_comes_back_and_nothing_more(bench: Bench, case: str, names: list[str]) -> None:
    returned = brought_back(await bench.press(case))
    assert [name for name, _ in returned] == names
    assert (returned[-1] == ("state", "a state & more")) is (case != "page-foreign-state")


@pytest.mark.parametrize("case", ["page-two-codes", "page-code-and-error", "page-foreign-state"])
async def test_only_the_reader_can_stop_what_went_wrong_on_the_page(bench: Bench, case: str) -> None:
    code = brought_back(await bench.press(case))[0][1]
    assert (await bench.redeem(code, redirect_uri=TRIP.callback)).status_code == 200


async def test_before_brand_review_strangers_stay_on_the_page(bench: Bench) -> None:
    answer = await bench.press("page-restricted")
    assert answer.status_code == 403
    assert "brand review" in answer.text


async def test_a_corrective_action_leads_to_a_page_that_is_there(bench: Bench) -> None:
    code = await bench.code(case="corrective-action-required")
    action = (await bench.redeem(code, redirect_uri=TRIP.callback)).json()
    answer = await bench.http.get(action["continuationUrl"])
    assert answer.status_code == 200
    assert "privacy policy" in answer.text


@pytest.mark.parametrize(
    "form", [{"player": "nobody"}, {}, {"player": "amber", "case": "nonsense"}, {"player": "amber", "case": "expired"}]
)
async def test_what_the_page_does_not_offer_is_refused(bench: Bench, form: dict[str, str]) -> None:
    answer = await bench.http.post(PAGE, data={**ASKED, **form})
    assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.parametrize("mode", [mode for mode in get_args(FaultMode) if mode not in {"none", "slow"}])
async def test_an_outage_hits_the_page_too(bench: Bench, mode: FaultMode) -> None:
    await bench.http.post("/emulator/fault", json={"platform": "epic", "mode": mode})
    answers = [await bench.show(), await bench.press()]
    assert not any("Sign in with the emulated" in answer.text or answer.is_redirect for answer in answers)


async def test_pages_and_choices_are_counted(bench: Bench) -> None:
    await bench.show()
    await bench.press()
    await bench.press(cancel="1")
    assert bench.emulator.calls == {"authorize": 1, "sign_in": 2}


@pytest.mark.parametrize("case", PAGE_CASES)
def test_what_happens_on_the_page_cannot_be_minted(bench: Bench, case: str) -> None:
    with pytest.raises(UnknownCase, match="shows itself in a browser"):
        bench.emulator.mint(AMBER, case=case)


def test_every_case_of_the_page_is_listed_for_the_command_line() -> None:
    assert set(CASES) <= set(EpicEmulator.cases)
    assert all(CASES.values())


def test_the_settings_are_enough_for_the_sign_in_in_the_browser() -> None:
    settings = EpicSettings.model_validate(Bench().emulator.settings("http://127.0.0.1:8090"))
    assert settings.signs_in_browsers
    assert urlsplit(settings.hosts.www).path + "/id/authorize" == PAGE
    assert (settings.problems(dev=True), settings.warnings()) == ([], [])
