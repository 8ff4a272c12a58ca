"""The sign-in on Epic's page: where the browser is sent to, what it brings back, and what that is worth."""

import hashlib
import logging
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import settings as search
from hypothesis import strategies as st

from authsrv.emulator.epic.pages import CASES
from authsrv.platforms.base import (
    CredentialRejected,
    PlatformError,
    PlatformIdentity,
    PlatformMisconfigured,
    PlatformUnavailable,
    Returned,
    SignInCancelled,
    Submission,
    UserActionRequired,
)
from authsrv.platforms.epic.codes import EpicCode
from authsrv.platforms.epic.settings import EpicSettings
from tests.platforms.test_epic_exchange import TABLE, outcome, sent
from tests.support.epic import AMBER, TRIP, WWW, Epic

CODE = "0123456789abcdef0123456789abcdef"
GOOD = [("code", CODE), ("state", TRIP.state)]
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # of TRIP, RFC 7636 appendix B
REJECTED, MALFORMED, OURS, BUSY = "credential_rejected", "credential_malformed", "misconfigured", "unavailable"
CANCELLED = "cancelled"


def query_of(epic: Epic) -> list[tuple[str, str]]:
    page, _, query = epic.platform.sign_in_url(TRIP).partition("?")
    assert page == f"{WWW}/id/authorize"
    return parse_qsl(query, strict_parsing=True)


def read(returned: Returned, **changes: Any) -> EpicCode:
    return Epic(**changes).platform.parse_return(TRIP, returned)


def refused(returned: Returned) -> PlatformError:
    epic = Epic()
    with pytest.raises(PlatformError) as caught:
        epic.platform.parse_return(TRIP, returned)
    assert epic.outbound.requests == []
    return caught.value


def meant(error: PlatformError) -> str:
    return CANCELLED if isinstance(error, SignInCancelled) else outcome(error)


async def failure(epic: Epic, case: str) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await epic.sign_in(case=case)
    return caught.value


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="client"),
        pytest.param({"accept": ["id_token"]}, True, id="games-send-tokens"),
        pytest.param({"browser_sign_in": False}, False, id="switched-off"),
        pytest.param({"accept": ["id_token"], "client_id": ""}, False, id="no-client"),
        pytest.param({"accept": ["id_token"], "client_secret": None}, False, id="no-secret"),
    ],
)
def test_browsers_sign_in_where_a_client_with_a_secret_is_set_and_it_is_allowed(
    changes: dict[str, Any], *, expected: bool
) -> None:
    assert Epic(**changes).platform.signs_in_browsers is expected


def test_6_1_the_browser_is_sent_to_epics_page_with_state_and_nonce() -> None:
    epic = Epic()
    assert query_of(epic) == [
        ("client_id", epic.product.client_id),
        ("response_type", "code"),
        ("scope", "basic_profile openid"),
        ("redirect_uri", "https://login.studio.example/login/epicgames/callback"),
        ("state", TRIP.state),
        ("nonce", TRIP.nonce),
    ]


def test_6_1_a_challenge_is_sent_only_where_it_is_configured_and_the_verifier_never() -> None:
    assert query_of(Epic(browser_pkce=True))[-2:] == [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]
    assert "code_challenge" not in dict(query_of(Epic()))
    assert TRIP.code_verifier not in Epic(browser_pkce=True).platform.sign_in_url(TRIP)


def test_nothing_of_a_trip_can_add_a_parameter_to_the_address() -> None:
    odd = replace(TRIP, callback="https://x/login?a=b&client_id=evil#f", state="s&client_id=evil", nonce="n o+nce")
    query = parse_qsl(Epic().platform.sign_in_url(odd).partition("?")[2], strict_parsing=True)
    assert dict(query)["redirect_uri"] == odd.callback
    assert (dict(query)["state"], dict(query)["nonce"]) == (odd.state, odd.nonce)
    assert len(query) == 6
    assert "+" not in Epic().platform.sign_in_url(odd)


