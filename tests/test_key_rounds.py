"""The rhythm of the key rounds, and what they do when the database or a key is not right for a while."""

import asyncio
import logging
from typing import cast

import pytest

from authsrv.jobs.key_rounds import INTERVAL, KeyRounds
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.key_material import KeyRingError
from authsrv.storage.base import StorageUnavailable


class Scripted:
    """A keeper whose rounds are told in advance."""

    def __init__(self, *script: Exception | None) -> None:
        self._script = list(script)
        self.slept: list[float] = []

    async def round(self) -> None:
        fault = self._script.pop(0)
        if fault:
            raise fault

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self._script:
            raise asyncio.CancelledError

    async def run(self) -> None:
        await KeyRounds(cast("KeyKeeper", self), self.sleep).run()


async def test_the_keys_are_looked_after_once_a_minute() -> None:
    keeper = Scripted(None, None)
    with pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert keeper.slept == [INTERVAL] * 3 == [60.0] * 3


@pytest.mark.parametrize("fault", [StorageUnavailable("the database is away"), KeyRingError("wrong passphrase")])
async def test_what_could_not_be_done_is_said_and_tried_again(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Scripted(fault, None)
    with caplog.at_level(logging.ERROR, logger="authsrv.keys"), pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert len(keeper.slept) == 3
    assert [record.getMessage() for record in caplog.records] == [f"the signing keys stay as they are: {fault}"]


async def test_an_error_that_waiting_does_not_mend_ends_the_task() -> None:
    with pytest.raises(ZeroDivisionError):
        await Scripted(ZeroDivisionError()).run()
