"""S12: a node whose clock is not the database's says so."""

import logging
from collections.abc import AsyncIterator

import pytest

from authsrv.jobs.clock_check import INTERVAL, ClockCheck, ClockDiffers
from tests.support.nodes import Home, NodesStorage, nodes, storage_of
from tests.support.server import ManualClock

WARNING = "this node's clock and the database's differ; set them by NTP"


@pytest.fixture
async def storage() -> AsyncIterator[NodesStorage]:
    opened = NodesStorage(Home())
    await opened.open()
    yield opened
    await opened.close()


async def _never(_: float) -> None:
    raise AssertionError("nobody rests here")


@pytest.mark.parametrize(
    ("ahead", "is_told"),
    [(0.0, False), (0.9, False), (5.0, False), (-5.0, False), (6.5, True), (-5.5, True), (3600.0, True)],
)
async def test_S12_above_five_seconds_it_is_an_error_and_readiness_shows_it(
    storage: NodesStorage, caplog: pytest.LogCaptureFixture, ahead: float, is_told: bool
) -> None:
    check = ClockCheck(storage, ManualClock(storage.home.clock.now + ahead), _never)
    with caplog.at_level(logging.ERROR, logger="authsrv.nodes"):
        await check.look()
    assert (WARNING in caplog.messages) == is_told
    if is_told:
        with pytest.raises(ClockDiffers):
            await check.probe()
    else:
        await check.probe()


async def test_S12_a_database_that_is_away_says_nothing_about_the_clock(storage: NodesStorage) -> None:
    check = ClockCheck(storage, ManualClock(storage.home.clock.now + 60), _never)
    await check.look()
    storage.is_away = True
    await check.look()
    with pytest.raises(ClockDiffers):
        await check.probe()


async def test_S12_it_is_looked_at_at_the_start_and_each_minute_and_a_node_that_is_wrong_still_serves() -> None:
    async with nodes(2) as several:
        wrong = storage_of(several[1])
        wrong.home = Home(ManualClock(several.home.clock.now - 30), wrong.home.tables)
        await several.time.pass_by(INTERVAL)
        answer = await several[1].http.get("/health/ready")
        assert (answer.status_code, answer.json()["degraded"]) == (200, ["clock"])
        answer = await several[0].http.get("/health/ready")
        assert answer.json()["degraded"] == []
