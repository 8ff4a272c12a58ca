"""How the page's programs rest in a test: ten times as short."""

import asyncio


async def hurry(seconds: float) -> None:
    await asyncio.sleep(seconds / 10)
