"""`POST /gamesparks/...ConnectRequest`: parse, call, answer. The driver is that of `/v1/identity/connect`."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.arrivals import Arrived
from authsrv.accounts.connecting import ConnectCall, Connector
from authsrv.endpoints.connect_calls import call_of, idempotency_key
from authsrv.endpoints.forms import LIMITS
from authsrv.endpoints.gamesparks.requests import ANSWER, FLAGS, PARAMETERS, ConnectRequest
from authsrv.endpoints.json_objects import flag, members, read_object, text
from authsrv.errors import InvalidRequest
from authsrv.platforms.base import Submission

MAX_BODY = 128 * 1024


class GameSparksEndpoint:
    """Serves one of the requests."""

    def __init__(self, connector: Connector, request: ConnectRequest) -> None:
        self._connector = connector
        self._request = request

    async def __call__(self, request: Request) -> Response:
        """The player's token, name and id."""
        sent = await read_object(request, MAX_BODY)
        return JSONResponse(_answer(await self._connector.connect(self._call(request, sent))))

    def _call(self, request: Request, sent: Mapping[str, Any]) -> ConnectCall:
        return ConnectCall(
            call=call_of(request, _client(sent)),
            provider=self._request.provider,
            submitted=self._submission(sent),
            flags={ours: flag(sent, theirs) for theirs, ours in FLAGS.items() if theirs in sent},
            segments=members(sent, "segments") if "segments" in sent else None,
            key=idempotency_key(request),
        )

    def _submission(self, sent: Mapping[str, Any]) -> Submission:
        value = text(sent, self._request.credential, LIMITS["session_ticket"])
        if not value:
            raise InvalidRequest(f"Send the {self._request.credential}.", parameter="credential")
        sandbox = text(sent, "sandbox") if self._request.has_sandbox else ""
        return Submission(kind=self._request.kind, value=value, sandbox=sandbox)


def _client(sent: Mapping[str, Any]) -> Mapping[str, str]:
    named = {ours: text(sent, theirs) for ours, theirs in PARAMETERS.items()}
    return {name: value for name, value in named.items() if value}


def _answer(arrived: Arrived) -> dict[str, Any]:
    player = arrived.account.player
    return {
        "@class": ANSWER,
        "authToken": arrived.given,
        "displayName": player.display_name,
        "newPlayer": arrived.arrival.outcome == "created",
        "scriptData": {},
        "userId": player.sub,
    }
