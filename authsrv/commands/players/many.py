"""Orders about one player, or about every player of a file: what is given, and how the outcome is told.

Of many, each is done by itself: who is not there, or cannot be helped, is told and passed over. What concerns the
server or the order ends the list.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from authsrv.commands.console import STATUSES, fail, order, orders
from authsrv.commands.players.naming import named
from authsrv.records import dataclass

if TYPE_CHECKING:
    from authsrv.orders.desk import OrderRefused

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Players:
    """Whom a command is about: `each` has the arguments that name one. `listed` if they came from a file."""

    each: Sequence[Mapping[str, str]]
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Deed:
    """What is ordered: by which name, with which arguments beside those that name the player, and how it is told.

    `kept` does with an answer what is to be done here, and gives what is told of it.
    """

    order: str
    arguments: Mapping[str, Any]
    told: Callable[[Told], str]
    kept: Callable[[Told], Told] = lambda answer: answer


def players_meant(sub: str, platform: str, account: str, project: str, file: str) -> Players:
    """One player by options, or those of a file. Raises `typer.BadParameter`."""
    if not file:
        return Players([named(sub, platform, account, project)])
    if sub or platform or account or project:
        raise typer.BadParameter("--from names the players, and nothing else can")
    return Players([{"sub": line} for line in _lines(file)], listed=True)


def carry_out(config: Path, deed: Deed, players: Players, *, as_json: bool) -> None:
    """Give the order for each, and print what came of it."""
    if players.listed:
        _each(config, deed, players, as_json=as_json)
        return
    (player,) = players.each
    found = deed.kept(order(config, deed.order, **player, **deed.arguments))
    typer.echo(json.dumps(found, indent=2) if as_json else deed.told(found))


def _lines(file: str) -> list[str]:
    """What stands in each line, but for empty ones and those that begin with #."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _each(config: Path, deed: Deed, players: Players, *, as_json: bool) -> None:
    subs = [player["sub"] for player in players.each]
    tally, given = Tally(as_json), ({**player, **deed.arguments} for player in players.each)
    # Closed here, so that the database is closed before the command ends, and not whenever it is collected.
    with (
        closing(orders(config, deed.order, given)) as outcomes,
        typer.progressbar(
            zip(subs, outcomes, strict=False), len(subs), hidden=_is_hidden(as_json), file=sys.stderr
        ) as bar,
    ):
        for sub, outcome in bar:
            if tally.takes(sub, deed.kept(outcome) if isinstance(outcome, Mapping) else outcome):
                break
    tally.tell(len(subs))


def _is_hidden(as_json: bool) -> bool:
    """Whether there is nobody to watch a bar, or it would stand between the lines of the answer."""
    return not sys.stderr.isatty() or (as_json and sys.stdout.isatty())


class Tally:
    """What came of every order so far."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._outcomes: Counter[str] = Counter()
        self._refused: list[tuple[str, OrderRefused]] = []

    def takes(self, sub: str, outcome: "Told | OrderRefused") -> bool:
        """Count an outcome; whether it is the last, because the next one would be no better."""
        if isinstance(outcome, Mapping):
            self._outcomes[outcome["outcome"]] += 1
            self._print(outcome)
            return False
        self._refused.append((sub, outcome))
        self._print({"sub": sub, "error": str(outcome), "status": _status(outcome)})
        return not outcome.code

    def tell(self, wanted: int) -> None:
        """The sum, and how the command ends."""
        for outcome, count in sorted(self._outcomes.items()):
            typer.echo(f"{outcome.replace('_', ' ')}: {count}", err=self._as_json)
        for sub, refusal in self._refused:
            typer.echo(f"authsrv: {sub}: {refusal}", err=True)
        done = self._outcomes.total() + len(self._refused)
        if done < wanted:
            fail(f"ended at line {done} of {wanted}; the same command can be given again")
        if self._refused:
            raise typer.Exit(min(_status(refusal) for _, refusal in self._refused))

    def _print(self, line: Told) -> None:
        if self._as_json:
            typer.echo(json.dumps(line))


def _status(refusal: "OrderRefused") -> int:
    return STATUSES.get(refusal.code, 1)
