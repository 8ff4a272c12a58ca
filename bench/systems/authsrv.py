"""authsrv itself on SQLite, with the platforms on the load generator's core."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from bench.emulator import HEALTH
from bench.orders import Requests
from bench.seed import HOST, Site, fill, migrate, write_config
from bench.servers import AUTHSRV, ServerProcess
from bench.systems.authsrv_requests import CODES_FOR_ACCESS, other_requests
from bench.systems.base import Cores, Running, Wanted
from bench.systems.token_requests import Asked, token_requests
from bench.workloads import Algorithm, Workload


class Authsrv:
    """One `serve` on SQLite."""

    name = "authsrv, SQLite"
    durability = "SQLite, WAL, synchronous=FULL"

    site: Site
    _asked: Asked

    def install(self, cache: Path) -> str:
        """Nothing to do: it is what this repository holds."""
        return f"authsrv {version('authsrv')}"

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`."""
        self.prepare_on(f"sqlite:///{directory / 'authsrv.db'}", directory, wanted)

    def prepare_on(self, database: str, directory: Path, wanted: Wanted) -> None:
        """With the database of this URL."""
        self.site = Site.on_free_ports(directory, database)
        write_config(self.site)
        migrate(self.site)
        seeds = asyncio.run(fill(self.site, replace(wanted, codes=wanted.codes + CODES_FOR_ACCESS)))
        self._asked = {**token_requests(seeds), **other_requests(self.site, seeds)}

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        with self.emulator(cores.load) as emulator, self.server(cores.server) as server:
            yield Running(server, self.site.port, HOST, {"emulator": emulator.tree})

    def server(self, core: set[int]) -> ServerProcess:
        """The server alone, to be started."""
        command = [AUTHSRV, "serve", "--config", str(self.site.config)]
        return ServerProcess(command, self.site.port, self.site.directory / "authsrv.log", core)

    def emulator(self, core: set[int]) -> ServerProcess:
        """The platforms, to be started; a starting server fetches keys from them."""
        port, log = self.site.emulator_port, self.site.directory / "emulator.log"
        command = [sys.executable, "-m", "bench.emulator", str(self.site.emulator_keys), str(port)]
        return ServerProcess(command, port, log, core, path=HEALTH)

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None
