"""`authsrv players` as a program: through the running server, and upon the database while nobody serves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from authsrv.emulator.base import PLAYERS
from tests.support import launcher
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
STRANGER = "ffffffff-ffff-4fff-8fff-ffffffffffff"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A configured server with a migrated database, not yet started."""
    keys = tmp_path / "emulator"
    keys.mkdir()
    migrated_file(tmp_path)
    with emulator_running(keys) as port:
        yield Place(tmp_path, port, keys)


def log_in(place: Place, player: str = "amber") -> str:
    """A player's `sub`."""
    tokens = launcher.login(place.issuer, place.emulator, "steam", player)
    found: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"]
    return found


def told(place: Place, *arguments: str) -> dict[str, Any]:
    done = place.run("players", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_player_is_found_and_shown_whether_the_server_runs_or_not(place: Place) -> None:
    by_account = ("--platform", "steam", "--account", PLAYERS["amber"].steam_id)
    with place.serving():
        sub = log_in(place)
        served = told(place, "show", sub)
        assert served["sub"] == sub
        assert [one["account"] for one in served["identities"]] == [PLAYERS["amber"].steam_id]
        assert [one["sub"] for one in told(place, "find", *by_account)["players"]] == [sub]
        unknown = place.run("players", "show", STRANGER)
        assert (unknown.returncode, unknown.stdout) == (3, "")
        assert unknown.stderr == "authsrv: there is no such player\n"
    assert told(place, "show", *by_account) == served
    assert place.run("players", "find", STRANGER).returncode == 3
