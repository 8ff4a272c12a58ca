"""Who a platform identity is: find, create, link, switch or refuse, as pure decisions over loaded facts.

Owns the decision table, the rules for new players and for who is kept out. Does no I/O and knows neither OAuth nor
platforms.
"""

import re
import unicodedata
from dataclasses import replace
from typing import Literal

from authsrv import ages
from authsrv.account_models import GUEST, Doer, JournalEvent, Ownership
from authsrv.errors import AccessDenied, UserNotFound
from authsrv.models import NEVER, AccountRules, BarKind, ConnectFlags, Digest, IdentityKey, Player
from authsrv.records import dataclass
from authsrv.storage.account_changes import RecordEvent, SetAgeGroup, SetDisplayName
from authsrv.storage.changes import AddPlayer, Change, LinkIdentity, RecordLogin, SetProfile

Outcome = Literal[
    "sign_in",
    "create",
    "create_and_switch",
    "unchanged",
    "link",
    "switch",
    "conflict",
    "already_linked",
    "not_found",
]

_LONGEST_NAME = 32
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a proven identity, and by which row of the decision table."""

    outcome: Outcome
    rule: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """The player who signs in, as they are then, and what must be written for it.

    `created` tells a first login, which has an `event`.
    """

    player: Player
    created: bool
    changes: tuple[Change, ...]
    event: JournalEvent | None = None

    @property
    def has_aged(self) -> bool:
        """Whether the player is of another age group than before."""
        return any(isinstance(change, SetAgeGroup) for change in self.changes)


@dataclass(frozen=True, slots=True)
class NewPlayer:
    """The row id and the `sub` that a new player would get, and the row id of the journal's entry about it."""

    id: int
    sub: str
    event_id: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A verified platform account that comes now: its key, its texts as the platform gave them, and by whom.

    By its `mark` a ban knows it. `rules` are those of the project.
    """

    key: IdentityKey
    display_name: str
    age_group: str
    doer: Doer
    now: int
    mark: Digest
    rules: AccountRules


def decide(session: int | None, owner: int | None, *, has_other: bool, flags: ConnectFlags) -> Decision:
    """The row of the decision table for a proven identity.

    `session` is the player signed in, `owner` whose the identity is, both by row; None for nobody. `has_other` tells
    that the player has another identity of the same kind.
    """
    if session is None:
        return _without_session(owner, flags)
    if owner == session:
        return Decision("unchanged", "5")
    if owner is None:
        return _unknown_identity(has_other=has_other, flags=flags)
    return _of_another(has_other=has_other, flags=flags)


def _without_session(owner: int | None, flags: ConnectFlags) -> Decision:
    if owner is not None:
        return Decision("sign_in", "2")
    return Decision("not_found" if flags.do_not_create_new_player else "create", "1")


def _unknown_identity(*, has_other: bool, flags: ConnectFlags) -> Decision:
    if flags.do_not_link_to_current_player:
        rule = "13" if has_other else "4"
        return Decision("not_found" if flags.do_not_create_new_player else "create_and_switch", rule)
    if has_other:
        return Decision("already_linked", "11" if flags.switch_if_possible else "8")
    return Decision("link", "3")


def _of_another(*, has_other: bool, flags: ConnectFlags) -> Decision:
    if has_other and not flags.switch_if_possible:
        return Decision("already_linked", "9b" if flags.error_on_switch else "9")
    if flags.error_on_switch:
        return Decision("conflict", "12" if has_other else "7")
    return Decision("switch", "10" if has_other else "6")


def sign_in(presence: Presence, found: Ownership, *, may_create: bool, new: NewPlayer) -> SignIn:
    """Decide a login without a session: a known identity signs its player in, an unknown one becomes a new player.

    Raises `UserNotFound` when the identity is unknown and no player may be created, `AccessDenied` for whom a ban or
    their age keeps out.
    """
    require_welcome(found, presence.now)
    owner = found.player
    require_age(presence, owner)
    decision = decide(
        None, owner.id if owner else None, has_other=False, flags=ConnectFlags(do_not_create_new_player=not may_create)
    )
    if owner is not None:
        return SignIn(as_told(presence, owner), False, came(presence, owner))
    if decision.outcome == "not_found":
        raise UserNotFound
    return created(presence, new, decision.rule)


def came(presence: Presence, owner: Player) -> tuple[Change, ...]:
    """What a login of a known identity leaves: of a player who is guarded now, neither a name nor a profile."""
    told = as_told(presence, owner)
    name = clean_display_name(presence.display_name)
    if name == owner.display_name or ages.is_guarded(presence.rules, told.age_group):
        name = ""  # nothing to write
    changes: list[Change] = [RecordLogin(presence.key, owner.id, owner.version, name, presence.now)]
    if told.age_group != owner.age_group:
        changes.append(SetAgeGroup(owner.id, told.age_group))
    if told.display_name != owner.display_name:
        changes += [SetDisplayName(owner.id, "", ""), SetProfile(owner.id, "")]
    return tuple(changes)


def as_told(presence: Presence, owner: Player) -> Player:
    """The player, of the age group that the platform tells now, and without a name for whom that is guarded."""
    aged = replace(owner, age_group=presence.age_group) if presence.age_group not in {"", owner.age_group} else owner
    return ages.discreet(presence.rules, aged)


def created(presence: Presence, new: NewPlayer, rule: str, facts: str = "") -> SignIn:
    """A new player for an identity that is nobody's. `facts` are for the journal."""
    key, now, doer = presence.key, presence.now, presence.doer
    guarded = ages.is_guarded(presence.rules, presence.age_group)
    name = "" if guarded else clean_display_name(presence.display_name)
    player = Player(
        new.id, new.sub, key.project, name, now, now, age_group=presence.age_group, name_from=key.kind if name else ""
    )
    event = JournalEvent(
        id=new.event_id,
        project=key.project,
        kind="created",
        at=now,
        player_id=new.id,
        identity=key,
        actor=doer.actor,
        actor_name=doer.name,
        client_id=doer.client_id,
        address=doer.address,
        rule=rule,
        facts=facts,
    )
    linked = LinkIdentity(key, player.id, now, presence.mark)
    return SignIn(player, True, (AddPlayer(player), linked, RecordEvent(event)), event)


