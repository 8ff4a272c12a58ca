"""The whole way of a token: inner signature, claims, policy, identity. Rows are those of known mistakes of others."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authsrv.emulator.xbox.keys import base64url, rsa_jwk
from authsrv.emulator.xbox.tokens import RELYING_PARTY
from authsrv.platforms.base import (
    CredentialRejected,
    PlatformIdentity,
    PlatformMisconfigured,
    RejectionReason,
    Submission,
    UserActionRequired,
)
from tests.support.xbox import AMBER, BIRCH, ENVIRONMENT, NOW, Xbox, keys


async def reason(xbox: Xbox, text: str, **submission: Any) -> RejectionReason:
    with pytest.raises(CredentialRejected) as refused:
        await xbox.login(text, **submission)
    return refused.value.reason


async def test_row4_a_good_token_gives_the_partner_xuid_in_relying_party_and_sandbox() -> None:
    xbox = Xbox()
    assert await xbox.login(xbox.good()) == PlatformIdentity(
        platform="xbox",
        kind="xbox",
        environment=ENVIRONMENT,
        subject=AMBER.partner_xuid,
        display_name="Amber",
        age_group="adult",
    )


async def test_row13_gamertag_and_user_hash_do_not_make_the_subject() -> None:
    xbox = Xbox()
    first = await xbox.login(xbox.good())
    renamed = await xbox.login(xbox.tokens.text(xbox.tokens.user(AMBER, gtg="Other", mgt="Other")))
    assert (renamed.environment, renamed.subject) == (first.environment, first.subject)
    assert renamed.display_name == "Other"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param({"mgt": None, "gtg": "Classic"}, "Classic", id="classic-gamertag"),
        pytest.param({"mgt": None, "gtg": None}, "", id="none"),
        pytest.param({"mgt": 7, "gtg": ["x"]}, "", id="not-texts"),
    ],
)
async def test_the_display_name_is_the_modern_or_else_the_classic_gamertag(
    change: Mapping[str, Any], name: str
) -> None:
    xbox = Xbox()
    assert (await xbox.login(xbox.tokens.text(xbox.tokens.user(AMBER, **change)))).display_name == name


async def test_the_sandbox_is_part_of_the_environment() -> None:
    xbox = Xbox(allowed_sandboxes=["RETAIL", "CERT"])
    assert (await xbox.login(xbox.good(sbx="CERT"))).environment == f"{RELYING_PARTY}|CERT"


async def test_unknown_and_delegation_claims_are_ignored() -> None:
    xbox = Xbox()
    user = xbox.tokens.user(AMBER, dlt="delegation", xid="2814600000000001", zzz={"a": 1})
    identity = await xbox.login(xbox.tokens.text(user, xai=None, xsi={"a": 1}, unknown=[1]))
    assert identity.subject == AMBER.partner_xuid
    assert "2814600000000001" not in repr(identity)


async def test_row1_D22_a_foreign_inner_key_is_rejected() -> None:
    xbox = Xbox()
    claims = xbox.tokens.claims(xbox.tokens.user(AMBER, uhs="1"))
    forged = xbox.inner(xbox.tokens.sign(claims, key=keys().foreign_key))
    assert await reason(xbox, forged) == "credential_rejected"


async def test_row1_edited_claims_under_a_genuine_signature_are_rejected() -> None:
    xbox = Xbox()
    claims = xbox.tokens.claims(xbox.tokens.user(AMBER, uhs="1"))
    header, _, signature = xbox.tokens.sign(claims).split(".")
    edited = base64url(json.dumps(claims | {"exp": NOW + 10**6}).encode())
    assert await reason(xbox, xbox.inner(f"{header}.{edited}.{signature}")) == "credential_rejected"


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_C02_a_public_key_is_no_hmac_secret(form: str) -> None:
    xbox = Xbox()
    public = keys().jwk_key.public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(rsa_jwk(public, keys().jwk_kid, "PS256")).encode(),
    }[form]
    claims = xbox.tokens.claims(xbox.tokens.user(AMBER, uhs="1"))
    signing_input = xbox.tokens.sign(claims, xbox.tokens.jku_header(alg="HS256")).rsplit(".", 1)[0]
    signature = base64url(hmac.new(secret, signing_input.encode(), hashlib.sha256).digest())
    assert await reason(xbox, xbox.inner(f"{signing_input}.{signature}")) == "credential_rejected"


@pytest.mark.parametrize(
    ("alg", "kid"),
    [
        pytest.param("RS256", "", id="C20-rs256-header-for-a-ps256-key"),
        pytest.param("PS256", "certificate", id="C20-ps256-header-for-an-rs256-key"),
    ],
)
async def test_C20_the_algorithm_is_that_of_the_key(alg: str, kid: str) -> None:
    xbox = Xbox()
    tokens = xbox.tokens
    name = tokens.certificate_header()["kid"] if kid else keys().jwk_kid
    key = keys().certificate_key if kid else keys().jwk_key
    inner = tokens.sign(tokens.claims(tokens.user(AMBER, uhs="1")), tokens.jku_header(alg=alg, kid=name), key)
    assert await reason(xbox, xbox.inner(inner)) == "credential_rejected"


@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param(None, id="C16-missing"),
        pytest.param("user.auth.xboxlive.com", id="another"),
        pytest.param("xsts.auth.xboxlive.com.evil.test", id="C17-prefix"),
        pytest.param("https://xsts.auth.xboxlive.com", id="C17-url"),
        pytest.param(["xsts.auth.xboxlive.com"], id="C17-list"),
    ],
)
async def test_row2_D21_another_issuer_is_rejected(issuer: object) -> None:
    xbox = Xbox()
    assert await reason(xbox, xbox.good(iss=issuer)) == "credential_rejected"


async def test_the_issuer_may_be_written_with_capitals() -> None:
    xbox = Xbox()
    assert (await xbox.login(xbox.good(iss="xsts.auth.xboxLive.com"))).subject == AMBER.partner_xuid


@pytest.mark.parametrize(
    "audience",
    [
        pytest.param(None, id="C16-missing"),
        pytest.param("rp://other.example/", id="D20-another"),
        pytest.param("http://xboxlive.com", id="D20-row11-generic"),
        pytest.param(RELYING_PARTY.rstrip("/"), id="D20-row10-without-slash"),
        pytest.param(RELYING_PARTY + "/", id="C17-two-slashes"),
        pytest.param(RELYING_PARTY.upper(), id="C17-case"),
        pytest.param([RELYING_PARTY], id="C17-list"),
        pytest.param(RELYING_PARTY + "x", id="C17-longer"),
    ],
)
async def test_row2_D20_another_audience_is_refused(audience: object) -> None:
    xbox = Xbox()
    assert await reason(xbox, xbox.good(aud=audience)) == "credential_wrong_audience"


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"exp": None}, id="C16-no-exp"),
        pytest.param({"nbf": None}, id="C16-no-nbf"),
        pytest.param({"exp": str(NOW + 60)}, id="C19-text"),
        pytest.param({"exp": True}, id="C19-boolean"),
        pytest.param({"exp": NOW + 60.5}, id="C19-fraction"),
        pytest.param({"nbf": NOW - 10, "exp": NOW + 720 * 3600}, id="longer-than-720-hours"),
        pytest.param({"nbf": -(2**63)}, id="C19-huge"),
    ],
)
async def test_C19_times_that_no_token_has_are_rejected(times: Mapping[str, Any]) -> None:
    xbox = Xbox()
    assert await reason(xbox, xbox.good(**times)) == "credential_rejected"


@pytest.mark.parametrize(
    ("now", "refused_for"),
    [
        pytest.param(NOW - 160, None, id="a-leeway-before-nbf"),
        pytest.param(NOW - 161, "credential_not_yet_valid", id="C15-more-than-a-leeway-before-nbf"),
        pytest.param(NOW + 159, None, id="just-inside-the-leeway-after-exp"),
        pytest.param(NOW + 160, "credential_expired", id="C15-a-leeway-after-exp"),
    ],
)
async def test_C15_a_token_is_valid_from_nbf_to_exp_with_leeway(now: float, refused_for: str | None) -> None:
    xbox = Xbox(leeway=60)
    text = xbox.good(nbf=NOW - 100, exp=NOW + 100)
    xbox.now = now
    if refused_for is None:
        assert (await xbox.login(text)).subject == AMBER.partner_xuid
    else:
        assert await reason(xbox, text) == refused_for


async def test_a_token_older_than_allowed_counts_as_expired() -> None:
    xbox = Xbox(max_token_age=600)
    assert (await xbox.login(xbox.good(nbf=NOW - 600))).subject == AMBER.partner_xuid
    assert await reason(xbox, xbox.good(nbf=NOW - 601)) == "credential_expired"


@pytest.mark.parametrize("sandbox", ["XDKS.1", "retail", "CERT", None, ["RETAIL"], ""])
async def test_row14_D23_only_listed_sandboxes_log_in(sandbox: object) -> None:
    xbox = Xbox()
    assert await reason(xbox, xbox.good(sbx=sandbox)) == "credential_wrong_sandbox"


async def test_row15_D23_a_sandbox_parameter_can_only_narrow() -> None:
    xbox = Xbox(allowed_sandboxes=["RETAIL", "CERT"])
    assert (await xbox.login(xbox.good(), sandbox="RETAIL")).environment == ENVIRONMENT
    assert await reason(xbox, xbox.good(), sandbox="CERT") == "credential_wrong_sandbox"
    assert await reason(xbox, xbox.good(sbx="XDKS.1"), sandbox="XDKS.1") == "credential_wrong_sandbox"


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(None, id="row12-user-only"),
        pytest.param({}, id="no-id"),
        pytest.param({"tid": "1999000002"}, id="another"),
        pytest.param({"tid": 1999000001}, id="number"),
        pytest.param({"tid": "0x77264a41"}, id="hex"),
        pytest.param({"tid": "1" * 10_000}, id="long"),
        pytest.param({"tid": "\u0661"}, id="arabic-digit"),
        pytest.param("1999000001", id="not-an-object"),
    ],
)
async def test_row12_D28_only_listed_titles_log_in(title: object) -> None:
    xbox = Xbox()
    assert await reason(xbox, xbox.good(xti=title)) == "credential_wrong_title"


async def test_titles_are_compared_as_numbers() -> None:
    xbox = Xbox(allowed_titles=["01999000001"])
    assert (await xbox.login(xbox.good(xti={"tid": "001999000001"}))).subject == AMBER.partner_xuid


async def test_row16_of_two_users_the_header_selects_one() -> None:
    xbox = Xbox()
    amber, birch = xbox.tokens.user(AMBER), xbox.tokens.user(BIRCH)
    assert (await xbox.login(xbox.tokens.text(birch, amber))).subject == BIRCH.partner_xuid
    token = xbox.tokens.encrypt(xbox.tokens.sign(xbox.tokens.claims(amber, birch)))
    assert (await xbox.login(f"XBL3.0 x={birch['uhs']};{token}")).subject == BIRCH.partner_xuid
    assert await reason(xbox, token) == "credential_malformed"


@pytest.mark.parametrize(
    "users",
    [
        pytest.param([], id="nobody"),
        pytest.param(None, id="C16-missing"),
        pytest.param({"uhs": "1"}, id="not-a-list"),
        pytest.param([{"uhs": "2"}], id="row2-D26-another-hash"),
        pytest.param([{"uhs": 1}], id="number"),
        pytest.param([{"uhs": "1", "ptx": "a"}, {"uhs": "1", "ptx": "b"}], id="D25-same-hash-twice"),
        pytest.param([{"uhs": "1", "ptx": "a"}, "junk"], id="junk-beside"),
    ],
)
async def test_D25_D26_the_user_hash_must_select_exactly_one_user(users: object) -> None:
    xbox = Xbox()
    inner = xbox.tokens.sign(xbox.tokens.claims(xui=users))
    assert await reason(xbox, xbox.inner(inner)) == "credential_malformed"


@pytest.mark.parametrize("subject", [None, "", 7, "with space", "x" * 129])
async def test_a_token_without_partner_xuid_is_our_misconfiguration(subject: object) -> None:
    xbox = Xbox()
    with pytest.raises(PlatformMisconfigured, match="ptx"):
        await xbox.login(xbox.tokens.text(xbox.tokens.user(AMBER, ptx=subject)))


@pytest.mark.parametrize(
    ("minimum", "group", "admitted"),
    [
        pytest.param("teen", "Child", False, id="child-below-teen"),
        pytest.param("teen", "Teen", True, id="teen"),
        pytest.param("teen", "Adult", True, id="adult-above-teen"),
        pytest.param("adult", "Teen", False, id="teen-below-adult"),
        pytest.param("child", "Child", True, id="child"),
        pytest.param("child", None, False, id="unknown-age"),
        pytest.param("child", "Elder", False, id="unknown-group"),
        pytest.param(None, None, True, id="no-policy"),
    ],
)
async def test_the_age_policy_admits_only_known_groups_that_are_old_enough(
    minimum: str | None, group: str | None, admitted: bool
) -> None:
    xbox = Xbox(min_age_group=minimum)
    text = xbox.tokens.text(xbox.tokens.user(AMBER, agg=group))
    if admitted:
        assert (await xbox.login(text)).age_group == (group or "").lower()
        return
    with pytest.raises(UserActionRequired) as barred:
        await xbox.login(text)
    assert barred.value.reason == "age_restricted"


@pytest.mark.parametrize("privileges", ["254", "", None, "252 x", "252  254", "2520 2540", 252])
async def test_missing_privileges_bar_the_player(privileges: object) -> None:
    xbox = Xbox(required_privileges=[252, 254])
    with pytest.raises(UserActionRequired) as barred:
        await xbox.login(xbox.tokens.text(xbox.tokens.user(AMBER, prv=privileges)))
    assert barred.value.reason == "account_restricted"


async def test_required_privileges_among_others_admit_the_player() -> None:
    xbox = Xbox(required_privileges=[252, 254])
    assert (await xbox.login(xbox.tokens.text(xbox.tokens.user(AMBER, prv="1 252 253 254")))).subject


class TestParse:
    def test_a_token_without_signature_may_be_used_until_it_expires(self) -> None:
        xbox = Xbox()
        assert xbox.platform.parse(Submission(value=xbox.good())).single_use is None

    def test_the_claimed_subject_is_that_of_the_selected_user(self) -> None:
        xbox = Xbox()
        text = xbox.tokens.text(xbox.tokens.user(BIRCH), ptx="ignored")
        assert xbox.platform.parse(Submission(value=text)).claimed_subject == BIRCH.partner_xuid

    @pytest.mark.parametrize("users", [None, [], ["x"], [{"uhs": "1"}], [{"uhs": "1", "ptx": 7}]])
    def test_a_token_that_claims_nothing_has_no_claimed_subject(self, users: object) -> None:
        xbox = Xbox()
        text = xbox.inner(xbox.tokens.sign(xbox.tokens.claims(xui=users)))
        assert xbox.platform.parse(Submission(value=text)).claimed_subject == ""

    def test_single_use_remembers_the_inner_token_until_it_expires(self) -> None:
        xbox = Xbox(token_single_use=True)
        user = xbox.tokens.user(AMBER)
        inner = xbox.tokens.sign(xbox.tokens.claims(user, exp=NOW + 1000))
        wrapped = [f"XBL3.0 x={user['uhs']};{xbox.tokens.encrypt(inner)}" for _ in range(2)]
        first, again = (xbox.platform.parse(Submission(value=text)).single_use for text in wrapped)
        assert wrapped[0] != wrapped[1]
        assert first is not None
        assert first == again
        assert first.digest == hashlib.sha256(inner.rsplit(".", 1)[0].encode()).digest()
        assert first.keep >= 1000 + xbox.settings.leeway

    @pytest.mark.parametrize("end", [None, "soon", 2**62, -5])
    def test_single_use_is_remembered_for_a_bounded_time_whatever_a_forger_writes(self, end: object) -> None:
        xbox = Xbox(token_single_use=True)
        found = xbox.platform.parse(Submission(value=xbox.good(exp=end))).single_use
        assert found is not None
        assert 0 < found.keep <= 721 * 3600

    @pytest.mark.parametrize("submission", [Submission(), Submission(code="M.C5_BAY")])
    def test_a_submission_without_token_is_malformed(self, submission: Submission) -> None:
        with pytest.raises(CredentialRejected) as refused:
            Xbox().platform.parse(submission)
        assert refused.value.reason == "credential_malformed"
