"""`/v1/me` and what is below it, where players look at their own account: parse, call, answer."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.access import AccountAccess, AccountSession
from authsrv.accounts.naming import Wanted
from authsrv.accounts.own import MOST, PAGE, OwnAccount, Paging
from authsrv.accounts.own_data import OwnData
from authsrv.accounts.own_linking import OwnLinkCodes
from authsrv.accounts.own_unlinking import OwnUnlinking
from authsrv.endpoints.bearer import required_bearer
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import parse_form
from authsrv.endpoints.json_objects import flag, read_object, required_text, text
from authsrv.endpoints.qr_codes import qr_code
from authsrv.errors import InvalidRequest, UriTooLong
from authsrv.oauth.parameters import boolean
from authsrv.records import dataclass

MAX_QUERY = 4 * 1024
MAX_BODY = 4 * 1024
_LIMIT = re.compile(r"[1-9][0-9]{0,2}")


class OwnSession:
    """Whose account a request is about."""

    def __init__(self, access: AccountAccess) -> None:
        self._access = access

    async def __call__(self, request: Request) -> AccountSession:
        """The session of the access token in the Authorization header. Raises `AuthsrvError`."""
        return await self._access.session(required_bearer(request), sender(request))


class OwnAccountEndpoint:
    """`GET /v1/me`, and `DELETE /v1/me`, after which there is no such player."""

    def __init__(self, session: OwnSession, own: OwnAccount, data: OwnData) -> None:
        self._session = session
        self._own = own
        self._data = data

    async def __call__(self, request: Request) -> Response:
        """The account, or that it is gone."""
        session = await self._session(request)
        if request.method == "GET":
            return JSONResponse(await self._own.summary(session))
        sent = read_query(request, {"confirm", "preview"})
        preview = boolean(sent, "preview", default=False)
        return JSONResponse(await self._data.erase(session, sent.get("confirm", ""), preview=preview))


class ExportEndpoint:
    """`GET /v1/me/export`."""

    def __init__(self, session: OwnSession, data: OwnData) -> None:
        self._session = session
        self._data = data

    async def __call__(self, request: Request) -> Response:
        """Everything that is stored about the player, as a file."""
        told = await self._data.export(await self._session(request))
        return JSONResponse(told, headers={"content-disposition": 'attachment; filename="player.json"'})


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


class LinkCodeEndpoint:
    """`/v1/me/links/code`: POST makes a link code, GET tells what became of it."""

    def __init__(self, session: OwnSession, codes: OwnLinkCodes) -> None:
        self._session = session
        self._codes = codes

    async def __call__(self, request: Request) -> Response:
        """The code with its QR code, or its state."""
        session = await self._session(request)
        if request.method == "GET":
            return JSONResponse(await self._codes.state(session))
        issued = await self._codes.issue(session)
        return JSONResponse({**issued, "qr": await qr_code(issued["verification_uri_complete"])})


class UnlinkEndpoint:
    """`DELETE /v1/me/identities/{provider}/{subject}`, and `POST /v1/me/identities/unlink` with the same in its body.

    An address stands in the logs of proxies on the way; a body does not.
    """

    def __init__(self, session: OwnSession, unlinking: OwnUnlinking) -> None:
        self._session = session
        self._unlinking = unlinking

    async def __call__(self, request: Request) -> Response:
        """The account as it is afterwards, or with `preview` as it would be."""
        session = await self._session(request)
        wish = await self._wish(request)
        answer = self._unlinking.preview if wish.preview else self._unlinking.unlink
        return JSONResponse(await answer(session, wish.wanted))

    async def _wish(self, request: Request) -> "_Wish":
        if request.method == "POST":
            return _wish_in_body(await read_object(request, MAX_BODY))
        sent = read_query(request, {"kind", "environment", "preview"})
        wanted = Wanted(
            request.path_params["provider"], request.path_params["subject"], sent.get("kind"), sent.get("environment")
        )
        return _Wish(wanted, boolean(sent, "preview", default=False))


@dataclass(frozen=True, slots=True)
class _Wish:
    wanted: Wanted
    preview: bool


def _wish_in_body(sent: Mapping[str, Any]) -> _Wish:
    wanted = Wanted(
        required_text(sent, "provider"),
        required_text(sent, "subject"),
        text(sent, "kind") if "kind" in sent else None,
        text(sent, "environment") if "environment" in sent else None,
    )
    return _Wish(wanted, flag(sent, "preview"))


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
