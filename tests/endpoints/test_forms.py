import asyncio
import string
from collections.abc import AsyncIterator, Iterable
from itertools import permutations
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from authsrv.endpoints.forms import LIMITS, MOST_REPEATS, Form, parse_form, read_body, read_form
from authsrv.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json")


def request(*chunks: bytes, headers: Iterable[tuple[bytes, bytes]] = (), disconnect: bool = False) -> Request:
    parts = list(chunks) or [b""]
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": disconnect or place < len(parts) - 1}
        for place, part in enumerate(parts)
    ]
    if disconnect:
        messages.append({"type": "http.disconnect"})
    queue = iter(messages)

    async def receive() -> Message:
        return next(queue)

    return Request({"type": "http", "method": "POST", "headers": list(headers)}, receive)


async def endless() -> AsyncIterator[Message]:
    while True:
        yield {"type": "http.request", "body": b"x" * 1000, "more_body": True}


def test_plus_is_a_space_and_percent_escapes_are_decoded() -> None:
    form = parse_form(b"scope=openid+offline&state=%C3%A9%2B%26&client%5Fid=a")
    assert form.take(["scope", "state", "client_id"]) == {
        "scope": "openid offline",
        "state": "\u00e9+&",
        "client_id": "a",
    }


def test_F04_semicolon_is_data() -> None:
    form = parse_form(b"role=user&x=;role=admin;y&z=a;a;a")
    assert form.take(["role", "x", "z"]) == {"role": "user", "x": ";role=admin;y", "z": "a;a;a"}


def test_a_parameter_sent_empty_counts_as_absent() -> None:
    form = parse_form(b"state=&nonce&scope=a")
    assert form.take(["state", "nonce", "scope"]) == {"scope": "a"}
    assert "state" in form


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"%=1&ok=1", id="bare percent as a name"),
        pytest.param(b"engine=%zz&ok=1", id="broken value"),
        pytest.param(b"engine=1&engine=2&ok=1", id="repeated"),
        pytest.param(b"%ff%fe=1&ok=1", id="name outside UTF-8"),
        pytest.param(b"engine=%00&ok=1", id="NUL"),
        pytest.param(b"engine=" + b"x" * 100_000 + b"&ok=1", id="long"),
        pytest.param(b"&&=&=x&ok=1&&", id="empty names"),
    ],
)
def test_unknown_parameters_are_ignored_however_broken(raw: bytes) -> None:
    assert parse_form(raw).take(["ok"]) == {"ok": "1"}


@pytest.mark.parametrize("name", ["redirect_uri", "client_id", "state", "code_challenge", "scope", "code"])
def test_A13_duplicate_parameters_are_refused_by_name(name: str) -> None:
    form = parse_form(f"{name}=a&other=1&{name}=a".encode())
    with pytest.raises(InvalidRequest) as refused:
        form.take([name])
    assert refused.value.parameter == name


