"""`authsrv keys ...`: look at the signing keys.

Holds no rules: every command gives one order and prints what came of it.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from authsrv.commands.console import CONFIG, ConfigOption, order

app = typer.Typer(name="keys", help="Look at the signing keys.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, times in Unix seconds.")]


@app.callback()
def group() -> None:
    """Keeps `list` a command of its own while there is no other."""


@app.command(name="list")
def list_keys(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    """List the signing keys."""
    found = order(config, "keys.list")
    typer.echo(json.dumps(found, indent=2) if as_json else _table(found["keys"]))


def _table(keys: list[dict[str, Any]]) -> str:
    rows = [("KID", "ALG", "SIGNS FROM"), *((key["kid"], key["alg"], _moment(key["signs_from"])) for key in keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
