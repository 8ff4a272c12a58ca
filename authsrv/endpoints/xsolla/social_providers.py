"""`/api/users/me/social_providers` and what is below it: parse, call, answer."""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.accounts.social_providers import SocialProviders
from authsrv.endpoints import dialects
from authsrv.endpoints.me import OwnSession, read_query


class SocialProvidersEndpoint:
    """Lists the platform accounts of a game's player."""

    def __init__(self, session: OwnSession, providers: SocialProviders) -> None:
        self._session = session
        self._providers = providers

    async def __call__(self, request: Request) -> Response:
        """A bare array."""
        return dialects.XSOLLA.success(await self._providers.listed(await self._session(request)))


class LinkUrlEndpoint:
    """Gives a game the address to open in a browser for linking an account of a platform."""

    def __init__(self, session: OwnSession, providers: SocialProviders) -> None:
        self._session = session
        self._providers = providers

    async def __call__(self, request: Request) -> Response:
        """`{"url"}`, good once and for ten minutes."""
        session = await self._session(request)
        return_to = read_query(request, {"login_url"}).get("login_url", "")
        url = await self._providers.link_url(session, request.path_params["provider"], return_to)
        return dialects.XSOLLA.success({"url": url})


class SocialProviderEndpoint:
    """Takes the accounts of one platform from a game's player."""

    def __init__(self, session: OwnSession, providers: SocialProviders) -> None:
        self._session = session
        self._providers = providers

    async def __call__(self, request: Request) -> Response:
        """204."""
        await self._providers.unlink(await self._session(request), request.path_params["provider"])
        return Response(status_code=204)
