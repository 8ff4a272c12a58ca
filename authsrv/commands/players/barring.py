"""The commands that keep players out, and let them in again."""

from typing import Annotated

import typer

from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, duration
from authsrv.commands.players.looking import Told, barred
from authsrv.commands.players.many import Deed, carry_out, players_meant
from authsrv.commands.players.naming import AccountOption, PlatformOption, ProjectOption, SubArgument
from authsrv.commands.players.options import DryRunOption, FileOption, OperatorOption, ReasonOption
from authsrv.commands.players.outcomes import is_, nothing_changed, told_of

ForOption = Annotated[
    int | None,
    typer.Option("--for", help="For how long: 90d, 12h. For good, if left out.", parser=duration, metavar="90d"),
]

_FOLLOWS = """Codes, tokens and sign-ins that the player had are void, here at once, and within 30 seconds at game
servers that check access tokens by themselves. Each platform account is kept out by itself, whoever it is linked to
later."""
_LIFTED = "What was void stays so: the player signs in again."


def ban(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    file: FileOption = "",
    reason: ReasonOption,
    seconds: ForOption = None,
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Keep players out of the game.

    With everything they were given, and with all of their platform accounts.
    """
    arguments = {"reason": reason, "seconds": seconds, "operator": operator, "dry_run": dry_run}
    players = players_meant(sub, platform, account, project, file)
    carry_out(config, Deed("players.ban", arguments, _barred), players, as_json=as_json)


def unban(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    file: FileOption = "",
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Let players in again.

    Every ban of theirs ends, a restriction does not.
    """
    players = players_meant(sub, platform, account, project, file)
    deed = Deed("players.unban", {"operator": operator, "dry_run": dry_run}, _let_in)
    carry_out(config, deed, players, as_json=as_json)


def restrict(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    file: FileOption = "",
    reason: ReasonOption = "",
    seconds: ForOption = None,
    lift: Annotated[bool, typer.Option("--lift", help="End the restriction.")] = False,
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Leave a player's data unused.

    For those who ask for it (GDPR article 18): as a ban, but nobody is told why. They may have their data, and be
    erased.
    """
    if lift == bool(reason) or (lift and seconds):
        raise typer.BadParameter("write either --reason or --lift")
    arguments = {"operator": operator, "dry_run": dry_run}
    deed = Deed("players.restrict", {**arguments, "reason": reason, "seconds": seconds}, _barred)
    if lift:
        deed = Deed("players.unrestrict", arguments, _let_in)
    carry_out(config, deed, players_meant(sub, platform, account, project, file), as_json=as_json)


def _barred(found: Told) -> str:
    return _joined(f"{told_of(found)} {is_(found)} {barred(found['barred'])}.", _FOLLOWS, nothing_changed(found))


def _let_in(found: Told) -> str:
    if found["outcome"] == "unchanged":
        return f"There is nothing to lift from {told_of(found)}."
    state = f"still {barred(found['barred'])}" if found["barred"] else "let in again"
    return _joined(f"{told_of(found)} {is_(found)} {state}.", _LIFTED, nothing_changed(found))


def _joined(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
