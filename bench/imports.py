"""What the imports of a start cost, summed by library, as Python itself tells it by `-X importtime`.

Owns these starts and the sums. How long a start takes without the telling is for `starts.py`.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.findings import Finding
from bench.servers import AUTHSRV, ServerProcess
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted

IMPORTS = "imports, "
"""What the names of these findings begin with."""
STANDARD = "Python's own library"
REST = "all others"
BESIDE = "everything else"
"""The interpreter, the configuration, the storage, the first answer, and the telling."""
WHOLE = "in all, while told"
_LARGEST = 12
_LINE = re.compile(r"import time: +(?P<us>[0-9]+) \| +[0-9]+ \| +(?P<module>\S+)")


class Imports:
    """Starts to the first 200 that tell their imports. The quickest one counts, so that all lines add up."""

    name = "imports"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        system, count = _Telling(), 2 if quick else 9
        system.prepare(directory, Wanted(0, 0, players=1))
        with system.emulator(cores.load):
            starts = [_start(system, cores.server) for _ in range(count + 1)][1:]
        return findings(min(starts, key=lambda one: one.seconds))


@dataclass(frozen=True, slots=True)
class Told:
    """One start: seconds to the first 200, and what was written until then."""

    seconds: float
    text: str


class _Telling(Authsrv):
    """authsrv that writes each import to its log, with the time it took."""

    def server(self, core: set[int]) -> ServerProcess:
        """Of `Authsrv`."""
        command = [sys.executable, "-X", "importtime", AUTHSRV, "serve", "--config", str(self.site.config)]
        return ServerProcess(command, self.site.port, self.log, core)

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.site.directory / "authsrv.log"


def _start(system: _Telling, core: set[int]) -> Told:
    with system.server(core) as process:
        return Told(process.start.seconds, system.log.read_text(encoding="utf-8"))


def findings(told: Told) -> list[Finding]:
    """Milliseconds of each of the largest libraries, of all others, of what is no import, and of all of it."""
    took = milliseconds(told.text)
    largest = sorted(took, key=took.__getitem__, reverse=True)[:_LARGEST]
    lines = {library: took[library] for library in largest}
    imports, whole = sum(took.values()), told.seconds * 1000
    lines |= {REST: imports - sum(lines.values()), BESIDE: whole - imports, WHOLE: whole}
    return [Finding(f"{IMPORTS}{name}", [value], "ms") for name, value in lines.items()]


def milliseconds(text: str) -> Mapping[str, float]:
    """What the modules of each library took themselves, without what they import."""
    took: dict[str, float] = {}
    for line in _LINE.finditer(text):
        library = _library(line["module"])
        took[library] = took.get(library, 0.0) + int(line["us"]) / 1000
    return took


def _library(module: str) -> str:
    package = module.partition(".")[0]
    return STANDARD if package in sys.stdlib_module_names else package
