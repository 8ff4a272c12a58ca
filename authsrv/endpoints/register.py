"""`/oauth2/register` and the address of each registered client: parse, call, answer (RFC 7591, RFC 7592)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.endpoints.bearer import bearer_in_header
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.json_objects import read_object
from authsrv.errors import InvalidClientMetadata
from authsrv.oauth.registration.management import ClientManagement, ManagementCall
from authsrv.oauth.registration.registrar import Registrar

MAX_BODY = 64 * 1024


class RegistrationEndpoint:
    """Registers a client, where some project lets it."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar

    def is_there(self) -> bool:
        """Whether this server has the endpoint at present."""
        return self._registrar.is_open

    async def __call__(self, request: Request) -> Response:
        """201 with what was registered. Who may not register learns it before the body is read."""
        admission = self._registrar.admit(bearer_in_header(request), sender(request))
        sent = await read_object(request, MAX_BODY, InvalidClientMetadata)
        return JSONResponse(await self._registrar.register(admission, sent), 201)


class ManagementEndpoint:
    """Lets a registered client read, replace and delete what it registered."""

    def __init__(self, management: ClientManagement) -> None:
        self._management = management

    def is_there(self) -> bool:
        """Whether this server has the endpoint at present."""
        return self._management.is_open

    async def __call__(self, request: Request) -> Response:
        """GET and PUT answer with the registration, DELETE with 204."""
        call = ManagementCall(request.path_params["client_id"], bearer_in_header(request), sender(request))
        if request.method == "DELETE":
            await self._management.delete(call)
            return Response(status_code=204)
        if request.method == "GET":
            return JSONResponse(await self._management.read(call))
        sent = await read_object(request, MAX_BODY, InvalidClientMetadata)
        return JSONResponse(await self._management.update(call, sent))
