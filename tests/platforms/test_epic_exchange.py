"""What becomes of a code: one call, never two, and every answer read for what it means."""

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from authsrv.emulator.epic.cases import CONTINUATION, CORRELATION_ID, PAGE_CASES, REFUSALS, ErrorShape, Refusal
from authsrv.emulator.epic.tokens import EpicProduct
from authsrv.platforms.base import (
    CredentialRejected,
    OutboundResponse,
    PlatformError,
    PlatformIdentity,
    PlatformMisconfigured,
    PlatformUnavailable,
    UserActionRequired,
)
from authsrv.platforms.epic.errors import Asked, meaning, refusal
from tests.support.epic import AMBER, WWW, Epic
from tests.support.outbound import AsgiOutbound, Outage

REJECTED = "credential_rejected"
ACTION, NOT_ENTITLED, RESTRICTED = "account_action_required", "account_not_entitled", "account_restricted"
OURS, BUSY = "misconfigured", "unavailable"
NUMBERED = 1012

TABLE = {
    "exchange-code-not-found": REJECTED,
    "single-use-code-not-found": REJECTED,
    "authorization-code-not-found": REJECTED,
    "authorization-code-not-for-your-client": OURS,
    "exchange-code-client-mismatch": OURS,
    "expired-exchange-code-session": REJECTED,
    "single-use-code-verifier-required": REJECTED,
    "single-use-code-verifier-invalid": REJECTED,
    "invalid-refresh-token": REJECTED,
    "corrective-action-required": ACTION,
    "scope-consent-required": ACTION,
    "invalid-deployment": "credential_wrong_deployment",
    "account-forbidden": NOT_ENTITLED,
    "account-feature-restricted": RESTRICTED,
    "account-not-found": REJECTED,
    "no-account-found-for-external-auth": REJECTED,
    "external-auth-validate-failed": REJECTED,
    "invalid-external-auth-token": REJECTED,
    "account-locked": ACTION,
    "account-not-active": ACTION,
    "password-reset-required": ACTION,
    "playing-forbidden": RESTRICTED,
    "missing-real-id-association": ACTION,
    "too-many-sessions": BUSY,
    "throttled": BUSY,
    "invalid-client-credentials": OURS,
    "invalid-client": OURS,
    "client-disabled": OURS,
    "unknown-client": OURS,
    "unauthorized-client": OURS,
    "unsupported-grant-type": OURS,
    "invalid-request": OURS,
    "continuation-token-not-found": ACTION,
    "user-not-found": REJECTED,
    "deployment-user-access-forbidden": NOT_ENTITLED,
    "invalid-token": REJECTED,
    "deployment-not-found": OURS,
    "invalid-metadata": OURS,
    "unknown-error-code": REJECTED,
    "unknown-shape": OURS,
    "html-refusal": BUSY,
    "server-error-before": BUSY,
    "server-error-after": BUSY,
    "html-200": BUSY,
    "truncated": BUSY,
    "hang": BUSY,
    "unknown-code": REJECTED,
    "used-code": REJECTED,
    "expired-code": REJECTED,
    "other-client": OURS,
    "development-sandbox": "credential_wrong_deployment",
    "old-token": BUSY,
    "other-subject": BUSY,
    "other-client-answer": "credential_wrong_audience",
    "other-application-answer": OURS,
    "no-account-answer": BUSY,
}


def outcome(error: PlatformError) -> str:
    match error:
        case CredentialRejected() | UserActionRequired():
            return error.reason
        case PlatformMisconfigured():
            return OURS
    assert isinstance(error, PlatformUnavailable)
    return BUSY


async def failure(epic: Epic, case: str, kind: str = "") -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await epic.login_with(epic.mint(case, kind))
    return caught.value


def sent(epic: Epic) -> list[tuple[httpx.Request, Mapping[str, str]]]:
    posts = [request for request in epic.outbound.requests if request.method == "POST"]
    return [(request, dict(httpx.QueryParams(request.content.decode()))) for request in posts]


@pytest.mark.parametrize("kind", ["exchange_code", "authorization_code"])
async def test_a_code_gives_the_epic_account_by_one_call(kind: str) -> None:
    epic = Epic()
    minted = epic.mint("good", kind)
    identity = await epic.login_with(minted)
    assert identity == PlatformIdentity(
        platform="epicgames", kind="epic", environment="", subject=AMBER.epic_account_id, display_name="Amber"
    )
    [(request, form)] = sent(epic)
    assert request.url.path == "/epic/api/epic/oauth/v2/token"
    assert form == {
        "grant_type": kind,
        "exchange_code" if kind == "exchange_code" else "code": minted.text,
        "deployment_id": epic.product.deployment_id,
        "scope": "basic_profile openid",
    }


