from typing import Any

import pytest

from authsrv.strict_json import strict_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b'{"a": [1, -2.5, "x", true, null]}', {"a": [1, -2.5, "x", True, None]}, id="every-type"),
        pytest.param('{"iss": "https:\\/\\/e"}', {"iss": "https://e"}, id="escaped-slash"),
        pytest.param("18446744073709551615", 2**64 - 1, id="largest-unsigned-64-bit"),
        pytest.param('"\\ud83c\\udfae"', "\U0001f3ae", id="surrogate-pair"),
        pytest.param("\U0001f3ae".join('""').encode(), "\U0001f3ae", id="astral-character"),
        pytest.param(b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}, id="same-name-in-two-objects"),
    ],
)
def test_a_plain_text_gives_its_value(data: bytes | str, value: Any) -> None:
    assert strict_json(data) == value


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"sub": "a", "sub": "b"}', id="duplicate-name"),
        pytest.param(b'{"a": {"sub": 1, "s\\u0075b": 2}}', id="duplicate-name-escaped-and-nested"),
        pytest.param(b"NaN", id="nan"),
        pytest.param(b'{"exp": Infinity}', id="infinity"),
        pytest.param(b"-Infinity", id="minus-infinity"),
        pytest.param(b"1e999", id="beyond-float"),
        pytest.param(b"1" * 5000, id="5000-digits"),
        pytest.param(b"1" * 21, id="beyond-64-bits"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="utf-16"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), id="utf-16-without-mark"),
        pytest.param('{"a": 1}'.encode("utf-32-be"), id="utf-32"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', id="byte-order-mark"),
        pytest.param('\ufeff{"a": 1}', id="byte-order-mark-in-text"),
        pytest.param(b'"\xff"', id="not-utf-8"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate-in-bytes"),
        pytest.param(b'"\\ud800"', id="lone-surrogate"),
        pytest.param(b'{"\\uDFFF": 1}', id="lone-low-surrogate-in-name"),
        pytest.param('"\ud800"', id="lone-surrogate-in-text"),
        pytest.param(b"[" * 50_000, id="deep-array"),
        pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, id="deep-object"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{} {}", id="two-values"),
        pytest.param(b"{'a': 1}", id="single-quotes"),
        pytest.param(b'"a\nb"', id="raw-control-character"),
        pytest.param(b"<html>", id="html"),
    ],
)
def test_C14_anything_with_two_readings_is_refused(data: bytes | str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        strict_json(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"s3cret": 1, "s3cret": 2}', id="duplicate"),
        pytest.param(b's3cret\xff"', id="encoding"),
        pytest.param(b'{"s3cret": ', id="syntax"),
    ],
)
def test_a_refusal_holds_no_part_of_the_data(data: bytes | str) -> None:
    with pytest.raises(ValueError, match="JSON") as caught:
        strict_json(data)
    error: BaseException = caught.value
    assert "s3cret" not in repr(error) + repr(vars(error))
    assert error.__suppress_context__
    assert error.__cause__ is None
