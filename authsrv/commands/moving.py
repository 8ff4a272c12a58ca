"""`authsrv migrate-data`: everything from one database into another one.

Holds no rules: it names the two, shows how far it is, and prints what came of it.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authsrv.commands.console import JsonOption, fail, table
from authsrv.database_url import Database

if TYPE_CHECKING:
    from authsrv.storage.moving.comparing import Comparison
    from authsrv.storage.moving.house_move import Moved

_AGAIN = "The new database is not to be used. Begin again with an empty one, and look what is wrong with this one."
_DONE = """\
Everything is there. Serve the new database from now on and the old one never again, which does not know what is used,
revoked or erased from now on. Keep it until the new one is backed up, then remove it: it holds personal data."""

FromOption = Annotated[
    str, typer.Option("--from", metavar="URL", help="The database that is moved.", show_default=False)
]
ToOption = Annotated[
    str,
    typer.Option("--to", metavar="URL", help="Where to: an empty one, made by authsrv migrate.", show_default=False),
]
FromPasswordOption = Annotated[
    Path | None,
    typer.Option("--from-password-file", metavar="PATH", help="Holds the password of --from.", show_default=False),
]
ToPasswordOption = Annotated[
    Path | None,
    typer.Option("--to-password-file", metavar="PATH", help="Holds the password of --to.", show_default=False),
]


def migrate_data(
    source: FromOption,
    target: ToOption,
    source_password: FromPasswordOption = None,
    target_password: ToPasswordOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move everything into another database.

    From SQLite to PostgreSQL, or back: sqlite:///path, postgresql://user@host:5432/name. Stop the server first. Every
    row is copied and compared; tokens, sessions and players go on. After an interruption, give the same command again.
    """
    from authsrv.storage.base import StorageError  # noqa: PLC0415 - heavy
    from authsrv.storage.moving.house_move import move  # noqa: PLC0415 - heavy

    sides = _database(source, source_password), _database(target, target_password)
    try:
        with Bar(hidden=not sys.stderr.isatty()) as bar:
            moved = move(*sides, bar)
    except StorageError as error:
        fail(str(error))
    typer.echo(json.dumps(_members(moved), indent=2) if as_json else "\n".join(_lines(moved)))
    if not moved.is_whole:
        fail(_AGAIN)


class Bar(ExitStack):
    """A bar for each phase, where somebody watches."""

    def __init__(self, *, hidden: bool) -> None:
        super().__init__()
        self._hidden = hidden
        self._bar: Any = None

    def begin(self, doing: str, rows: int) -> None:
        """End the last bar, if there is one, and show a new one."""
        self.close()
        bar = typer.progressbar(length=rows, label=doing, hidden=self._hidden, file=sys.stderr, show_pos=True)
        self._bar = self.enter_context(bar)

    def advance(self, rows: int) -> None:
        """Show that so many more are done."""
        self._bar.update(rows)


def _database(url: str, password: Path | None) -> Database:
    if password is None:
        return Database(url)
    try:
        return Database(url, password.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{password} cannot be read: {error}")


def _lines(moved: "Moved") -> Iterator[str]:
    yield table(("TABLE", "FROM", "TO", "CHECKSUM"), map(_cells, moved.comparisons))
    copied = moved.copied
    before = f", {copied.rows_before} before" if copied.rows_before else ""
    yield f"\nCopied {copied.rows} rows in {copied.seconds:.1f} s ({copied.rows_per_second} rows/s){before}."
    if moved.is_whole:
        yield _DONE


def _cells(one: "Comparison") -> tuple[str, ...]:
    checksums = one.source.checksum[:16]
    if not one.is_equal:
        checksums += f" IS NOT {one.target.checksum[:16]}"
    return one.table, str(one.source.rows), str(one.target.rows), checksums


def _members(moved: "Moved") -> dict[str, Any]:
    return {
        "equal": moved.is_whole,
        "rows": moved.copied.rows,
        "rows_before": moved.copied.rows_before,
        "seconds": round(moved.copied.seconds, 3),
        "rows_per_second": moved.copied.rows_per_second,
        "tables": [
            {
                "table": one.table,
                "equal": one.is_equal,
                "from": {"rows": one.source.rows, "sha256": one.source.checksum},
                "to": {"rows": one.target.rows, "sha256": one.target.checksum},
            }
            for one in moved.comparisons
        ],
    }
