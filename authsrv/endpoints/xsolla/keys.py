"""`GET /api/projects/{id}/keys`: the public keys for Xsolla's server SDKs."""

from collections.abc import Callable, Collection

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.discovery import KeySetEndpoint
from authsrv.errors import NotFound

CACHE = "public, max-age=60"
"""Short, because Xsolla's Go SDK trusts the first key alone, and keeps the list for ten minutes by itself."""


class ProjectKeysEndpoint:
    """The keys of the server at the address of each of its projects. `project_ids` gives those there are now."""

    def __init__(self, keys: KeySetEndpoint, project_ids: Callable[[], Collection[str]]) -> None:
        self._keys = keys
        self._project_ids = project_ids

    async def __call__(self, request: Request) -> Response:
        """The keys, or 304 when the server has them."""
        if request.path_params["id"] not in self._project_ids():
            raise NotFound("No project of this server has this id.", reason="unknown_project")
        return await self._keys(request)
