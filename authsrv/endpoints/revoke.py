"""`POST /oauth2/revoke` and the revocation feed `GET /oauth2/revocations`: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.discovery import etag_of, is_known
from authsrv.endpoints.token import read_client_request
from authsrv.oauth.feed import RevocationFeed
from authsrv.oauth.revocation import PARAMETERS, Revocation


class RevocationEndpoint:
    """Ends a token; the answer is empty whether there was one or not (RFC 7009 section 2.2)."""

    def __init__(self, revocation: Revocation) -> None:
        self._revocation = revocation

    async def __call__(self, request: Request) -> Response:
        """Revoke."""
        await self._revocation.revoke(await read_client_request(request, PARAMETERS))
        return Response()


class FeedEndpoint:
    """Serves the feed. Caches on the way ask every time, or a ban would take their time too."""

    def __init__(self, feed: RevocationFeed) -> None:
        self._feed = feed

    async def __call__(self, request: Request) -> Response:
        """The feed, or 304 when the verifier has it."""
        body = (await self._feed.current()).encode()
        headers = {"cache-control": "no-cache", "etag": etag_of(body)}
        if is_known(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/revocations+jwt", headers=headers)
