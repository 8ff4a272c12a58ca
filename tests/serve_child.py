"""A small application under `authsrv.serving.serve`, a process of its own, whose lines test_serve.py reads."""

import asyncio
import logging
import signal
import sys

from starlette.types import ASGIApp, Receive, Scope, Send

from authsrv.serving.readiness import Readiness
from authsrv.serving.serve import serve


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Child:
    def __init__(self, readiness: Readiness, fault: str) -> None:
        self.readiness = readiness
        self.fault = fault
        self.released = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        if scope["path"] == "/slow":
            say("slow")
            await self.released.wait()
        if scope["path"] == "/pause":
            await asyncio.sleep(0.3)  # longer than the server takes to notice that it should stop listening
        status = 200 if scope["path"] != "/ready" or (await self.readiness.report()).ready else 503
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self.fault == "startup":
            raise RuntimeError("no database")
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.released.set)
        self.readiness.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say("closed")
        await send({"type": "lifespan.shutdown.complete"})


async def reload() -> None:
    say("reload")
    raise ValueError("line 3 is wrong")


def main(port: str, drain: str, graceful: str, loop: str, fault: str) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    readiness = Readiness()

    def factory() -> ASGIApp:
        say("loop", type(asyncio.get_running_loop()).__module__.partition(".")[0])
        return Child(readiness, fault)

    return serve(
        factory,
        host="127.0.0.1",
        port=int(port),
        readiness=readiness,
        drain_seconds=float(drain),
        graceful_seconds=float(graceful),
        on_ready=lambda host, number: say("ready", host, number),
        on_reload=reload,
        loop_factory=asyncio.new_event_loop if loop == "asyncio" else None,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
