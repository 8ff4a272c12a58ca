"""Gates: everybody waits before or after a step until all have come, so that a race happens each time. And pauses of
random length around a step, so that races of every kind happen.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Gate:
    """Lets nobody through until `parties` have arrived; after that everybody at once."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._arrived = 0
        self._open = asyncio.Event()

    @property
    def arrived(self) -> int:
        """How many came, the late ones included."""
        return self._arrived

    async def wait(self) -> None:
        self._arrived += 1
        if self._arrived >= self._parties:
            self._open.set()
        await self._open.wait()

    def after(self, step: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """The step, with the gate behind it: whoever read waits until all have read."""

        async def gated(*args: P.args, **kwargs: P.kwargs) -> T:
            result = await step(*args, **kwargs)
            await self.wait()
            return result

        return gated


class Pauses:
    """Lets the other tasks run for some turns, as many as chance wants."""

    def __init__(self, chance: Random, most: int) -> None:
        self._chance = chance
        self._most = most

    async def pause(self) -> None:
        for _ in range(self._chance.randint(0, self._most)):
            await asyncio.sleep(0)

    def around(self, step: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """The step, with a pause before it and one behind it."""

        async def paused(*args: P.args, **kwargs: P.kwargs) -> T:
            await self.pause()
            result = await step(*args, **kwargs)
            await self.pause()
            return result

        return paused
