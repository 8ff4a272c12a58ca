"""How an Epic credential is read, and what an admin may write."""

import base64
import hashlib
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import settings as search
from hypothesis import strategies as st
from pydantic import ValidationError

from authsrv.platforms.base import CredentialRejected, Submission
from authsrv.platforms.epic.codes import EpicCode
from authsrv.platforms.epic.platform import EpicPlatform, EpicToken
from authsrv.platforms.epic.settings import EpicSettings, Kind
from tests.support.epic import AMBER, NOW, Epic

CODE = "0123456789abcdef0123456789abcdef"
KINDS: tuple[Kind, ...] = get_args(Kind)
PRODUCTION = {
    "client_ids": ["client"],
    "client_id": "client",
    "client_secret": "a secret",
    "sandbox_ids": ["live"],
    "deployment_ids": ["public"],
    "default_deployment_id": "public",
}


def settings(**changes: Any) -> EpicSettings:
    return EpicSettings.model_validate({**PRODUCTION, **changes})


def code_in(epic: Epic, submission: Submission) -> str:
    credential = epic.platform.parse(submission)
    assert isinstance(credential, EpicCode)
    return credential.grant["exchange_code"]


def test_the_platform_says_its_name_and_kinds_with_the_default_first() -> None:
    assert EpicPlatform.name == "epicgames"
    assert EpicPlatform.kinds == ("exchange_code", "id_token", "connect_id_token", "authorization_code")
    assert EpicPlatform.Settings is EpicSettings


@pytest.mark.parametrize(
    "submission",
    [
        pytest.param(Submission(value=CODE), id="session_ticket-plain"),
        pytest.param(Submission(value=base64.b64encode(CODE.encode()).decode()), id="session_ticket-base64"),
        pytest.param(Submission(code=CODE), id="code"),
        pytest.param(Submission(kind="exchange_code", value=CODE), id="named-kind"),
    ],
)
def test_row_28_an_exchange_code_comes_plain_or_in_base64_and_is_the_same_code(submission: Submission) -> None:
    assert code_in(Epic(), submission) == CODE


@pytest.mark.parametrize("text", ["x" * 16, "A-_9" * 32, "A" * 43, CODE.upper()])
def test_row_28_a_text_that_is_not_base64_of_a_code_is_taken_as_it_is(text: str) -> None:
    assert code_in(Epic(), Submission(value=text)) == text


@pytest.mark.parametrize(
    "submission",
    [
        pytest.param(Submission(), id="nothing"),
        pytest.param(Submission(value="x" * 15), id="short"),
        pytest.param(Submission(value="x" * 129), id="long"),
        pytest.param(Submission(value=CODE + "\n"), id="line-break"),
        pytest.param(Submission(value=f" {CODE}"), id="blank"),
        pytest.param(Submission(value=CODE + "&scope=x"), id="injection"),
        pytest.param(Submission(value=base64.b64encode(b"not 32 hexadecimal digits at all").decode()), id="base64"),
        pytest.param(Submission(value=base64.b64encode(CODE.encode()).decode() + "\n"), id="base64-line-break"),
        pytest.param(Submission(value=base64.b64encode(CODE.encode()).decode()[:-2] + "Z="), id="base64-loose-bits"),
        pytest.param(Submission(code=base64.b64encode(CODE.encode()).decode()), id="base64-in-code"),
        pytest.param(Submission(kind="authorization_code", value="short"), id="authorization-short"),
        pytest.param(Submission(kind="authorization_code", value="x" * 129), id="authorization-long"),
        pytest.param(Submission(kind="authorization_code", value="x" * 20 + " y"), id="authorization-blank"),
        pytest.param(
            Submission(kind="authorization_code", value=CODE, redirect_uri="https://a b"), id="redirect-blank"
        ),
        pytest.param(Submission(kind="authorization_code", value=CODE, redirect_uri="h" * 2049), id="redirect-long"),
        pytest.param(Submission(kind="id_token", code="e30.e30.AA"), id="token-in-code"),
    ],
)
def test_a_malformed_credential_is_refused_before_any_call(submission: Submission) -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.platform.parse(submission)
    assert caught.value.reason == "credential_malformed"
    assert epic.outbound.requests == []


