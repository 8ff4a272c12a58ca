"""Which route answers an address: fixed addresses by one look-up, those with parameters by Starlette's router.

Starlette tries its routes one after the other, so the last of some fifty would wait for fifty regular expressions.
Knows no path.
"""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send


class RouteTable:
    """The routes as one ASGI application; `default` answers every other address."""

    def __init__(self, routes: Sequence[BaseRoute], default: ASGIApp) -> None:
        # The first of two counts, as it does in the router.
        self._fixed = {one.path: one for one in reversed(routes) if isinstance(one, Route) and not one.param_convertors}
        others = [one for one in routes if not isinstance(one, Route) or one.param_convertors]
        self._router = Router(others, redirect_slashes=False, default=default)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and leave the route in its scope."""
        route = self._fixed.get(scope["path"])
        if route is None:
            await self._router(scope, receive, send)
            return
        scope["route"] = route
        await route.handle(scope, receive, send)
