"""How a command names a player: the options of it, and what they are in an order."""

from typing import Annotated

import typer

SubArgument = Annotated[str, typer.Argument(help="The player's sub.", metavar="SUB", show_default=False)]
PlatformOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="In place of the sub: steam, xbox, epicgames or guest, with --account.", show_default=False
    ),
]
AccountOption = Annotated[str, typer.Option(metavar="ID", help="The player's id there.", show_default=False)]
ProjectOption = Annotated[str, typer.Option(metavar="KEY", help="Look in this project only.", show_default=False)]


def named(sub: str, platform: str, account: str, project: str) -> dict[str, str]:
    """The arguments of an order that name the player. Raises `typer.BadParameter` unless one is named in one way."""
    by_account = bool(platform and account)
    if bool(platform) != bool(account) or bool(sub) == by_account:
        raise typer.BadParameter("name the player by the sub, or by --platform and --account")
    given = {"sub": sub, "platform": platform, "account": account, "project": project}
    return {name: text for name, text in given.items() if text}
