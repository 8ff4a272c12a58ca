"""The emulated sign-in in the browser: its page, its endpoints, and every case ending as it says."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from authsrv.emulator.app import create_emulator
from authsrv.emulator.base import PLAYERS, UnknownCase
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES, ON_PAGE
from authsrv.emulator.xbox.emulator import XboxEmulator
from authsrv.emulator.xbox.login import CLIENT_ID, CLIENT_SECRET, CODE_LIFETIME
from authsrv.emulator.xbox.tokens import RELYING_PARTY
from authsrv.platforms.base import SignInCancelled, Submission
from tests.support.xbox import AMBER, TRIP, Xbox, end, hidden_fields, keys, parameters

GOOD = AMBER.partner_xuid
OURS, DOWN = "PlatformMisconfigured", "PlatformUnavailable"
REJECTED, ACTION, RESTRICTED = "credential_rejected", "account_action_required", "account_restricted"
ENDS = {
    "good": GOOD,
    "jku-rs256": GOOD,
    "certificate-path": GOOD,
    "child": "age_restricted",
    "missing-privileges": RESTRICTED,
    "no-ptx": OURS,
    "unknown-x5t": OURS,
    "legacy-enc": OURS,
    "bad-inner-signature": OURS,
    "keys-down": DOWN,
    "wrong-audience": OURS,
    "wrong-sandbox": OURS,
    "expired": OURS,
    "not-yet-valid": OURS,
    "browser-consent-required": ACTION,
    "browser-page-busy": DOWN,
    "browser-page-registration": OURS,
    "browser-page-unknown": REJECTED,
    "browser-no-code": "credential_malformed",
    "browser-expired-code": REJECTED,
    "browser-used-code": REJECTED,
    "browser-wrong-secret": OURS,
    "browser-registration": OURS,
    "browser-token-unknown": REJECTED,
    "browser-token-down": DOWN,
    "browser-token-throttled": DOWN,
    "browser-user-malformed": OURS,
    "browser-user-refused": REJECTED,
    "browser-user-down": DOWN,
    "browser-user-down-once": GOOD,
    "browser-banned": "account_banned",
    "browser-third-party-ban": "account_banned",
    "browser-parental": RESTRICTED,
    "browser-billing": ACTION,
    "browser-no-account": ACTION,
    "browser-no-account-bare": ACTION,
    "browser-foreign-page": ACTION,
    "browser-terms": ACTION,
    "browser-region": RESTRICTED,
    "browser-age-check": ACTION,
    "browser-curfew": RESTRICTED,
    "browser-child": ACTION,
    "browser-transition": ACTION,
    "browser-maintenance": ACTION,
    "browser-account-type": RESTRICTED,
    "browser-sandbox-denied": OURS,
    "browser-rename": ACTION,
    "browser-retail-account": OURS,
    "browser-sandbox-unknown": OURS,
    "browser-service-expired": OURS,
    "browser-service-invalid": OURS,
    "browser-user-expired": GOOD,
    "browser-user-invalid": REJECTED,
    "browser-outage": DOWN,
    "browser-outage-too": DOWN,
    "browser-unknown-xerr": REJECTED,
    "browser-wrong-relying-party": OURS,
    "browser-no-xerr": OURS,
    "browser-forbidden": OURS,
    "browser-throttled": DOWN,
    "browser-xsts-down": DOWN,
    "browser-xsts-down-once": GOOD,
}
CONTRACT = {"x-xbl-contract-version": "1"}
LOGIN = "/xbox/consumers/oauth2/v2.0"


def test_every_case_of_the_page_is_listed_here_and_among_all_cases() -> None:
    assert set(ON_PAGE) == set(ENDS)
    assert set(ENDS) <= set(XboxEmulator.cases)
    assert next(iter(ON_PAGE)) == "good"


@pytest.mark.parametrize("case", ENDS)
async def test_a_case_ends_as_it_says(case: str) -> None:
    assert await end(Xbox(min_age_group="teen", required_privileges=[254]), case) == ENDS[case]


@pytest.mark.parametrize("case", BROWSER_CASES)
def test_a_case_of_the_browser_is_not_minted(case: str) -> None:
    with pytest.raises(UnknownCase, match="choose it on the emulated sign-in page"):
        Xbox().emulator.mint(AMBER, case=case)


async def test_the_cancel_button_brings_the_player_back_unsigned() -> None:
    xbox = Xbox()
    returned = await xbox.returned(button={"cancel": "1"})
    assert ("error", "access_denied") in returned
    assert ("state", TRIP.state) in returned
    with pytest.raises(SignInCancelled):
        xbox.platform.parse_return(TRIP, returned)


class Reader(HTMLParser):
    """What of a page matters here: its fields, options and buttons by name, and where its form goes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


