"""What every command shares: common options, reading the file, giving orders, tables, and ending with a text.

Everything heavy is imported inside the functions, so that `--help` answers at once.
"""

import re
import unicodedata
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from authsrv.commands import complaints

if TYPE_CHECKING:
    from authsrv.config import Config, ConfigError
    from authsrv.log import Emit
    from authsrv.orders.desk import OrderRefused

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", envvar="AUTHSRV_CONFIG")]
CONFIG = Path("authsrv.toml")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, times in Unix seconds.")]

_DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,4})(?P<unit>[dh])")
_SECONDS: Final = {"d": 86400, "h": 3600}

STATUSES: Mapping[str, int] = {"unknown_player": 3}
"""Exit statuses of refusals that scripts have to tell from the others, which end with 1."""


def load(path: Path) -> "Config":
    """The configuration; ends the command with every mistake in it."""
    from authsrv import config as configuration  # noqa: PLC0415 - heavy

    try:
        return configuration.load(path)
    except configuration.ConfigError as error:
        unusable(error)


def order(path: Path, name: str, /, **arguments: Any) -> Mapping[str, Any]:
    """Have an order carried out by the running server, or here when none runs; ends the command with the refusal.

    What is done here is logged to stderr as the server would have logged it.
    """
    from authsrv.orders.desk import OrderRefused  # noqa: PLC0415 - heavy

    (outcome,) = orders(path, name, [arguments])
    if isinstance(outcome, OrderRefused):
        fail(str(outcome), STATUSES.get(outcome.code, 1))
    return outcome


def orders(
    path: Path, name: str, each: Iterable[Mapping[str, Any]]
) -> "Generator[Mapping[str, Any] | OrderRefused, None, None]":
    """Have an order carried out with one set of arguments after the other: what came of each, in turn."""
    import asyncio  # noqa: PLC0415 - heavy

    from authsrv.orders.delivery import Delivery  # noqa: PLC0415 - heavy
    from authsrv.orders.desk import OrderRefused  # noqa: PLC0415 - heavy

    config = load(path)
    with logging_to_stderr(config) as emit, asyncio.Runner() as runner:
        delivery = Delivery(config, emit)
        try:
            for arguments in each:
                try:
                    yield runner.run(delivery.order(name, arguments))
                except OrderRefused as error:
                    yield error
        finally:
            runner.run(delivery.aclose())


@contextmanager
def logging_to_stderr(config: "Config") -> Iterator["Emit"]:
    """Where the audit events of work that this command does by itself go."""
    from authsrv import log  # noqa: PLC0415 - heavy

    pipeline = log.configure(level="warning", pretty=config.log.format == "console")
    try:
        yield pipeline.emit
    finally:
        pipeline.stop()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows below a head, each column as wide as its widest cell on the screen."""
    lines = [head, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def printable(text: str) -> str:
    """A text that a player or a platform chose, without what would move the cursor or change the terminal."""
    return "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in text)


def duration(text: str) -> int:
    """Seconds of `90d` or `12h`. Raises `typer.BadParameter`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise typer.BadParameter("write a number of days or hours: 90d, 12h")
    return int(found["count"]) * _SECONDS[found["unit"]]


def moment(seconds: int | None) -> str:
    """A time for people."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns on a terminal: two for a wide character, none for one that is set upon another."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def unusable(error: "ConfigError") -> NoReturn:
    """End the command with every mistake of its configuration."""
    typer.echo(complaints.unusable(error), err=True)
    raise typer.Exit(1)


def fail(text: str, status: int = 1) -> NoReturn:
    """End the command with a text and an exit status."""
    typer.echo(complaints.complaint(text), err=True)
    raise typer.Exit(status)
