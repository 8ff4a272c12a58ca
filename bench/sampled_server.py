"""`authsrv serve` that can look at itself: SIGUSR1 begins, SIGUSR2 ends and writes what was seen to a file.

Run as `python -m bench.sampled_server FILE CONFIG`. Each millisecond of CPU it notes in which part of the server the
loop's thread is, and what CPU that thread took since the last look: while it waits for another thread, none. What the
others spend is counted apart by the caller.
"""

import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from authsrv.__main__ import main as authsrv
from bench.areas import area_of

INTERVAL = 0.001


class Sampler:
    """Adds up the nanoseconds of each part."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: Counter[str] = Counter()
        self._looked = 0

    def begin(self, _: int, __: FrameType | None) -> None:
        """Look from now on."""
        self._seen.clear()
        self._looked = time.thread_time_ns()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def end(self, _: int, __: FrameType | None) -> None:
        """Write it down. The file is whole as soon as it is there."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._seen))
        written.rename(self._file)

    def _look(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time_ns()
        self._seen[area_of(frame)] += now - self._looked
        self._looked = now


def main() -> None:
    file, config = sys.argv[1:]
    sampler = Sampler(Path(file))
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, sampler.end)
    sys.argv = ["authsrv", "serve", "--config", config]
    authsrv()


if __name__ == "__main__":
    main()