def test_6_3_the_code_is_read_with_our_callback_and_is_remembered_like_a_games_code() -> None:
    epic = Epic()
    credential = epic.platform.parse_return(TRIP, GOOD)
    assert credential.grant == {"grant_type": "authorization_code", "code": CODE, "redirect_uri": TRIP.callback}
    assert (credential.kind, credential.claimed_subject, credential.deployment_id) == ("authorization_code", "", "")
    assert credential.single_use is not None
    assert credential.single_use.digest == hashlib.sha256(f"emulated-epic-client\n{CODE}".encode()).digest()
    assert credential.single_use.keep == 3600
    assert credential.single_use.take_over is False
    assert credential.single_use == epic.parse(CODE, "authorization_code").single_use


def test_the_verifier_goes_with_the_code_only_where_a_challenge_was_sent() -> None:
    assert read(GOOD, browser_pkce=True).grant["code_verifier"] == TRIP.code_verifier
    assert "code_verifier" not in read(GOOD).grant


@pytest.mark.parametrize(
    "returned",
    [
        pytest.param([*GOOD, ("session_state", "x"), ("", ""), ("error", "")], id="with-more"),
        pytest.param([("code", CODE)], id="without-state"),
        pytest.param([("code", "!" * 8)], id="shortest"),
        pytest.param([("code", "~" * 128)], id="longest"),
    ],
)
def test_what_else_comes_back_is_left_alone(returned: Returned) -> None:
    assert read(returned).grant["code"] == dict(returned)["code"]


@pytest.mark.parametrize(
    "returned",
    [
        pytest.param([], id="nothing"),
        pytest.param([("state", TRIP.state)], id="neither"),
        pytest.param([("code", "")], id="empty-code"),
        pytest.param([("error", "")], id="empty-error"),
        pytest.param([*GOOD, ("error", "access_denied")], id="both"),
        pytest.param([*GOOD, ("code", CODE)], id="same-code-twice"),
        pytest.param([*GOOD, ("code", "")], id="code-and-empty-code"),
        pytest.param([("error", "access_denied"), ("error", "access_denied")], id="error-twice"),
        pytest.param([*GOOD, ("state", "another")], id="state-twice"),
        pytest.param([*GOOD, ("iss", "a"), ("iss", "b")], id="anything-twice"),
        pytest.param([("code", "x" * 7)], id="short"),
        pytest.param([("code", "x" * 129)], id="long"),
        pytest.param([("code", "x" * 20 + " y")], id="blank"),
        pytest.param([("code", "x" * 20 + "\n")], id="line-break"),
        pytest.param([("code", "\u00e9" * 20)], id="not-ascii"),
        pytest.param([("code", "\udcff" * 20)], id="surrogate"),
        pytest.param([*GOOD, ("extra", "x" * 2044)], id="oversized-value"),
        pytest.param([*GOOD, ("x" * 2049, "")], id="oversized-name"),
        pytest.param([("error", "x" * 2044)], id="oversized-error"),
    ],
)
def test_6_2_what_is_not_exactly_one_code_or_error_is_refused_before_any_call(returned: Returned) -> None:
    error = refused(returned)
    assert isinstance(error, CredentialRejected)
    assert error.reason == MALFORMED


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", CANCELLED),
        ("temporarily_unavailable", BUSY),
        ("server_error", BUSY),
        ("invalid_request", OURS),
        ("invalid_scope", OURS),
        ("unauthorized_client", OURS),
        ("unsupported_response_type", OURS),
        ("invalid_client", OURS),
        ("errors.com.epicgames.oauth.corrective_action_required", "account_action_required"),
        ("errors.com.epicgames.oauth.scope_consent_required", "account_action_required"),
        ("errors.com.epicgames.oauth.account_forbidden", "account_not_entitled"),
        ("account_feature_restricted", "account_restricted"),
        ("errors.com.epicgames.common.throttled", BUSY),
        ("an_unknown_error", REJECTED),
        ("ACCESS_DENIED", REJECTED),
        ("access_denied ", REJECTED),
    ],
)
def test_6_2_an_error_of_the_page_means_what_the_table_says(error: str, expected: str) -> None:
    assert meant(refused([("error", error), ("error_description", "any text"), ("state", TRIP.state)])) == expected


