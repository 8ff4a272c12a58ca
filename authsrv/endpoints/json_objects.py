"""Request bodies in JSON: one strict object, of a limited size. Knows no member's meaning."""

import re
from collections.abc import Container, Mapping
from typing import Any

from starlette.requests import Request

from authsrv.endpoints.forms import DEFAULT_LIMIT, LIMITS, header_values, read_body, require_identity_coding
from authsrv.errors import AuthsrvError, InvalidRequest, UnsupportedMediaType
from authsrv.strict_json import strict_json

_JSON_TYPE = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)
_UNREADABLE = "The body is no JSON object in UTF-8, or a name repeats in it."
_NO_TEXT = "A member is no text, contains NUL, or is longer than this server accepts."


async def read_object(request: Request, limit: int, refusal: type[AuthsrvError] = InvalidRequest) -> Mapping[str, Any]:
    """The body as a JSON object of at most `limit` bytes, in which no name repeats.

    Raises `UnsupportedMediaType` for another type, charset or coding, `refusal` for what is no such object, and
    whatever `read_body` does.
    """
    types = header_values(request, b"content-type")
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0]):
        raise UnsupportedMediaType("Send the body as application/json.")
    return await read_untyped_object(request, limit, refusal)


async def read_untyped_object(
    request: Request, limit: int, refusal: type[AuthsrvError] = InvalidRequest
) -> Mapping[str, Any]:
    """The same for clients that name no type, or a wrong one, and to which nothing else could be meant."""
    require_identity_coding(request)
    body = await read_body(request, limit)
    try:
        found = strict_json(body)
    except ValueError as error:
        raise refusal(_UNREADABLE, detail=str(error)) from None
    if not isinstance(found, dict):
        raise refusal(_UNREADABLE, detail="no object")
    return found


def text(sent: Mapping[str, Any], name: str, limit: int = 0) -> str:
    """A member that is a text, empty if it is not there. Without a `limit` it has that of a form's parameter.

    Raises `InvalidRequest` with `parameter` set.
    """
    value = sent.get(name, "")
    longest = limit or LIMITS.get(name, DEFAULT_LIMIT)
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise InvalidRequest(_NO_TEXT, parameter=name)
    return value


def required_text(sent: Mapping[str, Any], name: str, limit: int = 0) -> str:
    """The same for one that must be there, and not empty."""
    value = text(sent, name, limit)
    if not value:
        raise InvalidRequest(f"Send the {name}.", parameter=name)
    return value


def flag(sent: Mapping[str, Any], name: str) -> bool:
    """A member that is true or false, false if it is not there. Raises `InvalidRequest` with `parameter` set."""
    value = sent.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} is true or false.", parameter=name)
    return value


def members(sent: Mapping[str, Any], name: str, known: Container[str] | None = None) -> Mapping[str, Any]:
    """A member that is an object, empty if it is not there; with `known`, it has no others.

    Raises `InvalidRequest` with `parameter` set.
    """
    value = sent.get(name, {})
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} is a JSON object.", parameter=name)
    if known is not None:
        require_known(value, known)
    return value


def require_known(sent: Mapping[str, Any], known: Container[str]) -> None:
    """Refuse an object with a member of another name, which may be a known one misspelt. Raises `InvalidRequest`."""
    if any(name not in known for name in sent):
        raise InvalidRequest("A member has a name that this endpoint does not know.")
