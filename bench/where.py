"""Where the time of a request goes: cProfile over the application in this process, without HTTP.

Run as `python -m bench.where exchange|refresh|client_credentials|discovery [REQUESTS]`. The profiler
makes Python code look dearer than it is, and sees neither the protocol nor the threads of the database and the log.
"""

import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from starlette.types import Message

from authsrv import config as configuration
from authsrv.app import Application, World, create_app
from bench.forms import client_credentials, exchange, refresh
from bench.seed import HOST, Seeds, Site, fill, migrate, write_config
from bench.site import BACKENDS, GAMES
from bench.systems.base import Wanted

WARM_UP = 50
SHOWN = 90
ORDER = "cumtime"


class Call:
    """One request to the application."""

    def __init__(self, app: Application, method: str, path: str, form: dict[str, str] | None = None) -> None:
        self._app = app
        self._body = urlencode(form or {}).encode()
        kind, length = b"application/x-www-form-urlencoded", str(len(self._body)).encode()
        form_headers = [(b"content-type", kind), (b"content-length", length)] if form else []
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"host", HOST.encode()), *form_headers],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
        }

    async def __call__(self) -> None:
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._body}

    async def _send(self, message: Message) -> None:
        if message.get("status", 200) != 200:
            raise SystemExit(f"the application answered {message['status']}")


async def profile(site: Site, kind: str, count: int) -> None:
    every = count + WARM_UP
    seeds = await fill(site, Wanted(every, every))
    app = create_app(configuration.load(site.config), World())
    async with app.router.lifespan_context(app):
        calls = _calls(app, kind, seeds, every)
        for call in calls[:WARM_UP]:
            await call()
        began = time.process_time()
        with cProfile.Profile() as profiler:
            for call in calls[WARM_UP:]:
                await call()
        print(f"{kind}: {(time.process_time() - began) / count * 1e6:.0f} us of CPU per request under the profiler")
        pstats.Stats(profiler).sort_stats(ORDER).print_stats(SHOWN)


def _calls(app: Application, kind: str, seeds: Seeds, count: int) -> Sequence[Call]:
    if kind == "discovery":
        return [Call(app, "GET", "/.well-known/openid-configuration") for _ in range(count)]
    game = GAMES["RS256"]
    forms = {
        "exchange": [exchange(game, code.text) for code in seeds.codes[game]],
        "refresh": [refresh(game, token.text) for token in seeds.refresh_tokens[game]],
        "client_credentials": [client_credentials(BACKENDS["ES256"])] * count,
    }[kind]
    return [Call(app, "POST", "/oauth2/token", form) for form in forms]


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    with tempfile.TemporaryDirectory(prefix="authsrv-bench-") as directory:
        site = Site(Path(directory), 8080, 9, f"sqlite:///{directory}/authsrv.db")
        write_config(site)
        migrate(site)
        asyncio.run(profile(site, kind, count))


if __name__ == "__main__":
    main()
