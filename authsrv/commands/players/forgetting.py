"""The commands about what is stored of players: all of it is told, or all of it goes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from authsrv.commands.confirming import confirm
from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, fail, moment, order
from authsrv.commands.players.files import require_free, write_private
from authsrv.commands.players.looking import Told
from authsrv.commands.players.many import Deed, Players, carry_out, players_meant
from authsrv.commands.players.naming import AccountOption, PlatformOption, ProjectOption, SubArgument
from authsrv.commands.players.options import DryRunOption, FileOption, OperatorOption, ReasonOption, YesOption
from authsrv.commands.players.outcomes import is_, nothing_changed, told_of

STDOUT: Final = "-"

_NOUNS: Final = {
    "identities": ("platform account", "platform accounts"),
    "consents": ("consent", "consents"),
    "sessions": ("sign-in in a browser", "sign-ins in browsers"),
    "grants": ("login of a client", "logins of clients"),
    "events": ("event", "events"),
}


def export(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    file: FileOption = "",
    output: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The file to write; - for standard output. With --from a directory, with a file for each player.",
            show_default=False,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    reason: ReasonOption = "",
    operator: OperatorOption,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Write down everything that is stored about players.

    As JSON, to give it to them (GDPR articles 15 and 20), into a file with mode 0600.
    """
    players = players_meant(sub, platform, account, project, file)
    arguments = {"reason": reason, "operator": operator}
    if output == STDOUT:
        _print(config, players, arguments)
        return
    shelf = Shelf(Path(output), players, force=force)
    carry_out(config, Deed("players.export", arguments, _written, shelf.keep), players, as_json=as_json)


def erase(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    file: FileOption = "",
    reason: ReasonOption,
    operator: OperatorOption,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Erase players for good.

    With everything that is stored about them, and with every account that was merged into them. Nothing brings them
    back: whoever comes by their platform accounts is somebody new.
    """
    arguments = {"reason": reason, "operator": operator, "dry_run": dry_run}
    players = players_meant(sub, platform, account, project, file)
    deed = Deed("players.erase", arguments, _erased)
    if not dry_run and not yes:
        _confirm(config, deed, players)
    carry_out(config, deed, players, as_json=as_json)


class Shelf:
    """Where exports go: a file, or a directory with one for each player."""

    def __init__(self, path: Path, players: Players, *, force: bool) -> None:
        """Ends the command if it cannot be written, before anybody's data is asked for."""
        self._path = path
        self._is_directory = players.listed
        self._force = force
        self._own: set[Path] = set()
        if not self._is_directory:
            require_free(path, force=force)
            return
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            fail(f"{path} cannot be a directory: {error.strerror}")

    def keep(self, answer: Told) -> Told:
        """Write an export; the answer with its file in place of it."""
        path = self._path / f"{answer['sub']}.json" if self._is_directory else self._path
        # Whoever is in the list twice is written twice.
        force = self._force or path in self._own
        require_free(path, force=force)
        write_private(path, _text(answer), force=force)
        self._own.add(path)
        told = {name: value for name, value in answer.items() if name != "export"}
        return {**told, "file": str(path)}


def _print(config: Path, players: Players, arguments: Mapping[str, Any]) -> None:
    if players.listed:
        raise typer.BadParameter("many are written to a directory")
    (player,) = players.each
    typer.echo(_text(order(config, "players.export", **player, **arguments)), nl=False)


def _text(answer: Told) -> str:
    return json.dumps(answer["export"], indent=2, ensure_ascii=False) + "\n"


def _written(found: Told) -> str:
    return f"Everything that is stored about {told_of(found)} is in {found['file']}."


def _confirm(config: Path, deed: Deed, players: Players) -> None:
    if players.listed:
        confirm("They are erased for good; --dry-run tells whom it would meet.", f"{len(players.each)} players")
        return
    (player,) = players.each
    preview = order(config, deed.order, **player, **{**deed.arguments, "dry_run": True})
    if preview["outcome"] != "unchanged":
        confirm(_erased(preview), preview["sub"])


def _erased(found: Told) -> str:
    if found["outcome"] == "unchanged":
        return f"The player {found['sub']} was erased before, at {moment(found['erased_at'])}."
    counts = ", ".join(_count(found["counts"][name], *nouns) for name, nouns in _NOUNS.items())
    lines = [f"{told_of(found)} {is_(found)} erased for good, with {counts}."]
    others = [sub for sub in found["erased"] if sub != found["sub"]]
    if others:
        lines.append(f"Erased with it: {', '.join(others)}")
    return "\n".join(filter(None, [*lines, nothing_changed(found)]))


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
