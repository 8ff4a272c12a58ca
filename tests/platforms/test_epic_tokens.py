"""Which id_tokens of Epic are believed. Numbers are the rows of known mistakes and attacks."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from authsrv.emulator.epic.forgery import Family, new_key
from authsrv.emulator.epic.tokens import ABSENT, base64url, compact_text
from authsrv.platforms.base import CredentialRejected, PlatformIdentity, PlatformUnavailable
from tests.support.epic import AMBER, BIRCH, NOW, Epic

FAMILIES: dict[Family, str] = {"eas": "id_token", "connect": "connect_id_token"}
Login = Callable[..., Awaitable[PlatformIdentity]]

both_families = pytest.mark.parametrize("family", FAMILIES)


async def refused(login: Awaitable[PlatformIdentity]) -> CredentialRejected:
    with pytest.raises(CredentialRejected) as caught:
        await login
    return caught.value


def login_of(epic: Epic, family: Family) -> Login:
    return epic.eas if family == "eas" else epic.connect


def rewritten(epic: Epic, family: Family, header: str = "", claims: str = "") -> str:
    """A well-signed token whose parts are these very texts."""
    signer = epic.emulator.ring.current(family)
    forge = epic.emulator.eas if family == "eas" else epic.emulator.connect
    own_header, own_claims = (opened(part) for part in forge.genuine(AMBER).split(".")[:2])
    return compact_text(header or own_header, claims or own_claims, signer.sign)


def opened(part: str) -> str:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


async def test_an_eas_id_token_gives_the_epic_account() -> None:
    identity = await Epic().eas()
    assert identity == PlatformIdentity(
        platform="epicgames", kind="epic", environment="", subject=AMBER.epic_account_id, display_name="Amber"
    )


async def test_a_connect_id_token_gives_the_product_user() -> None:
    epic = Epic()
    identity = await epic.connect()
    assert identity == PlatformIdentity(
        platform="epicgames",
        kind="eos_puid",
        environment=epic.product.product_id,
        subject=AMBER.product_user_id,
    )


@both_families
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        pytest.param("not-a-jwt", "credential_malformed", id="not-a-jwt"),
        pytest.param("truncated-token", "credential_malformed", id="truncated-token"),
        pytest.param("too-large", "credential_malformed", id="too-large"),
        pytest.param("duplicate-names", "credential_malformed", id="duplicate-names"),
        pytest.param("algorithm-none", "credential_unsupported", id="algorithm-none"),
        pytest.param("algorithm-hs256", "credential_unsupported", id="algorithm-hs256"),
        pytest.param("critical-header", "credential_unsupported", id="critical-header"),
        pytest.param("access-token", "credential_unsupported", id="access-token"),
    ],
)
def test_5_2_what_can_be_seen_in_the_text_is_refused_before_any_call(family: Family, case: str, reason: str) -> None:
    epic = Epic()
    kind = FAMILIES[family]
    minted = epic.mint(case, kind)
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(minted.text, kind)
    assert caught.value.reason == reason
    assert epic.outbound.requests == []


@both_families
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        pytest.param("bad-signature", "credential_rejected", id="bad-signature"),
        pytest.param("unknown-kid", "credential_rejected", id="unknown-kid"),
        pytest.param("other-family-key", "credential_rejected", id="row-25-other-family-key"),
        pytest.param("wrong-issuer", "credential_rejected", id="row-06-wrong-issuer"),
        pytest.param("issuer-prefix", "credential_rejected", id="row-04-issuer-prefix"),
        pytest.param("expired", "credential_expired", id="row-05-expired"),
        pytest.param("not-yet-valid", "credential_not_yet_valid", id="not-yet-valid"),
        pytest.param("wrong-audience", "credential_wrong_audience", id="row-01-wrong-audience"),
        pytest.param("wrong-product", "credential_wrong_deployment", id="wrong-product"),
        pytest.param("wrong-sandbox", "credential_wrong_deployment", id="row-22-wrong-sandbox"),
        pytest.param("wrong-deployment", "credential_wrong_deployment", id="wrong-deployment"),
    ],
)
async def test_5_2_what_the_signed_claims_say_is_refused(family: Family, case: str, reason: str) -> None:
    epic = Epic()
    minted = epic.mint(case, FAMILIES[family])
    assert (await refused(epic.login_with(minted))).reason == reason


@both_families
@pytest.mark.parametrize("claim", ["aud", "pfpid", "pfsid", "pfdid"])
@pytest.mark.parametrize("value", [pytest.param(ABSENT, id="missing"), "foreign", 7, ["x"], None])
async def test_D30_a_token_of_another_studio_product_or_deployment_is_refused(
    family: Family, claim: str, value: Any
) -> None:
    reason = "credential_wrong_audience" if claim == "aud" else "credential_wrong_deployment"
    assert (await refused(login_of(Epic(), family)({claim: value}))).reason == reason


@both_families
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda issuer: issuer + ".evil.test", id="suffix"),
        pytest.param(lambda issuer: issuer.replace(".dev/", ".dev.evil.test/"), id="row-04-host"),
        pytest.param(lambda issuer: issuer + "/", id="slash"),
        pytest.param(str.upper, id="case"),
        pytest.param(lambda issuer: issuer.replace("https", "http"), id="scheme"),
        pytest.param(lambda issuer: [issuer], id="list"),
        pytest.param(lambda _: "https://api.epicgames.dev", id="prefix"),
        pytest.param(lambda _: ABSENT, id="missing"),
    ],
)
async def test_D31_C17_the_issuer_is_compared_exactly(family: Family, change: Callable[[str], Any]) -> None:
    issuer = {"eas": "https://api.epicgames.dev/epic/oauth/v1", "connect": "https://api.epicgames.dev/auth/v1/oauth"}
    assert (await refused(login_of(Epic(), family)({"iss": change(issuer[family])}))).reason == "credential_rejected"


async def test_the_issuer_of_the_second_version_is_known() -> None:
    identity = await Epic().eas({"iss": "https://api.epicgames.dev/epic/oauth/v2"})
    assert identity.subject == AMBER.epic_account_id


@both_families
async def test_the_issuer_of_the_other_family_is_refused(family: Family) -> None:
    other = {"connect": "https://api.epicgames.dev/epic/oauth/v1", "eas": "https://api.epicgames.dev/auth/v1/oauth"}
    assert (await refused(login_of(Epic(), family)({"iss": other[family]}))).reason == "credential_rejected"


@both_families
@pytest.mark.parametrize(
    "audience",
    [
        pytest.param(["emulated-epic-client"], id="list"),
        pytest.param(["emulated-epic-client", "x"], id="longer-list"),
        pytest.param("emulated-epic-client ", id="blank"),
        pytest.param("emulated-epic", id="prefix"),
        pytest.param("EMULATED-EPIC-CLIENT", id="case"),
        pytest.param("", id="empty"),
    ],
)
async def test_C17_the_audience_is_one_exact_text(family: Family, audience: Any) -> None:
    assert (await refused(login_of(Epic(), family)({"aud": audience}))).reason == "credential_wrong_audience"


@both_families
async def test_C15_a_token_is_good_until_sixty_seconds_after_exp_and_not_longer(family: Family) -> None:
    login = login_of(Epic(), family)
    assert (await login({"iat": NOW - 3600, "exp": NOW - 59})).subject
    assert (await refused(login({"iat": NOW - 3600, "exp": NOW - 60}))).reason == "credential_expired"


@both_families
@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_C15_a_token_is_good_from_sixty_seconds_before_iat_and_nbf(family: Family, claim: str) -> None:
    login = login_of(Epic(), family)
    assert (await login({claim: NOW + 60})).subject
    assert (await refused(login({claim: NOW + 61}))).reason == "credential_not_yet_valid"


@both_families
async def test_C15_a_begun_nbf_does_not_excuse_an_iat_ahead(family: Family) -> None:
    login = login_of(Epic(), family)
    assert (await refused(login({"iat": NOW + 61, "nbf": NOW}))).reason == "credential_not_yet_valid"


async def test_row_27_an_old_token_is_refused_with_what_to_do() -> None:
    error = await refused(Epic().eas({"iat": NOW - 7300, "exp": NOW - 100}))
    assert error.reason == "credential_expired"
    assert "CopyIdToken" in error.hint


@both_families
@pytest.mark.parametrize("claim", ["iat", "exp"])
@pytest.mark.parametrize(
    "value",
    [pytest.param(ABSENT, id="missing"), "1800000000", True, None, 1.8e9, -1, [NOW], pytest.param(10**400, id="huge")],
)
def test_C16_C19_times_are_whole_numbers(family: Family, claim: str, value: Any) -> None:
    epic = Epic()
    forge = epic.emulator.eas if family == "eas" else epic.emulator.connect
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(forge.genuine(AMBER, {claim: value}), FAMILIES[family])
    assert caught.value.reason == "credential_malformed"


@both_families
@pytest.mark.parametrize("value", ["tomorrow", True, 1.5])
async def test_C19_an_odd_nbf_is_refused(family: Family, value: Any) -> None:
    assert (await refused(login_of(Epic(), family)({"nbf": value}))).reason == "credential_malformed"


@both_families
@pytest.mark.parametrize(
    "value",
    [pytest.param(ABSENT, id="missing"), "", 7, None, "0" * 31, "0" * 33, "g" * 32, "\uff10" * 32, "0" * 32 + "\n"],
)
async def test_C16_a_subject_is_32_hexadecimal_digits(family: Family, value: Any) -> None:
    assert (await refused(login_of(Epic(), family)({"sub": value}))).reason == "credential_malformed"


async def test_a_subject_is_kept_in_lower_case() -> None:
    assert (await Epic().eas({"sub": "ABCDEF00" * 4})).subject == "abcdef00" * 4


async def test_a_token_that_lives_longer_than_usual_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await Epic().eas({"exp": NOW + 7201})
    assert "lives longer than usual" in caplog.text


@both_families
def test_a_token_that_outlives_the_replay_guard_is_refused(family: Family) -> None:
    epic = Epic()
    forge = epic.emulator.eas if family == "eas" else epic.emulator.connect
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(forge.genuine(AMBER, {"exp": NOW + 86401}), FAMILIES[family])
    assert caught.value.reason == "credential_rejected"


@pytest.mark.parametrize("case", ["access-token", "refresh-token", "refresh-token-r", "wrong-token-type"])
def test_D34_row_03_no_other_token_of_the_family_logs_in(case: str) -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(epic.mint(case, "id_token").text, "id_token")
    assert caught.value.reason == "credential_unsupported"


async def test_D34_the_type_in_the_header_counts_when_it_is_there() -> None:
    epic = Epic()
    assert (await refused(epic.eas(header={"t": "epic_id"}))).reason == "credential_unsupported"
    assert (await epic.eas(header={"t": ABSENT})).subject == AMBER.epic_account_id
    assert (await refused(epic.eas({"t": ABSENT}))).reason == "credential_unsupported"


@pytest.mark.parametrize("t", ["epic_id", "epic_id_r", "ID_TOKEN", "", None, ["id_token"]])
@pytest.mark.parametrize("header", [{"t": ABSENT}, {"t": "id_token"}], ids=["no-header-type", "good-header-type"])
async def test_D34_row_03_the_type_in_the_payload_is_enough_to_refuse(t: Any, header: dict[str, Any]) -> None:
    error = await refused(Epic().eas({"t": t, "exp": NOW + 28800}, header))
    assert error.reason == "credential_unsupported"


def test_row_24_a_connect_access_token_is_refused() -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(epic.mint("access-token", "connect_id_token").text, "connect_id_token")
    assert caught.value.reason == "credential_unsupported"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "eos"}, id="issuer"),
        pytest.param({"tokenType": "userToken"}, id="type"),
        pytest.param({"tokenType": ABSENT}, id="no-type"),
    ],
)
async def test_row_24_each_mark_of_a_connect_access_token_is_enough(claims: dict[str, Any]) -> None:
    assert (await refused(Epic().connect(claims))).reason == "credential_unsupported"


@both_families
def test_C18_a_token_of_the_other_family_is_refused(family: Family) -> None:
    epic = Epic()
    other: Family = "connect" if family == "eas" else "eas"
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(epic.mint("good", FAMILIES[other]).text, FAMILIES[family])
    assert caught.value.reason == "credential_unsupported"


async def test_row_25_a_key_of_one_family_does_not_verify_the_other_even_under_a_known_id() -> None:
    epic = Epic()
    thief = epic.emulator.ring.current("connect")
    header = json.dumps({"t": "id_token", "alg": "RS256", "kid": epic.emulator.ring.current("eas").kid})
    _, claims, _ = epic.emulator.eas.genuine(AMBER).split(".")
    token = compact_text(header, opened(claims), thief.sign)
    assert (await refused(epic.login(token, "id_token"))).reason == "credential_rejected"


async def test_D32_row_17_the_same_digits_in_both_kinds_are_two_accounts() -> None:
    epic = Epic()
    digits = "0002" + "a" * 28
    account, user = await epic.eas({"sub": digits}), await epic.connect({"sub": digits})
    assert account.subject == user.subject
    assert (account.kind, account.environment) == ("epic", "")
    assert (user.kind, user.environment) == ("eos_puid", epic.product.product_id)


async def test_row_07_a_display_name_is_never_the_account() -> None:
    epic = Epic()
    renamed = await epic.eas({"dn": "Somebody Else"})
    namesake = await epic.login(epic.emulator.eas.genuine(BIRCH, {"dn": "Amber"}), "id_token")
    assert (renamed.subject, renamed.display_name) == (AMBER.epic_account_id, "Somebody Else")
    assert (namesake.subject, namesake.display_name) == (BIRCH.epic_account_id, "Amber")


@pytest.mark.parametrize("name", [pytest.param(ABSENT, id="missing"), 7, None, ["Amber"]])
async def test_a_display_name_that_is_no_text_is_none(name: Any) -> None:
    assert (await Epic().eas({"dn": name})).display_name == ""


async def test_row_12_slashes_in_the_issuer_may_be_escaped_or_not() -> None:
    epic = Epic()
    escaped = epic.emulator.eas.genuine(AMBER)
    header, claims = (opened(part) for part in escaped.split(".")[:2])
    assert "\\/" in claims
    plain = compact_text(header, claims.replace("\\/", "/"), epic.emulator.ring.current("eas").sign)
    assert (await epic.login(escaped, "id_token")).subject == (await epic.login(plain, "id_token")).subject


@both_families
@pytest.mark.parametrize(
    "kid", ["../x", "../../etc/passwd", "' OR 1=1", "\x00", "k" * 256, "2026-01-01T00:00:00.123456789Z"]
)
async def test_row_13_C22_a_key_id_is_opaque_text(family: Family, kid: str) -> None:
    epic = Epic()
    assert (await refused(login_of(epic, family)(header={"kid": kid}))).reason == "credential_rejected"
    assert len(epic.outbound.requests) == 1
    assert epic.outbound.requests[0].url.path.endswith("jwks.json" if family == "eas" else "jwks")


async def test_row_13_a_published_key_id_may_have_colons_and_dots() -> None:
    epic = Epic()
    assert ":" in epic.emulator.ring.current("connect").kid
    assert (await epic.connect()).subject == AMBER.product_user_id


@both_families
@pytest.mark.parametrize("kid", [pytest.param(ABSENT, id="missing"), 7, None, "", "k" * 257, ["k"]])
async def test_C22_a_key_id_that_cannot_be_one_is_refused_before_any_call(family: Family, kid: Any) -> None:
    epic = Epic()
    assert (await refused(login_of(epic, family)(header={"kid": kid}))).reason == "credential_malformed"
    assert epic.outbound.requests == []


@pytest.mark.parametrize(
    ("members", "accepted"),
    [
        pytest.param({}, True, id="row-14-neither"),
        pytest.param({"alg": "RS256", "use": "sig"}, True, id="both-right"),
        pytest.param({"alg": "RS512"}, False, id="C20-other-alg"),
        pytest.param({"use": "enc"}, False, id="encryption-key"),
    ],
)
@both_families
async def test_row_14_C20_alg_and_use_of_a_key_may_be_missing_and_must_be_right(
    family: Family, members: dict[str, str], accepted: bool
) -> None:
    epic = Epic()
    entry = {**epic.emulator.ring.current(family).jwk(), **members}
    assert "alg" not in epic.emulator.ring.current(family).jwk()
    epic.emulator.ring.replaced[family] = {"keys": [entry]}
    login = login_of(epic, family)
    if accepted:
        assert (await login()).subject
    else:
        assert (await refused(login())).reason == "credential_rejected"


async def test_an_elliptic_key_under_the_wanted_id_verifies_nothing() -> None:
    epic = Epic()
    curve = {"kty": "EC", "crv": "P-256", "kid": epic.emulator.ring.current("eas").kid, "x": "AA", "y": "AA"}
    other = new_key("eas").jwk()
    epic.emulator.ring.replaced["eas"] = {"keys": [curve, other]}
    assert (await refused(epic.eas())).reason == "credential_rejected"


async def test_an_oversized_key_set_is_an_outage() -> None:
    epic = Epic()
    epic.emulator.ring.replaced["eas"] = {"keys": [epic.emulator.ring.current("eas").jwk()], "padding": "x" * 300_000}
    with pytest.raises(PlatformUnavailable):
        await epic.eas()


@both_families
async def test_an_unreachable_key_set_is_an_outage_and_the_same_token_is_good_later(family: Family) -> None:
    epic = Epic()
    kind = FAMILIES[family]
    minted = epic.mint("keys-unreachable", kind)
    with pytest.raises(PlatformUnavailable) as caught:
        await epic.login_with(minted)
    assert not caught.value.maybe_consumed
    epic.now += 61
    assert (await epic.login_with(minted)).subject


@both_families
async def test_C21_many_unknown_key_ids_cause_one_fetch(family: Family) -> None:
    epic = Epic()
    for number in range(20):
        assert (await refused(login_of(epic, family)(header={"kid": f"k{number}"}))).reason == "credential_rejected"
    assert epic.emulator.calls[f"{family}_keys"] == 1


@both_families
@pytest.mark.parametrize(
    "algorithm",
    [
        *("none", "nOnE", "", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RSA1_5"),
        *("PBES2-HS256+A128KW", None, ["RS256"], 256),
        pytest.param(ABSENT, id="missing"),
    ],
)
async def test_C01_C02_C09_C10_only_rs256_is_taken_and_no_key_is_looked_up_otherwise(
    family: Family, algorithm: Any
) -> None:
    epic = Epic()
    assert (await refused(login_of(epic, family)(header={"alg": algorithm}))).reason == "credential_unsupported"
    assert epic.outbound.requests == []


@both_families
@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
async def test_C03_a_key_named_by_the_header_is_never_used_or_fetched(family: Family, name: str) -> None:
    epic = Epic()
    attacker = new_key(family)
    genuine = (epic.emulator.eas if family == "eas" else epic.emulator.connect).genuine(AMBER)
    header = json.loads(opened(genuine.split(".")[0]))
    header[name] = attacker.jwk() if name == "jwk" else "https://evil.test/keys"
    forged = compact_text(json.dumps(header), opened(genuine.split(".")[1]), attacker.sign)
    assert (await refused(epic.login(forged, FAMILIES[family]))).reason == "credential_rejected"
    assert all(request.url.host == "platform.test" for request in epic.outbound.requests)


@both_families
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"crit": ["x"]}, id="C04-unknown"),
        pytest.param({"crit": []}, id="C04-empty"),
        pytest.param({"b64": False, "crit": ["b64"]}, id="C05-detached"),
        pytest.param({"b64": False}, id="C05-alone"),
    ],
)
async def test_C04_C05_a_header_that_demands_something_is_refused(family: Family, header: dict[str, Any]) -> None:
    assert (await refused(login_of(Epic(), family)(header=header))).reason == "credential_unsupported"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"payload":"e30","protected":"e30","signature":"AA"}', id="C06-flattened"),
        pytest.param('{"payload":"e30","signatures":[]}', id="C06-general"),
        pytest.param("e30.e30.e30.e30.e30", id="C07-encrypted"),
        pytest.param("." * 100_000, id="C13-dots"),
        pytest.param("e30." * 2000, id="C13-parts"),
        pytest.param("A" * 1_000_000, id="C13-size"),
        pytest.param("e30.e30.", id="no-signature"),
        pytest.param("e30.e30.AA==", id="padding"),
        pytest.param("e30.e30.AA\n", id="line-break"),
        pytest.param("e31.e30.AA", id="loose-last-character"),
        pytest.param(f"{base64url(b'[' * 3000)}.e30.AA", id="C13-nested"),
        pytest.param(f"{base64url(b'[]')}.e30.AA", id="header-is-a-list"),
    ],
)
@both_families
def test_C06_C07_C13_only_the_compact_form_within_limits_is_read(family: Family, text: str) -> None:
    epic = Epic()
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(text, FAMILIES[family])
    assert caught.value.reason == "credential_malformed"


@both_families
@pytest.mark.parametrize("change", ["loose-bits", "impossible-length", "longer"])
def test_a_signature_has_one_spelling(family: Family, change: str) -> None:
    epic = Epic()
    token = epic.mint("good", FAMILIES[family]).text
    # 256 bytes leave four unused bits in the last character, which must be zero.
    loose = token[:-1] + chr(ord(token[-1]) + 1)
    spelt = {"loose-bits": loose, "impossible-length": token + "AAA", "longer": token + "A=="}[change]
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(spelt, FAMILIES[family])
    assert caught.value.reason == "credential_malformed"


@both_families
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b'{"a":1,"a":2}', id="duplicate"),
        pytest.param(b'{"a":{"b":1,"b":1}}', id="nested-duplicate"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b'{"a":1e999}', id="overflow"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="5000-digits"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="BOM"),
        pytest.param(b'{"a":"\\ud800"}', id="surrogate"),
        pytest.param(b'{"a":"\xff"}', id="not-UTF-8"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}", id="nested"),
    ],
)
def test_C13_C14_odd_json_is_refused_though_it_is_well_signed(family: Family, payload: bytes) -> None:
    epic = Epic()
    signer = epic.emulator.ring.current(family)
    header = json.dumps({"alg": "RS256", "kid": signer.kid})
    signing_input = f"{base64url(header.encode())}.{base64url(payload)}"
    token = f"{signing_input}.{base64url(signer.sign(signing_input.encode()))}"
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(token, FAMILIES[family])
    assert caught.value.reason == "credential_malformed"


@both_families
def test_C14_a_header_with_a_repeated_name_is_refused(family: Family) -> None:
    epic = Epic()
    header = '{"alg":"RS256","kid":"k","alg":"RS256"}'
    with pytest.raises(CredentialRejected) as caught:
        epic.parse(rewritten(epic, family, header=header), FAMILIES[family])
    assert caught.value.reason == "credential_malformed"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(ABSENT, id="no-act"),
        pytest.param({}, id="no-account"),
        pytest.param({"eat": "deviceid"}, id="device"),
        pytest.param({"eat": None}, id="null"),
        pytest.param("epicgames", id="text"),
    ],
)
async def test_row_23_a_device_account_needs_permission_and_is_marked_as_anonymous(act: Any) -> None:
    assert (await refused(Epic().connect({"act": act}))).reason == "credential_unsupported"
    assert (await Epic(allow_device_accounts=True).connect({"act": act})).anonymous is True
    assert (await Epic(allow_device_accounts=True).connect()).anonymous is False


@pytest.mark.parametrize("eat", ["psn", "steam", "EpicGames", "", ["epicgames"], 7])
async def test_an_external_account_that_is_not_listed_is_refused(eat: Any) -> None:
    assert (await refused(Epic().connect({"act": {"eat": eat}}))).reason == "credential_unsupported"


async def test_an_external_account_that_is_listed_is_accepted_and_vouches_for_nothing_else() -> None:
    identity = await Epic(allowed_external_accounts=["psn"]).connect({"act": {"eat": "psn", "eaid": "7"}})
    assert (identity.kind, identity.subject) == ("eos_puid", AMBER.product_user_id)


@pytest.mark.parametrize("product", [pytest.param(ABSENT, id="missing"), "", 7])
async def test_a_product_user_without_a_product_is_no_identity(product: Any) -> None:
    assert (await refused(Epic(product_ids=[]).connect({"pfpid": product}))).reason == "credential_malformed"


@both_families
async def test_a_rotated_key_is_found(family: Family) -> None:
    epic = Epic()
    await login_of(epic, family)()
    epic.now += 61
    epic.emulator.ring.rotate(family)
    assert (await login_of(epic, family)()).subject
    assert epic.emulator.calls[f"{family}_keys"] == 2
