"""`/v1/users/{sub}` and what is below it, for servers of the studio: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.managed import ManagedPlayers
from authsrv.accounts.managed_bans import ManagedBans, Term
from authsrv.accounts.naming import Wanted
from authsrv.endpoints.managing import Managing
from authsrv.models import BarKind
from authsrv.oauth.parameters import boolean


class UserEndpoint:
    """`GET /v1/users/{sub}`."""

    def __init__(self, managing: Managing, players: ManagedPlayers) -> None:
        self._managing = managing
        self._players = players

    async def __call__(self, request: Request) -> Response:
        """The player that a `sub` stands for now."""
        call = await self._managing(request)
        return JSONResponse(await self._players.show(request.path_params["sub"], call.client.project))


class TransferEndpoint:
    """`POST /v1/users/{sub}/transfer`."""

    def __init__(self, managing: Managing, players: ManagedPlayers) -> None:
        self._managing = managing
        self._players = players

    async def __call__(self, request: Request) -> Response:
        """A platform account of the player becomes another one's, who is named by `to`."""
        call = await self._managing(request, frozenset({"to", "provider", "subject", "kind", "environment"}))
        wanted = Wanted(
            call.required("provider"), call.required("subject"), call.sent.get("kind"), call.sent.get("environment")
        )
        giver, taker = request.path_params["sub"], call.required("to")
        return JSONResponse(await self._players.transfer(giver, wanted, taker, call.order))


class MergeEndpoint:
    """`POST /v1/users/{sub}/merge`."""

    def __init__(self, managing: Managing, players: ManagedPlayers) -> None:
        self._managing = managing
        self._players = players

    async def __call__(self, request: Request) -> Response:
        """The player becomes part of another one, who is named by `into`."""
        call = await self._managing(request, frozenset({"into", "drop_duplicates"}))
        drop = boolean(call.sent, "drop_duplicates", default=False)
        loser, survivor = request.path_params["sub"], call.required("into")
        return JSONResponse(await self._players.merge(loser, survivor, call.order, drop_duplicates=drop))


class BanEndpoint:
    """`POST /v1/users/{sub}/ban` and `/restrict`."""

    def __init__(self, managing: Managing, bans: ManagedBans, kind: BarKind) -> None:
        self._managing = managing
        self._bans = bans
        self._kind = kind

    async def __call__(self, request: Request) -> Response:
        """The player is kept out, until a time, for so many seconds, or for good."""
        call = await self._managing(request, frozenset({"until", "seconds"}))
        term = Term(call.sent.get("until", ""), call.sent.get("seconds", ""))
        return JSONResponse(await self._bans.ban(request.path_params["sub"], self._kind, term, call.order))


class LiftEndpoint:
    """`POST /v1/users/{sub}/unban` and `/unrestrict`."""

    def __init__(self, managing: Managing, bans: ManagedBans, kind: BarKind) -> None:
        self._managing = managing
        self._bans = bans
        self._kind = kind

    async def __call__(self, request: Request) -> Response:
        """Everything of that kind is lifted, or the one `ban`."""
        call = await self._managing(request, frozenset({"ban"}))
        ban, sub = call.sent.get("ban", ""), request.path_params["sub"]
        return JSONResponse(await self._bans.lift(sub, self._kind, ban, call.order))
