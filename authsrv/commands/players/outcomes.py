"""How what was done to players, or would be, is told to people."""

from collections.abc import Iterator, Mapping
from typing import Final

from authsrv.commands.console import moment, printable
from authsrv.commands.players.looking import Told

_HAPPENED: Final[Mapping[str, str]] = {
    "unchanged": "There is nothing to do: it is so with {player}.",
    "linked": "{moved} {is_} linked to {player}.",
    "unlinked": "{detached} {is_} taken from {player}, and nobody's.",
    "transferred": "{moved} {is_} taken from {other} and given to {player}.",
    "merged": "{other} {is_} part of {player}.",
    "undone": "It {is_} taken back for {player}{and_other}.",
}
_OF_WOULD: Final[Mapping[str, str]] = {
    "would_link": "linked",
    "would_unlink": "unlinked",
    "would_transfer": "transferred",
    "would_merge": "merged",
    "would_undo": "undone",
}
_LISTED: Final = {"merged", "undone"}
"""What concerns several platform accounts, or none."""


def told(found: Told) -> str:
    """What happened to a player's platform accounts."""
    return "\n".join(line for line in _lines(found) if line)


def _lines(found: Told) -> Iterator[str]:
    outcome = _OF_WOULD.get(found["outcome"], found["outcome"])
    moved, detached = (", ".join(map(account_of, found[name])) for name in ("moved", "detached"))
    and_other = f" and {found['other']}" if found["other"] else ""
    yield _HAPPENED[outcome].format(
        player=told_of(found),
        other=found["other"],
        and_other=and_other,
        moved=moved,
        detached=detached,
        is_=is_(found),
    )
    if outcome in _LISTED:
        yield f"Platform accounts that move: {moved}" if moved else ""
        yield f"Platform accounts that are nobody's then: {detached}" if detached else ""
    if found["event"] and found["reversible_until"]:
        yield f"It can be taken back until {moment(found['reversible_until'])}: authsrv players undo {found['event']}"
    yield nothing_changed(found)


def told_of(found: Told) -> str:
    """The player whom it is about, by name and sub; and the sub that was asked for, if it is an alias."""
    name = f"{printable(found['display_name'])} " if found["display_name"] else ""
    alias = f", into whom {found['alias']} was merged," if found["alias"] else ""
    return f"{name}{found['sub']} of project {found['project']}{alias}"


def is_(found: Told) -> str:
    """The verb of what happened, or would."""
    return "would be" if found["outcome"].startswith("would") else "is"


def nothing_changed(found: Told) -> str:
    """What closes a dry run."""
    return "Nothing was changed." if found["outcome"].startswith("would") else ""


def account_of(identity: Told) -> str:
    """A platform account."""
    environment = f" in {identity['environment']}" if identity["environment"] else ""
    return f"{identity['kind']} {printable(identity['account'])}{environment}"
