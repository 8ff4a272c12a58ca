"""`authsrv players` as a program: through the running server, and upon the database while nobody serves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
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


def log_in(place: Place, player: str = "amber", platform: str = "steam") -> dict[str, Any]:
    return launcher.login(place.issuer, place.emulator, platform, player)


def sub_of(tokens: dict[str, Any]) -> str:
    found: str = jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"]
    return found


def is_good(place: Place, tokens: dict[str, Any]) -> bool:
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    answer = httpx.get(f"{place.issuer}/oauth2/userinfo", headers=bearer)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


def told(place: Place, *arguments: str) -> dict[str, Any]:
    done = place.run("players", *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_player_is_found_and_shown_whether_the_server_runs_or_not(place: Place) -> None:
    by_account = ("--platform", "steam", "--account", PLAYERS["amber"].steam_id)
    with place.serving():
        sub = sub_of(log_in(place))
        served = told(place, "show", sub)
        assert served["sub"] == sub
        assert [one["account"] for one in served["identities"]] == [PLAYERS["amber"].steam_id]
        assert [one["sub"] for one in told(place, "find", *by_account)["players"]] == [sub]
        unknown = place.run("players", "show", STRANGER)
        assert (unknown.returncode, unknown.stdout) == (3, "")
        assert unknown.stderr == "authsrv: there is no such player\n"
    assert told(place, "show", *by_account) == served
    assert place.run("players", "find", STRANGER).returncode == 3


def test_what_is_done_to_players_acts_at_once_in_the_running_server_and_without_one(place: Place) -> None:
    why = ("--reason", "aimbot", "--as", "eve")
    with place.serving() as program:
        tokens = log_in(place)
        amber, birch = sub_of(tokens), sub_of(log_in(place, "birch", "epicgames"))
        assert told(place, "ban", amber, *why, "--dry-run")["outcome"] == "would_ban"
        assert is_good(place, tokens)
        assert told(place, "ban", amber, *why)["outcome"] == "banned"
        assert not is_good(place, tokens)
        with pytest.raises(launcher.Refused, match="banned"):
            log_in(place)
        program.wait_for('"event": "player.banned"')
        assert told(place, "unban", amber)["barred"] is None
        merged = told(place, "merge", birch, "--into", amber, *why, "--yes")
        assert (merged["outcome"], sub_of(log_in(place, "birch", "epicgames"))) == ("merged", amber)
        assert told(place, "undo", merged["event"])["outcome"] == "undone"
        assert sub_of(log_in(place, "birch", "epicgames")) == birch
    alone = place.run("players", "ban", amber, *why, "--json")
    assert json.loads(alone.stdout)["outcome"] == "banned"
    assert "player.banned" in alone.stderr
    with place.serving(), pytest.raises(launcher.Refused, match="banned"):
        log_in(place)


def test_many_are_banned_by_one_connection_after_the_other_or_by_one_opening(place: Place) -> None:
    with place.serving():
        subs = [sub_of(log_in(place, player)) for player in ("amber", "birch", "cedar")]
        path = place.directory / "list"
        path.write_text("\n".join([*subs, STRANGER]))
        done = place.run("players", "ban", "--from", str(path), "--reason", "wave")
        assert (done.returncode, done.stdout) == (3, "banned: 3\n")
        assert done.stderr == f"authsrv: {STRANGER}: there is no such player\n"
    done = place.run("players", "unban", "--from", str(path))
    assert (done.returncode, done.stdout) == (3, "unbanned: 3\n")


def test_a_players_data_is_written_and_erased_whether_the_server_runs_or_not(place: Place) -> None:
    why = ("--reason", "letter", "--as", "eve")
    output = place.directory / "data.json"
    with place.serving() as program:
        tokens = log_in(place)
        amber, birch = sub_of(tokens), sub_of(log_in(place, "birch"))
        assert told(place, "export", amber, "--output", str(output), *why)["outcome"] == "exported"
        assert json.loads(output.read_text())["account"]["sub"] == amber
        asked = place.run("players", "erase", amber, *why)
        assert (asked.returncode, asked.stdout) == (1, "")
        assert told(place, "erase", amber, *why, "--yes")["erased"] == [amber]
        assert not is_good(place, tokens)
        assert sub_of(log_in(place)) != amber
        program.wait_for('"event": "player.erased"')
    assert place.run("players", "export", amber, "--output", "-").returncode == 3
    assert place.run("players", "erase", birch, *why, "--yes").stdout.endswith("1 event.\n")
    assert place.run("players", "show", birch).returncode == 3