async def test_an_authorization_code_goes_with_its_redirect_uri() -> None:
    epic = Epic()
    await epic.login(epic.mint("good", "authorization_code").text, "authorization_code", redirect_uri="https://a/b")
    assert sent(epic)[0][1]["redirect_uri"] == "https://a/b"


@pytest.mark.parametrize("shape", ["api", "browser"])
@pytest.mark.parametrize("kind", ["exchange_code", "authorization_code"])
@pytest.mark.parametrize("case", TABLE)
async def test_5_1_each_answer_means_what_the_table_says(case: str, kind: str, shape: ErrorShape) -> None:
    epic = Epic()
    epic.emulator.codes.error_shape = shape
    error = await failure(epic, case, kind)
    assert outcome(error) == TABLE[case]
    assert epic.emulator.calls["token"] == 1


def test_5_1_every_case_of_a_code_is_in_the_table_or_a_login_or_tested_apart() -> None:
    apart = {"good", "without-id-token", "old-spelling", "unlisted-deployment"}
    actions = {"corrective-action-without-url", "corrective-action-foreign-url", "corrective-action-unknown"}
    with_codes = {case for case in Epic().emulator.cases.keys() - PAGE_CASES.keys() if _minted_as_code(case)}
    assert with_codes == set(TABLE) | apart | actions


def _minted_as_code(case: str) -> bool:
    return Epic().mint(case).kind == "exchange_code"


@pytest.mark.parametrize("shape", ["api", "browser"])
async def test_the_error_code_and_correlation_id_are_for_the_log(shape: ErrorShape) -> None:
    epic = Epic()
    epic.emulator.codes.error_shape = shape
    error = await failure(epic, "exchange-code-not-found")
    assert "errors.com.epicgames.account.oauth.exchange_code_not_found" in error.detail
    assert CORRELATION_ID in error.detail
    assert isinstance(error, CredentialRejected)
    assert "epicgames." not in error.hint


async def test_an_unknown_error_code_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await failure(Epic(), "unknown-error-code")
    assert "unknown_error_code" in caplog.text


def answered(code: str, *, status: int = 400, number: int = NUMBERED, **more: Any) -> PlatformError:
    body = Refusal(code, status, number, more).body("api")
    content = httpx.Response(status, json=body).content
    asked = Asked(www="https://www.epicgames.com", client_id="c", scopes=("openid",), deployment_from_request=False)
    return refusal(OutboundResponse(status, {}, content), asked)


def test_row_11_one_number_with_other_texts_has_other_meanings() -> None:
    found = {
        outcome(answered(code, number=NUMBERED))
        for code in (
            "oauth.account_forbidden",
            "oauth.invalid_deployment",
            "account.oauth.single_use_code_verifier_invalid",
            "oauth.corrective_action_required",
            "common.oauth.invalid_client",
        )
    }
    assert found == {NOT_ENTITLED, OURS, REJECTED, ACTION}


def test_row_11_one_text_with_other_numbers_has_one_meaning() -> None:
    assert {outcome(answered("oauth.account_forbidden", number=n)) for n in (0, 18057, 1041)} == {NOT_ENTITLED}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("errors.com.epicgames.account.oauth.corrective_action_required", ACTION, id="longer-middle"),
        pytest.param("oauth.corrective_action_required", ACTION, id="no-prefix"),
        pytest.param("corrective_action_required", ACTION, id="last-segment"),
        pytest.param("errors.com.epicgames.my_corrective_action_required", REJECTED, id="part-of-a-segment"),
        pytest.param("errors.com.epicgames.corrective_action_required.more", REJECTED, id="not-at-the-end"),
        pytest.param("errors.com.epicgames.payment.user_not_found", REJECTED, id="ambiguous-ending"),
        pytest.param("errors.com.epicgames.eos.auth.deployment_not_found", OURS, id="two-segments"),
        pytest.param("errors.com.epicgames.cloud.deployment_not_found", REJECTED, id="one-of-two-segments"),
    ],
)
def test_error_codes_are_compared_by_whole_segments_from_the_right(code: str, expected: str) -> None:
    error = answered("x")
    assert isinstance(error, CredentialRejected)
    body = httpx.Response(400, json={"errorCode": code}).content
    asked = Asked("https://www.epicgames.com", "c", (), deployment_from_request=False)
    assert outcome(refusal(OutboundResponse(400, {}, body), asked)) == expected


