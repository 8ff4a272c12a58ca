"""From a code to a token: the three calls, what is repeated and what is not, and what every refusal means.

Rows are those of known mistakes of others.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.emulator.xbox.browser_cases import xerr
from authsrv.emulator.xbox.login import CLIENT_ID, CLIENT_SECRET
from authsrv.emulator.xbox.tokens import RELYING_PARTY
from authsrv.platforms.base import (
    CredentialRejected,
    OutboundError,
    OutboundResponse,
    PlatformMisconfigured,
    PlatformUnavailable,
    UserActionRequired,
)
from tests.support.outbound import Outage
from tests.support.xbox import AMBER, TRIP, Xbox, end, failure, late

TOKEN = "/xbox/consumers/oauth2/v2.0/token"
USER = "/xbox/user/authenticate"
XSTS = "/xbox/xsts/xsts/authorize"
STEPS = {"token": TOKEN, "user": USER, "xsts": XSTS}
BROWSER = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


def asked(xbox: Xbox) -> list[str]:
    """The steps that were asked, in order, without key lists."""
    names = {path.removeprefix("/xbox"): name for name, path in STEPS.items()}
    return [names[path] for path in xbox.fetched if path in names]


class TestTheThreeCalls:
    async def test_row23_they_are_these(self) -> None:
        xbox = Xbox()
        returned = dict(await xbox.returned())
        await xbox.platform.verify(xbox.platform.parse_return(TRIP, list(returned.items())))
        token, user, xsts, _keys = xbox.outbound.requests
        assert [request.url.path for request in (token, user, xsts)] == [TOKEN, USER, XSTS]
        assert dict(parse_qsl(token.content.decode())) == {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "grant_type": "authorization_code",
            "code": returned["code"],
            "redirect_uri": TRIP.callback,
            "code_verifier": TRIP.code_verifier,
        }
        assert "authorization" not in token.headers
        asked, answered = json.loads(user.content), json.loads(xsts.content)
        ticket = asked["Properties"].pop("RpsTicket")
        assert ticket.startswith("d=EwB")
        assert asked == {
            "RelyingParty": "http://auth.xboxlive.com",
            "TokenType": "JWT",
            "Properties": {"AuthMethod": "RPS", "SiteName": "user.auth.xboxlive.com"},
        }
        (user_token,) = answered["Properties"].pop("UserTokens")
        assert user_token
        assert answered == {"RelyingParty": RELYING_PARTY, "TokenType": "JWT", "Properties": {"SandboxId": "RETAIL"}}
        assert {request.headers["x-xbl-contract-version"] for request in (user, xsts)} == {"1"}

    async def test_a_code_that_was_redeemed_is_refused(self) -> None:
        xbox = Xbox()
        code = xbox.platform.parse_return(TRIP, await xbox.returned())
        await xbox.platform.verify(code)
        with pytest.raises(CredentialRejected) as refused:
            await xbox.platform.verify(code)
        assert refused.value.reason == "credential_rejected"

    @pytest.mark.parametrize(
        "change", [{"code_verifier": "w" * 43}, {"callback": "http://authsrv.test/other/login/xbox/callback"}]
    )
    async def test_a_code_of_another_trip_is_refused(self, change: Mapping[str, str]) -> None:
        xbox = Xbox()
        code = xbox.platform.parse_return(replace(TRIP, **change), await xbox.returned())
        with pytest.raises(CredentialRejected) as refused:
            await xbox.platform.verify(code)
        assert refused.value.reason == "credential_rejected"

    async def test_a_wrong_secret_is_our_misconfiguration(self) -> None:
        failed = await failure(Xbox(browser=BROWSER | {"client_secret": "wrong"}))
        assert isinstance(failed, PlatformMisconfigured)
        assert "AADSTS 7000215" in failed.detail

    async def test_row10_a_relying_party_that_xsts_does_not_know_is_our_misconfiguration(self) -> None:
        assert await end(Xbox(relying_party=RELYING_PARTY + "other/")) == "PlatformMisconfigured"

    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(PlainTextResponse("<html>We are improving for you</html>"), id="web-page"),
            pytest.param(JSONResponse([]), id="not-an-object"),
            pytest.param(JSONResponse({}), id="empty"),
            pytest.param(JSONResponse({"token_type": "Bearer", "access_token": 7, "Token": 7}), id="number"),
            pytest.param(JSONResponse({"token_type": "Bearer", "access_token": "", "Token": ""}), id="empty-token"),
            pytest.param(JSONResponse({"token_type": "Bearer", "access_token": "a b", "Token": "a b"}), id="space"),
            pytest.param(JSONResponse({"token_type": "mac", "access_token": "a"}), id="another-kind"),
            pytest.param(Response(status_code=204), id="no-content"),
            pytest.param(Response(status_code=302, headers={"location": "https://evil.test/"}), id="redirect"),
            pytest.param(PlainTextResponse("x" * 300_000), id="oversized"),
            pytest.param(late, id="late"),
        ],
    )
    async def test_nonsense_is_an_outage_and_the_code_is_spent(self, step: str, answer: ASGIApp) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [answer]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert failed.maybe_consumed
        assert asked(xbox) == list(STEPS)[: list(STEPS).index(step) + 1]

    @pytest.mark.parametrize("step", STEPS)
    async def test_a_throttled_step_says_when_to_come_back_and_is_not_repeated(self, step: str) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [Response(status_code=429, headers={"Retry-After": "17"})]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert (failed.retry_after, failed.maybe_consumed) == (17, True)
        assert asked(xbox).count(step) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_an_outage_is_one_whatever_error_it_names(self, status: int) -> None:
        xbox = Xbox()
        xbox.app.answers[TOKEN] = [JSONResponse({"error": "invalid_grant"}, status)]
        assert await end(xbox) == "PlatformUnavailable"

    @pytest.mark.parametrize("stated", ["soon", "-1", "1.5", "999999", ""])
    async def test_a_retry_after_that_is_no_number_is_ignored(self, stated: str) -> None:
        xbox = Xbox()
        xbox.app.answers[TOKEN] = [Response(status_code=503, headers={"Retry-After": stated})]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert failed.retry_after is None

    @pytest.mark.parametrize(
        ("outage", "consumed"), [("connect_failure", False), ("timeout", True), ("server_error", True)]
    )
    async def test_a_code_that_was_certainly_not_sent_is_not_spent(self, outage: Outage, consumed: bool) -> None:
        xbox = Xbox()
        code = xbox.platform.parse_return(TRIP, await xbox.returned())
        xbox.outbound.outage = outage
        with pytest.raises(PlatformUnavailable) as failed:
            await xbox.platform.verify(code)
        assert failed.value.maybe_consumed is consumed
        assert asked(xbox) == ["token"]

    async def test_a_connection_that_fails_after_the_code_was_sent_leaves_it_spent(self) -> None:
        xbox = Xbox()
        xbox.app.answers[TOKEN] = [breaking(xbox, "connect_failure")]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert failed.maybe_consumed
        assert asked(xbox) == ["token", "user", "user"]

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    @pytest.mark.parametrize("step", STEPS)
    async def test_the_xbox_steps_are_tried_twice_and_the_code_never(self, step: str, status: int) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [Response(status_code=status)] * 2
        assert await end(xbox) == "PlatformUnavailable"
        assert asked(xbox).count(step) == (1 if step == "token" else 2)

    @pytest.mark.parametrize("step", ["user", "xsts"])
    async def test_a_step_that_answers_at_the_second_try_signs_in(self, step: str) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [Response(status_code=503)]
        assert await end(xbox) == AMBER.partner_xuid

    @pytest.mark.parametrize("step", ["user", "xsts"])
    async def test_a_step_that_names_its_time_is_not_tried_at_once(self, step: str) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [Response(status_code=503, headers={"Retry-After": "9"})]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert (failed.retry_after, asked(xbox).count(step)) == (9, 1)

    async def test_a_step_that_our_own_circuit_holds_back_is_not_tried_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        xbox = Xbox()
        tried = []

        async def held_back(url: str, **_: Any) -> OutboundResponse:
            tried.append(url)
            raise OutboundError("the circuit is open", sent=False, retry_after=10)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await xbox.app(scope, receive, send)
            monkeypatch.setattr(xbox.outbound, "post", held_back)

        xbox.app.answers[TOKEN] = [app]
        failed = await failure(xbox)
        assert isinstance(failed, PlatformUnavailable)
        assert (failed.retry_after, failed.maybe_consumed, len(tried)) == (10, True, 1)

    async def test_an_answer_of_xsts_may_hold_the_longest_token_and_more(self) -> None:
        xbox = Xbox()
        token = xbox.tokens.encrypt(xbox.tokens.sign(xbox.tokens.claims(xbox.tokens.user(AMBER))))
        xbox.app.answers[XSTS] = [JSONResponse({"Token": token, "DisplayClaims": "x" * 65536})]
        assert await end(xbox) == AMBER.partner_xuid

    @pytest.mark.parametrize("number", [2148916258, 2148916262])
    async def test_a_stale_user_token_is_replaced_once(self, number: int) -> None:
        xbox = Xbox()
        xbox.app.answers[XSTS] = [JSONResponse(dict(xerr(number)), 401)]
        assert await end(xbox) == AMBER.partner_xuid
        assert asked(xbox) == ["token", "user", "xsts", "user", "xsts"]
        tokens = [
            json.loads(r.content)["Properties"]["UserTokens"] for r in xbox.outbound.requests if r.url.path == XSTS
        ]
        assert tokens[0] != tokens[1]
        xbox = Xbox()
        xbox.app.answers[XSTS] = [JSONResponse(dict(xerr(number)), 401)] * 2
        assert await end(xbox) == "credential_rejected"
        assert asked(xbox) == ["token", "user", "xsts", "user", "xsts"]


def breaking(xbox: Xbox, outage: Outage) -> ASGIApp:
    """A good token endpoint, after which nothing answers any more."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await xbox.app(scope, receive, send)
        xbox.outbound.outage = outage

    return app


