"""The Xbox block of the configuration: what is refused, what is warned about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from pydantic import ValidationError

from authsrv.emulator.xbox.emulator import XboxEmulator
from authsrv.emulator.xbox.keys import certificate_pem, pem, x5t
from authsrv.platforms.xbox.platform import XboxSettings
from authsrv.platforms.xbox.settings import BrowserSettings, XboxHosts, key_ring
from authsrv.platforms.xbox.token import thumbprint
from tests.support.xbox import keys

KEY, CERTIFICATE = pem(keys().rp_key), certificate_pem(keys().rp_certificate)
BLOCK = {
    "relying_party": "rp://login.studio.example/",
    "rp_private_keys": [{"key": KEY, "certificate": CERTIFICATE}],
    "allowed_titles": [1999000001],
}


def settings(**changes: Any) -> XboxSettings:
    return XboxSettings.model_validate(BLOCK | changes)


def problems(**changes: Any) -> list[str]:
    return settings(**changes).problems(dev=False)


def test_three_settings_are_enough() -> None:
    found = settings()
    assert found.problems(dev=False) == []
    assert found.warnings() == []
    assert (found.signature, found.allowed_sandboxes, found.leeway, found.signature_skew) == (
        "if_sent",
        ("RETAIL",),
        60,
        300,
    )


def test_the_emulators_block_is_for_dev_mode_only() -> None:
    block = XboxEmulator(keys=keys()).settings("http://127.0.0.1:8090")
    assert XboxSettings.model_validate(block).problems(dev=True) == []
    assert XboxSettings.model_validate(block).problems(dev=False) == [
        "hosts: may be changed only with dev = true; remove the block."
    ]


def test_row10_a_relying_party_without_slash_is_a_problem() -> None:
    assert problems(relying_party="rp://login.studio.example") == [
        "relying_party: the name in Partner Center ends with a slash; add it."
    ]


BROWSER = {"client_id": "5eed5eed-0000-4000-8000-0000000a9901", "client_secret": "value~of.the-secret"}


def test_without_an_app_registration_only_keys_are_called() -> None:
    assert settings().addresses() == ("https://xsts-keys.auth.xboxlive.com", "https://xsts.auth.xboxlive.com")
    assert settings(browser=BROWSER).addresses() == (
        "https://xsts-keys.auth.xboxlive.com",
        "https://xsts.auth.xboxlive.com",
        "https://login.microsoftonline.com",
        "https://user.auth.xboxlive.com",
    )


def test_an_id_and_a_secret_are_enough_for_browsers() -> None:
    found = settings(browser=BROWSER)
    assert found.problems(dev=False) == []
    assert found.browser is not None
    assert found.browser.sandbox == "RETAIL"
    assert BROWSER["client_secret"] not in repr(found)


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        pytest.param({"sandbox": "CERT"}, "browser.sandbox: nobody could log in", id="sandbox-not-allowed"),
        pytest.param(
            {"client_secret": "5EED5eed-0000-4000-8000-0123456789ab"},
            "browser.client_secret: this is the id of a secret",
            id="id-of-the-secret",
        ),
    ],
)
def test_an_app_registration_that_cannot_work_is_a_problem(change: Mapping[str, str], begins: str) -> None:
    (found,) = problems(browser=BROWSER | dict(change))
    assert found.startswith(begins)
    assert change.get("client_secret", "-") not in found.replace("client_secret", "")


def test_an_empty_list_of_titles_is_a_problem() -> None:
    (found,) = problems(allowed_titles=[])
    assert found.startswith("allowed_titles: ")


def encrypted_key() -> str:
    return keys().rp_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")).decode()


def weak_key() -> str:
    return pem(rsa.generate_private_key(65537, 1024))  # noqa: S505 - on purpose


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        pytest.param({"key": "junk", "certificate": CERTIFICATE}, "key is not an unencrypted", id="no-key"),
        pytest.param({"key": encrypted_key(), "certificate": CERTIFICATE}, "key is not an unencrypted", id="encrypted"),
        pytest.param({"key": weak_key(), "certificate": CERTIFICATE}, "not an RSA key of 2048", id="1024-bits"),
        pytest.param({"key": pem(keys().device_key), "certificate": CERTIFICATE}, "not an RSA key", id="ec"),
        pytest.param({"key": KEY, "certificate": "junk"}, "certificate is not", id="no-certificate"),
        pytest.param({"key": KEY}, "certificate is missing", id="neither-certificate-nor-thumbprint"),
        pytest.param({"key": KEY, "thumbprint": "AA:BB"}, "certificate is missing", id="odd-thumbprint"),
        pytest.param(
            {"key": pem(keys().foreign_key), "certificate": CERTIFICATE}, "does not belong", id="of-another-certificate"
        ),
    ],
)
def test_a_key_pair_must_be_whole_and_strong(block: Mapping[str, str], problem: str) -> None:
    (found,) = problems(rp_private_keys=[block])
    assert found.startswith("rp_private_keys[0]: ")
    assert problem in found
    assert "PRIVATE KEY" not in found


def test_the_same_certificate_twice_is_a_problem() -> None:
    (found,) = problems(rp_private_keys=[{"key": KEY, "certificate": CERTIFICATE}] * 2)
    assert found.startswith("rp_private_keys: ")


def test_during_a_rotation_two_keys_are_in_the_ring() -> None:
    old = {"key": KEY, "certificate": CERTIFICATE}
    new = {"key": pem(keys().foreign_key), "thumbprint": "AASjoSwdXlkwejCNbQLoOXjiqa4="}
    ring = key_ring(settings(rp_private_keys=[old, new]))
    assert set(ring) == {thumbprint(x5t(keys().rp_certificate)), thumbprint("AASjoSwdXlkwejCNbQLoOXjiqa4")}


def test_keys_and_certificates_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "rp.key").write_text(KEY)
    (tmp_path / "rp.pem").write_text(CERTIFICATE)
    block = {"key": {"file": str(tmp_path / "rp.key")}, "certificate": {"file": str(tmp_path / "rp.pem")}}
    found = settings(rp_private_keys=[block])
    assert found.problems(dev=False) == []
    assert KEY.splitlines()[3] not in repr(found)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"rp_private_keys": []}, id="no-keys"),
        pytest.param({"allowed_sandboxes": []}, id="no-sandbox"),
        pytest.param({"allowed_titles": ["0x1F"]}, id="hex-title"),
        pytest.param({"allowed_titles": [True]}, id="boolean-title"),
        pytest.param({"allowed_titles": ["\u0661"]}, id="arabic-title"),
        pytest.param({"relying_party": "rp://a|b/"}, id="separator-in-relying-party"),
        pytest.param({"allowed_sandboxes": ["A|B"]}, id="separator-in-sandbox"),
        pytest.param({"signature": "maybe"}, id="signature-mode"),
        pytest.param({"signature_skew": 0}, id="no-skew"),
        pytest.param({"signature_extra_headers": ["a b"]}, id="header-name"),
        pytest.param({"public_path_prefix": "auth/"}, id="prefix"),
        pytest.param({"public_path_prefix": "/auth/"}, id="prefix-with-slash-at-the-end"),
        pytest.param({"max_token_age": 5}, id="age"),
        pytest.param({"min_age_group": "elder"}, id="age-group"),
        pytest.param({"required_privileges": [-1]}, id="privilege"),
        pytest.param({"web_client_id": "x"}, id="unknown-key"),
        pytest.param({"browser": {"client_id": "x"}}, id="no-client-secret"),
        pytest.param({"browser": {"client_secret": "x"}}, id="no-client-id"),
        pytest.param({"browser": BROWSER | {"client_id": "a b"}}, id="client-id"),
        pytest.param({"browser": BROWSER | {"client_id": ""}}, id="empty-client-id"),
        pytest.param({"browser": BROWSER | {"client_secret": ""}}, id="empty-client-secret"),
        pytest.param({"browser": BROWSER | {"sandbox": "A|B"}}, id="separator-in-browser-sandbox"),
    ],
)
def test_values_without_a_meaning_are_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**change)


def test_values_are_brought_to_one_form() -> None:
    found = settings(allowed_titles=["0017", 5], signature_extra_headers=["X-Game"])
    assert (found.allowed_titles, found.signature_extra_headers) == (("17", "5"), ("x-game",))


@pytest.mark.parametrize(("sandboxes", "count"), [(["RETAIL", "CERT"], 0), (["RETAIL", "XDKS.1"], 1)])
def test_row14_a_development_sandbox_is_warned_about(sandboxes: list[str], count: int) -> None:
    assert len(settings(allowed_sandboxes=sandboxes).warnings()) == count


def test_every_setting_is_described_in_one_sentence() -> None:
    blocks = (XboxSettings, BrowserSettings, XboxHosts)
    for name, field in (item for block in blocks for item in block.model_fields.items()):
        assert field.description, name
        assert field.description.endswith("."), name