def test_each_documented_error_code_has_a_row_of_its_own() -> None:
    unknown = meaning("errors.com.epicgames.account.unknown_error_code")
    without = {case for case, row in REFUSALS.items() if meaning(row.code) is unknown}
    assert without == {"unknown-error-code"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'{"errorCode":7}', id="number"),
        pytest.param(b'{"errorCode":"a b\\n"}', id="odd-characters"),
        pytest.param(b'{"error":"invalid_client"}', id="plain-oauth"),
    ],
)
def test_a_4xx_without_the_known_shape_is_an_alert_for_the_operator(body: bytes) -> None:
    asked = Asked("https://www.epicgames.com", "c", (), deployment_from_request=False)
    assert outcome(refusal(OutboundResponse(400, {}, body), asked)) == OURS


@pytest.mark.parametrize("status", [301, 302, 307, 429, 500, 503, 204])
def test_what_is_no_decision_is_an_outage_whatever_it_says(status: int) -> None:
    assert outcome(answered("oauth.account_forbidden", status=status)) == BUSY


async def test_throttling_hands_on_how_long_to_wait() -> None:
    error = await failure(Epic(), "throttled")
    assert isinstance(error, PlatformUnavailable)
    assert error.retry_after == 7


@pytest.mark.parametrize("header", ["soon", "-1", "\u0661", "9999999", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_an_odd_retry_after_is_ignored(header: str) -> None:
    asked = Asked("https://www.epicgames.com", "c", (), deployment_from_request=False)
    error = refusal(OutboundResponse(429, {"retry-after": header}, b""), asked)
    assert isinstance(error, PlatformUnavailable)
    assert error.retry_after is None


@pytest.mark.parametrize("case", ["hang", "server-error-after", "truncated", "html-200", "server-error-before"])
async def test_row_16_a_failed_exchange_is_called_once_and_may_have_used_the_code(case: str) -> None:
    epic = Epic()
    error = await failure(epic, case)
    assert isinstance(error, PlatformUnavailable)
    assert error.maybe_consumed
    assert epic.emulator.calls["token"] == 1


@pytest.mark.parametrize(("outage", "maybe"), [("connect_failure", False), ("timeout", True), ("server_error", True)])
async def test_a_code_is_free_again_only_if_the_request_was_certainly_not_sent(outage: Outage, maybe: bool) -> None:
    epic = Epic()
    epic.outbound.outage = outage
    error = await failure(epic, "good")
    assert isinstance(error, PlatformUnavailable)
    assert error.maybe_consumed is maybe
    assert len(epic.outbound.requests) == 1


async def test_an_unreachable_key_set_after_the_exchange_means_the_code_is_used() -> None:
    epic = Epic()
    epic.emulator.ring.failures["eas"] = 2
    error = await failure(epic, "good")
    assert isinstance(error, PlatformUnavailable)
    assert error.maybe_consumed


async def test_row_08_a_secret_with_slash_and_plus_is_sent_plain() -> None:
    epic = Epic()
    assert {"/", "+"} <= set(epic.product.client_secret)
    await epic.login_with(epic.mint())
    plain = f"{epic.product.client_id}:{epic.product.client_secret}"
    [(request, _)] = sent(epic)
    assert request.headers["authorization"] == "Basic " + base64.b64encode(plain.encode()).decode()


@pytest.mark.parametrize("kind", ["exchange_code", "authorization_code"])
async def test_row_09_every_exchange_has_the_basic_header_and_no_secret_in_the_body(kind: str) -> None:
    epic = Epic()
    await epic.login_with(epic.mint("good", kind))
    [(request, form)] = sent(epic)
    assert request.headers["authorization"].startswith("Basic ")
    assert epic.product.client_secret not in form.values()
    assert str(request.url).endswith("/token")


async def test_row_10_nothing_depends_on_discovery() -> None:
    epic = Epic()
    await epic.login_with(epic.mint())
    await epic.connect()
    assert epic.emulator.calls["discovery"] == 0
    assert not any("openid-configuration" in request.url.path for request in epic.outbound.requests)


async def test_row_15_the_older_spellings_of_the_answer_are_read_too() -> None:
    epic = Epic()
    assert await epic.login_with(epic.mint("old-spelling")) == await epic.login_with(epic.mint())


async def test_without_an_id_token_the_answer_itself_is_the_proof_and_the_operator_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    epic = Epic()
    identity = await epic.login_with(epic.mint("without-id-token"))
    assert (identity.subject, identity.display_name) == (AMBER.epic_account_id, "")
    assert "add openid" in caplog.text


async def test_a_missing_id_token_is_our_mistake_where_it_is_required() -> None:
    epic = Epic(require_id_token=True)
    assert outcome(await failure(epic, "without-id-token")) == OURS
    assert (await epic.login_with(epic.mint())).display_name == "Amber"


class Answering(AsgiOutbound):
    """An outbound whose every POST is answered by one text."""

    def __init__(self, body: bytes) -> None:
        super().__init__(Starlette())
        self.body = body

    async def post(self, url: str, **_: Any) -> OutboundResponse:
        assert url
        return OutboundResponse(200, {}, self.body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"token_type":"mac"}', id="other-type"),
        pytest.param(b'{"token_type":7}', id="number-type"),
        pytest.param(b"{}", id="no-type"),
        pytest.param(b'{"token_type":"bearer","token_type":"bearer"}', id="repeated-name"),
        pytest.param(
            b'{"token_type":"bearer","client_id":"emulated-epic-client",'
            b'"application_id":"emulated-epic-application","account_id":"%s","id_token":7}' % (b"a" * 32),
            id="number-id-token",
        ),
        pytest.param(
            b'{"token_type":"bearer","client_id":"emulated-epic-client",'
            b'"application_id":"emulated-epic-application","account_id":"%s","id_token":"x"}' % (b"a" * 32),
            id="junk-id-token",
        ),
        pytest.param(
            b'{"token_type":"bearer","client_id":"emulated-epic-client",'
            b'"application_id":"emulated-epic-application","account_id":"short"}',
            id="odd-account",
        ),
    ],
)
async def test_an_answer_that_cannot_be_believed_is_an_outage_and_never_a_login(body: bytes) -> None:
    epic = Epic()
    platform = type(epic.platform)(epic.settings, Answering(body), epic.clock)
    with pytest.raises(PlatformUnavailable) as caught:
        await platform.verify(epic.parse("0" * 32))
    assert caught.value.maybe_consumed


