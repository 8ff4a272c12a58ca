"""`authsrv nodes`: what it prints for people and for programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from authsrv.cli import app
from authsrv.commands import nodes as command
from authsrv.config import load
from authsrv.config.fingerprint import fingerprint
from tests.support.storage import migrated_file

RUN = CliRunner()
FILE = """
issuer = "http://127.0.0.1:8080"
dev = true
[database]
url = "sqlite:///{directory}/authsrv.db"
[projects.p.clients.backend]
type = "server"
secret = "backend-secret"
"""
OTHER = "c9d1e20b6f5a3471"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    migrated_file(tmp_path)
    path = tmp_path / "authsrv.toml"
    path.write_text(FILE.format(directory=tmp_path))
    return path


def node(name: str, configuration: str, *, works: bool = False) -> Mapping[str, Any]:
    return {"name": name, "configuration": configuration, "works": works, "until": 1_795_302_720}


def told(monkeypatch: pytest.MonkeyPatch, config: Path, *nodes: Mapping[str, Any]) -> str:
    monkeypatch.setattr(command, "order", lambda *_: {"shared": True, "nodes": list(nodes)})
    return RUN.invoke(app, ["nodes", "--config", str(config)], catch_exceptions=False).output


def test_a_database_in_one_file_has_no_nodes(config: Path) -> None:
    result = RUN.invoke(app, ["nodes", "--config", str(config)])
    assert (result.exit_code, result.stdout) == (0, f"{command.ALONE}\n")


def test_programs_get_the_same_as_json(config: Path) -> None:
    result = RUN.invoke(app, ["nodes", "--json", "--config", str(config)])
    assert json.loads(result.stdout) == {"configuration": fingerprint(load(config)), "shared": False, "nodes": []}


def test_each_node_is_a_line_and_those_with_another_file_are_counted(
    monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    own = fingerprint(load(config))
    output = told(monkeypatch, config, node("login-1-aa", own, works=True), node("login-2-bb", OTHER))
    lines = [line.split() for line in output.splitlines()]
    assert lines[1:3] == [
        ["login-1-aa", own, "yes", "2026-11-21", "23:12", "UTC"],
        ["login-2-bb", OTHER, "no", "2026-11-21", "23:12", "UTC"],
    ]
    assert output.endswith(f"This file is {own}: 1 of 2 nodes have another one.\n")


def test_it_says_that_all_agree_or_that_nobody_serves(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    own = fingerprint(load(config))
    assert f"This file is {own}, as every node has it." in told(monkeypatch, config, node("a-1", own))
    assert f"This file is {own}. No node serves." in told(monkeypatch, config)
