"""JSON of foreign origin: one meaning or none.

Owns the refusal of what two readers could read differently (RFC 8259 sections 4, 6, 8; RFC 8725 section 3.7).
Knows no document's shape.
"""

import json
import math
import re
from typing import Any, NoReturn

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_INTEGER_CHARACTERS = 20  # holds every unsigned 64-bit number


def strict_json(data: bytes | str) -> Any:
    """The value of a JSON text in UTF-8.

    Raises ValueError for anything that is not JSON, and for duplicate names, NaN and Infinity, numbers beyond 64 bits
    or beyond a float, lone surrogates, a byte order mark, other encodings, and nesting deeper than the interpreter's
    stack. The error's text never holds a part of the data.
    """
    try:
        return _decode(data)
    except RecursionError:
        raise ValueError("the JSON text is nested too deeply") from None
    except ValueError as error:
        # The cause is dropped: decoding errors carry the whole document, which may hold a secret.
        raise ValueError(f"not strict JSON: {_without_content(error)}") from None


def _decode(data: bytes | str) -> Any:
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    if isinstance(data, str):
        data.encode("utf-8")  # raises for a lone surrogate
    value = _DECODER.decode(_without_mark(text))
    if _SURROGATE_ESCAPE.search(text):
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # raises unless every escape had its partner
    return value


def _without_mark(text: str) -> str:
    if text.startswith("\ufeff"):
        raise ValueError("byte order mark")
    return text


def _without_content(error: ValueError) -> str:
    if isinstance(error, UnicodeError):
        return "not valid UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"syntax error at character {error.pos}"
    return str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise ValueError("number out of range")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
)
