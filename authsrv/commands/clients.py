"""`authsrv clients ...`: secrets for the clients of the configuration file.

Holds no rules: the configuration says which client may have a secret and how it is let in.
"""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from authsrv.commands.console import CONFIG, ConfigOption, duration, fail, unusable

if TYPE_CHECKING:
    from authsrv.config.new_secret import SecretEntry

app = typer.Typer(name="clients", help="Make secrets for clients.", no_args_is_help=True)
secret_app = typer.Typer(
    name="secret", help="Make secrets for clients of the configuration file.", no_args_is_help=True
)
app.add_typer(secret_app)


@app.callback()
def group() -> None:
    """Keeps `secret` a group of its own while there is no other."""


@secret_app.callback()
def secret_group() -> None:
    """Keeps `new` a command of its own while there is no other."""


@secret_app.command()
def new(
    client: Annotated[str, typer.Argument(help="The client's id in the configuration file.", show_default=False)],
    expires_in: Annotated[
        int | None,
        typer.Option(
            help="How long the secret is to work: 90d, 12h. For ever, if left out.", parser=duration, metavar="90d"
        ),
    ] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Make a further secret for a client.

    It is shown this once, and written nowhere: standard output has the secret, standard error the line for the
    configuration file that lets it in, and what to do next. The client's other secrets go on working.
    """
    from authsrv.config import ConfigError  # noqa: PLC0415 - heavy
    from authsrv.config.new_secret import SecretRefused, entry_for  # noqa: PLC0415 - heavy
    from authsrv.oauth.opaque import PREFIXES  # noqa: PLC0415 - heavy

    secret, now = PREFIXES["client_secret"] + secrets.token_urlsafe(32), int(time.time())
    try:
        entry = entry_for(config, client, secret, None if expires_in is None else now + expires_in, now)
    except SecretRefused as error:
        fail(str(error))
    except ConfigError as error:
        unusable(error)
    typer.echo(f"A new secret for {client}. Nobody will show it again:\n", err=True)
    typer.echo(secret)
    typer.echo(_what_to_do(entry, config), err=True)


def _what_to_do(entry: "SecretEntry", config: Path) -> str:
    where = "in place of the setting in" if entry.replaces else "below"
    place = f"line {entry.line}" if entry.replaces else f"[{entry.table}], line {entry.line}"
    reload = "authsrv reload" if config == CONFIG else f"authsrv reload --config {config}"
    both = "the client is let in with it" if entry.is_first else "the client is let in with the old secret and with it"
    steps = [f"mend what else is wrong in the file: authsrv check finds {entry.faults}"] if entry.faults else []
    steps += [f"{reload}: from then on {both}", "give the secret to the client, and see that it works"]
    if not entry.is_first:
        steps.append(f"end the old secret: remove it, or write expires into its entry; then {reload}")
    told = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    return f"\nPut this into {config}, {where} {place}:\n\n{entry.toml}\n\nThen:\n{told}"
