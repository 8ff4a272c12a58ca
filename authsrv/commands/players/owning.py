"""The commands about whose a platform account is, about two players who are one, and about taking such things back."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from authsrv.commands.confirming import confirm
from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, order
from authsrv.commands.players.naming import AccountOption, PlatformOption, ProjectOption, SubArgument, named
from authsrv.commands.players.options import (
    DryRunOption,
    EnvironmentOption,
    OperatorOption,
    ReasonOption,
    YesOption,
)
from authsrv.commands.players.outcomes import told

OwnerArgument = Annotated[
    str, typer.Argument(help="The sub of the player who has it, to make sure.", metavar="SUB", show_default=False)
]
ItsPlatformOption = Annotated[
    str,
    typer.Option("--platform", metavar="NAME", help="steam, xbox, guest, and epic or eos_puid.", show_default=False),
]
ItsAccountOption = Annotated[str, typer.Option("--account", metavar="ID", help="Its id there.", show_default=False)]


def link(
    *,
    sub: Annotated[str, typer.Argument(help="The player's sub.", metavar="SUB", show_default=False)],
    platform: ItsPlatformOption,
    account: ItsAccountOption,
    environment: EnvironmentOption = "",
    reason: ReasonOption = "",
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Give a player a platform account.

    Without a proof that it is theirs: whoever signs in with it is this player from now on. One that another player has
    is refused; authsrv players transfer moves it.
    """
    identity = {"platform": platform, "account": account, "environment": environment}
    common = {"reason": reason, "operator": operator, "dry_run": dry_run}
    _do(config, "players.link", {"sub": sub, **identity, **common}, as_json=as_json)


def unlink(
    *,
    sub: OwnerArgument = "",
    platform: ItsPlatformOption,
    account: ItsAccountOption,
    environment: EnvironmentOption = "",
    project: ProjectOption = "",
    reason: ReasonOption = "",
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Take a platform account from its player.

    It is nobody's afterwards. The only way in that a player has is refused.
    """
    identity = {"platform": platform, "account": account, "environment": environment}
    common = {"project": project, "reason": reason, "operator": operator, "dry_run": dry_run}
    _do(config, "players.unlink", {"sub": sub, **identity, **common}, as_json=as_json)


def transfer(
    *,
    sub: OwnerArgument = "",
    platform: ItsPlatformOption,
    account: ItsAccountOption,
    to: Annotated[str, typer.Option(metavar="SUB", help="The player who gets it.", show_default=False)],
    environment: EnvironmentOption = "",
    project: ProjectOption = "",
    reason: ReasonOption = "",
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Give a platform account to another player.

    Whoever had it keeps the rest, and can be left without a way in; an undo gives it back.
    """
    identity = {"platform": platform, "account": account, "environment": environment}
    common = {"project": project, "reason": reason, "operator": operator, "dry_run": dry_run}
    _do(config, "players.transfer", {"sub": sub, "to": to, **identity, **common}, as_json=as_json)


def merge(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    into: Annotated[str, typer.Option(metavar="SUB", help="The player who remains.", show_default=False)],
    drop_duplicates: Annotated[
        bool,
        typer.Option("--drop-duplicates", help="Where both have accounts of one platform, those of the other go."),
    ] = False,
    reason: ReasonOption,
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Make one player of two.

    The other one's platform accounts go to the player who remains, and their sub stands for that player from now on.
    """
    arguments = {
        **named(sub, platform, account, project),
        "into": into,
        "drop_duplicates": drop_duplicates,
        "reason": reason,
        "operator": operator,
    }
    if not dry_run and not yes:
        preview = order(config, "players.merge", **arguments, dry_run=True)
        if preview["outcome"] != "unchanged":
            confirm(told(preview), preview["other"])
    _do(config, "players.merge", {**arguments, "dry_run": dry_run}, as_json=as_json)


def undo(
    *,
    event: Annotated[str, typer.Argument(help="Its id, as authsrv players show tells it.", show_default=False)],
    reason: ReasonOption = "",
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Take back what was done to an account.

    A link, an unlink, a transfer or a merge, as long as nothing that it touched was changed since.
    """
    common = {"reason": reason, "operator": operator, "dry_run": dry_run}
    _do(config, "players.undo", {"event": event, **common}, as_json=as_json)


def _do(config: Path, name: str, arguments: dict[str, Any], *, as_json: bool) -> None:
    found = order(config, name, **arguments)
    typer.echo(json.dumps(found, indent=2) if as_json else told(found))