@pytest.mark.parametrize("raw", [b"state=&state=abc", b"state=abc&stat%65=abc", b"state&state"])
def test_A13_a_repeat_is_a_repeat_also_when_empty_or_spelt_otherwise(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_form(raw).take(["state"])


def test_A13_a_repeated_parameter_leaves_the_others_readable() -> None:
    form = parse_form(b"client_id=a&redirect_uri=b&scope=1&scope=2")
    assert form.take(["client_id", "redirect_uri"]) == {"client_id": "a", "redirect_uri": "b"}


def test_repeatable_parameters_are_joined_by_spaces_and_their_empty_repetitions_left_out() -> None:
    form = parse_form(b"resource=a%20b&resource=&resource=c+d&resource&scope=x")
    assert form.take(["resource", "scope"], repeatable={"resource"}) == {"resource": "a b c d", "scope": "x"}
    assert parse_form(b"resource=&resource").take(["resource"], repeatable={"resource"}) == {}


@pytest.mark.parametrize("name", ["audience", "resource"])
def test_repetitions_may_be_as_long_together_as_sixteen_addresses_are(name: str) -> None:
    values = [f"https://{number:0242}.example" for number in range(MOST_REPEATS - 1)]
    form = parse_form(urlencode([(name, value) for value in values]).encode())
    assert form.take([name], repeatable={name}) == {name: " ".join(values)}


def test_A13_what_is_not_repeatable_may_not_repeat_beside_what_is() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_form(b"resource=a&resource=b&scope=a&scope=b").take(["resource", "scope"], repeatable={"resource"})
    assert refused.value.parameter == "scope"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"&".join([b"resource=a"] * (MOST_REPEATS + 1)), id="too often"),
        pytest.param(b"&".join([b"resource="] * (MOST_REPEATS + 1)), id="too often and empty"),
        pytest.param(b"&".join([b"resource=" + b"x" * 2048] * 2), id="too long together"),
        pytest.param(b"resource=a&resource=%ff", id="no UTF-8 in the second"),
        pytest.param(b"resource=a&resource=%00", id="NUL in the second"),
        pytest.param(b"resource=%c3&resource=%a9", id="one character in two halves"),
    ],
)
def test_repetitions_have_limits_in_number_and_length_and_are_text(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_form(raw).take(["resource"], repeatable={"resource"})
    assert refused.value.parameter == "resource"


def test_of_several_parameters_that_are_refused_the_first_one_sent_is_named() -> None:
    names = ["scope", "state", "code", "nonce", "client_id"]
    for first, second in permutations(names, 2):
        with pytest.raises(InvalidRequest) as refused:
            parse_form(f"{first}=%00&{second}=%00".encode()).take(frozenset(names))
        assert refused.value.parameter == first


def test_A22_line_breaks_in_state_are_data() -> None:
    assert parse_form(b"state=a%0d%0aSet-Cookie:x").take(["state"]) == {"state": "a\r\nSet-Cookie:x"}


@pytest.mark.parametrize("value", [b"a%00b", b"a\0b", b"%00"])
def test_A22_nul_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_form(b"state=" + value).take(["state"])
    assert refused.value.parameter == "state"


@pytest.mark.parametrize("length", [513, 64 * 1024])
def test_A22_state_beyond_512_characters_is_refused(length: int) -> None:
    with pytest.raises(InvalidRequest):
        parse_form(b"state=" + b"x" * length).take(["state"])
    assert len(parse_form(b"state=" + b"%C3%A9" * 512).take(["state"])["state"]) == 512


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"%ff", id="no UTF-8"),
        pytest.param(b"\xff", id="no UTF-8, raw"),
        pytest.param(b"%c0%af", id="overlong slash"),
        pytest.param(b"%e0%80%af", id="overlong in three bytes"),
        pytest.param(b"%ed%a0%80", id="lone surrogate"),
        pytest.param(b"%f4%90%80%80", id="beyond Unicode"),
        pytest.param(b"%c3", id="cut off"),
        pytest.param(b"100%", id="bare percent"),
        pytest.param(b"%4", id="half an escape"),
        pytest.param(b"%g1", id="no hex"),
        pytest.param(b"%u0041", id="percent u"),
    ],
)
def test_A23_invalid_encodings_are_refused(value: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_form(b"redirect_uri=" + value).take(["redirect_uri"])
    assert refused.value.parameter == "redirect_uri"
    assert '"' not in refused.value.description


def test_F02_a_flood_of_fields_is_refused_before_they_are_split() -> None:
    with pytest.raises(InvalidRequest):
        parse_form(b"a=1&" * 1_000_000)
    assert parse_form(b"&".join([b"a%d=1" % n for n in range(256)])).take(["a255"]) == {"a255": "1"}
    with pytest.raises(InvalidRequest):
        parse_form(b"a=1&b=2&c=3", max_fields=2)


def test_a_form_does_not_show_its_values() -> None:
    assert "hush" not in repr(parse_form(b"client_secret=hush"))


@given(st.binary(max_size=400))
def test_any_bytes_give_text_or_a_refusal(raw: bytes) -> None:
    form = parse_form(raw, max_fields=1000)
    for name in ("a", "state", "client_id"):
        try:
            found = form.take([name])
        except InvalidRequest as refused:
            assert refused.parameter == name  # noqa: PT017 - most inputs are not refused
        else:
            assert all("\0" not in value and 0 < len(value) <= LIMITS.get(name, 2048) for value in found.values())


@given(st.dictionaries(st.text(string.ascii_letters + "_\u00e9 &=", min_size=1, max_size=12), st.text(max_size=50)))
def test_what_a_strict_encoder_writes_is_read_back(fields: dict[str, str]) -> None:
    wanted = {name: value for name, value in fields.items() if value and "\0" not in value}
    assert parse_form(urlencode(wanted).encode()).take(wanted) == wanted


@given(st.binary(min_size=1, max_size=40))
def test_a_value_is_accepted_exactly_if_its_bytes_are_utf8_without_nul(value: bytes) -> None:
    form = parse_form(b"state=" + quote_plus(value).encode())
    try:
        expected = value.decode("utf-8")
    except UnicodeDecodeError:
        expected = "\0"
    if "\0" in expected:
        with pytest.raises(InvalidRequest):
            form.take(["state"])
    else:
        assert form.take(["state"]) == {"state": expected}


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/x-www-form-urlencoded",
        b"application/x-www-form-urlencoded;charset=utf-8",
        b"Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        b'application/x-www-form-urlencoded; charset="utf-8"',
    ],
)
async def test_forms_are_read_in_utf8(content_type: bytes) -> None:
    form = await read_form(request(b"a=", b"1&b=2", headers=[(b"content-type", content_type)]), 100)
    assert form.take(["a", "b"]) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(b"multipart/form-data; boundary=x", id="F03 multipart"),
        pytest.param(b"application/json", id="F08 JSON"),
        pytest.param(b"text/plain", id="E06 JSON as text"),
        pytest.param(b"", id="empty"),
        pytest.param(b"application/x-www-form-urlencoded; charset=latin-1", id="other charset"),
        pytest.param(b"application/x-www-form-urlencoded, text/plain", id="two in one"),
        pytest.param(b"application/x-www-form-urlencoded\n", id="trailing newline"),
    ],
)
async def test_B38_F03_other_content_types_are_refused_unread(content_type: bytes) -> None:
    unread = request(b"[" * 100_000, headers=[(b"content-type", content_type)])
    with pytest.raises(UnsupportedMediaType):
        await read_form(unread, 1_000_000)
    assert (await unread.receive())["body"]


