"""`/health/live` and `/health/ready`: for process managers and load balancers.

They tell a state, names of parts and how each is, never a version, an address or anything about a player.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.serving.readiness import Readiness

Endpoint = Callable[[Request], Awaitable[Response]]

_RETRY_AFTER = "5"


async def live(_request: Request) -> Response:
    """200 as long as the event loop turns."""
    return JSONResponse({"status": "live"})


def ready(readiness: Readiness) -> Endpoint:
    """An endpoint that answers 200 while traffic is welcome, 503 while starting, draining or failing."""

    async def answer(_request: Request) -> Response:
        report = await readiness.report()
        body = {
            "status": report.state,
            "failed": list(report.failed),
            "degraded": list(report.degraded),
            "parts": dict(report.parts),
        }
        if report.ready:
            return JSONResponse(body)
        return JSONResponse(body, status_code=503, headers={"Retry-After": _RETRY_AFTER})

    return answer
