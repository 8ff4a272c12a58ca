"""`/v1/me` and what is below it, where players look at their own account: parse, call, answer."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.access import AccountAccess, AccountSession
from authsrv.accounts.own import MOST, PAGE, OwnAccount, Paging
from authsrv.endpoints.bearer import required_bearer
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form
from authsrv.errors import InvalidRequest, UriTooLong

MAX_QUERY = 4 * 1024
_LIMIT = re.compile(r"[1-9][0-9]{0,2}")


class OwnSession:
    """Whose account a request is about."""

    def __init__(self, access: AccountAccess) -> None:
        self._access = access

    async def __call__(self, request: Request) -> AccountSession:
        """The session of the access token in the Authorization header. Raises `AuthsrvError`."""
        return await self._access.session(required_bearer(request), sender(request))


class OwnAccountEndpoint:
    """`GET /v1/me`."""

    def __init__(self, session: OwnSession, own: OwnAccount) -> None:
        self._session = session
        self._own = own

    async def __call__(self, request: Request) -> Response:
        """The account."""
        return JSONResponse(await self._own.summary(await self._session(request)))


class IdentitiesEndpoint:
    """`GET /v1/me/identities`."""

    def __init__(self, session: OwnSession, own: OwnAccount) -> None:
        self._session = session
        self._own = own

    async def __call__(self, request: Request) -> Response:
        """The platform accounts."""
        return JSONResponse(await self._own.identities(await self._session(request)))


class TimelineEndpoint:
    """`GET /v1/me/timeline`."""

    def __init__(self, session: OwnSession, own: OwnAccount) -> None:
        self._session = session
        self._own = own

    async def __call__(self, request: Request) -> Response:
        """A page of what was done to the account."""
        session = await self._session(request)
        return JSONResponse(await self._own.timeline(session, _paging(read_query(request, {"cursor", "limit"}))))


def read_query(request: Request, names: set[str]) -> Mapping[str, str]:
    """The known parameters of the address. Raises `InvalidRequest` or `UriTooLong`."""
    query = request.scope["query_string"]
    if len(query) > MAX_QUERY:
        raise UriTooLong
    return parse_form(query).take(names)


def _paging(sent: Mapping[str, str]) -> Paging:
    text = sent.get("limit", str(PAGE))
    if not _LIMIT.fullmatch(text) or int(text) > MOST:
        raise InvalidRequest(f"limit is a number from 1 to {MOST}.", parameter="limit")
    return Paging(sent.get("cursor", ""), int(text))
