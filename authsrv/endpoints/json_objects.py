"""Request bodies in JSON: one strict object, of a limited size. Knows no member's meaning."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from authsrv.endpoints.forms import header_values, read_body, require_identity_coding
from authsrv.errors import InvalidClientMetadata, UnsupportedMediaType
from authsrv.strict_json import strict_json

_JSON_TYPE = re.compile(rb'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE)


async def read_object(request: Request, limit: int) -> Mapping[str, Any]:
    """The body as a JSON object of at most `limit` bytes, in which no name repeats.

    Raises `UnsupportedMediaType` for another type, charset or coding, `InvalidClientMetadata` for what is no such
    object, and whatever `read_body` does.
    """
    types = header_values(request, b"content-type")
    if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0]):
        raise UnsupportedMediaType("Send the metadata as application/json.")
    require_identity_coding(request)
    body = await read_body(request, limit)
    try:
        found = strict_json(body)
    except ValueError as error:
        raise _unreadable(str(error)) from None
    if not isinstance(found, dict):
        raise _unreadable("no object")
    return found


def _unreadable(detail: str) -> InvalidClientMetadata:
    return InvalidClientMetadata("The body is no JSON object in UTF-8, or a name repeats in it.", detail=detail)
