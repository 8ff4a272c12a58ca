"""The arguments of `authsrv serve` as nearly everybody writes them, read without the library for command lines.

That library and what it loads take a tenth of a start. It still reads whatever is not plain: it knows how to help, and
what to say about a mistake.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Serve:
    """What `authsrv serve` was asked for."""

    config: Path
    migrate_first: bool


def plain(arguments: Sequence[str]) -> Serve | None:
    """What these arguments ask for; None if the library is to judge them."""
    config, migrate_first = os.environ.get("AUTHSRV_CONFIG") or "authsrv.toml", False
    rest = iter(arguments)
    for argument in rest:
        if argument == "--migrate":
            migrate_first = True
        elif argument in {"--config", "-c"}:
            config = next(rest, "")
        elif argument.startswith("--config="):
            config = argument.removeprefix("--config=")
        else:
            return None
    if not config or config.startswith("-"):
        return None
    return Serve(Path(config), migrate_first)
