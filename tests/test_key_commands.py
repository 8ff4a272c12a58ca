"""`authsrv keys ...` on the database of a server that does not run, and on one that does."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
from typer.testing import CliRunner, Result

from authsrv.cli import app
from tests.support import launcher
from tests.support.processes import free_port, running, wait_for
from tests.support.storage import migrated_file

RUN = CliRunner()
FILE = """
issuer = "http://127.0.0.1:{port}"
dev = true
[server]
port = {port}
drain_seconds = 0
[database]
url = "sqlite:///{directory}/authsrv.db"
[keys]
algorithms = ["RS256", "EdDSA"]
[projects.p.clients.backend]
type = "server"
secret = "backend-secret"
"""
HOUR = 3600


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command sets up the log for its process, which here is that of the tests."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    migrated_file(tmp_path)
    path = tmp_path / "authsrv.toml"
    path.write_text(FILE.format(directory=tmp_path, port=free_port()))
    return path


def run(config: Path, *arguments: str) -> Result:
    return RUN.invoke(app, ["keys", *arguments, "--config", str(config)])


def listed(config: Path, *arguments: str) -> list[dict[str, Any]]:
    done = run(config, *(arguments or ("list",)), "--json")
    assert done.exit_code == 0, done.output
    keys: list[dict[str, Any]] = json.loads(done.stdout)["keys"]
    return sorted(keys, key=lambda key: (key["alg"], key["signs_from"], key["revoked_at"] is None))


def shape(keys: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(key["alg"], key["state"]) for key in keys]


def test_the_keys_are_listed_for_people_and_for_programs(config: Path) -> None:
    keys = listed(config)
    assert shape(keys) == [("EdDSA", "active"), ("RS256", "active")]
    assert keys[0].keys() == {
        "kid", "alg", "state", "created_at", "signs_from", "signs_until", "retires_at", "erased_at", "revoked_at",
    }  # fmt: skip
    assert {keys[0][name] for name in ("signs_until", "retires_at", "erased_at", "revoked_at")} == {None}
    lines = run(config, "list").stdout.splitlines()
    assert lines[0].split("  ")[0].split() == ["KID"]
    assert sorted(line.split()[:3] for line in lines[1:]) == sorted([key["kid"], key["alg"], "active"] for key in keys)
    assert all(line.endswith("UTC  -            -") for line in lines[1:])


def test_a_rotation_says_what_happens_when(config: Path) -> None:
    done = run(config, "rotate")
    keys = listed(config)
    assert shape(keys) == [("EdDSA", "active"), ("EdDSA", "next"), ("RS256", "active"), ("RS256", "next")]
    for active, waiting in (keys[:2], keys[2:]):
        assert waiting["signs_from"] == waiting["created_at"] + 25 * HOUR + 60 == active["signs_until"]
        assert active["retires_at"] == active["signs_until"] + 2 * 24 * HOUR + 60
        assert f"{waiting['alg']}: {waiting['kid']} signs from " in done.stdout
    assert listed(config, "rotate") == keys, "once is enough"


def test_a_revoked_key_is_replaced_and_the_text_says_what_that_means(config: Path) -> None:
    first = listed(config)[0]
    done = run(config, "revoke", first["kid"])
    assert (done.exit_code, "Tokens of this key are refused here at once." in done.stdout) == (0, True)
    keys = listed(config)
    assert shape(keys) == [("EdDSA", "revoked"), ("EdDSA", "active"), ("RS256", "active")]
    assert keys[0]["revoked_at"] == keys[0]["erased_at"] == keys[1]["signs_from"]
    again = run(config, "revoke", first["kid"])
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"authsrv: the key {first['kid']} was revoked before; authsrv keys list shows the keys\n"


def test_a_key_that_was_revoked_before_it_signed_has_no_time_of_signing(config: Path) -> None:
    run(config, "rotate")
    waiting = next(key["kid"] for key in listed(config) if key["state"] == "next")
    (line,) = [line for line in run(config, "revoke", waiting).stdout.splitlines() if line.startswith(waiting)]
    assert line.split()[2:5] == ["revoked", "-", "-"]
    assert line.endswith(" UTC")


def test_a_key_that_is_none_is_refused(config: Path) -> None:
    done = run(config, "revoke", "unknown")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "authsrv: there is no signing key unknown; authsrv keys list shows the keys" in done.stderr


def test_what_is_done_without_a_server_is_audited_on_stderr(config: Path) -> None:
    (key, _) = listed(config)
    done = run(config, "revoke", key["kid"], "--json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(event["event"], event["kid"] == key["kid"]) for event in events if event["logger"] == "authsrv.audit"] == [
        ("keys.created", False),
        ("keys.revoked", True),
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_orders_take_effect_in_the_running_server_at_once(config: Path) -> None:
    issuer = config.read_text().partition('issuer = "')[2].partition('"')[0]

    def published() -> list[str]:
        return [key["kid"] for key in launcher.get(f"{issuer}/oauth2/jwks")["keys"]]

    with running("serve", "--config", str(config)) as process:
        wait_for(f"{issuer}/health/ready", process)
        before = listed(config)
        assert sorted(published()) == sorted(key["kid"] for key in before)
        etag = etag_of(issuer)
        after = listed(config, "rotate")
        assert sorted(published()) == sorted(key["kid"] for key in after)
        assert etag_of(issuer) != etag
        leaked, heir = [key for key in after if key["alg"] == "RS256"]
        assert leaked["kid"] in published()[:2]
        assert shape(listed(config, "revoke", leaked["kid"]))[2:] == [("RS256", "revoked"), ("RS256", "active")]
        assert leaked["kid"] not in published()
        feed = wait_for(f"{issuer}/oauth2/revocations", process).decode()
        assert jwt.get_unverified_header(feed)["kid"] == heir["kid"]
        assert jwt.decode(feed, options={"verify_signature": False})["kid"] == [leaked["kid"]]
        process.terminate()
        output = process.communicate(timeout=60)[0]
    assert '"event": "keys.revoked"' in output
    with closing(sqlite3.connect(config.parent / "authsrv.db")) as driver:
        (left,) = driver.execute("SELECT revoked_at FROM keys WHERE kid = ?", (leaked["kid"],)).fetchone()
    assert left is not None


def etag_of(issuer: str) -> str:
    from urllib.request import urlopen  # noqa: PLC0415 - for this one header

    with urlopen(f"{issuer}/oauth2/jwks", timeout=10) as answer:  # noqa: S310 - a loopback address of the test
        return str(answer.headers["etag"])
