"""The platforms of a run: authsrv's emulator, with a Steam in front that confirms every ticket at once.

A silent login is one call to Steam's Web API; what the platform itself takes for it is not what is measured. Run as
`python -m bench.emulator KEYS PORT`.
"""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.emulator import host
from authsrv.emulator.app import create_emulator
from bench.credentials import steam_player

AUTHENTICATE = "/steam/partner/ISteamUserAuth/AuthenticateUserTicket/v1/"
HEALTH = "/emulator/health"


class InstantSteam:
    """Answers `AuthenticateUserTicket` for whomever the ticket names, and leaves the rest to the emulator."""

    def __init__(self, rest: ASGIApp) -> None:
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] != AUTHENTICATE:
            await self._rest(scope, receive, send)
            return
        body = _confirmation(dict(parse_qsl(scope["query_string"].decode()))["ticket"])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _confirmation(ticket: str) -> bytes:
    player = steam_player(ticket)
    params = {"steamid": player, "ownersteamid": player, "vacbanned": False, "publisherbanned": False}
    return json.dumps({"response": {"params": {"result": "OK", **params}}}).encode()


def main() -> None:
    """Serve until the process is ended."""
    keys, port = sys.argv[1:]
    app = InstantSteam(create_emulator(host.load_or_generate(Path(keys))))
    config = uvicorn.Config(
        app,
        port=int(port),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    asyncio.Runner(loop_factory=config.get_loop_factory()).run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
