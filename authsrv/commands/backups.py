"""`authsrv backup`, `authsrv restore`, `authsrv restored`: copies of the database, and the way back from one.

Holds no rules: the configuration says which database, `authsrv.restoring` what happens to it.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from authsrv.commands.confirming import confirm
from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, fail, load, logging_to_stderr
from authsrv.commands.players.options import DryRunOption, YesOption

if TYPE_CHECKING:
    from authsrv.restoring import Plan, Restored, Restorer

STREAM = Path("-")
_WORD = "restore"

ErasuresOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--erasures",
        metavar="PATH",
        help="A further ledger of erasures, or a directory of them; may be repeated.",
        show_default=False,
    ),
]
_MEANS = """\
Every player has to sign in once more, which most games do by themselves: all refresh tokens, access tokens, codes and
browser sessions end. Bans, links and other changes since the backup are lost, and whoever came since is new."""
_AGAIN = """\
Before you start the server, see to what the backup could not know: ban again whom you banned since (player.banned in
the log), and give up again each signing key that you gave up since (keys.revoked; authsrv keys revoke)."""


def backup(
    file: Annotated[Path, typer.Argument(help="The new file, or - for standard output.", show_default=False)],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Back up the database.

    As it is at this moment, while the server serves or not. The file (mode 0600) appears under its name once it is
    whole. Keys are in it as they rest in the database, so encrypt it.
    """
    with _restorer(config) as restorer:
        if file == STREAM:
            _stream_out(restorer)
            return
        size = _done(lambda: restorer.back_up(file))
    told = {"file": str(file), "bytes": size}
    typer.echo(json.dumps(told, indent=2) if as_json else f"{file} holds the database: {size} bytes.")


def restore(
    *,
    file: Annotated[Path, typer.Argument(help="The backup, or - for standard input.", show_default=False)],
    erasures: ErasuresOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Move a database that was served before aside.")] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Make the database of a backup.

    Refused while a server runs. The backup is checked, brought to this version's schema, and cut: nothing that it gave
    out works any more, and whoever was erased since is erased again. Only then it gets the database's name. With
    --dry-run all of that is tried on a copy, also while a server runs.
    """
    from authsrv.restoring import Plan  # noqa: PLC0415 - heavy

    plan = Plan(tuple(erasures or ()), replace=replace, preview=dry_run)
    if not dry_run and not yes:
        confirm(f"{file} becomes the database. {_MEANS}", _WORD)
    with _restorer(config) as restorer, _read_in(file) as found:
        _tell(_done(lambda: restorer.restore(found, plan)), plan, as_json=as_json)


def restored(
    *,
    erasures: ErasuresOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Cut a database that was restored by other means.

    A snapshot of the disk, a point in time, a managed server's own backup: run this before you start the server.
    Nothing that the database gave out works any more, and whoever was erased since is erased again.
    """
    from authsrv.restoring import Plan  # noqa: PLC0415 - heavy

    plan = Plan(tuple(erasures or ()), preview=dry_run)
    if not dry_run and not yes:
        confirm(f"The database is cut. {_MEANS}", _WORD)
    with _restorer(config) as restorer:
        _tell(_done(lambda: restorer.restored(plan)), plan, as_json=as_json)


@contextmanager
def _restorer(config: Path) -> "Iterator[Restorer]":
    from authsrv.restoring import Restorer  # noqa: PLC0415 - heavy

    loaded = load(config)
    with logging_to_stderr(loaded) as emit:
        yield Restorer(loaded, emit)


def _done(work: Callable[[], Any]) -> Any:
    from authsrv.restoring import RestoreRefused  # noqa: PLC0415 - heavy

    try:
        return work()
    except RestoreRefused as error:
        fail(str(error))


def _stream_out(restorer: "Restorer") -> None:
    with tempfile.TemporaryDirectory(prefix="authsrv-backup-") as directory:
        file = Path(directory) / "authsrv.backup"
        _done(lambda: restorer.back_up(file))
        with file.open("rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@contextmanager
def _read_in(file: Path) -> Iterator[Path]:
    if file != STREAM:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="authsrv-restore-") as directory:
        received = Path(directory) / "authsrv.backup"
        with received.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield received


def _tell(done: "Restored", plan: "Plan", *, as_json: bool) -> None:
    typer.echo(json.dumps(_members(done, plan), indent=2) if as_json else "\n".join(_lines(done, plan)))


def _members(done: "Restored", plan: "Plan") -> dict[str, Any]:
    return {
        "done": not plan.preview,
        "schema": done.revision,
        "grants": done.cut.grants,
        "sessions": done.cut.sessions,
        "requests": done.cut.requests,
        "link_codes": done.cut.link_codes,
        "credentials": done.cut.credentials,
        "erased_again": done.erased,
        "moved_aside": str(done.aside) if done.aside else None,
    }


def _lines(done: "Restored", plan: "Plan") -> Iterator[str]:
    cut = done.cut
    yield (
        f"{'Would end' if plan.preview else 'Ended'}: {cut.grants} grants, {cut.sessions} sessions, {cut.requests} "
        f"pending requests, {cut.link_codes} link codes, {cut.credentials} presented credentials."
    )
    yield f"{'To be erased' if plan.preview else 'Erased'} again: {done.erased} players."
    if done.aside:
        yield f"The database before is {done.aside}; remove it once you are sure: it holds personal data."
    yield "Nothing was changed." if plan.preview else _AGAIN
