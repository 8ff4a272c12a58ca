"""Request parameters from raw bytes: one strict reading of application/x-www-form-urlencoded, query and body alike.

Owns which bytes are a parameter and which request bodies are accepted at all. Knows no parameter's meaning and no
surface; what it refuses is an `AuthsrvError` that the surface renders.
"""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request

from authsrv.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType, UriTooLong

DEFAULT_LIMIT: Final = 2048
LIMITS: Final[Mapping[str, int]] = {
    "client_id": 255,
    "client_assertion": 16 * 1024,
    "client_secret": 512,
    "code_challenge": 128,
    "code_verifier": 128,
    "nonce": 512,
    "scope": 4096,
    "session_ticket": 80 * 1024,
    "state": 512,
    "code": 16 * 1024,
    "id_token_hint": 16 * 1024,
    "subject_token": 80 * 1024,
    "actor_token": 16 * 1024,
    "token": 16 * 1024,
    "claims": 8 * 1024,
    "audience": 4096,
    "resource": 4096,
}
"""The longest value of a parameter in characters, after decoding; `DEFAULT_LIMIT` for the others."""

MOST_REPEATS: Final = 16
"""How often a parameter may come that may come more than once."""

_LONGEST_NAME: Final = 256
"""Bytes as sent. Decoding is slow, and a longer name is none that we know, whatever it says."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_FORM_TYPE = re.compile(
    rb'application/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE
)

_REPEATED = "A parameter is repeated; send each one once."
_UNREADABLE = "A parameter is not percent-encoded UTF-8 text, or contains NUL."
_TOO_LONG = "A parameter is longer than this server accepts."
_TOO_MANY = "The request has more parameters than this server accepts."


class Form:
    """An immutable multi-dict of parameters whose values are decoded only when somebody asks for them by name."""

    __slots__ = ("_values", "raw_form")

    def __init__(self, values: Mapping[str, tuple[bytes, ...]], raw_form: bytes = b"") -> None:
        self._values = values
        self.raw_form = raw_form
        """The bytes it was read from, for what is signed over them."""

    def __contains__(self, name: str) -> bool:
        """Whether the parameter was sent at all, also empty, repeated or broken."""
        return name in self._values

    def __repr__(self) -> str:
        return f"Form({len(self._values)} names)"

    def take(
        self,
        names: Container[str],
        *,
        limits: Mapping[str, int] = LIMITS,
        repeatable: Container[str] = (),
    ) -> Mapping[str, str]:
        """The decoded values of the known `names`; those not sent or sent empty are absent (RFC 6749 section 3.1).

        Those that are `repeatable` may come several times; their values are joined by spaces. Names that are not asked
        for are ignored, however broken. Raises `InvalidRequest` with `parameter` set when another known one repeats, or
        one is no percent-encoded UTF-8, has NUL, or exceeds its limit, which holds for joined values together. Of
        several such parameters it is the one that was sent first.
        """
        found = {}
        for name, values in self._values.items():
            if name not in names:
                continue
            raw = _joined(name, values) if name in repeatable else _single(name, values)
            if raw:
                found[name] = _text(name, raw, limits.get(name, DEFAULT_LIMIT))
        return found

    def readable(self, name: str) -> str:
        """A value as far as it can be read, for giving it back beside an error; else empty."""
        try:
            return self.take({name}).get(name, "")
        except InvalidRequest:
            return ""

    def everything(self, limit: int = 4096) -> list[tuple[str, str]]:
        """Every parameter in order, repetitions included, for a reader with rules of its own about names.

        Raises `InvalidRequest` for a name or value that is no percent-encoded UTF-8, has NUL, or is too long.
        """
        pairs = (pair.partition(b"=") for pair in self.raw_form.split(b"&") if pair)
        return [(_text("", name, 256), _text("", value, limit)) for name, _, value in pairs]


def parse_form(raw: bytes, *, max_fields: int = 256) -> Form:
    """Read a query or a form body (WHATWG URL, application/x-www-form-urlencoded parsing, made strict).

    `&` separates, `;` is data, `+` is a space. Linear in the input. Raises `InvalidRequest` above `max_fields`.
    """
    if raw.count(b"&") >= max_fields:
        raise InvalidRequest(_TOO_MANY)
    values: dict[str, tuple[bytes, ...]] = {}
    for pair in raw.split(b"&"):
        raw_name, _, value = pair.partition(b"=")
        name = _name(raw_name)
        if name:
            values[name] = (*values.get(name, ()), value)
    return Form(values, raw)


def _single(name: str, values: Sequence[bytes]) -> bytes:
    if len(values) > 1:
        raise InvalidRequest(_REPEATED, parameter=name)
    return values[0]


def _joined(name: str, values: Sequence[bytes]) -> bytes:
    if len(values) > MOST_REPEATS:
        raise InvalidRequest(_TOO_MANY, parameter=name)
    return b"+".join(value for value in values if value)


def _name(raw: bytes) -> str:
    if len(raw) > _LONGEST_NAME:
        return ""
    try:
        return _decoded(raw)
    except ValueError:
        return ""  # a name that cannot be read is not one that we know


def _decoded(raw: bytes) -> str:
    spaced = raw.replace(b"+", b" ")
    if b"%" not in spaced:
        return spaced.decode("utf-8")
    if _BROKEN_ESCAPE.search(spaced):
        raise ValueError("broken percent escape")
    return unquote_to_bytes(spaced).decode("utf-8")


def _text(name: str, raw: bytes, limit: int) -> str:
    if len(raw) > 12 * limit:  # a character is at most four bytes, a byte at most three when encoded
        raise InvalidRequest(_TOO_LONG, parameter=name)
    try:
        text = _decoded(raw)
    except ValueError:
        raise InvalidRequest(_UNREADABLE, parameter=name) from None
    if "\0" in text:
        raise InvalidRequest(_UNREADABLE, parameter=name)
    if len(text) > limit:
        raise InvalidRequest(_TOO_LONG, parameter=name)
    return text


async def read_body(request: Request, limit: int) -> bytes:
    """The whole request body, at most `limit` bytes, of which never more than one network read extra is held.

    Raises `PayloadTooLarge`, before reading if Content-Length says so; `InvalidRequest` for a repeated or unreadable
    Content-Length; starlette's `ClientDisconnect` when the client goes away.
    """
    if _declared_length(request) > limit:
        raise PayloadTooLarge
    body = bytearray()
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise PayloadTooLarge
        more = message.get("more_body", False)
    return bytes(body)


def _declared_length(request: Request) -> int:
    lengths = header_values(request, b"content-length")
    if not lengths:
        return 0
    if len(lengths) > 1 or not _CONTENT_LENGTH.fullmatch(lengths[0]):
        raise InvalidRequest("The Content-Length header is repeated or is no decimal number.")
    return int(lengths[0])


async def read_form(request: Request, limit: int) -> Form:
    """The body as a form of at most `limit` bytes. A request without body and without type is an empty form.

    Raises `UnsupportedMediaType` for any other type, charset or coding, and whatever `read_body` and `parse_form` do.
    """
    types = header_values(request, b"content-type")
    if types and not (len(types) == 1 and _FORM_TYPE.fullmatch(types[0])):
        raise UnsupportedMediaType
    require_identity_coding(request)
    body = await read_body(request, limit)
    if body and not types:
        raise UnsupportedMediaType
    return parse_form(body)


async def read_parameters(request: Request, *, max_body: int, max_query: int) -> Form:
    """The body of a POST, or else the query, of an endpoint that takes its parameters either way.

    Raises `UriTooLong`, and whatever `read_form` and `parse_form` do.
    """
    if request.method == "POST":
        return await read_form(request, max_body)
    query = request.scope["query_string"]
    if len(query) > max_query:
        raise UriTooLong
    return parse_form(query)


def require_identity_coding(request: Request) -> None:
    """Refuse a compressed request body before a byte of it is read. Raises `UnsupportedMediaType`."""
    codings = header_values(request, b"content-encoding")
    if any(coding.strip().lower() != b"identity" for coding in codings):
        raise UnsupportedMediaType("Send the body without Content-Encoding.")


def header_values(request: Request, name: bytes) -> list[bytes]:
    """Every value of a request header, as sent. `name` is lower case."""
    return [value for key, value in request.scope["headers"] if key == name]
