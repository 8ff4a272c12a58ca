"""The nouns about what players own: linked identities, bans, the journal, link codes. Frozen facts, no I/O.

Times are Unix seconds. Knows neither HTTP, OAuth nor SQL.
"""

from collections.abc import Mapping
from typing import Literal

from authsrv.models import BarKind, Consent, Digest, IdentityKey, Player, Session
from authsrv.records import dataclass

EventKind = Literal[
    "created",
    "linked",
    "unlinked",
    "switched",
    "transferred",
    "merged",
    "undone",
    "banned",
    "unbanned",
    "restricted",
    "unrestricted",
    "renamed",
    "consent_given",
    "consent_withdrawn",
    "erased",
]
Actor = Literal["player", "client", "admin", "system"]

GUEST = "guest"
"""The platform of players who have nothing but a device."""


@dataclass(frozen=True, slots=True)
class Doer:
    """Who does something to an account, and by which client. `name` is a client_id, or an operator's name.

    `address` is the cut form (`authsrv.addresses.ClientAddress`).
    """

    actor: Actor
    name: str = ""
    client_id: str = ""
    address: str = ""

    @property
    def operator(self) -> str:
        """The operator's name, empty for anybody else."""
        return self.name if self.actor == "admin" else ""


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """A platform account of a player."""

    key: IdentityKey
    player_id: int
    linked_at: int
    last_used_at: int


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban, or a restriction for privacy's sake. `until` is `NEVER` without end; `reason` is the operator's text.

    `player_id` is 0 once the player was erased: the marks on the identities stay until the ban ends.
    """

    id: int
    project: str
    player_id: int
    kind: BarKind
    reason: str
    decided_by: str
    created_at: int
    until: int
    lifted_at: int | None = None

    def is_in_force(self, now: int) -> bool:
        """Whether it was not lifted and has not run out."""
        return self.lifted_at is None and now < self.until


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose an identity is, if anybody's, and the ban on the identity that lasts longest of those in force."""

    player: Player | None = None
    ban: Ban | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A player with everything they own. `aliases` are the accounts merged into it, in the order of their rows.

    `bans` holds lifted and ended ones too, oldest first. `segments` is a JSON object of texts, empty for none;
    `profile` one of standard claims.
    """

    player: Player
    identities: tuple[LinkedIdentity, ...] = ()
    aliases: tuple[Player, ...] = ()
    bans: tuple[Ban, ...] = ()
    segments: str = ""
    profile: str = ""

    def other_of_kind(self, key: IdentityKey) -> LinkedIdentity | None:
        """Another identity of the same kind and environment, which a further one would stand beside."""
        for linked in self.identities:
            same = (linked.key.kind, linked.key.environment) == (key.kind, key.environment)
            if same and linked.key != key:
                return linked
        return None


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """Something that was done to an account; one row that is never changed but for `reversed_by`.

    `player_id` is the account it is about, as it is afterwards; `other_id` the other one: who lost the identity, or was
    merged. For a player who was erased stands a negative number, which no row has. `actor_name` is a client_id, or an
    operator's name. `address` is the cut form. `rule` is the row of the decision table. `facts` is a JSON object of
    what an undo needs. `reversible_until` is 0 for what cannot be undone; `reversed_by` the event that undid it, 0 if
    none did.
    """

    id: int
    project: str
    kind: EventKind
    at: int
    player_id: int
    other_id: int = 0
    identity: IdentityKey | None = None
    actor: Actor = "player"
    actor_name: str = ""
    client_id: str = ""
    address: str = ""
    rule: str = ""
    reason: str = ""
    facts: str = ""
    reversible_until: int = 0
    reversed_by: int = 0


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A code that links a platform account to the player who asked for it on another device.

    `code_hash` is keyed: the code itself is short. `grant_id` is the grant by whose token it was asked for.
    `check_number` is shown on both devices, empty where the first one shows nothing of ours. `return_to` is where the
    browser goes afterwards, empty for our own page.
    """

    id: int
    code_hash: Digest
    project: str
    player_id: int
    client_id: str
    grant_id: int
    check_number: str
    return_to: str
    created_at: int
    expires_at: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedLinkCode:
    """A link code with the player it belongs to."""

    code: LinkCode
    player: Player


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """What is told of a grant to the player who gave it: the members of `Grant` that are no secret and no digest.

    `is_offline` tells whether refresh tokens were issued, `refreshed_at` when the last one was replaced, 0 for never.
    """

    client_id: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    platform: str
    idp: str
    idp_subject: str
    auth_time: int
    created_at: int
    expires_at: int
    absolute_expires_at: int
    is_offline: bool
    refreshed_at: int
    revoked_at: int | None
    revoked_reason: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser session, ended ones too, and the client_ids that took part in it, sorted."""

    session: Session
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account with what was given by it, each in the order of its rows; consents by client_id."""

    account: Account
    consents: tuple[Consent, ...] = ()
    sessions: tuple[SessionRecord, ...] = ()
    grants: tuple[GrantRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that is stored about a player and told to them, as it was at one moment. No secret, no digest.

    `merged` are the accounts merged into it, with what is still theirs; `events` those of all of them, oldest first.
    """

    own: AccountRecord
    merged: tuple[AccountRecord, ...] = ()
    events: tuple[JournalEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a player was erased, and when. Remembered as long as a backup could bring them back."""

    sub: str
    erased_at: int


@dataclass(frozen=True, slots=True)
class Census:
    """What a database holds, and nobody in it: when the oldest row of each table was made, of tables that have rows,
    and how many logout notices wait to be delivered.
    """

    oldest: Mapping[str, int]
    undelivered: int