async def test_row_18_an_unlisted_deployment_is_refused_without_a_call() -> None:
    epic = Epic()
    error = await failure(epic, "unlisted-deployment")
    assert outcome(error) == "credential_wrong_deployment"
    assert epic.outbound.requests == []


async def test_row_18_a_missing_deployment_is_the_projects_default() -> None:
    epic = Epic()
    await epic.login_with(epic.mint())
    assert sent(epic)[0][1]["deployment_id"] == epic.product.deployment_id


async def test_row_18_a_listed_deployment_is_asked_for() -> None:
    product = EpicProduct()
    epic = Epic(deployment_ids=[product.deployment_id, product.private_deployment_id])
    await epic.login(epic.mint().text, deployment_id=product.private_deployment_id)
    assert sent(epic)[0][1]["deployment_id"] == product.private_deployment_id


async def test_a_code_that_comes_without_any_deployment_is_refused_where_deployments_are_listed() -> None:
    epic = Epic(default_deployment_id="")
    assert outcome(await failure(epic, "good")) == "credential_wrong_deployment"
    assert "deployment_id" not in sent(epic)[0][1]


async def test_5_1_a_default_deployment_that_epic_refuses_is_our_mistake() -> None:
    epic = Epic()
    code = epic.mint("invalid-deployment").text
    with pytest.raises(PlatformMisconfigured):
        await epic.login(code)


@pytest.mark.parametrize("shape", ["api", "browser"])
@pytest.mark.parametrize(
    ("case", "action"),
    [
        ("corrective-action-required", "PRIVACY_POLICY_ACCEPTANCE"),
        ("corrective-action-without-url", "EULA_ACCEPTANCE"),
        ("corrective-action-foreign-url", "SCOPE_CONSENT"),
        ("corrective-action-unknown", "A_NEW_ACTION"),
    ],
)
async def test_D36_row_20_a_corrective_action_names_the_action_and_a_page_of_epic(
    case: str, action: str, shape: ErrorShape
) -> None:
    epic = Epic()
    epic.emulator.codes.error_shape = shape
    error = await failure(epic, case)
    assert isinstance(error, UserActionRequired)
    assert (error.reason, error.action) == (ACTION, action)
    assert error.url == f"{WWW}/id/login?continuation={CONTINUATION}&prompt=skip_merge%20skip_upgrade"


