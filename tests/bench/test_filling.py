"""Databases that have grown, as the benchmark fills them."""

import time
from pathlib import Path

from bench.filling import Grown, kept
from tests.support.storage import migrated_file, rows

GROWN = Grown(200, expired=50, credentials=7)


def made(directory: Path) -> Path:
    return kept(directory, GROWN, lambda file: _migrated(directory, file))


def _migrated(directory: Path, file: Path) -> None:
    migrated_file(directory).replace(file)


def test_a_database_holds_what_is_wanted_of_many_players(tmp_path: Path) -> None:
    file, now = made(tmp_path), int(time.time())
    assert rows(file, "SELECT count(*), count(DISTINCT player_id) FROM grants") == [(200, GROWN.players)]
    assert rows(file, f"SELECT count(*) FROM grants WHERE expires_at < {now}") == [(50,)]  # noqa: S608
    assert rows(file, f"SELECT count(*) FROM credentials WHERE expires_at < {now}") == [(7,)]  # noqa: S608


def test_what_is_asked_for_is_live_and_lies_anywhere(tmp_path: Path) -> None:
    file, now = made(tmp_path), int(time.time())
    live = {one for (one,) in rows(file, f"SELECT id FROM grants WHERE expires_at > {now}")}  # noqa: S608
    chosen = GROWN.live_ids(40)
    assert set(chosen) <= live
    assert max(chosen) - min(chosen) > 150


def test_a_database_of_the_same_size_is_made_once(tmp_path: Path) -> None:
    file = made(tmp_path)
    before = file.stat().st_mtime_ns
    assert made(tmp_path) == file
    assert file.stat().st_mtime_ns == before
