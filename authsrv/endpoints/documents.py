"""Documents that their readers keep: sent with an entity tag, and not again to those who have them.

Owns RFC 9110 sections 8.8.3 and 13. Knows no document's content.
"""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response


class Document:
    """One state of a document; a changed one is another."""

    def __init__(self, body: bytes, media_type: str, cache_control: str) -> None:
        self._body = body
        self._media_type = media_type
        self._etag = f'"{sha256(body).hexdigest()[:32]}"'
        self._headers = {"cache-control": cache_control, "etag": self._etag}

    def answer(self, request: Request) -> Response:
        """The document, or 304 when the client has it."""
        if self._is_known(request):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, media_type=self._media_type, headers=self._headers)

    def _is_known(self, request: Request) -> bool:
        """If-None-Match is a list of tags that are compared weakly, or `*` (section 13.1.2)."""
        tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        return self._etag in tags or "*" in tags
