"""How late the event loop is: whatever holds it up holds up every request.

Owns the measuring. Knows nothing of what holds it up.
"""

import asyncio

from authsrv.metrics.figures import Spread

INTERVAL = 0.25
"""Seconds between two looks."""


class LoopLag:
    """Rests for a while, again and again, and looks how much later than that it wakes."""

    def __init__(self) -> None:
        self.seconds = Spread()

    async def run(self) -> None:
        """Measure for ever; cancel it to end it."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.seconds.observe(max(0.0, loop.time() - due))
