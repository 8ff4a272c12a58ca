"""One node on a SQLite file, killed and started again under load: clients and checker are those of a cluster."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.cluster import faults
from tests.cluster.harness import Cluster, SqliteFile, cluster
from tests.cluster.load import under_load
from tests.cluster.people import People
from tests.cluster.size import SIZE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SIZE.limit)]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cluster]:
    """A node with a database file."""
    with cluster(tmp_path, SqliteFile(f"sqlite:///{tmp_path}/authsrv.db"), nodes=1) as running:
        yield running


async def test_R01_R38_what_was_acknowledged_holds_over_kills_under_load(alone: Cluster, chance: Random) -> None:
    fault = faults.kills(alone, chance, SIZE.kills)
    verdict = await under_load("kills", alone, People(alone.keys), chance, players=SIZE.players, fault=fault)
    assert not verdict.wrong, f"{verdict.wrong[:5]} of {len(verdict.wrong)}\n{alone.said()}"
    assert len(verdict.broken) == SIZE.kills
    assert verdict.known.facts > 0
