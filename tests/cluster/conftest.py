"""A cluster of three nodes on a durable PostgreSQL of its own, started once for the tests of a file."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.harness import Cluster, cluster
from tests.cluster.people import People
from tests.support.postgres import MIGRATED, PostgresServer, private_server

SETTINGS = {"database": {"pool_size": 2, "pool_timeout": 3, "lock_timeout": 2, "idle_in_transaction_timeout": 2}}
"""So few connections that requests always wait for one."""


@dataclass
class Postgres:
    """A server that is stopped as a power cut would."""

    server: PostgresServer

    @property
    def url(self) -> str:
        """Of the database that all nodes share."""
        return self.server.url(MIGRATED)

    def stop(self) -> None:
        """`pg_ctl stop -m immediate`."""
        self.server.stop(signal.SIGQUIT)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self.server.start()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL with its own settings, which lose nothing that was acknowledged."""
    with private_server(durable=True) as server:
        yield Postgres(server)


@pytest.fixture(scope="module")
def three(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes behind nginx."""
    with cluster(tmp_path_factory.mktemp("cluster"), postgres, settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def people(three: Cluster) -> People:
    """Players of this cluster."""
    return People(three.keys)