class TestThePage:
    async def test_it_has_a_button_for_each_player_one_to_cancel_and_all_cases(self) -> None:
        xbox = Xbox()
        async with xbox.browser() as browser:
            shown = await browser.get(xbox.platform.sign_in_url(TRIP))
        page = Reader(shown.text)
        buttons = [(button["name"], button["value"]) for button in page.every("button")]
        assert buttons == [*(("player", player) for player in PLAYERS), ("cancel", "1")]
        assert [option["value"] for option in page.every("option")] == list(ON_PAGE)
        assert [(form["method"], form["action"]) for form in page.every("form")] == [("post", f"{LOGIN}/authorize")]
        assert "emulator" in shown.text
        assert shown.status_code == 200
        assert shown.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("player", PLAYERS)
    async def test_a_button_leads_back_with_code_and_state(self, player: str) -> None:
        xbox = Xbox()
        async with xbox.browser() as browser:
            shown = await browser.get(xbox.platform.sign_in_url(TRIP))
            form = hidden_fields(shown.text) | {"player": player, "case": "good"}
            answer = await browser.post(f"{LOGIN}/authorize", data=form)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(f"{TRIP.callback}?code=")
        assert [name for name, _ in parameters(answer)] == ["code", "state"]
        assert xbox.emulator.calls == {"authorize": 1, "sign_in": 1}

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"client_id": "another"}, id="unknown-app"),
            pytest.param({"client_id": None}, id="no-app"),
            pytest.param({"redirect_uri": "https://evil.test/"}, id="unregistered-redirect"),
            pytest.param({"redirect_uri": "javascript:alert(1)//login/xbox/callback"}, id="no-http"),
            pytest.param({"redirect_uri": "https://evil.test/?x=/login/xbox/callback"}, id="callback-in-the-query"),
            pytest.param({"redirect_uri": None}, id="no-redirect"),
        ],
    )
    async def test_nobody_is_sent_to_an_address_that_is_not_registered(
        self, method: str, change: Mapping[str, str | None]
    ) -> None:
        answer = await at_page(method, change)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "cannot go on" in answer.text

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "openid"}, "invalid_scope"),
            ({"scope": "XboxLive.signin&XboxLive.offline_access"}, "invalid_scope"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge": "short"}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
        ],
    )
    async def test_a_request_that_is_wrong_otherwise_goes_back_with_its_error(
        self, method: str, change: Mapping[str, str | None], error: str
    ) -> None:
        answer = await at_page(method, change)
        assert answer.status_code == 303
        assert urlsplit(answer.headers["location"])._replace(query="").geturl() == TRIP.callback
        assert dict(parameters(answer))["error"] == error
        assert dict(parameters(answer))["state"] == TRIP.state

    @pytest.mark.parametrize("form", [{}, {"player": "nobody"}, {"player": "amber", "case": "no-such"}])
    async def test_a_button_that_the_page_does_not_have_leads_nowhere(self, form: Mapping[str, str]) -> None:
        answer = await at_page("POST", {"player": None, **form})
        assert answer.status_code == 400

    async def test_without_state_there_is_none_on_the_way_back(self) -> None:
        assert [name for name, _ in parameters(await at_page("POST", {"state": None}))] == ["code"]

    async def test_what_was_sent_is_escaped(self) -> None:
        answer = await at_page("GET", {"state": '"><script>alert(1)</script>'})
        assert "<script" not in answer.text

    async def test_a_platform_that_is_down_shows_no_page_and_answers_nothing(self) -> None:
        app = create_emulator([XboxEmulator(keys=keys())])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://emulator.test") as browser:
            await browser.post("/emulator/fault", json={"platform": "xbox", "mode": "down"})
            shown = await browser.get(f"{LOGIN}/authorize")
            called = [await browser.post(path) for path in (f"{LOGIN}/token", "/xbox/user/authenticate")]
        assert {answer.status_code for answer in (shown, *called)} == {503}


