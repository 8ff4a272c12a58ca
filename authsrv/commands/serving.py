"""The command `serve`, which can run without the others: to build their options takes a tenth of a start."""

from typing import Annotated

import typer

from authsrv.commands.console import CONFIG, ConfigOption
from authsrv.commands.plain_serve import Serve

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
    from authsrv.commands.starting import start  # noqa: PLC0415 - heavy

    raise typer.Exit(start(Serve(config, migrate_first)))
