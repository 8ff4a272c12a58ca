"""What becomes of a proven platform account, as pure decisions over a loaded case.

Owns what each row of the decision table changes and what each choice does, and who is kept out before either. Whether a
choice was offered is the caller's to know. Does no I/O.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from authsrv.account_models import Account, JournalEvent
from authsrv.accounts.cases import Case
from authsrv.accounts.journal import Happening, Occasion, Planned, facts_text
from authsrv.accounts.linking import link, require_rested
from authsrv.accounts.merging import merge
from authsrv.accounts.transferring import transfer
from authsrv.ages import is_guarded
from authsrv.errors import AccountConflict, InvalidRequest, LinkLimit, StateChanged, UserNotFound
from authsrv.models import Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.players import as_told, barred, came, clean_display_name, created, require_age, require_welcome
from authsrv.records import dataclass
from authsrv.storage.account_changes import RecordEvent, SetDisplayName, SetSegments
from authsrv.storage.changes import Change

Outcome = Literal["created", "signed_in", "linked", "unchanged", "switched", "merged"]
Choice = Literal["switch", "link", "transfer", "merge", "create", "sign_in", "cancel"]
Survivor = Literal["current", "other"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where the player is afterwards, by which row, and what is to be written for it.

    `event` is the journal's, if there is one. `previous` is the player who they were before, if that was another one.
    `is_repeat` tells that an earlier answer to the same request said so already.
    """

    outcome: Outcome
    rule: str
    player: Player
    changes: tuple[Change, ...] = ()
    event: JournalEvent | None = None
    previous: Player | None = None
    is_repeat: bool = False

    @property
    def needs_tokens(self) -> bool:
        """Whether the tokens that the client has, if any, are not this player's."""
        return self.outcome in {"created", "signed_in", "switched"} or self.previous is not None


def decided(case: Case, marks: IdentityMarks) -> Arrival:
    """What the decision table says. Raises `AuthsrvError`, a conflict as `AccountConflict`."""
    require_all_welcome(case)
    return _BY_OUTCOME[case.decision.outcome](case, marks)


def chosen(case: Case, marks: IdentityMarks, choice: Choice, survivor: Survivor | None = None) -> Arrival:
    """What a choice does; `survivor` belongs to a merge. Raises `AuthsrvError`."""
    if choice == "cancel":
        return Arrival("unchanged", case.decision.rule, _mine(case).player)
    require_all_welcome(case)
    return _merged(case, marks, survivor) if choice == "merge" else _BY_CHOICE[choice](case, marks)


def told_before(case: Case, event: JournalEvent) -> Arrival:
    """The same answer once more, by the event that the first one left. Raises `StateChanged` if it is not so any more.

    A login is noted again; nothing else is done twice.
    """
    require_all_welcome(case)
    account = case.owner
    if account is None or account.player.id != event.player_id or event.reversed_by:
        raise StateChanged
    outcome: Outcome = _TOLD[event.kind]
    again = Arrival(outcome, event.rule, account.player, event=event, is_repeat=True)
    return again if outcome == "linked" else replace(_entering(case, again), previous=_previous(case, account.player))


def require_all_welcome(case: Case) -> None:
    """Refuse a player or a platform account that is kept out, or whose age keeps them out. Raises `AccessDenied`."""
    now = case.occasion.now
    if case.current and case.current.player.is_barred(now):
        raise barred(case.current.player)
    require_welcome(case.found, now)
    for known in (case.current, case.owner):
        require_age(case.presence, known.player if known else None)


# --- rows and choices ---


def _signed_in(case: Case, _: IdentityMarks) -> Arrival:
    return _entering(case, Arrival("signed_in", case.decision.rule, _owner(case).player))


def _unchanged(case: Case, _: IdentityMarks) -> Arrival:
    return _entering(case, Arrival("unchanged", case.decision.rule, _owner(case).player))


def _entering(case: Case, arrival: Arrival) -> Arrival:
    changes = (*came(case.presence, arrival.player), *_wished(case, arrival.player))
    return replace(arrival, player=as_told(case.presence, arrival.player), changes=changes)


def _created(case: Case, _: IdentityMarks) -> Arrival:
    if case.owner is not None:
        raise StateChanged
    rule = case.decision.rule
    made = created(case.presence, case.new, rule, facts_text(_request(case)))
    changes = (*made.changes, *_segments(case, made.player))
    return Arrival("created", rule, made.player, changes, made.event, _previous(case, made.player))


def _linked(case: Case, marks: IdentityMarks) -> Arrival:
    account, occasion = _changing(case), _occasion(case)
    require_rested(account, case.last_unlink, occasion)
    planned = link(case.proof.key, account, occasion, marks, _request(case), age_group=case.proof.age_group)
    return _moved(case, account, planned, "linked")


