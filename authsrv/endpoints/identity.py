"""`/v1/identity/connect` and `/v1/identity/continue`: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.answers import ConnectAnswers
from authsrv.accounts.connecting import Connector
from authsrv.accounts.continuing import Answer, Continuing
from authsrv.endpoints.connect_calls import read_call, read_connect
from authsrv.endpoints.json_objects import read_object, require_known, text
from authsrv.oauth.clients import CLIENT_PARAMETERS

MAX_BODY = 128 * 1024
"""An XSTS token has up to 64 KiB, and JSON may write a character as six."""

_CHOICE = CLIENT_PARAMETERS | {"continuation_token", "choice", "survivor"}
_LONGEST_TOKEN = 16 * 1024


class ConnectEndpoint:
    """Connects a platform account to a player."""

    def __init__(self, connector: Connector, answers: ConnectAnswers) -> None:
        self._connector = connector
        self._answers = answers

    async def __call__(self, request: Request) -> Response:
        """Where the player is now; with `preview`, where they would be."""
        call = read_connect(request, await read_object(request, MAX_BODY))
        if call.preview:
            return JSONResponse(await self._connector.preview(call))
        return JSONResponse(self._answers.told(await self._connector.connect(call)))


class ContinueEndpoint:
    """Takes the player's choice."""

    def __init__(self, continuing: Continuing, answers: ConnectAnswers) -> None:
        self._continuing = continuing
        self._answers = answers

    async def __call__(self, request: Request) -> Response:
        """Where the player is now."""
        sent = await read_object(request, MAX_BODY)
        require_known(sent, _CHOICE)
        token = text(sent, "continuation_token", _LONGEST_TOKEN)
        answer = Answer(read_call(request, sent), token, text(sent, "choice"), text(sent, "survivor"))
        return JSONResponse(self._answers.told(await self._continuing.proceed(answer)))
