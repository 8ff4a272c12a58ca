"""A month of a player whose launcher loses every third answer: the launcher of `tests/support`, on real sockets.

The launcher knows the documented HTTP alone. Days are simulated: only the servers' clock moves.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any

import jwt
import pytest

from authsrv.serving.protocol import HttpLimits, guarded_protocol
from tests.support import launcher
from tests.support.losing_wire import LosingWire, losing_wire
from tests.support.server import ManualClock, Server, running
from tests.support.sockets import port, serving

DAY, MINUTE = 86400, 60
REFRESHES_A_DAY = 5
TRIES_BETWEEN_RESTARTS = 10  # no multiple of three, so that some restarts come between a lost answer and its repeat
PATIENCE = 5
"""Seconds after which the launcher asks again."""


@asynccontextmanager
async def up(directory: Path, clock: ManualClock, wire: LosingWire) -> AsyncIterator[Server]:
    """A server on the database in this directory, at the end of the wire."""

    def edit(block: dict[str, Any]) -> None:
        block["issuer"] = wire.url

    async with (
        running(directory, edit=edit, clock=clock) as server,
        serving(server.app, guarded_protocol(HttpLimits())) as listener,
    ):
        wire.backend = port(listener)
        yield server


def cut_off(directory: Path, name: str) -> Path:
    """Another directory with the database as it lies there while a server has it open: what a power cut leaves."""
    copy = directory.with_name(name)
    copy.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(directory / f"authsrv.db{suffix}", copy)
    return copy


@dataclass
class Player:
    """A launcher that keeps its player signed in, and plays some of each day."""

    wire: LosingWire
    clock: ManualClock
    tokens: dict[str, Any]
    refreshes: int = 0

    @property
    def claims(self) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(self.tokens["access_token"], options={"verify_signature": False})
        return found

    async def try_to_refresh(self) -> bool:
        """One request. Whether its answer arrived; a refusal is raised."""
        try:
            refreshed = await asyncio.to_thread(launcher.refresh, self.wire.url, self.tokens["refresh_token"])
        except (HTTPException, OSError):
            self.clock.now += PATIENCE
            return False
        self.tokens = refreshed
        self.refreshes += 1
        return True

    def play(self) -> None:
        """Until the access token is almost over, or, after the last one of the day, until tomorrow."""
        pause = self.claims["exp"] - self.clock.now - MINUTE
        self.clock.now += pause if self.refreshes % REFRESHES_A_DAY else DAY - REFRESHES_A_DAY * pause


async def signed_in(server: Server, wire: LosingWire) -> Player:
    assert server.emulator is not None
    async with serving(server.emulator, guarded_protocol(HttpLimits())) as listener:
        emulator = f"http://127.0.0.1:{port(listener)}"
        tokens = await asyncio.to_thread(launcher.login, wire.url, emulator, "steam", "amber")
    return Player(wire, server.clock, tokens)


def every_third() -> Iterator[bool]:
    return (number % 3 == 2 for number in count())


@pytest.mark.parametrize("stop", ["never", "closed", "cut off"])
async def test_R26_a_month_with_every_third_answer_lost_and_restarts_in_between(tmp_path: Path, stop: str) -> None:
    directory, clock = tmp_path / "0", ManualClock()
    directory.mkdir()
    async with losing_wire() as wire:
        async with up(directory, clock, wire) as server:
            player = await signed_in(server, wire)
        sub, begun = player.claims["sub"], clock.now
        wire.loses = every_third().__next__
        while clock.now < begun + 30 * DAY:
            async with up(directory, clock, wire) as server:
                for _ in range(10_000 if stop == "never" else TRIES_BETWEEN_RESTARTS):
                    if await player.try_to_refresh():
                        assert player.claims["sub"] == sub
                        assert player.claims["exp"] > clock.now
                        player.play()
                    if clock.now >= begun + 30 * DAY:
                        break
                await server.app.storage.sweep(int(clock.now), 1000)
                if stop == "cut off":
                    directory = cut_off(directory, f"{player.refreshes}-{wire.lost}")
        async with up(directory, clock, wire) as server:
            (family,) = await server.grants()
    assert (family.refresh_generation, family.revoked_at) == (1 + player.refreshes, None)
    assert player.refreshes >= 30 * (REFRESHES_A_DAY - 1)
    assert wire.lost >= player.refreshes // 2 - 1
    assert set(wire.statuses) == {200}


async def test_B22_B29_a_launcher_that_repeats_too_late_is_signed_out_for_good_also_over_a_restart(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with losing_wire() as wire:
        async with up(tmp_path, clock, wire) as server:
            player = await signed_in(server, wire)
            kept = player.tokens["refresh_token"]
            wire.loses = lambda: True
            assert not await player.try_to_refresh()
            wire.loses = lambda: False
        clock.now += 30
        for restart in range(2):
            async with up(tmp_path, clock, wire) as server:
                with pytest.raises(launcher.Refused) as refused:
                    await player.try_to_refresh()
                assert (refused.value.status, refused.value.answer["error"]) == (400, "invalid_grant")
                assert len(server.audited("refresh.reused")) == (1 if restart == 0 else 0)
                (family,) = await server.grants()
                assert family.revoked_reason == "refresh_reused"
        assert player.tokens["refresh_token"] == kept
        async with up(tmp_path, clock, wire) as server:
            assert (await signed_in(server, wire)).claims["sub"] == player.claims["sub"]
