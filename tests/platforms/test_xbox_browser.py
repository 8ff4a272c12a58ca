"""The sign-in in the browser: the way out, what comes back, and whom it names in the end.

Rows are those of known mistakes of others.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import JSONResponse

from authsrv.emulator.base import PLAYERS
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES, ON_PAGE
from authsrv.emulator.xbox.login import CLIENT_ID, CLIENT_SECRET
from authsrv.emulator.xbox.tokens import RELYING_PARTY
from authsrv.platforms.base import (
    CredentialRejected,
    PlatformError,
    PlatformIdentity,
    PlatformMisconfigured,
    PlatformUnavailable,
    Returned,
    SignInCancelled,
    UserActionRequired,
)
from authsrv.platforms.xbox.browser import MicrosoftCode
from tests.conformance.platform import chain
from tests.support.xbox import AMBER, BIRCH, ENVIRONMENT, TRIP, Xbox, end, failure

XSTS = "/xbox/xsts/xsts/authorize"
CODE = "M.C5EED_BAY.2.U.0f0e0d0c-0b0a-0908-0706-050403020100"
BROWSER = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class TestTheWayOut:
    def test_the_address_is_microsofts_for_personal_accounts_with_state_and_pkce(self) -> None:
        xbox = Xbox(hosts={})
        # RFC 7636, appendix B
        trip = replace(TRIP, code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        assert xbox.platform.sign_in_url(trip) == (
            "https://login.microsoftonline.com/consumers/oauth2/v2.0/authorize"
            f"?client_id={CLIENT_ID}&response_type=code"
            "&redirect_uri=http%3A%2F%2Fauthsrv.test%2Flogin%2Fxbox%2Fcallback"
            "&scope=XboxLive.signin&state=state-of-one-trip"
            "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        )

    def test_nothing_secret_is_in_the_address(self) -> None:
        url = Xbox().platform.sign_in_url(TRIP)
        assert not [secret for secret in (CLIENT_SECRET, TRIP.code_verifier, TRIP.nonce) if secret in url]

    def test_browsers_sign_in_only_with_an_app_registration(self) -> None:
        assert Xbox().platform.signs_in_browsers
        platform = Xbox(browser=None).platform
        assert not platform.signs_in_browsers
        with pytest.raises(PlatformMisconfigured):
            platform.sign_in_url(TRIP)
        with pytest.raises(PlatformMisconfigured):
            platform.parse_return(TRIP, [("code", CODE)])


class TestTheReturn:
    def test_a_code_becomes_a_credential_for_one_use_bound_to_its_trip(self) -> None:
        found = Xbox().platform.parse_return(TRIP, [("code", CODE), ("state", TRIP.state), ("session_state", "x")])
        assert isinstance(found, MicrosoftCode)
        assert (found.kind, found.claimed_subject) == ("authorization_code", "")
        assert (found.code, found.callback, found.code_verifier) == (CODE, TRIP.callback, TRIP.code_verifier)
        assert found.single_use is not None
        assert found.single_use.digest == hashlib.sha256(f"{CLIENT_ID}\n{CODE}".encode()).digest()
        assert (found.single_use.keep, found.single_use.take_over) == (3600, False)

    def test_a_code_of_another_app_registration_is_another_credential(self) -> None:
        ours, other = (
            Xbox(browser=BROWSER | {"client_id": name}).platform.parse_return(TRIP, [("code", CODE)]).single_use
            for name in ("one", "other")
        )
        assert ours is not None
        assert other is not None
        assert ours.digest != other.digest

    def test_a_credential_shows_neither_code_nor_verifier(self) -> None:
        shown = repr(Xbox().platform.parse_return(TRIP, [("code", CODE)]))
        assert CODE not in shown
        assert TRIP.code_verifier not in shown

    @pytest.mark.parametrize(
        "returned",
        [
            pytest.param([], id="nothing"),
            pytest.param([("state", "s")], id="state-only"),
            pytest.param([("code", CODE), ("error", "access_denied")], id="code-and-error"),
            pytest.param([("code", CODE), ("code", CODE)], id="code-twice"),
            pytest.param([("error", "access_denied"), ("error", "access_denied")], id="error-twice"),
            pytest.param([("code", CODE), ("state", "a"), ("state", "a")], id="state-twice"),
            pytest.param([("code", CODE), ("x", "1"), ("x", "2")], id="unknown-parameter-twice"),
            pytest.param([("code", "")], id="empty-code"),
            pytest.param([("code", "short")], id="short-code"),
            pytest.param([("code", "A" * 4097)], id="long-code"),
            pytest.param([("code", CODE + "\n")], id="line-break"),
            pytest.param([("code", CODE + " x")], id="space"),
            pytest.param([("code", CODE + "\u00e9")], id="non-ascii"),
            pytest.param([("code", CODE + "\udcff")], id="lone-surrogate"),
        ],
    )
    def test_what_is_not_exactly_one_code_or_error_is_malformed(self, returned: list[tuple[str, str]]) -> None:
        with pytest.raises(CredentialRejected) as refused:
            Xbox().platform.parse_return(TRIP, returned)
        assert refused.value.reason == "credential_malformed"

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            ("access_denied", SignInCancelled),
            ("consent_required", UserActionRequired),
            ("interaction_required", UserActionRequired),
            ("login_required", UserActionRequired),
            ("server_error", PlatformUnavailable),
            ("temporarily_unavailable", PlatformUnavailable),
            ("invalid_client", PlatformMisconfigured),
            ("unauthorized_client", PlatformMisconfigured),
            ("invalid_request", PlatformMisconfigured),
            ("invalid_scope", PlatformMisconfigured),
            ("invalid_resource", PlatformMisconfigured),
            ("unsupported_response_type", PlatformMisconfigured),
            ("something_new", CredentialRejected),
            ("Access_Denied", CredentialRejected),
            ("", CredentialRejected),
        ],
    )
    def test_an_error_of_the_page_has_its_meaning(self, error: str, expected: type[PlatformError]) -> None:
        xbox = Xbox()
        with pytest.raises(expected) as failed:
            xbox.platform.parse_return(TRIP, [("error", error), ("error_description", "x"), ("state", TRIP.state)])
        assert not getattr(failed.value, "maybe_consumed", False)  # there was no code
        assert not xbox.fetched

    def test_what_a_browser_made_up_does_not_reach_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with pytest.raises(CredentialRejected) as refused:
            Xbox().platform.parse_return(TRIP, [("error", "x\nforged line"), ("error_description", "forged too")])
        assert "forged" not in refused.value.detail + caplog.text


class TestWhoSignedIn:
    @pytest.mark.parametrize("player", PLAYERS.values(), ids=PLAYERS)
    async def test_row25_browser_and_console_give_one_identity(self, player: Any) -> None:
        xbox = Xbox()
        by_browser = await xbox.sign_in(button={"player": player.name})
        assert by_browser == await xbox.login(xbox.emulator.mint(player).text)
        assert by_browser.subject == player.partner_xuid

    async def test_the_identity_is_the_partner_xuid_in_relying_party_and_sandbox(self) -> None:
        assert await Xbox().sign_in() == PlatformIdentity(
            platform="xbox",
            kind="xbox",
            environment=ENVIRONMENT,
            subject=AMBER.partner_xuid,
            display_name="Amber",
            age_group="adult",
        )

    async def test_the_sandbox_is_the_one_of_the_settings(self) -> None:
        xbox = Xbox(allowed_sandboxes=["RETAIL", "CERT"], browser=BROWSER | {"sandbox": "CERT"})
        assert (await xbox.sign_in()).environment == f"{RELYING_PARTY}|CERT"

    async def test_row12_a_token_without_title_is_good_from_our_own_exchange_only(self) -> None:
        xbox = Xbox(signature="required")
        assert await end(xbox) == AMBER.partner_xuid
        with pytest.raises(CredentialRejected) as refused:
            await Xbox().login(xbox.emulator.mint(AMBER, case="user-only").text)
        assert refused.value.reason == "credential_wrong_title"

    @pytest.mark.parametrize("case", ["jku-rs256", "certificate-path"])
    async def test_every_way_of_signing_is_taken(self, case: str) -> None:
        assert await end(Xbox(), case) == AMBER.partner_xuid

    @pytest.mark.parametrize(
        ("case", "reason"), [("child", "age_restricted"), ("missing-privileges", "account_restricted")]
    )
    async def test_the_studios_policy_holds_here_too(self, case: str, reason: str) -> None:
        xbox = Xbox(min_age_group="teen", required_privileges=[254])
        assert await end(xbox, case) == reason

    @pytest.mark.parametrize(
        "case",
        [
            "unknown-x5t",
            "legacy-enc",
            "bad-inner-signature",
            "wrong-audience",
            "wrong-sandbox",
            "expired",
            "not-yet-valid",
            "no-ptx",
        ],
    )
    async def test_row1_row2_a_token_of_xsts_is_checked_and_its_faults_are_ours(self, case: str) -> None:
        assert await end(Xbox(), case) == "PlatformMisconfigured"

    async def test_row14_another_sandbox_than_the_one_asked_for_is_refused_even_if_allowed(self) -> None:
        assert await end(Xbox(allowed_sandboxes=["RETAIL", "XDKS.1"]), "wrong-sandbox") == "PlatformMisconfigured"

    @pytest.mark.parametrize(
        "token",
        [
            pytest.param(lambda _: "no-token", id="no-token"),
            pytest.param(lambda _: "a.b.c.d.e", id="five-parts"),
            pytest.param(lambda make: make.sign(make.claims(make.user(AMBER))), id="not-encrypted"),
            pytest.param(
                lambda make: make.encrypt(make.sign(make.claims(make.user(AMBER), make.user(BIRCH)))), id="two-users"
            ),
            pytest.param(lambda make: make.encrypt(make.sign(make.claims())), id="nobody"),
            pytest.param(
                lambda make: make.encrypt(make.sign(make.claims(make.user(AMBER), iss="evil.test"))), id="other-issuer"
            ),
        ],
    )
    async def test_an_answer_of_xsts_that_is_no_token_of_one_user_is_no_sign_in(
        self, token: Callable[[Any], str]
    ) -> None:
        xbox = Xbox()
        xbox.app.answers[XSTS] = [JSONResponse({"Token": token(xbox.tokens)})]
        assert await end(xbox) == "PlatformMisconfigured"

    async def test_without_keys_the_code_is_spent_and_nobody_is_signed_in(self) -> None:
        failed = await failure(Xbox(), "keys-down")
        assert isinstance(failed, PlatformUnavailable)
        assert failed.maybe_consumed
        assert not failed.provoked


def tells(case: str) -> bool:
    """Whether the player comes back with a code."""
    return BROWSER_CASES[case].step != "page"


@pytest.mark.parametrize("case", [case for case in ON_PAGE if case not in BROWSER_CASES or tells(case)])
async def test_nothing_secret_is_told(case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    xbox = Xbox(min_age_group="teen", required_privileges=[254])
    returned = await xbox.returned(case)
    caplog.clear()
    told = []
    try:
        told.append(repr(await xbox.platform.verify(xbox.platform.parse_return(TRIP, returned))))
    except PlatformError as error:
        told += [str(link) + repr(link) + repr(vars(link)) for link in chain(error)]
    told.append(caplog.text)
    assert not [secret for secret in secrets_of(xbox, returned) if any(secret in text for text in told)]


def secrets_of(xbox: Xbox, returned: Returned) -> list[str]:
    """Everything of one sign-in that nobody else may know."""
    bodies = [request.content.decode() for request in xbox.outbound.requests]
    properties = [json.loads(body)["Properties"] for body in bodies if body.startswith("{")]
    tokens = [
        value for known in properties for value in (known.get("RpsTicket"), *known.get("UserTokens", [])) if value
    ]
    return [CLIENT_SECRET, dict(returned)["code"], TRIP.code_verifier, *(token.removeprefix("d=") for token in tokens)]
