"""`GET /api/blank`: the empty page that game SDKs use as a redirect address nobody looks at."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


async def blank(_: Request) -> Response:
    """200 and nothing."""
    return HTMLResponse("")