async def at_page(method: str, change: Mapping[str, str | None]) -> httpx.Response:
    """What the page answers to a good request, or the press of amber's button, with changes."""
    xbox = Xbox()
    async with xbox.browser() as browser:
        good = hidden_fields((await browser.get(xbox.platform.sign_in_url(TRIP))).text)
        if method == "POST":
            good["player"] = "amber"
        sent = {name: value for name, value in {**good, **change}.items() if value is not None}
        url = f"{LOGIN}/authorize"
        return await (browser.get(url, params=sent) if method == "GET" else browser.post(url, data=sent))


class TestTheTokenEndpoint:
    async def test_its_answer_is_as_microsofts(self) -> None:
        answer = await redeemed({})
        token = answer.json().pop("access_token")
        assert answer.status_code == 200
        assert answer.json() == {
            "token_type": "Bearer",
            "scope": "XboxLive.signin",
            "expires_in": 3600,
            "ext_expires_in": 3600,
            "access_token": token,
        }

    @pytest.mark.parametrize(
        ("change", "status", "error"),
        [
            ({"client_id": "another"}, 400, "unauthorized_client"),
            ({"client_secret": "wrong"}, 401, "invalid_client"),
            ({"client_secret": None}, 401, "invalid_client"),
            ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
            ({"code": "unknown"}, 400, "invalid_grant"),
            ({"redirect_uri": "http://other.test/login/xbox/callback"}, 400, "invalid_grant"),
            ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
            ({"code_verifier": None}, 400, "invalid_grant"),
        ],
    )
    async def test_it_checks_every_part_of_the_request(
        self, change: Mapping[str, str | None], status: int, error: str
    ) -> None:
        answer = await redeemed(change)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.json()["error_description"].startswith(f"AADSTS{answer.json()['error_codes'][0]}: ")

    async def test_a_code_can_be_redeemed_once(self) -> None:
        xbox = Xbox()
        code = dict(await xbox.returned())["code"]
        first, second = [await redeemed({"code": code}, xbox) for _ in range(2)]
        assert (first.status_code, second.json()["error"]) == (200, "invalid_grant")

    @pytest.mark.parametrize(("age", "status"), [(CODE_LIFETIME - 1, 200), (CODE_LIFETIME, 400)])
    async def test_a_code_expires(self, age: int, status: int) -> None:
        xbox = Xbox()
        code = dict(await xbox.returned())["code"]
        xbox.now += age
        assert (await redeemed({"code": code}, xbox)).status_code == status


async def redeemed(change: Mapping[str, str | None], xbox: Xbox | None = None) -> httpx.Response:
    """What the token endpoint answers to a good request with changes."""
    xbox = xbox or Xbox()
    form = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "grant_type": "authorization_code",
        "code": change.get("code") or dict(await xbox.returned())["code"],
        "redirect_uri": TRIP.callback,
        "code_verifier": TRIP.code_verifier,
    }
    async with xbox.browser() as server:
        sent = {name: value for name, value in {**form, **change}.items() if value is not None}
        return await server.post(f"{LOGIN}/token", data=sent)


async def user_token(xbox: Xbox, change: Mapping[str, Any], **frame: Any) -> httpx.Response:
    """What a good request for a user token gets, with changed properties or another frame around them."""
    token = (await redeemed({}, xbox)).json()["access_token"]
    good = {"AuthMethod": "RPS", "SiteName": "user.auth.xboxlive.com", "RpsTicket": "d={token}"}
    properties = {**good, **change}
    if isinstance(properties["RpsTicket"], str):
        properties["RpsTicket"] = properties["RpsTicket"].format(token=token)
    return await posted(xbox, "user/authenticate", properties, {"RelyingParty": "http://auth.xboxlive.com", **frame})


async def xsts_token(xbox: Xbox, change: Mapping[str, Any], **frame: Any) -> httpx.Response:
    """The same for an XSTS token."""
    properties = {"SandboxId": "RETAIL", "UserTokens": [(await user_token(xbox, {})).json()["Token"]], **change}
    return await posted(xbox, "xsts/xsts/authorize", properties, {"RelyingParty": RELYING_PARTY, **frame})


