"""Request bodies in JSON, for the few endpoints that take them: an object, read strictly.

Knows no member's meaning; `authsrv.endpoints.forms` has the limits of reading.
"""

import re
from typing import Any

from starlette.requests import Request

from authsrv.endpoints.forms import DEFAULT_LIMIT, header_values, read_body, require_identity_coding
from authsrv.errors import InvalidRequest, UnsupportedMediaType
from authsrv.platforms.strict_json import strict_json

_JSON_TYPE = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object of at most `limit` bytes.

    Raises `UnsupportedMediaType` unless the type is application/json in UTF-8, `InvalidRequest` for anything that is
    no strict JSON object, and whatever `read_body` does.
    """
    types = header_values(request, b"content-type")
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0]):
        raise UnsupportedMediaType("Send the body as application/json.")
    require_identity_coding(request)
    return parse_object(await read_body(request, limit))


def parse_object(raw: bytes) -> dict[str, Any]:
    """A strict JSON object. Raises `InvalidRequest`."""
    try:
        value = strict_json(raw)
    except ValueError:
        raise InvalidRequest("The body is not strict JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return value


def text_member(members: dict[str, Any], name: str, *, limit: int = DEFAULT_LIMIT) -> str:
    """A member that must be text; empty if absent. Raises `InvalidRequest` naming the member."""
    value = members.get(name, "")
    if not isinstance(value, str) or "\0" in value:
        raise InvalidRequest("A member of the body must be text.", parameter=name)
    if len(value) > limit:
        raise InvalidRequest("A member of the body is longer than this server accepts.", parameter=name)
    return value