def require_welcome(found: Ownership, now: int) -> None:
    """Refuse an identity whose player is barred, or which is banned itself. Raises `AccessDenied`."""
    if found.player is not None and found.player.is_barred(now):
        raise barred(found.player)
    if found.ban is not None:
        raise refusal(found.ban.kind, found.ban.until)


def require_age(presence: Presence, known: Player | None) -> None:
    """Refuse whom the project does not let in at their age, which the platform tells, or told before of the player.

    Raises `AccessDenied`.
    """
    age_group = presence.age_group or (known.age_group if known else "")
    ages.require(presence.rules, age_group, guest=presence.key.kind == GUEST)


def barred(player: Player) -> AccessDenied:
    """How a player who is barred is refused."""
    return refusal(player.barred_as or "banned", player.barred_until)


def refusal(kind: BarKind, until: int) -> AccessDenied:
    """A ban says so, and until when. A restriction says nothing, so that nobody learns of it."""
    if kind == "restricted":
        return AccessDenied("This player may not sign in.")
    facts = {} if until >= NEVER else {"until": until}
    return AccessDenied("This player is banned from the game.", reason="banned", facts=facts)


def clean_display_name(text: str, longest: int = _LONGEST_NAME) -> str:
    """A foreign name made harmless: NFC, no control, format or bidirectional characters, no longer than `longest`."""
    normal = unicodedata.normalize("NFC", text[:1024])
    visible = "".join(" " if char.isspace() else char for char in normal if char.isspace() or _is_visible(char))
    return _SPACES.sub(" ", visible).strip()[:longest].rstrip()


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] != "C"
