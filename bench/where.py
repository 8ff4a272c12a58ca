"""Where the time of a request goes: the application in this process, without HTTP.

Run as `python -m bench.where KIND [REQUESTS]` for a profile by cProfile, which makes Python code look dearer than it is
and sees neither the protocol nor the threads of the database and the log; with `--cost`, for the CPU time of all
threads without a profiler, the least of several rounds.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import uvloop

from bench.inside import KINDS, cpu_of, inside

WARM_UP = 100
ROUNDS = 5
SHOWN = 120
ORDER = "cumtime"


async def profile(directory: Path, kind: str, count: int) -> None:
    found = await inside(directory, count + WARM_UP)
    async with found.application() as app:
        calls = await found.calls(app, kind, count + WARM_UP)
        for call in calls[:WARM_UP]:
            await call()
        began = time.process_time()
        with cProfile.Profile() as profiler:
            for call in calls[WARM_UP:]:
                await call()
        print(f"{kind}: {(time.process_time() - began) / count * 1e6:.0f} us of CPU per request under the profiler")
        pstats.Stats(profiler).sort_stats(ORDER).print_stats(SHOWN)


async def cost(directory: Path, kind: str, count: int) -> None:
    found = await inside(directory, ROUNDS * count + WARM_UP)
    async with found.application() as app:
        calls = await found.calls(app, kind, ROUNDS * count + WARM_UP)
        await cpu_of(calls[:WARM_UP])
        starts = range(WARM_UP, len(calls), count)
        rounds = [await cpu_of(calls[start : start + count]) for start in starts]
    print(f"{kind}: {min(rounds) * 1e6:.0f} us of CPU per request, the least of {ROUNDS} rounds of {count}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("kind", choices=KINDS)
    arguments.add_argument("requests", nargs="?", type=int, default=1000)
    arguments.add_argument("--cost", action="store_true", help="without a profiler")
    asked = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="authsrv-bench-") as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run((cost if asked.cost else profile)(Path(directory), asked.kind, asked.requests))


if __name__ == "__main__":
    main()