OWN_PAGE = "https://www.epicgames.com/id/login?continuation=0123456789abcdef0123456789abcdef&lang=en"


@pytest.mark.parametrize(
    "url",
    [
        "http://www.epicgames.com/id/login",
        "https://www.epicgames.com.evil.test/id/login",
        "https://www.epicgames.com@evil.test/id/login",
        "https://www.epicgames.com:8443/id/login",
        "https://www.epicgames.com\\@evil.test/",
        "https://evil.test/https://www.epicgames.com/",
        "https://www.epicgames.com/id/login\n",
        "https://www.epicgames.com/id/login#<script>",
        "https://www.epicgames.com/\u202e",
        "//www.epicgames.com/",
        "javascript:alert(1)",
        "https://epicgames.com/id/login",
        "https://www.epicgames.com/" + "a" * 3000,
        7,
        None,
        ["https://www.epicgames.com/"],
    ],
)
def test_row_20_a_foreign_or_odd_page_is_dropped(url: Any) -> None:
    code = "oauth.corrective_action_required"
    error = answered(code, correctiveAction="EULA_ACCEPTANCE", continuation=CONTINUATION, continuationUrl=url)
    assert isinstance(error, UserActionRequired)
    assert error.url.startswith(f"https://www.epicgames.com/id/login?continuation={CONTINUATION}&prompt=")
    without = answered(code, correctiveAction="EULA_ACCEPTANCE", continuationUrl=url)
    assert isinstance(without, UserActionRequired)
    assert without.url == ""


def test_row_20_a_page_of_epic_is_handed_on_as_it_is() -> None:
    error = answered("oauth.corrective_action_required", continuationUrl=OWN_PAGE)
    assert isinstance(error, UserActionRequired)
    assert error.url == OWN_PAGE


@pytest.mark.parametrize("continuation", ["x" * 32, "0" * 31, "0" * 32 + "&evil=1", 7, None, "\uff10" * 32])
def test_a_continuation_token_that_is_none_builds_no_page(continuation: Any) -> None:
    error = answered("oauth.corrective_action_required", continuation=continuation)
    assert isinstance(error, UserActionRequired)
    assert error.url == ""


@pytest.mark.parametrize("action", ["<script>", "lower", "A" * 65, 7, None, ""])
def test_an_action_with_odd_characters_is_not_passed_on(action: Any) -> None:
    error = answered("oauth.corrective_action_required", correctiveAction=action)
    assert isinstance(error, UserActionRequired)
    assert error.action == ""


async def test_a_missing_consent_leads_to_the_authorize_page() -> None:
    epic = Epic()
    error = await failure(epic, "scope-consent-required")
    assert isinstance(error, UserActionRequired)
    assert error.action == "SCOPE_CONSENT"
    assert error.url == (
        f"{WWW}/id/authorize?client_id={epic.product.client_id}&response_type=code&scope=basic_profile+openid"
    )


async def test_row_21_the_account_on_the_launchers_command_line_is_mere_talk() -> None:
    epic = Epic()
    arguments = dict(
        argument.lstrip("-").partition("=")[::2]
        for argument in epic.emulator.launcher_arguments(dataclasses.replace(AMBER, display_name="Amber"))
    )
    arguments["epicuserid"] = "f" * 32
    identity = await epic.login(arguments["AUTH_PASSWORD"])
    assert identity.subject == AMBER.epic_account_id
    with pytest.raises(CredentialRejected):
        epic.parse(f"{arguments['AUTH_PASSWORD']} -epicuserid={arguments['epicuserid']}")


async def test_row_26_a_code_that_the_sdk_used_is_refused_with_what_to_do() -> None:
    error = await failure(Epic(), "used-code")
    assert isinstance(error, CredentialRejected)
    assert error.reason == REJECTED
    assert "EOS SDK" in error.hint
    assert "id_token" in error.hint


async def test_row_29_a_private_deployment_is_explained_to_the_operator() -> None:
    error = await failure(Epic(), "account-forbidden")
    assert isinstance(error, UserActionRequired)
    assert error.reason == NOT_ENTITLED
    assert "brand review" in error.detail


async def test_codes_work_once() -> None:
    epic = Epic()
    minted = epic.mint()
    assert (await epic.login_with(minted)).subject
    with pytest.raises(CredentialRejected) as caught:
        await epic.login_with(minted)
    assert caught.value.reason == REJECTED
