"""`authsrv` whose sweeper works when it is told to: SIGUSR1 lets it go on, SIGUSR2 lets it rest after its batch.

Its batches and its pace are the product's; only when it works is decided here. Run as
`python -m bench.switched_sweeper serve --config FILE`.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from authsrv.__main__ import main
from authsrv.jobs.sweeper import INTERVAL, Sweeper


class Switched:
    """A sleep that lasts until the sweeper is wanted, and no interval between two rounds."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._wanted = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._wanted.set)
        loop.add_signal_handler(signal.SIGUSR2, self._wanted.clear)

    async def sleep(self, seconds: float) -> None:
        if seconds < INTERVAL / 2:
            await self._sleep(seconds)
        await self._wanted.wait()


def switched(storage: Any, **given: Any) -> Sweeper:
    """The product's sweeper with such a sleep."""
    return Sweeper(storage, **{**given, "sleep": Switched(given["sleep"]).sleep})


if __name__ == "__main__":
    with patch("authsrv.app.Sweeper", switched):
        main()
