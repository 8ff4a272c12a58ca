"""A new version comes to three nodes under load: the schema first, then one node after the other; nobody notices."""

import asyncio
import signal
import urllib.request
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from authsrv.storage.schema import REVISIONS
from tests.cluster.checker import Fault
from tests.cluster.conftest import Postgres
from tests.cluster.harness import Cluster, Process, cluster, until
from tests.cluster.load import Break, under_load
from tests.cluster.people import People
from tests.cluster.size import SIZE

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.nginx, pytest.mark.timeout(SIZE.limit)]

DRAIN = 6
"""Seconds: longer than nginx keeps a connection on which nothing happens, so that it is nginx that closes it."""
NEXT_VERSION = (
    "ALTER TABLE players ADD COLUMN pronouns text NOT NULL DEFAULT ''",
    "CREATE TABLE friends (player_id bigint NOT NULL REFERENCES players, friend_id bigint NOT NULL)",
    "UPDATE alembic_version SET version_num = '9999'",
)
"""A migration that only adds, and so leaves `oldest_code` as it is."""


@pytest.fixture
def rolled(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that take their time to stop."""
    settings = {"server": {"drain_seconds": DRAIN}}
    with cluster(tmp_path_factory.mktemp("rolled"), postgres, settings=settings) as running:
        yield running


def is_ready(node: Process) -> bool:
    """What a load balancer asks."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.port}/health/ready") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def restart(node: Process) -> None:
    """In good order, and back before the next one goes."""
    node.signal(signal.SIGTERM)
    until(lambda: not is_ready(node), "the node still asks for requests")
    assert node.ended() == 0
    node.start()
    until(lambda: is_ready(node), "the node is not ready")


def upgrades(cluster: Cluster, rounds: int) -> Break:
    """The next version's schema, and then every node in turn, so many times."""

    def migrate() -> None:
        with psycopg.connect(cluster.database.url, autocommit=True) as migrator:
            for statement in NEXT_VERSION:
                migrator.execute(statement)

    async def upgrade(_: list[Fault]) -> None:
        await asyncio.to_thread(migrate)
        for _round in range(rounds):
            for node in cluster.nodes:
                await asyncio.to_thread(restart, node)

    return upgrade


async def test_R19_R23_an_upgrade_of_one_node_after_the_other_fails_no_request(rolled: Cluster, chance: Random) -> None:
    fault = upgrades(rolled, SIZE.restarts)
    verdict = await under_load("upgrades", rolled, People(rolled.keys), chance, players=SIZE.players, fault=fault)
    assert not verdict.wrong, f"{verdict.wrong[:5]} of {len(verdict.wrong)}\n{rolled.said()}"
    assert verdict.tally.lost == 0
    assert verdict.known.facts > SIZE.players
    assert all(
        f"schema 9999, newer than this authsrv's ({REVISIONS[-1]})" in node.log.read_text() for node in rolled.nodes
    )
