"""The `authsrv` program's commands. They hold no rules: each calls one part of the server and prints.

Everything heavy is imported inside the commands, so that `--help` answers at once.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from authsrv import __version__
from authsrv.commands import backups, clients, keys, moving, nodes, players, privacy, serving, tokens
from authsrv.commands.console import CONFIG, ConfigOption, fail, load
from authsrv.emulator.commands import app as emulator_commands

app = typer.Typer(
    help="The login server a game studio runs itself: Steam, Xbox and Epic proof in, OpenID Connect tokens out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(keys.app)
app.add_typer(clients.app)
app.add_typer(tokens.app)
app.add_typer(players.app)
app.add_typer(privacy.app)
app.add_typer(emulator_commands)

DEMO_STATE = Path("var/demo")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"authsrv {__version__}")
        raise typer.Exit


@app.callback()
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What holds for every command."""


app.command()(serving.serve)


@app.command()
def check(
    config: ConfigOption = CONFIG,
    schema: Annotated[bool, typer.Option("--schema", help="Print the file's JSON Schema, for editors.")] = False,
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Print how each client stands against OAuth 2.1 and FAPI 2.0.")
    ] = False,
) -> None:
    """Check the configuration file.

    Prints every mistake at once, each with its line and what to write instead, and then the warnings. The exit status
    is 1 if there is a mistake.
    """
    from authsrv import config as configuration  # noqa: PLC0415 - heavy

    if schema:
        typer.echo(json.dumps(configuration.json_schema(), indent=2))
        return
    try:
        loaded = configuration.load(config)
    except configuration.ConfigError as error:
        typer.echo(str(error))
        raise typer.Exit(1) from None
    typer.echo(configuration.report([], loaded.warnings))
    if conformance:
        typer.echo(f"\n{configuration.conformance_report(loaded)}")


@app.command()
def migrate(config: ConfigOption = CONFIG) -> None:
    """Prepare the database.

    Creates it, or brings it to the schema of this version; a copy of an SQLite file is kept beside it. Harmless when
    there is nothing to do.
    """
    from authsrv.storage.base import StorageError  # noqa: PLC0415 - heavy
    from authsrv.storage.migrate import migrate as run  # noqa: PLC0415 - heavy

    loaded = load(config)
    try:
        run(loaded.database.url.get_secret_value(), loaded.database.model().password)
    except StorageError as error:
        fail(str(error))
    typer.echo("The database has the schema of this version.")


app.command(name="migrate-data")(moving.migrate_data)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(backups.restored)


@app.command(name="reload")
def reload_configuration(config: ConfigOption = CONFIG) -> None:
    """Reread the configuration.

    The running server takes over all of the file if it is right, and nothing of it if it is not.
    """
    import asyncio  # noqa: PLC0415 - heavy

    from authsrv.serving import control  # noqa: PLC0415 - heavy

    socket = load(config).control_socket
    if socket is None:
        fail("the configuration names no control socket; set server.control_socket, or send the server SIGHUP")
    try:
        answer = asyncio.run(control.call(socket, "reload"))
    except control.ControlError as error:
        fail(str(error))
    typer.echo(answer["report"])
    typer.echo("The server has taken over the configuration.")


app.command(name="nodes")(nodes.list_nodes)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65535)] = 8080,
    emulator_port: Annotated[int, typer.Option(help="Port of the emulated platforms.", min=1, max=65535)] = 8090,
    state: Annotated[Path, typer.Option(help="Directory of the demo's files, kept for the next time.")] = DEMO_STATE,
) -> None:
    """Serve a demo on this machine.

    One project with a client of every kind, emulated Steam, Xbox and Epic beside it, and commands to try. Its files
    stay in the state directory for the next time.
    """
    from authsrv.commands.starting import migrate_in_own_process  # noqa: PLC0415 - heavy
    from authsrv.demo import run  # noqa: PLC0415 - heavy
    from authsrv.serving import process  # noqa: PLC0415 - heavy

    try:
        path = run.prepare(port, emulator_port, state)
        with run.emulator_running(emulator_port, state):
            config = load(path)
            if status := migrate_in_own_process(path):
                raise typer.Exit(status)
            run.seed(config)
            announce = run.announcer(config.issuer, emulator_port, typer.echo)
            status = process.run(config, path, on_ready=announce, stop_on_hangup=True)
    except run.DemoError as error:
        fail(str(error))
    raise typer.Exit(status)