async def test_B38_a_body_without_a_type_is_refused_and_no_body_is_an_empty_form() -> None:
    with pytest.raises(UnsupportedMediaType):
        await read_form(request(b"a=1"), 100)
    with pytest.raises(UnsupportedMediaType):
        await read_form(request(b"a=1", headers=[FORM, FORM]), 100)
    assert (await read_form(request(), 100)).take(["a"]) == {}


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"identity, gzip", b"gzip, identity", b""])
async def test_F09_compressed_requests_are_refused(coding: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        await read_form(request(b"\x1f\x8b", headers=[FORM, (b"content-encoding", coding)]), 100)
    assert "a" in await read_form(request(b"a=1", headers=[FORM, (b"content-encoding", b"Identity")]), 100)


async def test_F01_a_declared_length_above_the_limit_is_refused_unread() -> None:
    unread = request(b"a=1", headers=[FORM, (b"content-length", b"100000000")])
    with pytest.raises(PayloadTooLarge):
        await read_form(unread, 100)
    assert (await unread.receive())["body"] == b"a=1"


async def test_F01_an_endless_body_is_cut_at_the_limit() -> None:
    stream = endless()
    count = 0

    async def receive() -> Message:
        nonlocal count
        count += 1
        return await anext(stream)

    with pytest.raises(PayloadTooLarge):
        await read_body(Request({"type": "http", "method": "POST", "headers": []}, receive), 4500)
    assert count == 5


@pytest.mark.parametrize(
    "lengths",
    [(b"-1",), (b"+1",), (b"",), (b"1e3",), (b"0x10",), (b"1, 1",), (b"\xd9\xa1",), (b"1", b"1"), (b"9" * 30,)],
)
async def test_F01_F15_nonsense_lengths_are_refused(lengths: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await read_body(request(b"a", headers=[(b"content-length", value) for value in lengths]), 100)
    assert refused.value.status == 400


async def test_a_client_that_goes_away_ends_the_reading() -> None:
    with pytest.raises(ClientDisconnect):
        await asyncio.wait_for(read_body(request(b"a", disconnect=True), 100), 5)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert await read_body(request(b"12345", b"67890", headers=[(b"content-length", b"10")]), 10) == b"1234567890"


def test_a_form_cannot_be_extended() -> None:
    with pytest.raises(AttributeError):
        Form({}).extra = 1  # type: ignore[attr-defined]  # slots refuse it, which is the point
