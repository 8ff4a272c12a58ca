"""`/v1/guests`, where a device gets the secret by which it is a guest: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.json_objects import read_object, text
from authsrv.oauth.guests import Guests

MAX_BODY = 4 * 1024


class GuestEndpoint:
    """Hands out secrets. `kind` is the name of their kind of credential."""

    def __init__(self, guests: Guests, kind: str) -> None:
        self._guests = guests
        self._kind = kind

    async def __call__(self, request: Request) -> Response:
        """`{"credential": {"type", "value"}}` for the client that the body names. Nothing is kept of it."""
        sent = await read_object(request, MAX_BODY)
        secret = self._guests.new_secret(text(sent, "client_id"), sender(request))
        return JSONResponse({"credential": {"type": self._kind, "value": secret}})
