"""The layout of session tickets, and what a ticket shows without asking Steam."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.emulator.steam.tickets import SteamKeys, TicketFacts, ownership_part, padded, session_ticket
from authsrv.platforms.base import CredentialRejected
from authsrv.platforms.steam.settings import STEAM_SYSTEM_KEY
from authsrv.platforms.steam.tickets import (
    Finding,
    LayoutError,
    check_signature,
    contradictions,
    is_player,
    load_system_key,
    read_ownership,
    read_session_ticket,
    read_signed_ownership,
    sha1_signatures_checkable,
)
from tests.support.steam import refusal, steam_keys

NOW = 1_790_000_000
DAY = 86400
FACTS = TicketFacts(76561202255232001, 4800001, issued=NOW - DAY, expires=NOW + 20 * DAY, token_time=NOW - 60)
RICH = replace(FACTS, licences=(1, 2, 3), dlc=(4, 5))


def found(raw: bytes, *, app_id: int = FACTS.app_id, key: RSAPublicKey | None = None) -> tuple[Finding, ...]:
    public = key or steam_keys().system.public_key()
    return contradictions(read_session_ticket(raw), app_id=app_id, now=NOW, key=public)


def ticket(facts: TicketFacts = FACTS) -> bytes:
    return session_ticket(facts, steam_keys())


SIGNED = ticket()


def test_the_default_key_is_steams() -> None:
    der = load_system_key(STEAM_SYSTEM_KEY).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).hexdigest() == "a0bc38bd7cd2177058dc15fdded2aadc718d59f49fcc943a69d13e581fb4f92f"


def test_the_smallest_ticket_has_234_bytes_and_reads_back() -> None:
    raw = ticket()
    header, ownership = read_session_ticket(raw), read_signed_ownership(raw)
    assert len(raw) == 234
    assert (header.steam_id, header.type, header.token_time) == (FACTS.steam_id, 5, FACTS.token_time)
    assert (ownership.steam_id, ownership.app_id) == (FACTS.steam_id, FACTS.app_id)
    assert (ownership.issued, ownership.expires) == (FACTS.issued, FACTS.expires)


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda raw: raw, id="trimmed"),
        pytest.param(padded, id="2560 bytes with leftover memory"),
        pytest.param(lambda raw: padded(raw, 1024, zeros=True), id="1024 bytes with zeros"),
    ],
)
def test_mistake_10_bytes_after_the_signature_do_not_matter(alter: Callable[[bytes], bytes]) -> None:
    assert found(alter(ticket())) == ()
    assert found(alter(ticket(RICH))) == ()


def test_mistake_16_addresses_in_the_header_are_not_looked_at() -> None:
    raw = bytearray(ticket())
    raw[36:44] = b"\xff" * 8
    assert found(bytes(raw)) == ()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(lambda: ticket(replace(FACTS, app_id=480)), ("app_id",), id="another app"),
        pytest.param(lambda: ticket(replace(FACTS, owned_by=76561202255232003)), ("steam_id",), id="another account"),
        pytest.param(lambda: ticket(replace(FACTS, expires=NOW)), ("expired",), id="expired now"),
        pytest.param(lambda: session_ticket(FACTS, SteamKeys.generate()), ("signature",), id="an emulator's signature"),
        pytest.param(lambda: ticket()[:-1], ("layout",), id="a byte short"),
        pytest.param(lambda: ticket()[:56], ("layout",), id="header only"),
        pytest.param(lambda: ticket()[:52] + b"\0" * 200, ("layout",), id="no ownership"),
        pytest.param(lambda: ticket()[:52] + b"\xff" * 300, ("layout",), id="lengths of 4 GiB"),
    ],
)
def test_contradictions_are_found(raw: Callable[[], bytes], expected: tuple[Finding, ...]) -> None:
    assert found(raw()) == expected


@pytest.mark.parametrize(
    ("app_id", "steam_id", "expected"),
    [
        pytest.param(480, FACTS.steam_id, ("app_id",), id="foreign app, right player"),
        pytest.param(FACTS.app_id, 76561202255232003, ("steam_id",), id="right app, foreign player"),
        pytest.param(480, 76561202255232003, ("app_id", "steam_id"), id="both foreign"),
    ],
)
def test_mistake_04_app_and_player_must_both_agree(app_id: int, steam_id: int, expected: tuple[Finding, ...]) -> None:
    assert found(ticket(replace(FACTS, app_id=app_id, owned_by=steam_id))) == expected


def test_mistake_17_a_signature_that_cannot_be_checked_is_not_valid() -> None:
    class Hardened:
        def verify(self, *_: object) -> None:
            raise UnsupportedAlgorithm("SHA-1 is forbidden here")

    raw = ticket()
    key = cast("RSAPublicKey", Hardened())
    assert check_signature(read_session_ticket(raw), read_signed_ownership(raw), key) == "not_checked"
    assert not sha1_signatures_checkable(key)
    assert sha1_signatures_checkable(steam_keys().system.public_key())


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(ticket()[:55], id="55 bytes"),
        pytest.param(ownership_part(FACTS) + bytes(20), id="the ownership part alone"),
        pytest.param(b"\x15" + ticket()[1:], id="another first word"),
        pytest.param(ticket()[:24] + b"\x19" + ticket()[25:], id="another session header"),
        pytest.param(ticket(replace(FACTS, steam_id=90071992547409921)), id="a game server"),
        pytest.param(ticket(replace(FACTS, steam_id=0)), id="nobody"),
    ],
)
def test_a_header_that_is_none_is_malformed(raw: bytes) -> None:
    with pytest.raises(CredentialRejected) as refused:
        read_session_ticket(raw)
    assert refused.value.reason == "credential_malformed"


@pytest.mark.parametrize(
    ("steam_id", "expected"),
    [
        pytest.param(76561197960265728, True, id="first"),
        pytest.param(76561202255233023, True, id="last"),
        pytest.param(76561202255232001, True, id="beyond the popular prefix"),
        pytest.param(76561197960265727, False, id="before the first"),
        pytest.param(76561202255233024, False, id="after the last"),
        pytest.param(0, False, id="zero"),
    ],
)
def test_a_player_is_told_by_range(steam_id: int, expected: bool) -> None:
    assert is_player(steam_id) is expected


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda data: data + b"\0", id="a byte too much"),
        pytest.param(lambda data: data[:-1], id="a byte too few"),
        pytest.param(lambda data: data[:4] + b"\x05" + data[5:], id="another version"),
        pytest.param(lambda data: data[:40] + b"\x00\x00" + data[42:], id="a smaller licence count"),
        pytest.param(lambda data: data[:40] + b"\xff\xff" + data[42:], id="a larger licence count"),
    ],
)
def test_an_ownership_ticket_fills_its_place_exactly(alter: Callable[[bytes], bytes]) -> None:
    data = ownership_part(RICH)
    assert read_ownership(data, 0).app_id == RICH.app_id
    with pytest.raises(LayoutError):
        read_ownership(alter(data), 0)


@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: SIGNED[:56] + tail))
@settings(deadline=None)
def test_arbitrary_bytes_are_read_or_malformed(raw: bytes) -> None:
    findings: list[Finding] = []
    assert refusal(lambda: findings.extend(found(raw))) == "credential_malformed" or findings


@given(st.integers(52, 233), st.integers(1, 255))
@settings(deadline=None)
def test_no_byte_of_a_signed_ticket_can_be_changed_unnoticed(at: int, mask: int) -> None:
    raw = bytearray(SIGNED)
    raw[at] ^= mask
    assert found(bytes(raw))