def test_the_kind_is_never_guessed_from_the_content() -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(epic.mint("good", "id_token").text)
    assert caught.value.reason == "credential_malformed"
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(CODE, "id_token")
    assert caught.value.reason == "credential_malformed"


@pytest.mark.parametrize("kind", ["xsts_token", "eas_access_token", "EXCHANGE_CODE", " exchange_code"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(CredentialRejected) as caught:
        Epic().parse(CODE, kind)
    assert caught.value.reason == "credential_unsupported"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_the_project_does_not_accept_is_refused(kind: Kind) -> None:
    epic = Epic(accept=[other for other in KINDS if other != kind])
    with pytest.raises(CredentialRejected) as caught:
        epic.platform.parse(Submission(kind=kind, value=CODE))
    assert caught.value.reason == "credential_unsupported"


@pytest.mark.parametrize("kind", KINDS)
def test_row_18_an_unlisted_deployment_is_refused_for_every_kind(kind: Kind) -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(epic.mint("good", kind).text, kind, deployment_id="foreign")
    assert caught.value.reason == "credential_wrong_deployment"


@pytest.mark.parametrize("kind", ["id_token", "connect_id_token"])
async def test_a_listed_deployment_in_the_request_must_be_the_tokens_own(kind: str) -> None:
    epic = Epic(deployment_ids=["emulated-live-deployment", "another-of-ours"])
    text = epic.mint("good", kind).text
    assert (await epic.login(text, kind, deployment_id="emulated-live-deployment")).subject
    with pytest.raises(CredentialRejected) as caught:
        await epic.login(text, kind, deployment_id="another-of-ours")
    assert caught.value.reason == "credential_wrong_deployment"


@pytest.mark.parametrize("kind", ["exchange_code", "authorization_code"])
def test_a_code_is_remembered_for_an_hour_with_its_client_and_is_never_taken_over(kind: str) -> None:
    credential = Epic().parse(CODE, kind)
    assert credential.single_use is not None
    assert credential.single_use.digest == hashlib.sha256(f"emulated-epic-client\n{CODE}".encode()).digest()
    assert credential.single_use.keep == 3600
    assert credential.single_use.take_over is False
    assert credential.claimed_subject == ""


def test_row_28_both_forms_of_a_code_are_one_credential() -> None:
    epic = Epic()
    plain, wrapped = epic.parse(CODE), epic.parse(base64.b64encode(CODE.encode()).decode())
    assert plain.single_use == wrapped.single_use


@pytest.mark.parametrize("kind", ["id_token", "connect_id_token"])
def test_a_token_is_remembered_by_its_signing_input_until_it_has_expired(kind: str) -> None:
    epic = Epic()
    text = epic.mint("good", kind).text
    credential = epic.parse(text, kind)
    lifetime = 7200 if kind == "id_token" else 3600
    assert credential.single_use is not None
    assert credential.single_use.digest == hashlib.sha256(text.rpartition(".")[0].encode()).digest()
    assert credential.single_use.keep == lifetime + 60 + 1
    assert credential.single_use.take_over is True


@pytest.mark.parametrize(
    ("exp", "keep"), [pytest.param(NOW + 10**9, 86400 + 121, id="forged"), pytest.param(NOW - 999, 1, id="past")]
)
def test_a_forged_exp_neither_fills_nor_empties_the_replay_guard(exp: int, keep: int) -> None:
    epic = Epic()
    credential = epic.parse(epic.emulator.eas.genuine(AMBER, {"iat": exp - 7200, "exp": exp}), "id_token")
    assert credential.single_use is not None
    assert credential.single_use.keep == keep


def test_a_token_may_log_in_again_where_the_project_says_so() -> None:
    epic = Epic(id_token_reuse=True)
    assert epic.parse(epic.mint("good", "id_token").text, "id_token").single_use is None
    assert epic.parse(CODE).single_use is not None


@pytest.mark.parametrize(
    ("sub", "claimed"), [(AMBER.epic_account_id, AMBER.epic_account_id), ("<script>", ""), (7, ""), (None, "")]
)
def test_a_token_claims_a_subject_for_rate_limits_only_if_it_is_one(sub: Any, claimed: str) -> None:
    epic = Epic()
    assert epic.parse(epic.emulator.eas.genuine(AMBER, {"sub": sub}), "id_token").claimed_subject == claimed


def test_a_credential_shows_nothing_of_itself() -> None:
    epic = Epic()
    token = epic.mint("good", "id_token").text
    assert CODE not in repr(epic.parse(CODE))
    read = epic.parse(token, "id_token")
    assert isinstance(read, EpicToken)
    assert all(part not in repr(read) for part in token.split("."))


PARSER_REASONS = {"credential_malformed", "credential_unsupported", "credential_rejected"}


def refusal_of(submission: Submission) -> CredentialRejected | None:
    """Any other error than a rejection fails the test."""
    try:
        assert Epic().platform.parse(submission).kind == submission.kind
    except CredentialRejected as error:
        return error
    return None


ANY_TEXT = st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,4}", fullmatch=True)


@pytest.mark.parametrize("kind", KINDS)
@search(deadline=None)
@given(value=ANY_TEXT, code=ANY_TEXT, deployment=st.sampled_from(["", "x", "emulated-live-deployment"]))
@example(value="e30.e30.AA", code="", deployment="")
@example(value="A" * 43 + "=", code="", deployment="")
@example(value="4pyT4pyT4pyT4pyT4pyT4pyT4pyT4pyT4pyT4pyT4py=", code="", deployment="")
def test_any_text_is_a_credential_or_is_rejected(kind: Kind, value: str, code: str, deployment: str) -> None:
    refused = refusal_of(Submission(kind=kind, value=value, code=code, deployment_id=deployment))
    assert refused is None or refused.hint.isascii()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.dictionaries(st.sampled_from(["iat", "exp", "sub", "t", "tokenType", "iss", "aud", "act"]), JSON)
HEADER = st.dictionaries(st.sampled_from(["alg", "kid", "t", "typ", "crit"]), JSON)


@pytest.mark.parametrize("kind", ["id_token", "connect_id_token"])
@search(deadline=None)
@given(claims=CLAIMS, header=HEADER)
def test_any_claims_are_a_credential_or_are_rejected(kind: str, claims: dict[str, Any], header: dict[str, Any]) -> None:
    emulator = Epic().emulator
    forge = emulator.eas if kind == "id_token" else emulator.connect
    refused = refusal_of(Submission(kind=kind, value=forge.genuine(AMBER, claims, header)))
    assert refused is None or refused.reason in PARSER_REASONS


async def test_starting_loads_both_key_sets_apart_and_stopping_ends_it() -> None:
    epic = Epic()
    await epic.platform.start()
    await epic.eas()
    await epic.connect()
    await epic.platform.stop()
    assert (epic.emulator.calls["eas_keys"], epic.emulator.calls["connect_keys"]) == (1, 1)


async def test_only_the_key_sets_that_are_needed_are_loaded() -> None:
    epic = Epic(accept=["connect_id_token"], browser_sign_in=False)
    await epic.platform.start()
    await epic.connect()
    await epic.platform.stop()
    assert epic.emulator.calls == {"connect_keys": 1}


async def test_the_sign_in_in_the_browser_needs_the_keys_of_accounts() -> None:
    epic = Epic(accept=["connect_id_token"])
    await epic.platform.start()
    await epic.connect()
    await epic.platform.stop()
    assert epic.emulator.calls == {"connect_keys": 1, "eas_keys": 1}


def test_row_19_blanks_around_ids_and_the_secret_are_trimmed() -> None:
    read = settings(
        client_ids=[" client\n"],
        client_id="\tclient ",
        client_secret=" a secret\r\n",
        deployment_ids=[" public "],
        default_deployment_id="public ",
    )
    assert (read.client_ids, read.client_id, read.deployment_ids) == (("client",), "client", ("public",))
    assert read.client_secret is not None
    assert read.client_secret.get_secret_value() == "a secret"
    assert read.problems(dev=False) == []


def test_a_complete_production_block_has_no_problem_and_no_warning() -> None:
    assert settings().problems(dev=False) == []
    assert settings().warnings() == []
    assert "a secret" not in repr(settings())


def test_the_defaults_are_those_of_the_documentation() -> None:
    read = settings()
    assert read.accept == KINDS
    assert read.scopes == ("basic_profile", "openid")
    assert read.allowed_external_accounts == ("epicgames",)
    assert (read.allow_device_accounts, read.require_id_token, read.id_token_reuse) == (False, False, False)
    assert (read.browser_sign_in, read.browser_pkce) == (True, False)
    assert (read.hosts.api, read.hosts.www) == ("https://api.epicgames.dev", "https://www.epicgames.com")
    assert read.addresses() == ("https://api.epicgames.dev",)


@pytest.mark.parametrize(
    ("changes", "dev", "about"),
    [
        pytest.param({"client_secret": None}, True, "client_secret", id="no-secret"),
        pytest.param({"client_id": ""}, True, "client_id", id="no-client"),
        pytest.param({"client_id": "other"}, True, "client_ids", id="client-not-listed"),
        pytest.param({"sandbox_ids": []}, False, "sandbox_ids", id="no-sandboxes"),
        pytest.param({"deployment_ids": []}, False, "deployment_ids", id="no-deployments"),
        pytest.param({"default_deployment_id": "other"}, True, "default_deployment_id", id="default-not-listed"),
        pytest.param({"require_id_token": True, "scopes": ["basic_profile"]}, True, "openid", id="no-openid"),
        pytest.param({"hosts": {"api": "http://127.0.0.1:8090/epic/api"}}, False, "hosts", id="hosts"),
    ],
)
def test_a_mistake_is_told_once_with_its_key(changes: dict[str, Any], dev: bool, about: str) -> None:
    [problem] = settings(**changes).problems(dev=dev)
    assert about in problem


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sandbox_ids": [], "deployment_ids": []}, id="lists"),
        pytest.param({"hosts": {"www": "http://127.0.0.1:8090/epic/www"}}, id="hosts"),
    ],
)
def test_dev_mode_forgives_what_only_production_needs(changes: dict[str, Any]) -> None:
    assert settings(**changes).problems(dev=True) == []


