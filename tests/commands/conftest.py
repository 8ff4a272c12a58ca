"""An operator's place, without a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.player_commands import Office, born, office


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    """Players 1 and 2, Ann and Bob, each with a Steam account."""
    with office(tmp_path) as opened:
        opened.filled(*born(1, "Ann"), *born(2, "Bob"))
        yield opened