@pytest.mark.parametrize(
    ("error", "about"),
    [
        ("invalid_request", "redirect URLs"),
        ("invalid_scope", "permissions"),
        ("unauthorized_client", "authorization_code"),
        ("unsupported_response_type", "policy"),
    ],
)
def test_a_mistake_of_ours_tells_the_operator_what_to_do(error: str, about: str) -> None:
    told = refused([("error", error)])
    assert isinstance(told, PlatformMisconfigured)
    assert about in told.detail
    assert error in told.detail


def test_an_outage_of_the_page_has_used_up_nothing() -> None:
    error = refused([("error", "temporarily_unavailable")])
    assert isinstance(error, PlatformUnavailable)
    assert not error.maybe_consumed


@pytest.mark.parametrize("error", ["<script>", "a b", "x" * 201, "\n", "\u202e"])
def test_an_odd_error_is_not_repeated_anywhere(error: str, caplog: pytest.LogCaptureFixture) -> None:
    told = refused([("error", error)])
    assert isinstance(told, CredentialRejected)
    assert "start it again" in told.hint
    assert error not in told.detail + told.hint
    assert "errorCode unreadable" in caplog.text


async def test_6_4_a_whole_trip_gives_the_same_identity_as_a_games_login() -> None:
    epic = Epic()
    identity = await epic.sign_in()
    assert identity == PlatformIdentity(
        platform="epicgames", kind="epic", environment="", subject=AMBER.epic_account_id, display_name="Amber"
    )
    assert identity == await epic.login_with(epic.mint())


async def test_6_3_the_code_is_redeemed_once_with_callback_and_default_deployment() -> None:
    epic = Epic()
    await epic.sign_in()
    [(request, form)] = sent(epic)
    assert request.headers["authorization"].startswith("Basic ")
    assert form == {
        "grant_type": "authorization_code",
        "code": form["code"],
        "redirect_uri": TRIP.callback,
        "deployment_id": epic.product.deployment_id,
        "scope": "basic_profile openid",
    }


async def test_accept_is_about_games_and_does_not_touch_the_browser() -> None:
    epic = Epic(accept=["id_token"])
    assert (await epic.sign_in()).subject == AMBER.epic_account_id
    with pytest.raises(CredentialRejected) as caught:
        epic.platform.parse(Submission(kind="authorization_code", value=CODE))
    assert caught.value.reason == "credential_unsupported"


async def test_the_player_who_cancels_is_told_apart_from_every_error() -> None:
    epic = Epic()
    with pytest.raises(SignInCancelled):
        epic.platform.parse_return(TRIP, await epic.returned(cancel="1"))


IN_THE_BROWSER = {
    **{case: meaning for case, meaning in TABLE.items() if case in CASES},
    # The page was opened for our own client: a code of another one is a stranger's, and no mistake of the set-up.
    "authorization-code-not-for-your-client": REJECTED,
    "exchange-code-client-mismatch": REJECTED,
    "other-client": REJECTED,
    # Nobody but we chose the deployment.
    "invalid-deployment": OURS,
    "corrective-action-without-url": "account_action_required",
    "corrective-action-foreign-url": "account_action_required",
    "corrective-action-unknown": "account_action_required",
    "wrong-nonce": REJECTED,
    "other-redirect-uri": REJECTED,
    "page-temporarily-unavailable": BUSY,
    "page-server-error": BUSY,
    "page-invalid-request": OURS,
    "page-invalid-scope": OURS,
    "page-unauthorized-client": OURS,
    "page-unsupported-response-type": OURS,
    "page-corrective-action-required": "account_action_required",
    "page-an-unknown-error": REJECTED,
    "page-nothing": MALFORMED,
    "page-odd-code": MALFORMED,
    "page-long-code": MALFORMED,
    "page-two-codes": MALFORMED,
    "page-code-and-error": MALFORMED,
}
SIGNED_IN = {"good", "old-spelling", "without-id-token", "without-nonce"}
NOT_FOR_US = {"page-restricted", "page-foreign-state"}  # nobody comes back; the state is the caller's


