"""The configuration of a deployment as its containers would find it: checked by the real program, commands included.

Owns the secrets that a deployment's files leave open. Knows neither Compose nor Kubernetes.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.main

from authsrv.cli import app

SECRETS = "/run/secrets"
_SHAPES = {"steam_web_api_key": "0123456789abcdef" * 2}


def prepare(directory: Path, configuration: str, secrets: Mapping[str, str]) -> Path:
    """The configuration's file as a container has it. `secrets` says what is at each path of the container."""
    for path, secret in secrets.items():
        file = below(directory, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_SHAPES.get(secret, f"{secret}-{'0' * 32}"), "utf-8")
    file = directory / "authsrv.toml"
    file.write_text(configuration.replace(SECRETS, str(below(directory, SECRETS))), "utf-8")
    return file


def run(file: Path, command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`authsrv <command>` on a configuration, with nothing in the environment but what the container has."""
    return subprocess.run(
        [sys.executable, "-m", "authsrv", command, "--config", str(file)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def check(directory: Path, configuration: str, environment: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """What `authsrv check` says of a configuration."""
    done = run(prepare(directory, configuration, secrets), "check", environment)
    return done.stdout + done.stderr


def understood(arguments: Sequence[str]) -> dict[str, Any]:
    """What the program makes of a container's arguments. Raises click's errors for those that it does not know."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("authsrv", list(arguments), resilient_parsing=True)
    name, command, rest = group.resolve_command(context, list(arguments))
    options: dict[str, Any] = command.make_context(name, rest, parent=context).params
    return {"command": name, **options}


def below(directory: Path, path: str) -> Path:
    """Where a path of the container is here."""
    return directory / path.lstrip("/")
