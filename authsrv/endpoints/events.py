"""`/v1/events/{id}/undo`, for servers of the studio and for players: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.managed import ManagedPlayers
from authsrv.endpoints.managing import Managing, read_members
from authsrv.endpoints.me import OwnSession
from authsrv.endpoints.token import authorization
from authsrv.oauth.parameters import boolean


class UndoEndpoint:
    """Takes back what was done to accounts. A player shows an access token, a server authenticates its client."""

    def __init__(self, session: OwnSession, managing: Managing, players: ManagedPlayers) -> None:
        self._session = session
        self._managing = managing
        self._players = players

    async def __call__(self, request: Request) -> Response:
        """What is left, or with `preview` what would be."""
        event = request.path_params["event"]
        if not authorization(request).lower().startswith("bearer "):
            call = await self._managing(request)
            return JSONResponse(await self._players.undo(event, call.order))
        session = await self._session(request)
        sent = await read_members(request, frozenset({"preview"}))
        preview = boolean(sent, "preview", default=False)
        return JSONResponse(await self._players.undo_own(event, session, preview=preview))
