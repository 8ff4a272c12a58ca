import os
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.oauth.opaque import OpaqueKind, OpaqueTokens, PublicId

TOKENS = OpaqueTokens(bytes(range(32)), os.urandom)
KINDS: tuple[OpaqueKind, ...] = ("code", "refresh")


@pytest.mark.parametrize("kind", KINDS)
@given(grant_id=st.integers(0, 2**63 - 1), generation=st.integers(0, 2**32 - 1))
def test_a_token_reads_back_as_what_it_was_made_for(kind: OpaqueKind, grant_id: int, generation: int) -> None:
    made = TOKENS.new(kind, grant_id, generation)
    assert TOKENS.read(kind, made.text) == made


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_uses_only_characters_that_survive_unencoded_forms_and_sdk_parsers(kind: OpaqueKind) -> None:
    assert re.fullmatch(r"as[cr]_[A-Za-z0-9_-]{65}", TOKENS.new(kind, 2**62, 7).text)


def test_the_row_id_of_a_token_tells_nothing_about_its_neighbours() -> None:
    first, second = TOKENS.public_id("gid", 1), TOKENS.public_id("gid", 2)
    assert sum(a != b for a, b in zip(first, second, strict=True)) > 10


def test_one_kind_of_token_is_not_another() -> None:
    code = TOKENS.new("code", 5)
    assert TOKENS.read("refresh", code.text) is None
    assert TOKENS.read("refresh", code.text.replace("asc_", "asr_")) is None


def test_a_public_grant_id_cannot_be_made_into_a_token() -> None:
    gid = TOKENS.public_id("gid", 5)
    forged = f"asr_{gid}{'A' * 43}"
    assert TOKENS.read("refresh", forged) is None


@pytest.mark.parametrize("kind", ["event", "ban"])
@given(row_id=st.integers(0, 2**63 - 1))
def test_the_id_of_an_event_or_a_ban_is_never_taken_for_an_option_of_a_command(kind: PublicId, row_id: int) -> None:
    public = TOKENS.public_id(kind, row_id)
    assert re.fullmatch(r"(evt|ban)_[A-Za-z0-9_-]{22}", public)
    assert TOKENS.row_id(kind, public) == row_id


def test_the_id_of_an_event_is_not_that_of_a_ban_and_is_none_without_its_prefix() -> None:
    event = TOKENS.public_id("event", 5)
    assert TOKENS.row_id("ban", event.replace("evt_", "ban_")) is None
    assert TOKENS.row_id("event", event.removeprefix("evt_")) is None


@given(st.integers(0, 68), st.sampled_from(string.ascii_letters + string.digits + "=+/. \n\0é"))
def test_B31_a_mutated_token_never_has_the_digest_of_the_original(position: int, replacement: str) -> None:
    made = TOKENS.new("refresh", 77, 3)
    mutated = made.text[:position] + replacement + made.text[position + 1 :]
    read = TOKENS.read("refresh", mutated)
    assert mutated == made.text or read is None or read.digest != made.digest


@pytest.mark.parametrize("suffix", ["=", "\n", "A", "%00"])
def test_B31_a_token_with_something_appended_is_none(suffix: str) -> None:
    assert TOKENS.read("code", TOKENS.new("code", 1).text + suffix) is None


@given(st.text(max_size=100))
def test_arbitrary_text_is_no_token(text: str) -> None:
    assert TOKENS.read("code", text) is None


def test_tokens_of_another_server_are_none() -> None:
    elsewhere = OpaqueTokens(bytes(32), os.urandom)
    assert TOKENS.read("code", elsewhere.new("code", 1).text) is None


def test_a_sealed_successor_opens_only_with_the_token_it_replaced() -> None:
    old, new, other = (TOKENS.new("refresh", 9, generation).text for generation in (1, 2, 1))
    sealed = TOKENS.seal_successor(old, new)
    assert TOKENS.open_successor(old, sealed) == new
    assert TOKENS.open_successor(other, sealed) is None
    assert new.encode() not in sealed
