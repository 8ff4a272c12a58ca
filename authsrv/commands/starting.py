"""What `authsrv serve` does once its arguments are read."""

import subprocess
import sys
from pathlib import Path

from authsrv import config as configuration
from authsrv.commands.complaints import complaint, unusable
from authsrv.commands.plain_serve import Serve
from authsrv.serving import process
from authsrv.storage.base import StorageError


def start(asked: Serve) -> int:
    """Serve until a stop signal; the exit status. What keeps the server from starting is told on stderr."""
    try:
        loaded = configuration.load(asked.config)
    except configuration.ConfigError as error:
        return _failed(unusable(error))
    if loaded.warnings:
        _tell(configuration.report([], loaded.warnings))
    if asked.migrate_first and (status := migrate_in_own_process(asked.config)):
        return status
    try:
        return process.run(loaded, asked.config)
    except StorageError as error:
        return _failed(complaint(str(error)))


def migrate_in_own_process(config: Path) -> int:
    """Run `authsrv migrate`, so that its libraries never enter the server's memory; its exit status."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "authsrv", "migrate", "--config", str(config)], stdout=subprocess.DEVNULL, check=False
    ).returncode


def _failed(text: str) -> int:
    _tell(text)
    return 1


def _tell(text: str) -> None:
    if sys.stderr is not None:  # closed by whoever started the program
        sys.stderr.write(f"{text}\n")
