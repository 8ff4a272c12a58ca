"""What can be written about accounts: links, merges, bans, the journal. Part of `changes.py`, and like it.

A guard that does not hold raises `Conflict` and undoes every change of the same `apply`. Knows no database.
"""

from authsrv.account_models import Ban, JournalEvent, LinkCode
from authsrv.models import BarKind, Digest, IdentityKey
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class AdvanceVersion:
    """What an account is or owns changes. Guard: its version is still `version`; it becomes the next one.

    The first change of every such `apply`, one for each account concerned.
    """

    player_id: int
    version: int


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    """Take an identity from a player. Guard: it is theirs."""

    key: IdentityKey
    player_id: int


@dataclass(frozen=True, slots=True)
class MoveIdentity:
    """Give an identity of one player to another. Guard: it is the first one's, and the second exists and is not merged
    into another.
    """

    key: IdentityKey
    from_id: int
    to_id: int
    now: int


@dataclass(frozen=True, slots=True)
class EndGrants:
    """End every grant of a player that began with this platform account; with empty texts, every one of theirs."""

    player_id: int
    idp: str
    idp_subject: str
    now: int
    reason: str


@dataclass(frozen=True, slots=True)
class MergePlayers:
    """The first account becomes an alias of the second, and so does what was merged into it before.

    Guard: both exist, and neither is merged into another.
    """

    loser_id: int
    survivor_id: int


@dataclass(frozen=True, slots=True)
class UnmergePlayers:
    """The account is one of its own again, and takes these aliases with it. Guard: all are the survivor's."""

    loser_id: int
    survivor_id: int
    aliases: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BarPlayer:
    """Keep a player out until a time; 0 lets them in again. Guard: the player exists."""

    player_id: int
    until: int
    kind: BarKind | None


@dataclass(frozen=True, slots=True)
class AddBan:
    """A ban or a restriction."""

    ban: Ban


@dataclass(frozen=True, slots=True)
class AddIdentityBan:
    """A ban of an identity that is nobody's. Guard: it is nobody's still."""

    ban: Ban
    key: IdentityKey


@dataclass(frozen=True, slots=True)
class MarkIdentity:
    """A ban holds for this identity too, whoever it belongs to. Idempotent. Guard: the ban exists."""

    digest: Digest
    ban_id: int


@dataclass(frozen=True, slots=True)
class LiftBan:
    """End a ban before its time. Guard: it was not lifted before."""

    ban_id: int
    now: int


@dataclass(frozen=True, slots=True)
class SetDisplayName:
    """Call a player so. `name_from` is the kind of identity whose name it follows, empty for any.

    Guard: the player exists.
    """

    player_id: int
    display_name: str
    name_from: str


@dataclass(frozen=True, slots=True)
class SetSegments:
    """Replace a player's segments, a JSON object of texts or nothing. Guard: the player exists."""

    player_id: int
    segments: str


@dataclass(frozen=True, slots=True)
class SetAgeGroup:
    """Note a player's age group. Guard: the player exists."""

    player_id: int
    age_group: str


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """A row of the journal."""

    event: JournalEvent


@dataclass(frozen=True, slots=True)
class ReverseEvent:
    """An event was undone by another. Guard: it was not before."""

    event_id: int
    reversed_by: int


@dataclass(frozen=True, slots=True)
class UseOnce:
    """Something that counts once was used. Guard: it was not before. It is forgotten after `expires_at`."""

    digest: Digest
    expires_at: int


@dataclass(frozen=True, slots=True)
class AddLinkCode:
    """A link code; the unused ones that the player had before go. Guard: nobody has the same code now."""

    code: LinkCode


@dataclass(frozen=True, slots=True)
class UseLinkCode:
    """A link code did its work. Guard: it was not used before."""

    code_id: int
    now: int


AccountChange = (
    AdvanceVersion
    | UnlinkIdentity
    | MoveIdentity
    | EndGrants
    | MergePlayers
    | UnmergePlayers
    | BarPlayer
    | AddBan
    | AddIdentityBan
    | MarkIdentity
    | LiftBan
    | SetDisplayName
    | SetSegments
    | SetAgeGroup
    | RecordEvent
    | ReverseEvent
    | UseOnce
    | AddLinkCode
    | UseLinkCode
)
