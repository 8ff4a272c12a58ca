"""authsrv itself on SQLite, with the emulated platforms on the load generator's core."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from bench.orders import Expected, Request, Requests
from bench.seed import HOST, Site, fill, migrate, write_config
from bench.servers import AUTHSRV, ServerProcess, free_ports
from bench.systems.base import Cores, Running, Wanted
from bench.systems.token_requests import Asked, token_requests
from bench.workloads import DISCOVERY, JWKS, Algorithm, Workload


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
        self.site = Site(directory, *free_ports(2))
        write_config(self.site)
        migrate(self.site)
        seeds = asyncio.run(fill(self.site, wanted))
        self._asked = {**token_requests(seeds), DISCOVERY: _discovery, JWKS: _jwks}

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
        options = ["--port", str(port), "--keys", str(self.site.emulator_keys), "--until-stdin-closes"]
        return ServerProcess([AUTHSRV, "emulator", "run", *options], port, log, core, path="/emulator/health")

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        asked = self._asked.get(workload)
        return asked(algorithm, count) if asked else None


def _discovery(_algorithm: Algorithm, _count: int) -> Requests:
    members = ("issuer", "token_endpoint", "jwks_uri")
    return Requests((Request("/.well-known/openid-configuration", method="GET"),), Expected(present=members))


def _jwks(_algorithm: Algorithm, _count: int) -> Requests:
    return Requests((Request("/oauth2/jwks", method="GET"),), Expected(lengths={"keys": 2}))