async def posted(xbox: Xbox, path: str, properties: Any, frame: Mapping[str, Any]) -> httpx.Response:
    body = {"TokenType": "JWT", "Properties": properties, **frame}
    version = {"x-xbl-contract-version": body.pop("version", "1")}
    async with xbox.browser() as server:
        return await server.post(f"/xbox/{path}", json=body, headers=version)


SERVICES = {"user": user_token, "xsts": xsts_token}


class TestTheXboxServices:
    async def test_their_answers_are_as_microsofts(self) -> None:
        xbox = Xbox()
        user = await user_token(xbox, {})
        xsts = await xsts_token(xbox, {"UserTokens": [user.json()["Token"]]})
        for answer in (user, xsts):
            assert answer.status_code == 200
            assert set(answer.json()) == {"IssueInstant", "NotAfter", "Token", "DisplayClaims"}
            assert [set(entry) for entry in answer.json()["DisplayClaims"]["xui"]] == [{"uhs"}]
        assert xsts.json()["IssueInstant"] == "2027-01-15T08:00:00.0000000Z"
        assert xsts.json()["NotAfter"] == "2027-01-15T12:00:00.0000000Z"

    async def test_an_app_gets_a_token_without_title_for_the_user_hash_beside_it(self) -> None:
        xbox = Xbox()
        xsts = (await xsts_token(xbox, {})).json()
        text = f"XBL3.0 x={xsts['DisplayClaims']['xui'][0]['uhs']};{xsts['Token']}"
        token = xbox.platform.parse(Submission(value=text))
        assert token.claimed_subject == AMBER.partner_xuid
        assert [token.token.unverified[name] for name in ("xti", "xdi", "cnf")] == [None, None, None]

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            pytest.param({"RpsTicket": "{token}"}, 400, id="no-prefix"),
            pytest.param({"RpsTicket": "t={token}"}, 400, id="row23-old-prefix"),
            pytest.param({"RpsTicket": 7}, 400, id="number"),
            pytest.param({"RpsTicket": "d=unknown"}, 401, id="unknown-token"),
            pytest.param({"AuthMethod": "JWT"}, 400, id="other-method"),
            pytest.param({"SiteName": "xboxlive.com"}, 400, id="other-site"),
        ],
    )
    async def test_a_user_token_needs_all_its_properties(self, change: Mapping[str, Any], status: int) -> None:
        answer = await user_token(Xbox(), change)
        assert (answer.status_code, answer.content) == (status, b"")

    @pytest.mark.parametrize(
        ("change", "status", "number"),
        [
            pytest.param({"SandboxId": "retail"}, 401, 2148916242, id="unknown-sandbox"),
            pytest.param({"SandboxId": None}, 401, 2148916242, id="no-sandbox"),
            pytest.param({"UserTokens": ["unknown"]}, 401, 2148916262, id="unknown-user-token"),
            pytest.param({"UserTokens": []}, 400, 0, id="nobody"),
            pytest.param({"UserTokens": "x"}, 400, 0, id="no-list"),
        ],
    )
    async def test_an_xsts_token_needs_a_sandbox_and_one_user(
        self, change: Mapping[str, Any], status: int, number: int
    ) -> None:
        answer = await xsts_token(Xbox(), change)
        assert answer.status_code == status
        assert (answer.json()["XErr"] if answer.content else 0) == number

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param({"version": "2"}, id="other-contract-version"),
            pytest.param({"version": ""}, id="no-contract-version"),
            pytest.param({"RelyingParty": RELYING_PARTY.rstrip("/")}, id="row10-party-without-slash"),
            pytest.param({"TokenType": "SAML"}, id="other-type"),
            pytest.param({"Properties": None}, id="no-properties"),
        ],
    )
    async def test_a_request_in_another_form_is_refused_without_a_word(
        self, service: str, frame: Mapping[str, Any]
    ) -> None:
        answer = await SERVICES[service](Xbox(), {}, **frame)
        assert (answer.status_code, answer.content) == (400, b"")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]"])
    @pytest.mark.parametrize("path", ["/xbox/user/authenticate", "/xbox/xsts/xsts/authorize"])
    async def test_what_is_no_json_object_is_refused_without_a_word(self, path: str, body: bytes) -> None:
        async with Xbox().browser() as server:
            answer = await server.post(path, content=body, headers=CONTRACT)
        assert (answer.status_code, answer.content) == (400, b"")