def test_tokens_alone_need_no_client_of_our_own() -> None:
    read = settings(accept=["id_token"], client_id="", client_secret=None, default_deployment_id="")
    assert read.problems(dev=False) == []
    assert read.warnings() == []


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        pytest.param({"scopes": ["basic_profile"]}, "openid", id="no-openid"),
        pytest.param({"default_deployment_id": ""}, "default_deployment_id", id="no-default-deployment"),
        pytest.param({"id_token_reuse": True}, "id_token_reuse", id="reuse"),
        pytest.param({"allow_device_accounts": True}, "allow_device_accounts", id="device-accounts"),
    ],
)
def test_a_risk_is_told_with_its_key(changes: dict[str, Any], about: str) -> None:
    [warning] = settings(**changes).warnings()
    assert about in warning


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_ids": []}, id="no-client-ids"),
        pytest.param({"accept": []}, id="accept-nothing"),
        pytest.param({"accept": ["eas_access_token"]}, id="accept-unknown"),
        pytest.param({"client_id": "a:b"}, id="colon"),
        pytest.param({"client_id": "\u00e9"}, id="non-ascii"),
        pytest.param({"hosts": {"api": "ftp://x"}}, id="scheme"),
        pytest.param({"hosts": {"api": "https://x/"}}, id="final-slash"),
        pytest.param({"hosts": {"api": "https://x?y"}}, id="query"),
        pytest.param({"misspelt": 1}, id="unknown-key"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)


def test_every_setting_is_described_in_one_sentence() -> None:
    described = {name: field.description or "" for name, field in EpicSettings.model_fields.items()}
    assert {name: text for name, text in described.items() if not text.endswith(".")} == {}
