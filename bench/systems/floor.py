"""The floor as a system: `bench.floor` on a database of its own that is filled as authsrv's is."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.orders import Requests
from bench.seed import HOST, ISSUER, Site, fill, migrate, write_config
from bench.servers import ServerProcess
from bench.systems.base import Cores, Running, Wanted
from bench.systems.token_requests import Asked, token_requests
from bench.workloads import Algorithm, Workload


class Floor:
    """A bare Starlette endpoint that makes the same answers."""

    name = "floor"
    durability = "SQLite, WAL, synchronous=FULL"

    _site: Site
    _database: Path
    _asked: Asked

    def install(self, cache: Path) -> str:
        """Nothing to do."""
        return f"Starlette {version('starlette')}, uvicorn {version('uvicorn')}, PyJWT {version('pyjwt')}"

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`."""
        self._database = directory / "floor.db"
        self._site = Site.on_free_ports(directory, f"sqlite:///{self._database}")
        write_config(self._site)
        migrate(self._site)
        self._asked = token_requests(asyncio.run(fill(self._site, wanted)).in_clear())

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        port, log = self._site.port, self._site.directory / "floor.log"
        command = [sys.executable, "-m", "bench.floor", str(self._database), str(port), ISSUER]
        with ServerProcess(command, port, log, cores.server) as server:
            yield Running(server, port, HOST)

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None
