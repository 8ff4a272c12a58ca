"""`POST /oauth2/revoke` and the revocation feed `GET /oauth2/revocations`: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.documents import Document
from authsrv.endpoints.token import MAX_BODY_WITH_TOKEN, read_client_request
from authsrv.oauth.feed import RevocationFeed
from authsrv.oauth.revocation import PARAMETERS, Revocation

MEDIA_TYPE = "application/revocations+jwt"


class RevocationEndpoint:
    """Ends a token; the answer is empty whether there was one or not (RFC 7009 section 2.2)."""

    def __init__(self, revocation: Revocation) -> None:
        self._revocation = revocation

    async def __call__(self, request: Request) -> Response:
        """Revoke."""
        await self._revocation.revoke(await read_client_request(request, PARAMETERS, MAX_BODY_WITH_TOKEN))
        return Response()


class FeedEndpoint:
    """Serves the feed. Caches on the way ask every time, or a ban would take their time too."""

    def __init__(self, feed: RevocationFeed) -> None:
        self._feed = feed
        self._take("")

    async def __call__(self, request: Request) -> Response:
        """The feed, or 304 when the verifier has it."""
        signed = await self._feed.current()
        if signed is not self._served:
            self._take(signed)
        return self._document.answer(request)

    def _take(self, signed: str) -> None:
        """Keep the bytes and their tag: of a feed with many entries each poll would pay for them."""
        self._served, self._document = signed, Document(signed.encode(), MEDIA_TYPE, "no-cache")