class TestRefusals:
    @pytest.mark.parametrize(
        ("step", "status", "expected"),
        [
            pytest.param("user", 400, "PlatformMisconfigured", id="user-token-400"),
            pytest.param("user", 401, "credential_rejected", id="user-token-401"),
            pytest.param("user", 403, "PlatformMisconfigured", id="user-token-403"),
            pytest.param("xsts", 400, "PlatformMisconfigured", id="xsts-400-relying-party"),
            pytest.param("xsts", 401, "PlatformMisconfigured", id="xsts-401-without-number"),
            pytest.param("xsts", 403, "PlatformMisconfigured", id="xsts-403"),
            pytest.param("token", 400, "PlatformUnavailable", id="token-400-of-a-proxy"),
        ],
    )
    async def test_a_refusal_without_a_word_means_what_its_status_says(
        self, step: str, status: int, expected: str
    ) -> None:
        xbox = Xbox()
        xbox.app.answers[STEPS[step]] = [Response(status_code=status)]
        assert await end(xbox) == expected

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("invalid_grant", "credential_rejected"),
            ("consent_required", "account_action_required"),
            ("interaction_required", "account_action_required"),
            ("invalid_client", "PlatformMisconfigured"),
            ("unauthorized_client", "PlatformMisconfigured"),
            ("invalid_request", "PlatformMisconfigured"),
            ("invalid_scope", "PlatformMisconfigured"),
            ("unsupported_grant_type", "PlatformMisconfigured"),
            ("temporarily_unavailable", "PlatformUnavailable"),
            ("something_new", "credential_rejected"),
            (7, "PlatformUnavailable"),
            (None, "PlatformUnavailable"),
        ],
    )
    async def test_an_error_of_the_token_endpoint_has_its_meaning(self, error: object, expected: str) -> None:
        xbox = Xbox()
        xbox.app.answers[TOKEN] = [JSONResponse({"error": error}, 400)]
        failed = await failure(xbox)
        assert getattr(failed, "reason", type(failed).__name__) == expected
        assert getattr(failed, "maybe_consumed", True)

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (2148916227, "account_banned"),
            (2148916228, "account_banned"),
            (2148916229, "account_restricted"),
            (2148916232, "account_action_required"),
            (2148916233, "account_action_required"),
            (2148916234, "account_action_required"),
            (2148916235, "account_restricted"),
            (2148916236, "account_action_required"),
            (2148916237, "account_restricted"),
            (2148916238, "account_action_required"),
            (2148916239, "account_action_required"),
            (2148916240, "account_action_required"),
            (2148916241, "account_restricted"),
            (2148916242, "PlatformMisconfigured"),
            (2148916243, "account_action_required"),
            (2148916248, "PlatformMisconfigured"),
            (2148916249, "PlatformMisconfigured"),
            (2148916255, "PlatformMisconfigured"),
            (2148916258, "credential_rejected"),
            (2148916262, "credential_rejected"),
            (2148916263, "PlatformMisconfigured"),
            (2148916273, "PlatformUnavailable"),
            (2148916274, "PlatformUnavailable"),
            (2148916999, "credential_rejected"),
            (7, "credential_rejected"),
            (True, "PlatformMisconfigured"),
            ("2148916233", "PlatformMisconfigured"),
            (None, "PlatformMisconfigured"),
        ],
    )
    async def test_row22_each_number_has_its_own_meaning(self, number: object, expected: str) -> None:
        xbox = Xbox()
        body = {"Identity": "0", "XErr": number, "Message": ""}
        xbox.app.answers[XSTS] = [JSONResponse(body, 401), JSONResponse(body, 401)]
        failed = await failure(xbox)
        assert getattr(failed, "reason", type(failed).__name__) == expected
        assert getattr(failed, "maybe_consumed", True)
        assert type(number) is not int or f"XErr {number}" in failed.detail

    async def test_a_number_counts_at_the_user_token_as_well(self) -> None:
        xbox = Xbox()
        xbox.app.answers[USER] = [JSONResponse(dict(xerr(2148916227)), 401)]
        assert await end(xbox) == "account_banned"

    async def test_an_unknown_number_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        assert await end(Xbox(), "browser-unknown-xerr") == "credential_rejected"
        assert "XErr 2148916999" in caplog.text

    async def test_an_account_of_the_wrong_kind_is_our_matter_in_a_development_sandbox(self) -> None:
        xbox = Xbox(allowed_sandboxes=["XDKS.1"], browser=BROWSER | {"sandbox": "XDKS.1"})
        assert await end(xbox, "browser-account-type") == "PlatformMisconfigured"

    @pytest.mark.parametrize(
        ("named", "sent_to"),
        [
            ("https://start.ui.xboxlive.com/AddChildToFamily", "https://start.ui.xboxlive.com/AddChildToFamily"),
            ("https://xbox.com", "https://xbox.com"),
            ("https://account.xbox.com/a?b=c%20d", "https://account.xbox.com/a?b=c%20d"),
            ("", "https://www.xbox.com/"),
            ("http://start.ui.xboxlive.com/", "https://www.xbox.com/"),
            ("https://xbox.com.evil.test/", "https://www.xbox.com/"),
            ("https://evilxbox.com/", "https://www.xbox.com/"),
            ("https://user@evil.test/xbox.com/", "https://www.xbox.com/"),
            ("https://www.xbox.com@evil.test/", "https://www.xbox.com/"),
            ("https://www.xbox.com:8443/", "https://www.xbox.com/"),
            ("https://evil.test\\.xbox.com/", "https://www.xbox.com/"),
            ("https://evil.test/\n.xbox.com/", "https://www.xbox.com/"),
            ("https://www.xbox.com/\n", "https://www.xbox.com/"),
            ("https://www.xbox.com/#x", "https://www.xbox.com/"),
            ("javascript:alert(1)//xbox.com/", "https://www.xbox.com/"),
            (7, "https://www.xbox.com/"),
        ],
    )
    async def test_row24_a_player_is_sent_to_pages_of_xbox_only(self, named: object, sent_to: str) -> None:
        xbox = Xbox()
        xbox.app.answers[XSTS] = [JSONResponse({"XErr": 2148916238, "Redirect": named}, 401)]
        failed = await failure(xbox)
        assert isinstance(failed, UserActionRequired)
        assert failed.url == sent_to

    async def test_who_has_no_xbox_profile_is_sent_to_make_one(self) -> None:
        failed = await failure(Xbox(), "browser-no-account-bare")
        assert isinstance(failed, UserActionRequired)
        assert failed.url == "https://start.ui.xboxlive.com/CreateAccount"

    async def test_a_page_goes_only_to_who_can_clear_it(self) -> None:
        xbox = Xbox()
        xbox.app.answers[XSTS] = [JSONResponse(dict(xerr(2148916227, "https://www.xbox.com/")), 401)]
        failed = await failure(xbox)
        assert isinstance(failed, UserActionRequired)
        assert failed.url == ""
