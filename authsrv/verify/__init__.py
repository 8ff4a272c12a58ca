"""What a game's backend imports to check access tokens of authsrv by itself: `docs/verifying-tokens.md`.

A part of its own: it knows the server's documents, its tokens and its revocation feed, and nothing of the server.
Importing it loads PyJWT and cryptography; httpx is loaded by the first request, Starlette by `authsrv.verify.web`.
"""

from authsrv.verify.checks import Rules, check_access_token
from authsrv.verify.errors import AccessTokenError, InsufficientScope, InvalidToken, Unavailable
from authsrv.verify.feed import Feed, read_feed
from authsrv.verify.fetch import Fetch, Fetched, FetchError, HttpFetch
from authsrv.verify.keys import Key, Keys, read_key_set
from authsrv.verify.tokens import AccessToken
from authsrv.verify.verifier import Verifier

__all__ = [
    "AccessToken",
    "AccessTokenError",
    "Feed",
    "Fetch",
    "FetchError",
    "Fetched",
    "HttpFetch",
    "InsufficientScope",
    "InvalidToken",
    "Key",
    "Keys",
    "Rules",
    "Unavailable",
    "Verifier",
    "check_access_token",
    "read_feed",
    "read_key_set",
]
