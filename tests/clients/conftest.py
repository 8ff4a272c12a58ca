"""One demo for all tests here, and for each a browser of its own."""

from collections.abc import Iterator

import pytest

from tests.clients.presser import Presser
from tests.support.demo import Demo, demo_running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo as `make run` serves it."""
    with demo_running(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture
def presser() -> Iterator[Presser]:
    """A browser without a screen."""
    with Presser() as found:
        yield found