def _transferred(case: Case, marks: IdentityMarks) -> Arrival:
    account = _changing(case)
    return _moved(case, account, transfer(case.proof.key, _owner(case), account, _occasion(case), marks), "linked")


def _merged(case: Case, marks: IdentityMarks, survivor: Survivor | None) -> Arrival:
    mine, theirs = _changing(case), _owner(case)
    loser, winner = (theirs, mine) if survivor == "current" else (mine, theirs)
    merged = _moved(case, winner, merge(loser, winner, _occasion(case), marks), "merged")
    return replace(merged, previous=_previous(case, winner.player))


def _moved(case: Case, account: Account, planned: Planned, outcome: Outcome) -> Arrival:
    changes = (*planned.changes, *_wished(case, account.player))
    return Arrival(outcome, case.decision.rule, account.player, changes, planned.event)


def _switched(case: Case, _: IdentityMarks) -> Arrival:
    mine, theirs = _mine(case).player, _owner(case).player
    happening = Happening("switched", theirs.id, mine.id, case.proof.key, facts=_request(case))
    event = _occasion(case).event(happening)
    arrival = _entering(case, Arrival("switched", case.decision.rule, theirs, event=event, previous=mine))
    return replace(arrival, changes=(*arrival.changes, RecordEvent(event)))


def _not_found(case: Case, _: IdentityMarks) -> Arrival:
    raise UserNotFound(facts={"rule": case.decision.rule})


def _conflict(_: Case, __: IdentityMarks) -> Arrival:
    raise AccountConflict("The platform account belongs to another player.", reason="switch_required")


def _already_linked(case: Case, _: IdentityMarks) -> Arrival:
    rules = case.occasion.project.accounts
    if case.owner is None and rules.identities > 1:
        raise LinkLimit(facts={"rule": case.decision.rule})
    raise AccountConflict("The player has another account of this platform already.", reason="already_linked")


_Decide = Callable[[Case, IdentityMarks], Arrival]

_BY_OUTCOME: Mapping[str, _Decide] = {
    "sign_in": _signed_in,
    "create": _created,
    "create_and_switch": _created,
    "unchanged": _unchanged,
    "link": _linked,
    "switch": _switched,
    "conflict": _conflict,
    "already_linked": _already_linked,
    "not_found": _not_found,
}
_BY_CHOICE: Mapping[Choice, _Decide] = {
    "switch": _switched,
    "link": _linked,
    "transfer": _transferred,
    "create": _created,
    "sign_in": _signed_in,
}
_TOLD: Mapping[str, Outcome] = {"created": "created", "linked": "linked", "switched": "switched"}
"""What the answer said that left an event of this kind."""


# --- what they are made of ---


def _mine(case: Case) -> Account:
    if case.current is None:
        raise LookupError("nobody is signed in")
    return case.current


def _owner(case: Case) -> Account:
    if case.owner is None:
        raise StateChanged
    return case.owner


def _changing(case: Case) -> Account:
    """The account of the session, which is about to change what it owns (row D46)."""
    if case.session is not None:
        case.session.require_recent(case.occasion.now)
    if case.proof.anonymous:
        raise InvalidRequest("A device account cannot be linked to a player.", reason="credential_unsupported")
    return _mine(case)


def _previous(case: Case, player: Player) -> Player | None:
    """Who the session was about before, if that was somebody else."""
    before = case.current.player if case.current else None
    return before if before and before.id != player.id else None


def _occasion(case: Case) -> Occasion:
    return replace(case.occasion, rule=case.decision.rule)


def _request(case: Case) -> Mapping[str, str]:
    """What tells a repeat, for the journal."""
    return {"request": case.wishes.request} if case.wishes.request else {}


def _wished(case: Case, player: Player) -> tuple[Change, ...]:
    return (*_name(case, player), *_segments(case, player))


def _name(case: Case, player: Player) -> tuple[Change, ...]:
    """The name follows the platform account from now on, if that is wanted and it has one."""
    key, name = case.proof.key, clean_display_name(case.proof.display_name)
    follows = (player.display_name, player.name_from) == (name, key.kind)
    guarded = is_guarded(case.occasion.project.accounts, as_told(case.presence, player).age_group)
    if follows or guarded or not name or not case.wishes.flags.sync_display_name:
        return ()
    event = case.occasion.event(Happening("renamed", player.id, identity=key))
    return (SetDisplayName(player.id, name, key.kind), RecordEvent(event))


def _segments(case: Case, player: Player) -> tuple[Change, ...]:
    return () if case.wishes.segments is None else (SetSegments(player.id, case.wishes.segments),)
