"""R37: the same calls in the same order give the same results in memory and on every database."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.storage.base import Storage, StorageError
from authsrv.storage.memory import browsers as memory_browsers
from authsrv.storage.steps import browsers as browser_steps
from tests.support.storage import BACKENDS, NOW, digest, identity, player, storage_on
from tests.support.storage_changes import BEGINNING, CALLS, Call, applying


async def outcome(call: Call, storage: Storage) -> object:
    try:
        return await call(storage)
    except StorageError as error:
        return type(error), str(error), getattr(error, "change", None)


async def everything(storage: Storage) -> list[object]:
    """All that the loads show."""
    return await asyncio.gather(
        *(storage.load_grant(number, "t1", "shop", sub=sub) for number in range(1, 7) for sub in ("sub-1", "sub-2")),
        *(
            storage.load_standing(client_id, "skyforge", jti)
            for client_id in ("launcher", "shop")
            for jti in ("t1", "t2")
        ),
        *(storage.load_revocations(since, NOW + 15) for since in (0, NOW + 15)),
        *(storage.load_player(identity(subject)) for subject in ("a", "b")),
        *(
            storage.load_ownership(identity(subject), digest(mark), now)
            for subject in ("a", "b")
            for mark in ("m1", "m2")
            for now in (NOW, NOW + 10)
        ),
        *(storage.load_account(number) for number in (1, 2, 3)),
        *(storage.load_identities("skyforge", kind, subject) for kind in ("steam", "epic") for subject in ("a", "b")),
        *(storage.load_players_named("skyforge", prefix, limit) for prefix in ("", "b", "AMB") for limit in (1, 9)),
        storage.load_players_named("skyforge", "", 9, after=player(2)),
        storage.load_census(),
        *(storage.load_players(after, 2) for after in (0, 1, 9)),
        *(storage.load_dossier(number) for number in (0, 1, 2, 3)),
        *(storage.load_erasure(sub) for sub in ("sub-1", "sub-2", "sub-3")),
        *(storage.load_events(number, limit) for number in (0, 1, 2, 3) for limit in (1, 9)),
        *(storage.load_event(number) for number in (21, 22, 23, 24)),
        *(storage.load_link_code(digest(code)) for code in ("code 1", "code 2")),
        *(storage.load_reservation(digest(ticket)) for ticket in ("t1", "t2")),
        *(
            storage.load_visit(number, project, client_id)
            for number in (1, 2, 3)
            for project in ("skyforge", "ironkeep")
            for client_id in ("launcher", "shop", "c_1")
        ),
        *(storage.load_request(number, browser_id) for number in range(1, 7) for browser_id in range(4)),
        *(storage.load_trip(number, browser_id) for number in range(1, 7) for browser_id in range(4)),
        *(storage.load_sessions(number) for number in (1, 2, 3)),
        *(storage.load_player_sessions(number) for number in (1, 2, 3)),
        *(storage.load_session(number) for number in range(1, 7)),
        *(storage.load_session_clients(number) for number in range(1, 7)),
        *(storage.load_due_notices(now, limit) for now, limit in ((NOW + 20, 9), (NOW + 90000, 2))),
        *(storage.load_registered_client(client_id) for client_id in ("c_1", "c_2", "launcher")),
        storage.load_registered_clients(),
        storage.load_versions(),
        *(storage.load_leases(now) for now in (NOW, NOW + 15)),
        storage.load_keys(),
        storage.load_clients(),
    )


LOOKS: Mapping[str, int] = {"sqlite": 1, "postgres": 8}
"""After how many calls everything is compared: what differs once stays different, and to read all takes long."""


async def compare(backend: str, calls: Sequence[Call]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with storage_on("memory", Path(directory)) as model, storage_on(backend, Path(directory)) as real:
            for number, call in enumerate((applying(BEGINNING), *calls), 1):
                assert await outcome(call, real) == await outcome(call, model)
                if number % LOOKS[backend] == 0 or number > len(calls):
                    assert await everything(real) == await everything(model)


@pytest.mark.parametrize("backend", BACKENDS[1:])
@settings(max_examples=10, deadline=None)
@given(st.lists(CALLS, min_size=30, max_size=50))
def test_R37_a_database_does_what_memory_does(backend: str, calls: Sequence[Call]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # So few that chance comes to remove some.
        for module in (browser_steps, memory_browsers):
            patch.setattr(module, "MOST_PENDING", 2)
        asyncio.run(compare(backend, calls))
