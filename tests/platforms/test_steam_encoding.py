"""Every spelling of a ticket that was seen in the field is read, and no text has two readings."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.platforms.base import CredentialRejected
from authsrv.platforms.steam.encoding import MAX_TICKET, decode_ticket_text
from authsrv.platforms.steam.tickets import TICKET_PREFIX
from tests.support.steam import refusal

TICKET = TICKET_PREFIX + bytes(range(256)) + b"\xfb\xef\xff\x00\x01"
PLAIN = base64.b64encode(TICKET).decode("ascii")
MIME = "\r\n".join(PLAIN[at : at + 76] for at in range(0, len(PLAIN), 76))


def decode(text: str) -> bytes:
    return decode_ticket_text(text, prefix=TICKET_PREFIX)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TICKET.hex(), id="lower-case hex"),
        pytest.param(TICKET.hex().upper(), id="upper-case hex"),
        pytest.param(TICKET.hex(" "), id="spaced hex"),
        pytest.param("  " + TICKET.hex() + "\n", id="hex in white space"),
        pytest.param(PLAIN, id="Base64"),
        pytest.param(PLAIN.rstrip("="), id="Base64 without padding"),
        pytest.param(PLAIN.replace("+", " "), id="Base64 whose plus signs became spaces"),
        pytest.param(base64.urlsafe_b64encode(TICKET).decode("ascii"), id="base64url"),
        pytest.param(MIME, id="MIME Base64"),
        pytest.param(PLAIN + "  ", id="Base64 with trailing spaces"),
        pytest.param("\t" + PLAIN + "\r\n", id="Base64 in white space"),
    ],
)
def test_mistake_11_all_encodings_of_the_field_are_read(text: str) -> None:
    assert decode(text) == TICKET


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" \r\n", id="white space"),
        pytest.param("14000000abc", id="odd hex"),
        pytest.param("".join(f"{byte:x}" for byte in TICKET), id="one digit for small bytes"),
        pytest.param("0", id="zero"),
        pytest.param("14000000\x00ff", id="NUL"),
        pytest.param("\uff11\uff14000000ff", id="full-width digits"),
        pytest.param("15000000" + TICKET[4:].hex(), id="another prefix in hex"),
        pytest.param(base64.b64encode(b"\x15" + TICKET[1:]).decode("ascii"), id="another prefix in Base64"),
        pytest.param("FAAAAA-/", id="mixed alphabets"),
        pytest.param("FAAAAAAAA", id="a lone character"),
        pytest.param("FAAAAB==", id="stray bits"),
        pytest.param("FAAAAA=", id="half a padding"),
        pytest.param("FAAA=AAA", id="padding inside"),
        pytest.param("FAAAAA===", id="too much padding"),
        pytest.param("A" * 65536, id="64 KiB"),
        pytest.param((TICKET_PREFIX + bytes(MAX_TICKET - 3)).hex(), id="one byte too long in hex"),
        pytest.param(
            base64.b64encode(TICKET_PREFIX + bytes(MAX_TICKET - 3)).decode(), id="one byte too long in Base64"
        ),
        pytest.param("aa&key=0&appid=1", id="D07 parameters"),
    ],
)
def test_D06_text_that_is_no_ticket_is_malformed(text: str) -> None:
    with pytest.raises(CredentialRejected) as refused:
        decode(text)
    assert refused.value.reason == "credential_malformed"


def test_the_longest_ticket_fits_in_both_encodings() -> None:
    longest = TICKET_PREFIX + bytes(MAX_TICKET - 4)
    assert decode(longest.hex()) == decode(base64.b64encode(longest).decode("ascii")) == longest


@given(st.text() | st.text(alphabet="0123456789abcdefABCDEF+/=-_ \r\n"))
@settings(deadline=None)
def test_arbitrary_text_is_read_or_malformed(text: str) -> None:
    assert refusal(lambda: decode_ticket_text(text)) in {"", "credential_malformed"}


@given(st.binary(max_size=600))
@settings(deadline=None)
def test_hex_and_base64_of_any_ticket_are_the_same_bytes(tail: bytes) -> None:
    ticket = TICKET_PREFIX + tail
    assert decode(ticket.hex()) == decode(base64.b64encode(ticket).decode("ascii")) == ticket
