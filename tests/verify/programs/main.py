"""Asks the snippet of the documentation about each token that comes in a line."""

import asyncio
import sys

from tokens import player_of, verifier  # type: ignore[import-not-found]  # the page's program

from authsrv.verify import AccessTokenError, Unavailable


async def answer(token: str) -> str:
    try:
        return f"player {await player_of(token)}"
    except Unavailable:
        return "unavailable"
    except AccessTokenError:
        return "refused"


async def main() -> None:
    async with verifier:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await answer(line.strip()), flush=True)  # noqa: T201 - a program


asyncio.run(main())
