"""Configuration files to build on in tests, and what the loader says about one."""

from pathlib import Path

import pytest

from authsrv.config import ConfigError, Problem, load

LONG = "x" * 40
HEAD = """issuer = "https://login.studio.example"
[database]
url = "sqlite:///var/authsrv.db"
"""
PROJECT = (
    HEAD
    + """[projects.p]
[projects.p.platforms.steam]
app_ids = [480]
web_api_key = { env = "KEY" }
identity = "login-studio"
"""
)
CLIENT = PROJECT + "[projects.p.clients.web]\n"
WEB = CLIENT + 'redirect_uris = ["https://web.example/cb"]\n'
CONFIDENTIAL = WEB + 'secret = { env = "SECRET" }\n'
SERVER = CLIENT + 'type = "server"\nsecret = { env = "SECRET" }\n'
XSOLLA = WEB.replace("clients.web", "clients.40") + 'compat = "xsolla"\n'


def set_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that these files name. Every secret client value has `canary` in it."""
    monkeypatch.setenv("KEY", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("SECRET", "canary" + LONG)
    monkeypatch.setenv("SHORT", "canary")
    monkeypatch.setenv("HUGE", "canary" * 100)
    monkeypatch.delenv("AUTHLIB_INSECURE_TRANSPORT", raising=False)


def problems(directory: Path, text: str) -> list[Problem]:
    """What is wrong with a file of this text."""
    try:
        load(written(directory, text))
    except ConfigError as error:
        refused = error
    else:
        return []
    assert "canary" not in str(refused)
    return refused.problems


def warnings(directory: Path, text: str) -> list[Problem]:
    """What a sound file of this text is warned of."""
    return list(load(written(directory, text)).warnings)


def written(directory: Path, text: str) -> Path:
    """A file of this text."""
    path = directory / "authsrv.toml"
    path.write_text(text, encoding="utf-8")
    return path
