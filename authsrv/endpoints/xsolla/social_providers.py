"""`/api/users/me/social_providers` and what is below it: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.social_providers import SocialProviders
from authsrv.endpoints import dialects
from authsrv.endpoints.me import OwnSession


class SocialProvidersEndpoint:
    """Lists the platform accounts of a game's player."""

    def __init__(self, session: OwnSession, providers: SocialProviders) -> None:
        self._session = session
        self._providers = providers

    async def __call__(self, request: Request) -> Response:
        """A bare array."""
        return dialects.XSOLLA.success(await self._providers.listed(await self._session(request)))


class SocialProviderEndpoint:
    """Takes the accounts of one platform from a game's player."""

    def __init__(self, session: OwnSession, providers: SocialProviders) -> None:
        self._session = session
        self._providers = providers

    async def __call__(self, request: Request) -> Response:
        """204."""
        await self._providers.unlink(await self._session(request), request.path_params["provider"])
        return Response(status_code=204)
