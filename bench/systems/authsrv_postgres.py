"""authsrv on PostgreSQL: a cluster of its own with PostgreSQL's defaults, on the load generator's core."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.servers import ProcessTree
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, NotInstalled, Running, Wanted
from tests.support.postgres import MIGRATED, PostgresServer, chosen, private_server

_AS_BY_DEFAULT = {"max_wal_size": "1GB", "min_wal_size": "80MB"}
"""The cluster is copied from one with small WAL segments, for which other sizes are the default."""


def cluster() -> AbstractContextManager[PostgresServer]:
    """A started cluster with the migrated database `MIGRATED`, as PostgreSQL is by default; gone after the block."""
    return private_server(settings=_AS_BY_DEFAULT, durable=True)


class AuthsrvOnPostgres(Authsrv):
    """One `serve` and one cluster, whose CPU is reported apart."""

    name = "authsrv, PostgreSQL"
    durability = "PostgreSQL, fsync and synchronous_commit on"

    _cluster: PostgresServer

    def __init__(self) -> None:
        self._until_served = ExitStack()

    def install(self, cache: Path) -> str:
        """Of `System`. The binaries are those of the development requirements, or Debian's."""
        binaries = chosen()
        if binaries is None:
            raise NotInstalled("there is no PostgreSQL on this machine")
        return f"{super().install(cache)}, PostgreSQL {binaries.version}"

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`. The cluster runs on the core that this is called on, until the end of `serve`."""
        self._cluster = self._until_served.enter_context(cluster())
        self.prepare_on(self._cluster.url(MIGRATED), directory, wanted)

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        with self._until_served, super().serve(cores) as running:
            beside = {**running.beside, "PostgreSQL": ProcessTree(self._cluster.pid)}
            yield replace(running, beside=beside)
