"""Keeping players out, and letting them in again, as pure plans: bans, and restrictions for privacy's sake.

Owns what a ban takes along: every platform account of the player, everything they were given, and their sessions.
"""

from collections.abc import Iterable, Sequence

from authsrv.account_models import Account, Ban, EventKind
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.errors import InvalidRequest
from authsrv.models import NEVER, BarKind, IdentityKey, Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.records import dataclass
from authsrv.storage.account_changes import (
    AddBan,
    AddIdentityBan,
    AdvanceVersion,
    BarPlayer,
    LiftBan,
    MarkIdentity,
    RecordEvent,
)
from authsrv.storage.changes import Change, EndSessions, SetNotBefore

_LIFTED: dict[BarKind, EventKind] = {"banned": "unbanned", "restricted": "unrestricted"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """That somebody is kept out, until when in Unix seconds, `NEVER` without end, and why.

    `reason` is the operator's text: it is for operators, and for the player's own export.
    """

    kind: BarKind
    until: int = NEVER
    reason: str = ""


def ban(accounts: Sequence[Account], sentence: Sentence, occasion: Occasion, marks: IdentityMarks) -> Planned:
    """Keep a player out. Everything they were given is void, and each of their platform accounts is banned by itself.

    `accounts` are the player's own, and those that were merged into it, whose bans count too: the one that lasts
    longest does. Raises `InvalidRequest` for an end in the past.
    """
    account, now = accounts[0], occasion.now
    player, decided = account.player, _ban(sentence, account.player.id, occasion)
    event = occasion.event(Happening(sentence.kind, player.id, facts={"ban": decided.id, "until": decided.until}))
    return Planned(
        event,
        (
            AdvanceVersion(player.id, player.version),
            AddBan(decided),
            *(MarkIdentity(marks.of(linked.key), decided.id) for linked in account.identities),
            barred_by(player, (*_all_in_force(accounts, now), decided)),
            *voided(account, now + 1),
            *(EndSessions(one.id, now, sentence.kind) for one in (player, *account.aliases)),
            RecordEvent(event),
        ),
    )


def unban(accounts: Sequence[Account], kind: BarKind, occasion: Occasion, ban_id: int | None = None) -> Planned | None:
    """Lift one ban in force of a player, or all of that kind; None if there is none.

    `accounts` as for `ban`. What was void stays void, so that the player signs in again.
    """
    player, now = accounts[0].player, occasion.now
    found = _all_in_force(accounts, now)
    lifted = [one for one in found if one.kind == kind and ban_id in {None, one.id}]
    if not lifted:
        return None
    gone = {one.id for one in lifted}
    event = occasion.event(Happening(_LIFTED[kind], player.id, facts={"bans": sorted(gone)}))
    return Planned(
        event,
        (
            AdvanceVersion(player.id, player.version),
            *(LiftBan(one, now) for one in sorted(gone)),
            barred_by(player, (one for one in found if one.id not in gone)),
            *(barred_by(alias.player, _without(alias, gone, now)) for alias in accounts[1:]),
            *voided(accounts[0], now),
            *(EndSessions(account.player.id, now, kind) for account in accounts),
            RecordEvent(event),
        ),
    )


def ban_identity(key: IdentityKey, sentence: Sentence, occasion: Occasion, marks: IdentityMarks) -> Planned:
    """Keep out whoever comes by a platform account that is nobody's. Neither the ban nor the journal can be read for
    whose it is. Raises `InvalidRequest` for an end in the past.
    """
    decided = _ban(sentence, 0, occasion)
    event = occasion.event(Happening(sentence.kind, 0, facts={"ban": decided.id, "until": decided.until}))
    return Planned(event, (AddIdentityBan(decided, key), MarkIdentity(marks.of(key), decided.id), RecordEvent(event)))


def unban_identity(found: Ban, occasion: Occasion) -> Planned:
    """Lift a ban that is no player's."""
    event = occasion.event(Happening(_LIFTED[found.kind], 0, facts={"bans": [found.id]}))
    return Planned(event, (LiftBan(found.id, occasion.now), RecordEvent(event)))


def spread(account: Account, key: IdentityKey, marks: IdentityMarks, now: int) -> list[Change]:
    """What linking a platform account takes, if the player is banned: each ban in force holds for it too."""
    return [MarkIdentity(marks.of(key), one.id) for one in in_force(account, now)]


def in_force(account: Account, now: int) -> list[Ban]:
    """The bans and restrictions of an account that were not lifted and have not ended."""
    return [one for one in account.bans if one.is_in_force(now)]


def barred_by(player: Player, bans: Iterable[Ban]) -> BarPlayer:
    """Keep a player out for as long as the longest of these bans; of several that last as long the oldest counts."""
    strictest = min(bans, key=lambda one: (-one.until, one.id), default=None)
    return BarPlayer(player.id, strictest.until if strictest else 0, strictest.kind if strictest else None)


def voided(account: Account, not_before: int) -> list[Change]:
    """Everything void that a player was given before, also while parts of the account were by themselves."""
    return [SetNotBefore("player", one.sub, not_before) for one in (account.player, *account.aliases)]


def _ban(sentence: Sentence, player_id: int, occasion: Occasion) -> Ban:
    if sentence.until <= occasion.now:
        raise InvalidRequest("The end must lie in the future.", parameter="until")
    return Ban(
        id=occasion.next_id(),
        project=occasion.project.key,
        player_id=player_id,
        kind=sentence.kind,
        reason=sentence.reason,
        decided_by=occasion.doer.name or occasion.doer.client_id,
        created_at=occasion.now,
        until=sentence.until,
    )


def _all_in_force(accounts: Sequence[Account], now: int) -> list[Ban]:
    return [one for account in accounts for one in in_force(account, now)]


def _without(account: Account, gone: set[int], now: int) -> Iterable[Ban]:
    return (one for one in in_force(account, now) if one.id not in gone)