@pytest.mark.parametrize("case", IN_THE_BROWSER)
async def test_each_case_of_the_page_means_what_the_table_says(case: str) -> None:
    assert meant(await failure(Epic(), case)) == IN_THE_BROWSER[case]


@pytest.mark.parametrize("case", sorted(SIGNED_IN))
async def test_what_epic_leaves_out_does_not_keep_the_player_out(case: str) -> None:
    assert (await Epic().sign_in(case=case)).subject == AMBER.epic_account_id


def test_each_case_of_the_page_has_a_row() -> None:
    assert {*IN_THE_BROWSER, *SIGNED_IN, *NOT_FOR_US} == set(CASES)


@pytest.mark.parametrize(
    "nonce",
    [
        pytest.param("another", id="another"),
        pytest.param("", id="empty"),
        pytest.param(TRIP.nonce[:-1], id="shorter"),
        pytest.param(TRIP.nonce + "x", id="longer"),
        pytest.param(TRIP.nonce.upper(), id="case"),
        pytest.param("\u00e9" * 43, id="not-ascii"),
        pytest.param(0, id="zero"),
        pytest.param([TRIP.nonce], id="list"),
    ],
)
async def test_3_1_10_a_nonce_that_comes_back_must_be_the_trips(nonce: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    epic = Epic()
    monkeypatch.setattr("authsrv.emulator.epic.codes._nonce", lambda _: nonce)
    error = await failure(epic, "good")
    assert isinstance(error, CredentialRejected)
    assert error.reason == REJECTED


async def test_a_nonce_that_a_game_sent_itself_is_not_ours_to_judge() -> None:
    epic = Epic()
    returned = dict(await epic.returned())
    code, callback = returned["code"], TRIP.callback
    assert (await epic.login(code, "authorization_code", redirect_uri=callback)).subject == AMBER.epic_account_id


async def test_the_code_of_another_sign_in_is_refused_by_its_nonce() -> None:
    epic = Epic()
    victim = replace(TRIP, nonce="x" * 43, state="y" * 43)
    with pytest.raises(CredentialRejected) as caught:
        await epic.platform.verify(epic.platform.parse_return(TRIP, await epic.returned(victim)))
    assert caught.value.reason == REJECTED


async def test_the_code_of_another_sign_in_is_refused_by_its_verifier_where_pkce_is_on() -> None:
    epic = Epic(browser_pkce=True)
    assert (await epic.sign_in()).subject == AMBER.epic_account_id
    victim = replace(TRIP, code_verifier="x" * 43)
    with pytest.raises(CredentialRejected) as caught:
        await epic.platform.verify(epic.platform.parse_return(TRIP, await epic.returned(victim)))
    assert caught.value.reason == REJECTED
    assert "single_use_code_verifier_invalid" in caught.value.detail


async def test_a_code_that_was_issued_for_another_callback_is_refused() -> None:
    epic = Epic()
    other = replace(TRIP, callback="https://other.studio.example/login/epicgames/callback")
    with pytest.raises(CredentialRejected) as caught:
        await epic.platform.verify(epic.platform.parse_return(TRIP, await epic.returned(other)))
    assert caught.value.reason == REJECTED


async def test_a_code_works_once_and_both_readings_are_one_credential() -> None:
    epic = Epic()
    returned = await epic.returned()
    first, second = (epic.platform.parse_return(TRIP, returned) for _ in range(2))
    assert first.single_use == second.single_use
    assert (await epic.platform.verify(first)).subject
    with pytest.raises(CredentialRejected) as caught:
        await epic.platform.verify(second)
    assert caught.value.reason == REJECTED


@pytest.mark.parametrize("case", ["hang", "server-error-before", "server-error-after", "truncated"])
async def test_row_16_a_failed_exchange_is_called_once_and_may_have_used_the_code(case: str) -> None:
    epic = Epic()
    error = await failure(epic, case)
    assert isinstance(error, PlatformUnavailable)
    assert error.maybe_consumed
    assert epic.emulator.calls["token"] == 1


async def test_row_20_a_corrective_action_leads_to_epics_page() -> None:
    error = await failure(Epic(), "corrective-action-required")
    assert isinstance(error, UserActionRequired)
    assert error.url.startswith(f"{WWW}/id/login?continuation=")


async def test_row_29_before_brand_review_the_operator_is_told_why_a_stranger_cannot_sign_in() -> None:
    error = await failure(Epic(), "account-forbidden")
    assert isinstance(error, UserActionRequired)
    assert (error.reason, "brand review" in error.detail) == ("account_not_entitled", True)


@pytest.mark.parametrize("case", sorted({*IN_THE_BROWSER, *SIGNED_IN}))
async def test_nothing_of_a_trip_or_a_code_is_shown_or_logged(case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="authsrv")
    epic = Epic(browser_pkce=True)
    returned = await epic.returned(case=case)
    codes = [value for name, value in returned if name == "code"]
    told: list[str] = []
    try:
        credential = epic.platform.parse_return(TRIP, returned)
        told += [repr(credential), repr(await epic.platform.verify(credential))]
    except PlatformError as error:
        told += [repr(error), repr(vars(error))]
    told.append(caplog.text)
    for secret in (*codes, TRIP.nonce, TRIP.code_verifier, TRIP.state, epic.product.client_secret):
        assert not any(secret in text for text in told)


NAMES = st.sampled_from(["code", "state", "error", "error_description", "iss"]) | st.text(max_size=8)
VALUES = st.sampled_from([CODE, "access_denied", "invalid_scope", ""]) | st.text(max_size=40)


@search(deadline=None)
@given(returned=st.lists(st.tuples(NAMES, VALUES), max_size=6))
@example(returned=[("code", "\ud800" * 8)])
@example(returned=[("error", "\ud800")])
def test_whatever_comes_back_is_a_code_or_is_refused(returned: list[tuple[str, str]]) -> None:
    try:
        credential = READER.platform.parse_return(TRIP, returned)
    except PlatformError:
        return
    assert [credential.grant["code"]] == [value for name, value in returned if name == "code"]
    assert len(dict(returned)) == len(returned)
    assert not dict(returned).get("error")


READER = Epic()


def block(**changes: Any) -> EpicSettings:
    return Epic(**{"accept": ["id_token"], **changes}).settings


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        pytest.param({"scopes": ["basic_profile"]}, "openid", id="no-openid"),
        pytest.param({"default_deployment_id": ""}, "default_deployment_id", id="no-default-deployment"),
    ],
)
def test_what_is_risky_for_codes_is_told_for_the_browser_alone(changes: dict[str, Any], about: str) -> None:
    [warning] = block(**changes).warnings()
    assert about in warning
    assert block(**changes, browser_sign_in=False).warnings() == []


def test_an_id_token_that_cannot_come_is_a_mistake_for_the_browser_alone() -> None:
    changes = {"require_id_token": True, "scopes": ["basic_profile"]}
    [problem] = block(**changes).problems(dev=True)
    assert "openid" in problem
    assert block(**changes, browser_sign_in=False).problems(dev=True) == []


def test_a_project_that_only_takes_tokens_needs_no_client_for_the_browser() -> None:
    assert block(client_id="", client_secret=None).problems(dev=True) == []
