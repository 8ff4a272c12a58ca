"""`authsrv privacy report`: what is kept, how old it is, where data goes; and nobody in it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authsrv.cli import app
from authsrv.storage.changes import AddNotice, AddPlayer
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.support.storage import NOW, migrated_file, player
from tests.support.storage_browsers import notice

RUN = CliRunner()
FILE = """
issuer = "http://127.0.0.1:8080"
dev = true
[database]
url = "sqlite:///{directory}/authsrv.db"
[retention]
address_days = 3
[projects.p.platforms.steam]
app_ids = [480]
web_api_key = "0123456789abcdef0123456789abcdef"
identity = "login-studio"
[projects.p.clients.shop]
type = "confidential"
secret = "shop-secret"
redirect_uris = ["https://shop.example/callback"]
backchannel_logout_uri = "https://shop.example/logout"
[projects.p.clients.launcher]
redirect_uris = ["http://127.0.0.1/callback"]
"""


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sets up the log for its process, which here is that of the tests."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    storage = SqliteStorage(migrated_file(tmp_path))
    await storage.open()
    await storage.apply([AddPlayer(player(name="Canary")), AddNotice(notice())])
    await storage.close()
    path = tmp_path / "authsrv.toml"
    path.write_text(FILE.format(directory=tmp_path))
    return path


def reported(config: Path) -> dict[str, Any]:
    done = RUN.invoke(app, ["privacy", "report", "--json", "--config", str(config)])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_report_tells_what_is_kept_how_old_it_is_and_where_data_goes(config: Path) -> None:
    found = reported(config)
    assert found["retention"]["address_days"] == {"value": 3, "from": "file"}
    assert found["retention"]["journal_days"] == {"value": 365, "from": "default"}
    assert found["oldest"] == {"players": NOW, "logout_notices": NOW + 6}
    assert found["undelivered"] == 1
    steam = ["https://partner.steam-api.com", "https://api.steampowered.com", "https://steamcommunity.com"]
    assert found["called"] == {"p.steam": steam}
    assert found["notified"] == {"shop": "https://shop.example/logout"}
    assert (found["issuer"], found["now"] > NOW - 10**9) == ("http://127.0.0.1:8080", True)


def test_the_report_for_people_says_the_same_and_has_nobody_in_it(config: Path) -> None:
    done = RUN.invoke(app, ["privacy", "report", "--config", str(config)])
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "address_days 3 file" in lines
    assert "p.steam https://partner.steam-api.com" in lines
    assert "client shop https://shop.example/logout" in lines
    assert "Logout notices that wait: 1." in lines
    assert any(line.startswith("players 2027-01-15 08:00 UTC") for line in lines)
    assert "Canary" not in done.stdout
    assert "sub-1" not in done.stdout
