"""Documents that their readers keep: sent with an entity tag, and not again to those who have them.

Owns RFC 9110 sections 8.8.3 and 13. Knows no document's content.
"""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.forms import header_values


class Document:
    """One state of a document; a changed one is another. Both of its answers are made once, and nobody changes them."""

    def __init__(self, body: bytes, media_type: str, cache_control: str) -> None:
        self._etag = f'"{sha256(body).hexdigest()[:32]}"'
        headers = {"cache-control": cache_control, "etag": self._etag}
        self._whole = Response(body, media_type=media_type, headers=headers)
        self._unchanged = Response(status_code=304, headers=headers)

    def answer(self, request: Request) -> Response:
        """The document, or 304 when the client has it."""
        return self._unchanged if self._is_known(request) else self._whole

    def _is_known(self, request: Request) -> bool:
        """If-None-Match is a list of tags that are compared weakly, or `*` (section 13.1.2)."""
        named = [tag for value in header_values(request, b"if-none-match") for tag in value.split(b",")]
        tags = {tag.strip().removeprefix(b"W/") for tag in named}
        return self._etag.encode() in tags or b"*" in tags
