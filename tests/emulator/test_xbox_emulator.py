"""The emulated Xbox Live: every case ends as it says, keys survive a restart, routes answer as Microsoft's do."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from authsrv.emulator.base import PLAYERS, UnknownCase
from authsrv.emulator.xbox.browser_cases import BROWSER_CASES
from authsrv.emulator.xbox.emulator import XboxEmulator, XboxKeys
from authsrv.platforms.base import (
    CredentialRejected,
    PlatformError,
    PlatformMisconfigured,
    PlatformUnavailable,
    Submission,
    UserActionRequired,
)
from tests.support.xbox import AMBER, NOW, Xbox, keys

GOOD = "login"
ENDS: dict[str, str | type[PlatformError]] = {
    "good": GOOD,
    "jku-keys": GOOD,
    "jku-rs256": GOOD,
    "certificate-path": GOOD,
    "base64": GOOD,
    "bare": GOOD,
    "with-xuid": GOOD,
    "two-users": GOOD,
    "unbound": GOOD,
    "malformed": "credential_malformed",
    "wrong-scheme": "credential_malformed",
    "all-users": "credential_malformed",
    "no-user": "credential_malformed",
    "truncated": "credential_malformed",
    "oversized": "credential_malformed",
    "legacy-enc": "credential_unsupported",
    "symmetric": "credential_unsupported",
    "unknown-x5t": "credential_wrong_audience",
    "bad-tag": "credential_rejected",
    "bad-jku-host": "credential_rejected",
    "bad-x5u-host": "credential_rejected",
    "bad-inner-algorithm": "credential_rejected",
    "bad-inner-signature": "credential_rejected",
    "unknown-kid": "credential_rejected",
    "keys-down": PlatformUnavailable,
    "keys-garbage": PlatformUnavailable,
    "wrong-issuer": "credential_rejected",
    "wrong-audience": "credential_wrong_audience",
    "generic-audience": "credential_wrong_audience",
    "audience-without-slash": "credential_wrong_audience",
    "expired": "credential_expired",
    "not-yet-valid": "credential_not_yet_valid",
    "wrong-sandbox": "credential_wrong_sandbox",
    "wrong-title": "credential_wrong_title",
    "user-only": "credential_wrong_title",
    "no-matching-user": "credential_malformed",
    "twin-users": "credential_malformed",
    "bare-two-users": "credential_malformed",
    "no-ptx": PlatformMisconfigured,
    "child": UserActionRequired,
    "missing-privileges": UserActionRequired,
    "signature-malformed": "signature_invalid",
    "signature-skew": "signature_clock_skew",
    "signature-wrong": "signature_invalid",
}


async def end(xbox: Xbox, case: str) -> str | type[PlatformError]:
    try:
        identity = await xbox.login_with(xbox.emulator.mint(AMBER, case=case))
    except CredentialRejected as refused:
        return refused.reason
    except PlatformError as error:
        return type(error)
    return GOOD if identity.subject == AMBER.partner_xuid else identity.subject


def test_every_case_is_listed_here() -> None:
    assert set(XboxEmulator.cases) == set(ENDS) | set(BROWSER_CASES)


@pytest.mark.parametrize("case", ENDS)
async def test_a_case_ends_as_it_says(case: str) -> None:
    assert await end(Xbox(min_age_group="teen", required_privileges=[254]), case) == ENDS[case]


@pytest.mark.parametrize("case", ["good", "unbound"])
async def test_where_a_signature_is_demanded_a_token_alone_is_refused(case: str) -> None:
    assert await end(Xbox(signature="required"), case) == "signature_required"


async def test_the_signer_signs_for_the_minted_token() -> None:
    xbox = Xbox(signature="required")
    assert (await xbox.signed_login(xbox.emulator.mint(AMBER).text)).subject == AMBER.partner_xuid


@pytest.mark.parametrize("player", PLAYERS.values(), ids=PLAYERS)
async def test_every_player_has_an_own_identity(player: Any) -> None:
    xbox = Xbox()
    assert (await xbox.login(xbox.emulator.mint(player).text)).subject == player.partner_xuid


def test_each_token_is_fresh() -> None:
    emulator = Xbox().emulator
    first, second = emulator.mint(AMBER), emulator.mint(AMBER)
    assert first.text != second.text
    assert first.text.split(";")[0] != second.text.split(";")[0]


def test_a_credential_travels_as_parameter_and_as_header() -> None:
    emulator = Xbox().emulator
    minted = emulator.mint(AMBER)
    assert minted.parameters == {"session_ticket": minted.text, "credential_type": "xsts_token"}
    assert minted.headers == {}
    assert set(emulator.mint(AMBER, case="signature-wrong").headers) == {"Authorization", "Signature"}


@pytest.mark.parametrize(("order", "told"), [({"case": "no-such"}, "wrong-title"), ({"kind": "nope"}, "xsts_token")])
def test_an_unknown_order_is_answered_with_what_there_is(order: dict[str, str], told: str) -> None:
    with pytest.raises(UnknownCase, match=told):
        Xbox().emulator.mint(AMBER, **order)


def test_keys_survive_a_restart() -> None:
    restored = XboxKeys.from_json(keys().to_json())
    assert restored.to_json() == keys().to_json()
    platform = Xbox().platform
    text = XboxEmulator(keys=restored, clock=lambda: NOW).mint(AMBER).text
    assert platform.parse(Submission(value=text)).claimed_subject == AMBER.partner_xuid


@pytest.mark.parametrize("field", ["rp_key", "rp_certificate", "device_key", "jwk_key"])
def test_damaged_keys_are_not_read(field: str) -> None:
    document = keys().to_json()
    with pytest.raises((ValueError, TypeError)):
        XboxKeys.from_json(document | {field: "junk"})
    with pytest.raises(KeyError):
        XboxKeys.from_json({name: text for name, text in document.items() if name != field})


@pytest.mark.parametrize(("field", "other"), [("rp_key", "device_key"), ("device_key", "rp_key")])
def test_keys_of_another_type_are_not_read(field: str, other: str) -> None:
    document = keys().to_json()
    with pytest.raises(TypeError):
        XboxKeys.from_json(document | {field: document[other]})


async def test_the_routes_answer_as_microsofts_do() -> None:
    emulator = XboxEmulator(keys=keys())
    app = Starlette(routes=emulator.routes())
    name = keys().jwks()[1]["kid"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://emulator.test/xbox") as client:
        jwks = (await client.get("/keys-host/psskeys")).json()
        certificates = (await client.get("/xsts/xsts/signingkeys")).json()
        certificate = (await client.get(f"/xsts/xsts/certificates/{name}")).json()
        unknown = await client.get("/xsts/xsts/certificates/none")
        down = await client.get("/keys-host/down")
    assert [(jwk["kid"], jwk["alg"]) for jwk in jwks["keys"]] == [(keys().jwk_kid, "PS256"), (name, "RS256")]
    assert [type(entry) for entry in certificates] == [str]
    assert list(certificate) == [name]
    assert certificate[name].startswith("-----BEGIN CERTIFICATE-----")
    assert (unknown.status_code, down.status_code) == (404, 503)
    assert emulator.calls == {"psskeys": 1, "signingkeys": 1, "certificate": 2, "down": 1}
