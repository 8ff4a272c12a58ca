"""The key ring: who signs and what is published, by the clock, while keys come and go."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import pytest

from authsrv.models import NEVER, SigningAlgorithm, StoredKey
from authsrv.oauth.key_material import KeyRingError, Vault, prepared, public_der
from authsrv.oauth.keys import KeyRing
from tests.support.oauth import Clock, ring, ring_of, stored_keys
from tests.support.storage import NOW

HOUR, DAY = 3600, 86400
SECRET = next(key for key in stored_keys() if key.use == "seal")
FIRST, RSA = stored_keys()[:2]


def ec_key(follows: str, signs_from: int) -> StoredKey:
    return Vault("", os.urandom).new_key("ES256", follows, signs_from, NOW)


NEXT = ec_key(FIRST.kid, NOW + DAY)
HANDED_OVER = replace(FIRST, signs_until=NOW + DAY, retires_at=NOW + 3 * DAY)


def erased(key: StoredKey, at: int = NOW) -> StoredKey:
    return replace(key, material=public_der(prepared(key, key.material)), erased_at=at)


def kids(found: KeyRing) -> list[str]:
    return [key["kid"] for key in found.jwks()["keys"]]


def moving(clock: Clock, keys: Iterable[StoredKey]) -> KeyRing:
    return KeyRing([*keys, SECRET], Vault("", os.urandom), clock)


# --- who signs ---


def test_the_clock_decides_at_each_call_who_signs() -> None:
    clock = Clock()
    found = moving(clock, [HANDED_OVER, NEXT])
    signers = []
    for at in (NOW, NOW + DAY - 1, NOW + DAY, NOW + 9 * DAY, NOW + HOUR):
        clock.now = at
        signers.append(found.signer("ES256").kid)
    assert signers == [FIRST.kid, FIRST.kid, NEXT.kid, NEXT.kid, FIRST.kid]


def test_R11_a_clock_that_was_set_back_behind_an_erased_key_leaves_its_successor_to_sign() -> None:
    clock = Clock(NOW + HOUR)
    found = moving(clock, [erased(HANDED_OVER), NEXT, ec_key(NEXT.kid, NOW + 90 * DAY)])
    assert found.signer("ES256").kid == NEXT.kid
    assert kids(found)[0] == NEXT.kid


@pytest.mark.parametrize(
    "unable",
    [pytest.param(erased(NEXT), id="erased"), pytest.param(replace(erased(NEXT), revoked_at=NOW), id="revoked")],
)
def test_a_key_without_its_private_part_never_signs(unable: StoredKey) -> None:
    assert moving(Clock(NOW + 2 * DAY), [FIRST, unable]).signer("ES256").kid == FIRST.kid


def test_without_a_key_for_an_algorithm_the_ring_says_so() -> None:
    with pytest.raises(KeyRingError, match="no signing key for ES256"):
        ring_of([RSA, SECRET]).signer("ES256")
    with pytest.raises(KeyRingError, match="no signing key for HS256"):
        ring().signer(cast("SigningAlgorithm", "HS256"))


# --- what is published ---


def test_keys_that_sign_are_published_first_then_those_that_will_then_those_that_did() -> None:
    clock = Clock(NOW + 2 * DAY)
    last = ec_key(NEXT.kid, NOW + 90 * DAY)
    found = moving(clock, [HANDED_OVER, RSA, NEXT, last])
    assert kids(found) == [RSA.kid, NEXT.kid, last.kid, FIRST.kid]
    clock.now = NOW
    assert kids(found) == [FIRST.kid, RSA.kid, NEXT.kid, last.kid]


def test_the_key_set_is_made_once_in_a_second_and_anew_for_other_keys() -> None:
    clock = Clock()
    found = moving(clock, [HANDED_OVER, NEXT])
    made = found.jwks()
    clock.now += 0.9
    assert found.jwks() is made
    clock.now += 0.1
    assert found.jwks() is not made
    made = found.jwks()
    found.take([FIRST, SECRET])
    assert kids(found) == [FIRST.kid]
    assert found.jwks() is not made


def test_a_key_is_published_up_to_when_it_retires_and_verifies_so_long() -> None:
    clock = Clock(NOW + 3 * DAY - 1)
    found = moving(clock, [erased(HANDED_OVER), NEXT])
    assert kids(found) == [NEXT.kid, FIRST.kid]
    assert found.verifier(FIRST.kid)
    clock.now = NOW + 3 * DAY
    assert kids(found) == [NEXT.kid]
    assert found.verifier(FIRST.kid) is None


def test_a_retired_key_is_still_a_witness_of_who_came_before_and_a_revoked_one_is_not() -> None:
    late = Clock(NOW + 400 * DAY)
    assert moving(late, [erased(HANDED_OVER), NEXT]).witness(FIRST.kid)
    revoked = moving(late, [replace(erased(HANDED_OVER), revoked_at=NOW), NEXT])
    assert revoked.witness(FIRST.kid) is None
    assert revoked.verifier(FIRST.kid) is None
    assert revoked.known(FIRST.kid)


@pytest.mark.parametrize("kid", ["", "unknown", None, 1, ["a"]])
def test_no_other_id_names_a_key(kid: object) -> None:
    assert ring().verifier(kid) is ring().witness(kid) is None


def test_a_revoked_key_is_gone_from_the_set() -> None:
    assert kids(moving(Clock(), [replace(erased(FIRST), revoked_at=NOW), NEXT])) == [NEXT.kid]


def test_a_retired_key_that_nobody_can_read_any_more_stops_nothing() -> None:
    lost = replace(FIRST, material=b"nobody can read this", sealed=True, retires_at=NOW)
    found = moving(Clock(), [lost, replace(NEXT, signs_from=NOW)])
    assert kids(found) == [NEXT.kid]
    assert found.known(FIRST.kid) is None


# --- an exchange while it is in use ---


def test_new_keys_are_taken_all_at_once() -> None:
    clock = Clock(NOW + 2 * DAY)
    found = moving(clock, [FIRST])
    before = found.derive(b"codes")
    found.take([HANDED_OVER, NEXT, SECRET])
    assert (kids(found), found.signer("ES256").kid) == ([NEXT.kid, FIRST.kid], NEXT.kid)
    assert found.stored == (HANDED_OVER, NEXT, SECRET)
    assert found.derive(b"codes") == before


def test_keys_that_cannot_be_used_change_nothing() -> None:
    found = ring_of(stored_keys())
    with pytest.raises(KeyRingError):
        found.take([*stored_keys(), replace(NEXT, material=b"no key")])
    assert found.stored == stored_keys()
    assert found.signer("ES256").kid == FIRST.kid


def test_only_keys_that_are_new_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault("canary-passphrase", os.urandom)
    sealed = [vault.sealed(key) for key in (FIRST, RSA, SECRET)]
    found = KeyRing(sealed, vault, Clock())
    opened: list[str] = []
    real = Vault.opened

    def noted(self: Vault, key: StoredKey) -> bytes:
        opened.append(key.kid)
        return real(self, key)

    monkeypatch.setattr(Vault, "opened", noted)
    found.take([replace(sealed[0], signs_until=NOW + DAY), sealed[1], vault.sealed(NEXT), sealed[2]])
    assert opened == [NEXT.kid]


# --- the internal secret ---


def test_a_ring_without_its_internal_secret_is_refused() -> None:
    with pytest.raises(KeyRingError, match="restore a backup"):
        ring_of([FIRST, RSA])


def test_internal_keys_differ_by_purpose_and_outlive_a_restart() -> None:
    again = ring_of(stored_keys(), NOW + DAY)
    assert ring().derive(b"codes") == again.derive(b"codes")
    assert ring().derive(b"codes") != ring().derive(b"nonces")
    assert len(ring().derive(b"codes")) == 32
    assert ring().derive(b"codes") not in SECRET.material
    assert SECRET.retires_at == NEVER
