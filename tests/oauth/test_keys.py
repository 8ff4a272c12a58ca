"""The key ring: what is published, what rests in the database, and a first start that two processes make at once."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, RSAKey

from authsrv.models import StoredKey
from authsrv.oauth.keys import KeyRing, KeyRingError, load_or_create, unseal
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddKeys
from authsrv.storage.memory import MemoryStorage
from tests.support.oauth import ring, stored_keys
from tests.support.storage import NOW, memory_storage, migrated_sqlite

PASSPHRASE = "canary-passphrase-of-the-key-ring"
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.fixture(params=["memory", "sqlite"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    opened: Storage = memory_storage() if request.param == "memory" else migrated_sqlite(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


def der(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def ec_key(kid: str, *, signs_from: int = NOW, retires_at: int = 2**53) -> StoredKey:
    material = der(ec.generate_private_key(ec.SECP256R1()))
    return StoredKey(kid, "sig", "ES256", material, False, signs_from, signs_from, retires_at, "ES256")


def seal_key() -> StoredKey:
    return next(key for key in stored_keys() if key.use == "seal")


def kids(found: KeyRing) -> list[str]:
    return [key["kid"] for key in found.jwks()["keys"]]


def test_C23_the_published_set_has_public_members_only() -> None:
    by_type = {key["kty"]: set(key) for key in ring().jwks()["keys"]}
    assert by_type == {
        "EC": {"kty", "crv", "x", "y", "kid", "use", "alg"},
        "RSA": {"kty", "n", "e", "kid", "use", "alg"},
    }
    assert not PRIVATE_MEMBERS & set().union(*by_type.values())


def test_the_kid_is_the_rfc_7638_thumbprint() -> None:
    for key in ring().jwks()["keys"]:
        required = {name: key[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in key}
        canonical = json.dumps(required, sort_keys=True, separators=(",", ":"))
        by_hand = base64.urlsafe_b64encode(sha256(canonical.encode()).digest()).rstrip(b"=").decode()
        kind = ECKey if key["kty"] == "EC" else RSAKey
        assert key["kid"] == by_hand == kind.import_key(dict(key)).thumbprint()


def test_C24_each_key_has_its_own_kid_and_one_algorithm_that_fits_it() -> None:
    published = ring().jwks()["keys"]
    assert {(key["kty"], key["alg"], key["use"]) for key in published} == {
        ("EC", "ES256", "sig"),
        ("RSA", "RS256", "sig"),
    }
    assert len({key["kid"] for key in published}) == len(published)
    assert [ring().signer(alg).alg for alg in ("ES256", "RS256")] == ["ES256", "RS256"]


def test_C31_the_keys_are_strong_enough() -> None:
    keys = [ring().signer(alg).private for alg in ("ES256", "RS256")]
    assert [key.key_size for key in keys] == [256, 2048]


def test_a_key_that_waits_is_published_after_those_that_sign_and_signs_nothing() -> None:
    waiting = ec_key("next", signs_from=NOW + 3600)
    found = KeyRing([waiting, *stored_keys()], "", NOW)
    assert found.signer("ES256").kid == ring().signer("ES256").kid
    assert kids(found)[-1] == "next"
    assert KeyRing([waiting, *stored_keys()], "", NOW + 3600).signer("ES256").kid == "next"


def test_a_retired_key_is_neither_published_nor_opened() -> None:
    retired = replace(ec_key("old", retires_at=NOW), material=b"nobody can read this", sealed=True)
    assert "old" not in kids(KeyRing([retired, *stored_keys()], "", NOW))


def test_without_a_key_for_an_algorithm_the_ring_says_so() -> None:
    only_rsa = [key for key in stored_keys() if key.alg != "ES256"]
    with pytest.raises(KeyRingError, match="no signing key for ES256"):
        KeyRing(only_rsa, "", NOW).signer("ES256")


def test_a_ring_without_its_internal_secret_is_refused() -> None:
    incomplete = [key for key in stored_keys() if key.use == "sig"]
    with pytest.raises(KeyRingError, match="restore a backup"):
        KeyRing(incomplete, "", NOW)


def test_a_key_of_a_kind_from_the_future_is_named() -> None:
    material = der(ed25519.Ed25519PrivateKey.generate())
    unknown = StoredKey("later", "sig", "EdDSA", material, False, NOW, NOW, 2**53, "EdDSA")
    with pytest.raises(KeyRingError, match="later is of a kind that this version does not know"):
        KeyRing([*stored_keys(), unknown], "", NOW)


def test_internal_keys_differ_by_purpose_and_outlive_a_restart() -> None:
    again = KeyRing(stored_keys(), "", NOW + 86400)
    assert ring().derive(b"codes") == again.derive(b"codes")
    assert ring().derive(b"codes") != ring().derive(b"nonces")
    assert len(ring().derive(b"codes")) == 32
    assert ring().derive(b"codes") not in seal_key().material


def test_G03_a_passphrase_seals_every_key_and_gives_them_back() -> None:
    sealed = stored_keys(PASSPHRASE)
    assert all(key.sealed for key in sealed)
    opened = KeyRing(sealed, PASSPHRASE, NOW)
    assert sorted(kids(opened)) == sorted(key.kid for key in sealed if key.use == "sig")
    assert all(unseal(key, PASSPHRASE) not in key.material for key in sealed)


@pytest.mark.parametrize(
    ("passphrase", "remedy"),
    [
        pytest.param("", "set keys.passphrase to the passphrase they were made with", id="missing"),
        pytest.param(PASSPHRASE + "x", "keys.passphrase is not the one", id="wrong"),
    ],
)
def test_G03_without_the_right_passphrase_there_is_no_ring(passphrase: str, remedy: str) -> None:
    with pytest.raises(KeyRingError, match=remedy) as refused:
        KeyRing(stored_keys(PASSPHRASE), passphrase, NOW)
    assert PASSPHRASE not in str(refused.value)


def _cut(material: bytes) -> bytes:
    return material[:20]


def _flipped(material: bytes) -> bytes:
    return material[:-1] + bytes([material[-1] ^ 1])


@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_a_damaged_box_is_not_opened(damage: Callable[[bytes], bytes]) -> None:
    key = stored_keys(PASSPHRASE)[0]
    with pytest.raises(KeyRingError):
        unseal(replace(key, material=damage(key.material)), PASSPHRASE)


def test_a_box_opens_only_as_the_key_it_was_made_for() -> None:
    key = stored_keys(PASSPHRASE)[0]
    with pytest.raises(KeyRingError):
        unseal(replace(key, kid="another"), PASSPHRASE)


def content(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_G03_nothing_of_a_sealed_key_stands_in_the_database_in_clear(tmp_path: Path) -> None:
    found = migrated_sqlite(tmp_path)
    await found.open()
    await found.apply([AddKeys(stored_keys(PASSPHRASE))])
    await found.close()
    written = content(tmp_path)
    for key in stored_keys(PASSPHRASE):
        clear = unseal(key, PASSPHRASE)
        assert key.material in written
        assert clear[-24:] not in written
        assert clear[:32] not in written
        assert clear[len(clear) // 2 :][:32] not in written
    assert PASSPHRASE.encode() not in written


async def test_R22_H12_two_first_starts_at_once_make_one_ring(storage: Storage) -> None:
    starters = Barrier(storage, 2)
    rings = await asyncio.gather(*(load_or_create(starters, "", NOW, os.urandom) for _ in range(2)))  # type: ignore[arg-type]  # has what is asked of it
    assert rings[0].jwks() == rings[1].jwks()
    assert rings[0].derive(b"codes") == rings[1].derive(b"codes")
    assert len(await storage.load_keys()) == 3
    assert kids(await load_or_create(storage, "", NOW + 1, os.urandom)) == kids(rings[0])


class Barrier:
    """A storage on which nobody goes on from its first look until all have looked."""

    def __init__(self, storage: Storage, parties: int) -> None:
        self._storage = storage
        self._all_looked = asyncio.Barrier(parties)

    async def load_keys(self) -> tuple[StoredKey, ...]:
        found = await self._storage.load_keys()
        if not found:
            await self._all_looked.wait()
        return found

    async def apply(self, changes: Iterable[AddKeys]) -> None:
        await self._storage.apply(list(changes))


async def test_a_later_start_makes_no_new_keys() -> None:
    storage = MemoryStorage()
    await storage.open()
    await storage.apply([AddKeys(stored_keys())])
    found = await load_or_create(storage, "", NOW, _nothing_random)
    assert sorted(kids(found)) == sorted(kids(ring()))


async def test_a_passphrase_that_came_too_late_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    await storage.open()
    await storage.apply([AddKeys(stored_keys())])
    await load_or_create(storage, PASSPHRASE, NOW, _nothing_random)
    assert "stay in clear" in caplog.text
    assert PASSPHRASE not in caplog.text


def _nothing_random(_: int) -> bytes:
    raise AssertionError("a key was made")
