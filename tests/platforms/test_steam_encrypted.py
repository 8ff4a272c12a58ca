"""Encrypted app tickets: whatever the player writes around or inside, only Valve's own words count."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.emulator.steam.tickets import (
    TicketFacts,
    encrypted_ticket,
    forged_encrypted_ticket,
    outer_message,
    ownership_part,
    seal,
)
from authsrv.platforms.base import CredentialRejected
from authsrv.platforms.steam.encrypted import (
    UndecipherableTicket,
    canonical_nonce,
    check_age,
    check_nonce,
    open_encrypted_ticket,
)
from tests.support.steam import refusal

NOW = 1_790_000_000
KEY = hashlib.sha256(b"an invented key").digest()
FACTS = TicketFacts(76561202255232001, 4800001, issued=NOW, expires=NOW + 1_814_400, token_time=NOW)
VICTIM = replace(FACTS, steam_id=76561202255232999)
NONCE = bytes(range(16))


def word(value: int) -> bytes:
    return value.to_bytes(4, "little")


def plaintext(user_data: bytes, ownership: bytes, *, lengths: tuple[int, ...] | None = None, version: int = 2) -> bytes:
    hashed = len(user_data) + len(ownership) + 28
    block = b"".join(map(word, lengths or (52, 0, len(user_data), len(ownership), hashed)))
    covered = user_data + ownership + block + bytes(8)
    return covered + hashlib.sha1(covered).digest() + word(version)  # noqa: S324 - Valve's construction


def refusal_of(raw: bytes, key: bytes = KEY) -> CredentialRejected:
    with pytest.raises(CredentialRejected) as refused:
        open_encrypted_ticket(raw, key)
    return refused.value


@pytest.mark.parametrize("user_data", [b"", NONCE, bytes(300)], ids=["no user data", "a nonce", "300 bytes"])
def test_a_good_ticket_is_opened(user_data: bytes) -> None:
    ticket = open_encrypted_ticket(encrypted_ticket(FACTS, KEY, user_data=user_data), KEY)
    assert ticket.user_data == user_data
    assert (ticket.ownership.steam_id, ticket.ownership.app_id) == (FACTS.steam_id, FACTS.app_id)
    assert (ticket.ownership.issued, ticket.ownership.expires) == (FACTS.issued, FACTS.expires)


def test_the_digest_is_of_the_plaintext_so_that_sealing_anew_changes_nothing() -> None:
    plain = plaintext(NONCE, ownership_part(FACTS))
    hashed = len(plain) - 24
    first, second = (outer_message(plain, KEY, version=2, user_data=16, hashed=hashed) for _ in range(2))
    assert first != second
    assert open_encrypted_ticket(first, KEY).digest == open_encrypted_ticket(second, KEY).digest


@pytest.mark.parametrize(
    ("version", "claimed", "reason"),
    [
        pytest.param(2, 2, "credential_rejected", id="version 2"),
        pytest.param(1, 1, "credential_unsupported", id="version 1"),
        pytest.param(1, 2, "credential_rejected", id="version 1 called 2"),
        pytest.param(2, 1, "credential_unsupported", id="version 2 called 1"),
    ],
)
def test_D18_mistake_12_a_ticket_forged_inside_the_user_data_is_refused(
    version: int, claimed: int, reason: str
) -> None:
    raw = forged_encrypted_ticket(FACTS, VICTIM, KEY, version=version, claimed_version=claimed)
    assert refusal_of(raw).reason == reason


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param({"user_data": 0}, id="no user data claimed"),
        pytest.param({"user_data": 15}, id="one byte less"),
        pytest.param({"user_data": 17}, id="one byte more"),
        pytest.param({"user_data": 2**32 - 1}, id="four gigabytes of user data"),
        pytest.param({"hashed": 8}, id="a short hash"),
        pytest.param({"hashed": 2**32 - 1}, id="a long hash"),
        pytest.param({"hashed": 0}, id="no hash"),
    ],
)
def test_D18_lengths_of_the_outer_message_are_not_believed(lengths: dict[str, int]) -> None:
    plain = plaintext(NONCE, ownership_part(FACTS))
    honest = {"user_data": len(NONCE), "hashed": len(plain) - 24}
    assert open_encrypted_ticket(outer_message(plain, KEY, version=2, **honest), KEY).user_data == NONCE
    raw = outer_message(plain, KEY, version=2, **(honest | lengths))
    assert isinstance(refusal_of(raw), UndecipherableTicket)


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(plaintext(NONCE, ownership_part(FACTS), version=1), id="another version inside"),
        pytest.param(plaintext(NONCE, ownership_part(FACTS), lengths=(52, 1, 16, 50, 94)), id="another second word"),
        pytest.param(plaintext(NONCE, ownership_part(FACTS), lengths=(48, 0, 16, 50, 94)), id="another first word"),
        pytest.param(plaintext(NONCE, ownership_part(FACTS), lengths=(52, 0, 0, 66, 94)), id="another split"),
        pytest.param(plaintext(NONCE, ownership_part(FACTS)[:-1]), id="a short ownership ticket"),
        pytest.param(plaintext(NONCE, b""), id="no ownership ticket"),
        pytest.param(plaintext(NONCE, ownership_part(FACTS))[:-5] + b"\0" + word(2), id="another hash"),
    ],
)
def test_D18_every_length_inside_must_agree(plain: bytes) -> None:
    raw = outer_message(plain, KEY, version=2, user_data=len(NONCE), hashed=len(plain) - 24)
    assert isinstance(refusal_of(raw), UndecipherableTicket)


def test_D18_the_hashed_part_must_reach_to_the_end() -> None:
    ownership = ownership_part(FACTS)
    hashed = len(ownership) + 28
    covered = ownership + bytes(4) + b"".join(map(word, (52, 0, 0, len(ownership), hashed))) + bytes(8)
    plain = covered + hashlib.sha1(covered[:hashed]).digest() + word(2)  # noqa: S324 - Valve's construction
    raw = outer_message(plain, KEY, version=2, user_data=0, hashed=hashed)
    assert isinstance(refusal_of(raw), UndecipherableTicket)


def test_a_wrong_checksum_of_the_plaintext_is_refused() -> None:
    raw = encrypted_ticket(FACTS, KEY)
    start = raw.index(b"\x10") + 1
    changed = raw[:start] + bytes([raw[start] ^ 1]) + raw[start + 1 :]
    assert isinstance(refusal_of(changed), UndecipherableTicket)


def test_padding_must_be_whole() -> None:
    plain = plaintext(bytes(2), ownership_part(FACTS))
    plain = plaintext(bytes(2 + -len(plain) % 16), ownership_part(FACTS))
    sealed = seal(plain, KEY)
    assert len(plain) % 16 == 0
    numbers = (2, zlib.crc32(plain), len(plain) - 24 - 28 - len(ownership_part(FACTS)), len(plain) - 24)
    assert open_encrypted_ticket(message(numbers, sealed), KEY).ownership.app_id == FACTS.app_id
    assert isinstance(refusal_of(message(numbers, sealed[:-16])), UndecipherableTicket)


def test_all_that_can_go_wrong_inside_is_told_in_the_same_words() -> None:
    raw = encrypted_ticket(FACTS, KEY)
    wrong = [
        refusal_of(raw, bytes(32)),
        refusal_of(forged_encrypted_ticket(FACTS, VICTIM, KEY)),
        *(refusal_of(raw[:-at] + bytes([raw[-at] ^ 1]) + raw[len(raw) - at + 1 :]) for at in (1, 17, 60)),
    ]
    assert {(error.reason, error.hint, error.detail, type(error)) for error in wrong} == {
        (wrong[0].reason, wrong[0].hint, wrong[0].detail, UndecipherableTicket)
    }


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def message(numbers: tuple[int, ...], sealed: bytes) -> bytes:
    fields = b"".join(varint(n << 3) + varint(value) for n, value in enumerate(numbers, start=1))
    return fields + b"\x2a" + varint(len(sealed)) + sealed


GOOD = message((2, 3, 4, 5), bytes(32))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(GOOD[2:], id="no version"),
        pytest.param(message((2, 3, 4), bytes(32)), id="a number missing"),
        pytest.param(GOOD[:8], id="no ciphertext"),
        pytest.param(GOOD + b"\x08\x02", id="version twice"),
        pytest.param(GOOD + b"\x2a\x01\x00", id="ciphertext twice"),
        pytest.param(GOOD + b"\x30\x01", id="an unknown field"),
        pytest.param(GOOD + b"\x00\x01", id="field zero"),
        pytest.param(b"\x0a\x01\x02" + GOOD[2:], id="version as bytes"),
        pytest.param(GOOD + b"\x28\x01", id="ciphertext as a number"),
        pytest.param(b"\x0d\x02\x00\x00\x00" + GOOD[2:], id="a fixed number"),
        pytest.param(b"\x08\x82\x00" + GOOD[2:], id="a number not in its shortest form"),
        pytest.param(b"\x08\x82\x80\x80\x80\x10" + GOOD[2:], id="more than 32 bits"),
        pytest.param(b"\x08" + b"\xff" * 9 + b"\x01" + GOOD[2:], id="64 bits"),
        pytest.param(GOOD[:-1], id="cut off"),
        pytest.param(GOOD + b"\x08", id="a tag at the end"),
    ],
)
def test_the_outer_message_is_read_strictly(raw: bytes) -> None:
    assert refusal_of(GOOD).reason == "credential_rejected"
    assert refusal_of(raw).reason == "credential_malformed"


@pytest.mark.parametrize("size", [0, 16, 31, 33, 47])
def test_a_ciphertext_of_another_size_is_refused(size: int) -> None:
    assert isinstance(refusal_of(message((2, 3, 4, 5), bytes(size))), UndecipherableTicket)


@given(st.binary(max_size=300) | st.binary(max_size=96).map(lambda sealed: message((2, 0, 0, 50), sealed)))
@settings(deadline=None)
def test_arbitrary_bytes_are_refused(raw: bytes) -> None:
    assert refusal_of(raw).reason in {"credential_malformed", "credential_unsupported", "credential_rejected"}


SEALED = encrypted_ticket(FACTS, KEY, user_data=NONCE)


@given(st.data(), st.integers(1, 255))
@settings(deadline=None)
def test_no_byte_of_a_ticket_can_be_changed_unnoticed(data: st.DataObject, mask: int) -> None:
    raw = bytearray(SEALED)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= mask
    refusal_of(bytes(raw))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"issued": NOW - 300}, "", id="as old as allowed"),
        pytest.param({"issued": NOW - 301}, "credential_expired", id="a second too old"),
        pytest.param({"issued": NOW + 60}, "", id="clocks apart by a minute"),
        pytest.param({"issued": NOW + 61}, "credential_not_yet_valid", id="from the future"),
        pytest.param({"expires": NOW}, "credential_expired", id="ownership expired"),
    ],
)
def test_D18_the_age_is_limited(change: dict[str, int], reason: str) -> None:
    ticket = open_encrypted_ticket(encrypted_ticket(replace(FACTS, **change), KEY), KEY)  # type: ignore[arg-type]  # ints
    assert refusal(lambda: check_age(ticket, NOW, 300)) == reason


@pytest.mark.parametrize(
    ("user_data", "nonce", "required", "reason"),
    [
        pytest.param(b"", "", False, "", id="none wanted, none sent"),
        pytest.param(b"build 7", "", False, "", id="user data of the game's own"),
        pytest.param(NONCE, NONCE.hex(), False, "", id="the nonce's bytes"),
        pytest.param(NONCE.hex().encode(), NONCE.hex(), True, "", id="the nonce's text"),
        pytest.param(b"n-1_x", "n-1_x", True, "", id="a nonce that is no hex"),
        pytest.param(NONCE, "", True, "credential_malformed", id="required and not sent"),
        pytest.param(b"", NONCE.hex(), False, "credential_rejected", id="sent, but not in the ticket"),
        pytest.param(NONCE, "00" * 16, False, "credential_rejected", id="another nonce"),
        pytest.param(NONCE + b"\0", NONCE.hex(), False, "credential_rejected", id="a longer user data"),
        pytest.param(NONCE, "\udcff", False, "credential_rejected", id="a lone surrogate"),
    ],
)
def test_D18_a_nonce_that_is_given_or_required_must_be_inside(
    user_data: bytes, nonce: str, required: bool, reason: str
) -> None:
    ticket = open_encrypted_ticket(encrypted_ticket(FACTS, KEY, user_data=user_data), KEY)
    assert refusal(lambda: check_nonce(ticket, nonce, required=required)) == reason


def test_a_nonce_has_one_canonical_form() -> None:
    spellings: list[Callable[[str], str]] = [str.lower, str.upper]
    assert {canonical_nonce(spell(NONCE.hex())) for spell in spellings} == {NONCE}
