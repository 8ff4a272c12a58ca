"""`authsrv tokens ...`: end tokens before their time.

Holds no rules: every command gives one order and prints what came of it.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, order

app = typer.Typer(name="tokens", help="End tokens before their time.", no_args_is_help=True)

_FOLLOWS = """Game servers that check access tokens by themselves hear of it from the revocation feed within 30 seconds.
Sign-ins in browsers go on: a player who is signed in there gets new tokens without being asked."""


@app.callback()
def group() -> None:
    """Keeps `revoke` a command of its own while there is no other."""


@app.command()
def revoke(
    *,
    player: Annotated[str, typer.Option(metavar="SUB", help="The player with this sub.", show_default=False)] = "",
    client: Annotated[str, typer.Option(metavar="ID", help="The client with this client_id.", show_default=False)] = "",
    project: Annotated[str, typer.Option(metavar="KEY", help="The project with this key.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would mean.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Void all that a player or client was given.

    Or all clients of a project: every code, refresh token and access token until now. It cannot be undone; whoever
    logs in again gets new ones.
    """
    named = {kind: text for kind, text in (("player", player), ("client", client), ("project", project)) if text}
    if len(named) != 1:
        raise typer.BadParameter("name one: --player, --client or --project")
    ((kind, subject),) = named.items()
    found = order(config, "tokens.revoke", kind=kind, subject=subject, dry_run=dry_run)
    typer.echo(json.dumps(found, indent=2) if as_json else _told(found))


def _told(found: Mapping[str, Any]) -> str:
    whose = f"{found['kind']} {found['subject']}"
    if found["kind"] != "project":
        whose += f" of project {found['project']}"
    verb = "is" if found["done"] else "would be"
    first = f"Everything that {whose} was given until now {verb} void: codes, refresh tokens and access tokens."
    return f"{first}\n{_FOLLOWS}" if found["done"] else f"{first}\n{_FOLLOWS}\nNothing was changed."
