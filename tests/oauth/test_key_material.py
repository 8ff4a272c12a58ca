"""What a key is: of the right kind for its algorithm, strong enough, published without a secret, sealed at rest."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authsrv.models import NEVER, KeyRules, SigningAlgorithm, StoredKey
from authsrv.oauth.key_keeper import first_keys
from authsrv.oauth.key_material import KeyRingError, Vault, prepared, public_der
from authsrv.storage.changes import AddKeys
from tests.support.oauth import all_keys, ring_of, stored_keys
from tests.support.storage import NOW, migrated_sqlite

PASSPHRASE = "canary-passphrase-of-the-key-ring"
ALGORITHMS: tuple[SigningAlgorithm, ...] = get_args(SigningAlgorithm)
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
VAULT, SEALING = Vault("", os.urandom), Vault(PASSPHRASE, os.urandom)

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


def der(private: Private) -> bytes:
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def stored(alg: str, private: Private, kid: str = "odd") -> StoredKey:
    return StoredKey(kid, "sig", alg, der(private), False, NOW, NOW, NEVER, alg)


def weak_rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def of(alg: str) -> StoredKey:
    return next(key for key in all_keys() if key.alg == alg)


def published() -> list[dict[str, str]]:
    return [dict(key) for key in ring_of(all_keys()).jwks()["keys"]]


def test_C23_the_published_set_has_public_members_only() -> None:
    assert {key["alg"]: (key["kty"], set(key)) for key in published()} == {
        "ES256": ("EC", {"kty", "crv", "x", "y", "kid", "use", "alg"}),
        "RS256": ("RSA", {"kty", "n", "e", "kid", "use", "alg"}),
        "PS256": ("RSA", {"kty", "n", "e", "kid", "use", "alg"}),
        "EdDSA": ("OKP", {"kty", "crv", "x", "kid", "use", "alg"}),
    }
    assert not PRIVATE_MEMBERS & set().union(*published())


def test_the_kid_is_the_rfc_7638_thumbprint() -> None:
    kinds: dict[str, type[ECKey | RSAKey | OKPKey]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
    for key in published():
        required = {name: key[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in key}
        canonical = json.dumps(required, sort_keys=True, separators=(",", ":"))
        by_hand = base64.urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()
        assert key["kid"] == by_hand == kinds[key["kty"]].import_key(dict(key)).thumbprint()


def test_no_kid_looks_like_an_option_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([ed25519.Ed25519PrivateKey.from_private_bytes(number.to_bytes(32)) for number in range(500)])
    monkeypatch.setattr("authsrv.oauth.key_material._MAKERS", {"EdDSA": lambda: next(drawn)})
    made = [VAULT.new_key("EdDSA", "EdDSA", NOW, NOW).kid for _ in range(300)]
    assert not [kid for kid in made if kid.startswith("-")]
    assert len(list(drawn)) < 200, "some were drawn again"


def test_C24_each_key_has_its_own_kid_and_one_algorithm_that_fits_it() -> None:
    assert {(key["kty"], key["alg"], key["use"]) for key in published()} == {
        ("EC", "ES256", "sig"),
        ("RSA", "RS256", "sig"),
        ("RSA", "PS256", "sig"),
        ("OKP", "EdDSA", "sig"),
    }
    assert len({key["kid"] for key in published()}) == len(published()) == len(ALGORITHMS)


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param(replace(of("RS256"), kid="twin", alg="PS256", follows="PS256"), id="for two algorithms"),
        pytest.param(replace(of("RS256"), kid="twin", follows="x"), id="twice for one"),
    ],
)
def test_C24_one_key_under_two_names_is_refused_at_the_start(twin: StoredKey) -> None:
    with pytest.raises(KeyRingError, match=r"and twin are one key; restore a backup"):
        ring_of([of("RS256"), twin, of("HKDF")])


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(replace(of("ES256"), alg="RS256"), id="EC key for RS256"),
        pytest.param(replace(of("RS256"), alg="ES256"), id="RSA key for ES256"),
        pytest.param(replace(of("PS256"), alg="EdDSA"), id="RSA key for EdDSA"),
        pytest.param(replace(of("EdDSA"), alg="PS256"), id="Ed25519 key for PS256"),
    ],
)
def test_C24_a_key_of_another_kind_than_its_algorithm_is_refused_at_the_start(key: StoredKey) -> None:
    with pytest.raises(KeyRingError, match=f"is no key for {key.alg}, or too weak for it; restore a backup"):
        ring_of([key, of("HKDF")])


def test_C31_the_keys_are_strong_enough() -> None:
    keys = {alg: ring_of(all_keys()).signer(alg).private for alg in ALGORITHMS}
    assert [getattr(keys[alg], "key_size", 0) for alg in ("ES256", "RS256", "PS256")] == [256, 2048, 2048]
    assert isinstance(keys["EdDSA"], ed25519.Ed25519PrivateKey)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(stored("RS256", weak_rsa(1024)), id="RSA of 1024 bits"),
        pytest.param(stored("PS256", weak_rsa(2040)), id="RSA of 2040 bits"),
        pytest.param(stored("ES256", ec.generate_private_key(ec.SECP192R1())), id="P-192"),
        pytest.param(stored("ES256", ec.generate_private_key(ec.SECP256K1())), id="another curve of 256 bits"),
    ],
)
def test_C31_a_weak_key_is_refused_at_the_start(key: StoredKey) -> None:
    with pytest.raises(KeyRingError, match=f"The stored key odd is no key for {key.alg}, or too weak for it"):
        ring_of([key, of("HKDF")])


def test_C31_a_short_internal_secret_is_refused_at_the_start() -> None:
    with pytest.raises(KeyRingError, match="internal secret in the database is too short"):
        ring_of([replace(of("HKDF"), material=b"x" * 31)])


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param(replace(of("ES256"), alg="ES512"), "is of a kind that this version does not know", id="algorithm"),
        pytest.param(stored("EdDSA", ed448.Ed448PrivateKey.generate()), "cannot be read; restore", id="curve"),
        pytest.param(replace(of("ES256"), material=b"no key"), "cannot be read; restore", id="damaged"),
        pytest.param(replace(of("ES256"), erased_at=NOW), "cannot be read; restore", id="private where public"),
    ],
)
def test_a_key_that_cannot_be_used_is_named(key: StoredKey, text: str) -> None:
    with pytest.raises(KeyRingError, match=rf"The stored key {key.kid} {text}"):
        ring_of([key, of("HKDF")])


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_of_an_erased_key_the_public_part_is_left(alg: SigningAlgorithm) -> None:
    whole = prepared(of(alg), of(alg).material)
    erased = replace(of(alg), material=public_der(whole), erased_at=NOW)
    left = prepared(erased, erased.material)
    assert (left.private, left.jwk, left.public) == (None, whole.jwk, whole.public)
    with pytest.raises(KeyRingError):
        prepared(replace(erased, erased_at=None), erased.material)


# --- sealing ---


def test_G03_a_passphrase_seals_every_key_and_gives_them_back() -> None:
    sealed = first_keys(KeyRules(ALGORITHMS), SEALING, NOW)
    assert all(key.sealed for key in sealed)
    opened = ring_of(sealed, passphrase=PASSPHRASE).jwks()["keys"]
    assert sorted(key["kid"] for key in opened) == sorted(key.kid for key in sealed if key.use == "sig")
    assert all(SEALING.opened(key) not in key.material for key in sealed)


@pytest.mark.parametrize(
    ("passphrase", "remedy"),
    [
        pytest.param("", "set keys.passphrase to the passphrase they were made with", id="missing"),
        pytest.param(PASSPHRASE + "x", "keys.passphrase is not the one", id="wrong"),
    ],
)
def test_G03_without_the_right_passphrase_there_is_no_ring(passphrase: str, remedy: str) -> None:
    with pytest.raises(KeyRingError, match=remedy) as refused:
        ring_of(stored_keys(PASSPHRASE), passphrase=passphrase)
    assert PASSPHRASE not in str(refused.value)


def _cut(material: bytes) -> bytes:
    return material[:20]


def _flipped(material: bytes) -> bytes:
    return material[:-1] + bytes([material[-1] ^ 1])


@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_a_damaged_box_is_not_opened(damage: Callable[[bytes], bytes]) -> None:
    key = stored_keys(PASSPHRASE)[0]
    with pytest.raises(KeyRingError):
        SEALING.opened(replace(key, material=damage(key.material)))


def test_a_box_opens_only_as_the_key_it_was_made_for() -> None:
    key = stored_keys(PASSPHRASE)[0]
    with pytest.raises(KeyRingError):
        SEALING.opened(replace(key, kid="another"))


def content(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_G03_nothing_of_a_sealed_key_stands_in_the_database_in_clear(tmp_path: Path) -> None:
    found = migrated_sqlite(tmp_path)
    await found.open()
    await found.apply([AddKeys(stored_keys(PASSPHRASE))])
    await found.close()
    written = content(tmp_path)
    for key in stored_keys(PASSPHRASE):
        clear = SEALING.opened(key)
        assert key.material in written
        assert clear[-24:] not in written
        assert clear[:32] not in written
        assert clear[len(clear) // 2 :][:32] not in written
    assert PASSPHRASE.encode() not in written
