"""The compact form of a JWS: one spelling, one meaning, and no cost to speak of for what is neither."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.compact_jws import take_apart

LONGEST = 4096


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


HEAD, BODY, TAIL = encoded(b'{"alg":"x"}'), encoded(b'{"sub":"a"}'), encoded(b"1234")
TWICE = encoded(b'{"sub":"a","sub":"b"}')


@given(
    header=st.dictionaries(st.text(max_size=5), st.integers(0, 9)),
    claims=st.dictionaries(st.text(max_size=5), st.booleans()),
    signature=st.binary(min_size=1, max_size=80),
)
def test_a_token_is_taken_apart_into_what_it_was_made_of(
    header: dict[str, int], claims: dict[str, bool], signature: bytes
) -> None:
    head, body = encoded(json.dumps(header).encode()), encoded(json.dumps(claims).encode())
    token = take_apart(f"{head}.{body}.{encoded(signature)}", LONGEST)
    assert (token.header, token.unverified, token.signature) == (header, claims, signature)
    assert token.signing_input == f"{head}.{body}".encode()


@given(st.text(alphabet="Aa1-_=+/ \n.", max_size=12))
def test_C25_no_two_texts_have_the_same_signature_over_the_same_parts(tail: str) -> None:
    try:
        signature = take_apart(f"{HEAD}.{BODY}.{tail}", LONGEST).signature
    except ValueError:
        return
    assert tail == encoded(signature)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(f"{HEAD}.{BODY}", id="two parts"),
        pytest.param(f"{HEAD}.{BODY}.", id="no signature"),
        pytest.param(f"{HEAD}..{TAIL}", id="C05 detached"),
        pytest.param(f"{HEAD}.{BODY}.{TAIL}.{TAIL}.{TAIL}", id="C07 five parts"),
        pytest.param(f"{HEAD}.{BODY}.{TAIL}\n", id="a line break behind it"),
        pytest.param(f" {HEAD}.{BODY}.{TAIL}", id="a space before it"),
        pytest.param(f"{HEAD}.{BODY}.{TAIL}==", id="C25 padding"),
        pytest.param(f"{HEAD}.{BODY}.{TAIL[:-1]}{chr(ord(TAIL[-1]) + 1)}", id="C25 left-over bits"),
        pytest.param(f"{HEAD}.{BODY}.A", id="no whole byte"),
        pytest.param(f"{HEAD}.{BODY}.+/+/", id="the other alphabet"),
        pytest.param(f"{HEAD}.{BODY}.\u0661\u0662\u0663\u0664", id="digits that are not ASCII"),
        pytest.param(f"{HEAD}.{encoded(b'[]')}.{TAIL}", id="a list for claims"),
        pytest.param(f"{encoded(b'null')}.{BODY}.{TAIL}", id="null for a header"),
        pytest.param(f"{HEAD}.{encoded(b'{')}.{TAIL}", id="no JSON"),
        pytest.param(f"{HEAD}.{TWICE}.{TAIL}", id="C14 a name twice"),
        pytest.param(f"{HEAD}.{encoded(b'[' * 2900)}.{TAIL}", id="C13 deep"),
        pytest.param(f"{HEAD}.{BODY}.{'A' * LONGEST}", id="C13 too long"),
    ],
)
def test_any_other_text_is_refused_and_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(a part|not|the JSON text) ") as refused:
        take_apart(text, LONGEST)
    assert not any(len(part) > 3 and part in str(refused.value) for part in text.split("."))
    assert refused.value.__context__ is None or refused.value.__suppress_context__


@pytest.mark.parametrize(("filling", "allowed"), [(6124, True), (6125, False)])
def test_C13_a_header_has_8192_characters_at_most(filling: int, *, allowed: bool) -> None:
    head = encoded(b'{"alg":"x","x5c":"' + b"A" * filling + b'"}')
    assert (len(head) <= 8192) == allowed
    if allowed:
        assert take_apart(f"{head}.{BODY}.{TAIL}", 16_000).header["alg"] == "x"
        return
    with pytest.raises(ValueError, match="not a compact JWS, or too long"):
        take_apart(f"{head}.{BODY}.{TAIL}", 16_000)
