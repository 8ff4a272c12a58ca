"""Whatever players and operators do with accounts, one thing after the other: the server ends where the model does.

A history is drawn from a seed, which a failure prints. It runs over HTTP on every storage backend; operators' orders go
to the desk of the same server.
"""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.account_game import NAMES, SECONDS, Game, subject
from tests.support.account_model import Rules, World
from tests.support.refusals import clients, demo
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

HISTORIES, STEPS = 4, 50


def managing(rules: Rules, block: dict[str, Any]) -> None:
    """The demo with everything allowed, and a server that manages players."""
    demo(block)["accounts"] = {
        "transfer": True,
        "merge": True,
        "identities": rules.identities,
        "guests_may_stay": rules.guests_stay,
        "undo_window": rules.window * SECONDS,
        "unlink_ends": "all" if rules.unlink_ends_all else "identity",
        "bans_outlive_erasure": rules.bans_outlive,
    }
    clients(block)["backend"] |= {"introspect": True, "manage_players": True}


@pytest.fixture
def rules(chance: Random) -> Rules:
    identities, window = chance.choice((1, 1, 2)), chance.choice((20, 1000, 1000))
    return Rules(identities, window, *(chance.random() < share for share in (0.3, 0.2, 0.8)))


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path, rules: Rules) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=partial(managing, rules)) as started:
        yield started


@pytest.mark.parametrize("_", range(HISTORIES))
async def test_whatever_is_done_to_accounts_ends_as_in_the_model(
    server: Server, rules: Rules, chance: Random, _: int
) -> None:
    game = Game(server, chance, World(sorted(NAMES, key=subject), rules))
    await game.log_in()
    for _ in range(STEPS):
        await game.step()
        await game.looks_alike()
