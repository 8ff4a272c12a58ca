"""The command `serve`, which can run without the others: to build their options takes a tenth of a start."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from authsrv.commands.console import CONFIG, ConfigOption, fail, load

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def serve(
    config: ConfigOption = CONFIG,
    migrate_first: Annotated[bool, typer.Option("--migrate", help="Run `authsrv migrate` before serving.")] = False,
) -> None:
    """Serve logins.

    Stops on SIGTERM or Ctrl-C, after the requests in progress; SIGHUP reads the configuration again, as
    `authsrv reload` does.
    """
    from authsrv import config as configuration  # noqa: PLC0415 - heavy
    from authsrv.serving import process  # noqa: PLC0415 - heavy
    from authsrv.storage.base import StorageError  # noqa: PLC0415 - heavy

    loaded = load(config)
    if loaded.warnings:
        typer.echo(configuration.report([], loaded.warnings), err=True)
    if migrate_first:
        migrate_in_own_process(config)
    try:
        status = process.run(loaded, config)
    except StorageError as error:
        fail(str(error))
    raise typer.Exit(status)


def migrate_in_own_process(config: Path) -> None:
    """Run `authsrv migrate`, so that its libraries never enter the server's memory. Ends the command if it fails."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "authsrv", "migrate", "--config", str(config)], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)
