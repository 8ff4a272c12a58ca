"""Writes what is stored about players to files that nobody else may read."""

import os
from contextlib import suppress
from pathlib import Path

from authsrv.commands.console import fail


def require_free(path: Path, *, force: bool) -> None:
    """End the command if something is there that is not to be overwritten, or cannot be."""
    if not (path.is_symlink() or path.exists()):
        return
    if not force:
        fail(f"{path} is there already; --force overwrites it")
    if not path.is_file():
        fail(f"{path} is there already, and no file")


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a new file with mode 0600, all of it or none; with `force` in place of one. Ends the command otherwise."""
    part = path.with_name(f".{path.name}.part") if force else path
    try:
        if force:
            part.unlink(missing_ok=True)  # of a command that was cut off
        _write_new(part, text)
        if force:
            part.replace(path)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")


def _write_new(path: Path, text: str) -> None:
    # The file is never there with a wider mode, nor followed if it is a link.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
