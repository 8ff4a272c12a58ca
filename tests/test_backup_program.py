"""`authsrv backup` beside the real server, and the way back: R24 as an operator does it."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.support import launcher
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A configured server with a migrated database, not yet started."""
    keys = tmp_path / "emulator"
    keys.mkdir()
    migrated_file(tmp_path)
    with emulator_running(keys) as port:
        yield Place(tmp_path, port, keys)


def sub_of(tokens: dict[str, str]) -> str:
    found: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"]
    return found


def test_R24_a_backup_of_the_running_server_comes_back_without_what_it_gave_out(place: Place) -> None:
    backup = place.directory / "one.backup"
    with place.serving() as program:
        before = launcher.login(place.issuer, place.emulator, "steam", "amber")
        gone = sub_of(launcher.login(place.issuer, place.emulator, "steam", "birch"))
        assert place.run("backup", str(backup)).returncode == 0
        refreshed = launcher.refresh(place.issuer, before["refresh_token"])
        assert place.run("players", "erase", gone, "--yes", "--reason", "asked by mail").returncode == 0
        refused = place.run("restore", str(backup), "--replace", "--yes")
        assert (refused.returncode, "another authsrv process uses" in refused.stderr) == (1, True)
        drill = place.run("restore", str(backup), "--dry-run", "--json")
        told = json.loads(drill.stdout)
        assert (told["grants"], told["erased_again"]) == (2, 1)
        assert "audit" not in drill.stderr
        program.kill()
    done = place.run("restore", str(backup), "--replace", "--yes", "--json")
    assert json.loads(done.stdout)["done"], done.stderr
    assert "database.restored" in done.stderr
    with place.serving():
        for tokens in (before, refreshed):
            with pytest.raises(launcher.Refused, match="invalid_grant"):
                launcher.refresh(place.issuer, tokens["refresh_token"])
            bearer = {"authorization": f"Bearer {tokens['access_token']}"}
            assert httpx.get(f"{place.issuer}/oauth2/userinfo", headers=bearer).status_code == 401
        assert sub_of(launcher.login(place.issuer, place.emulator, "steam", "amber")) == sub_of(before)
        assert sub_of(launcher.login(place.issuer, place.emulator, "steam", "birch")) != gone
