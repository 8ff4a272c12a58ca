"""The storage contract: a few typed loads, each one SELECT, and `apply(changes)`, one transaction.

Every backend keeps every word of these docstrings; `tests/conformance/storage.py` holds them to it.
Knows no database and no OAuth.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from authsrv.account_models import (
    Account,
    Census,
    Dossier,
    Erasure,
    EventKind,
    JournalEvent,
    LinkCode,
    LinkedIdentity,
    LoadedLinkCode,
    Ownership,
)
from authsrv.models import (
    Consent,
    Digest,
    IdentityKey,
    Lease,
    LoadedGrant,
    LoadedRequest,
    LoadedTrip,
    LogoutNotice,
    Player,
    RegisteredClient,
    Reservation,
    Retention,
    Revocations,
    SharedCount,
    SignedIn,
    Standing,
    StoredKey,
    Visit,
)
from authsrv.records import dataclass
from authsrv.storage.changes import Change, DeclaredClient
from authsrv.storage.vitals import StorageVitals

LAST_ROW = 2**63 - 1
"""After the id of every row."""

RESTORED = "restored"
"""`revoked_reason` of a grant, and `ended_reason` of a session, that a restored backup brought back; and what tells
among the versions when that was, in Unix seconds.
"""

KEPT = Retention()
"""For how long things are kept unless the configuration says otherwise."""


class StorageError(Exception):
    """Base of what a storage backend raises."""


class Conflict(StorageError):
    """A guard did not hold: somebody else was first. Nothing of the `apply` was written."""

    def __init__(self, change: Change) -> None:
        self.change = change
        super().__init__(type(change).__name__)


class StorageUnavailable(StorageError):
    """The database did not do it (busy, full, read-only, gone). Nothing was written; the caller may try again."""


class SchemaMismatch(StorageError):
    """The database's schema is missing, older or newer than this code needs. The text says what to do."""


@dataclass(frozen=True, slots=True)
class StoredClient:
    """A remembered file client; `disabled_at` is set once it left the file."""

    client: DeclaredClient
    disabled_at: int | None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows a sweep removed or emptied, and whether it stopped at its limit (there may be more)."""

    rows: int
    more: bool


class CountStore(Protocol):
    """Where nodes add up what each of them counted for the rate limits. No key tells what is counted under it."""

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        """Add what this node counted to the counters of these keys; what all nodes counted there, by the same keys.

        A window begins with the first count under a key and ends `RATE_WINDOW` seconds later; the next count begins a
        new one. A window that would last for longer than twice that was begun by a clock that was wrong, and is over.
        Counts are 1 or more. Raises `StorageUnavailable`, after which some of them may be there.
        """

    async def ping(self) -> None:
        """Prove that counts could be exchanged; raises `StorageUnavailable` otherwise. Writes nothing."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How many things a cut ended: grants with their codes and refresh tokens, sessions, requests that waited for a
    player, link codes, and credentials of which it was still known whom they proved.
    """

    grants: int
    sessions: int
    requests: int
    link_codes: int
    credentials: int


class Storage(Protocol):
    """Where players, identities, grants, presented credentials and keys live.

    All methods may be called concurrently. A cancelled caller never leaves a transaction half done: what was begun
    ends by itself, committed or rolled back. No secret is ever passed in clear.
    """

    shared: bool
    """Whether several processes may have it open: then work that one must do is done under a lease."""

    async def open(self) -> None:
        """Connect, check the schema version (`SchemaMismatch`) and take the process's exclusive use if it needs one."""

    async def close(self) -> None:
        """Finish what was begun, then release everything. Safe to call twice, and after a failed `open`."""

    def next_id(self) -> int:
        """A row id never given before, on this or any other node, also not before a restart. Rising, and no I/O."""

    async def apply(self, changes: Sequence[Change]) -> None:
        """Write all changes, in order, in one durable transaction, or none of them.

        Returns only after the commit reached the disk. An empty sequence costs nothing.
        Raises `Conflict` when a guard does not hold, `StorageUnavailable` when the database cannot do it.
        """

    async def reserve(self, reservation: Reservation, *, take_over: bool) -> Reservation:
        """Insert the pending reservation unless its digest is known; return the row that now stands for the digest.

        The caller holds the credential exactly if the returned `holder` is its own. A row whose `expires_at` has passed
        (against `reservation.created_at`) counts as unknown. A pending row whose lease has run out is taken over, with
        requester, holder and times replaced, if `take_over` is true. One committed transaction.
        """

    async def load_reservation(self, digest: Digest) -> Reservation | None:
        """The reservation of a credential, if any."""

    async def load_grant(
        self, grant_id: int, jti: str = "", client_id: str = "", origin_jti: str = "", sub: str = ""
    ) -> LoadedGrant | None:
        """A grant and its player, used and revoked ones included, and how the access token of this `jti` stands.

        A player who was merged into another account since is that one, whose profile it is too; what voids either's
        tokens voids these.

        `client_id` is the client that the token was made for, which may be another one than the grant's. The token
        counts as revoked if the one of `origin_jti`, which it was made of, is. `sub` is whom the token names.
        """

    async def load_standing(self, client_id: str, project: str, jti: str) -> Standing:
        """How an access token of a client's own stands, for which there is no grant."""

    async def load_revocations(self, since: int, now: int) -> Revocations:
        """What ended after `since`, and the tokens revoked one by one that are still in time.

        Of grants only those that ever gave tokens; of times only those after `since`.
        """

    async def load_player(self, key: IdentityKey) -> Player | None:
        """The player an identity belongs to."""

    async def load_identities(self, project: str, kind: str, subject: str) -> tuple[LinkedIdentity, ...]:
        """Whose the platform accounts of this kind and id are, in every environment, in the order of those."""

    async def load_players_named(
        self, project: str, prefix: str, limit: int, after: Player | None = None
    ) -> tuple[Player, ...]:
        """At most `limit` players of a project whose display name begins with a text, whatever its case, by name.

        Players who were merged into another are among them. `after` is the last one of the page before.
        """

    async def load_ownership(self, key: IdentityKey, mark: Digest, now: int) -> Ownership:
        """The player an identity belongs to, and the longest ban in force that holds for its `mark`."""

    async def load_account(self, player_id: int) -> Account | None:
        """A player with identities (longest linked first), aliases and bans. Reads four tables one after the other.

        What changed in between has changed the player's version too, which the next `AdvanceVersion` finds out.
        """

    async def load_events(self, player_id: int, limit: int, before: int = LAST_ROW) -> tuple[JournalEvent, ...]:
        """At most `limit` events of an account and of those merged into it, the newest first.

        `before` is the row of an event; only older ones come.
        """

    async def load_identity_events(
        self, key: IdentityKey, limit: int, kind: EventKind | Literal[""] = ""
    ) -> tuple[JournalEvent, ...]:
        """At most `limit` events about an identity, of this kind if one is given, the newest first."""

    async def load_event(self, event_id: int) -> JournalEvent | None:
        """An event of the journal."""

    async def load_link_code(self, code_hash: Digest) -> LoadedLinkCode | None:
        """A link code and the player who asked for it, used and expired ones included."""

    async def load_newest_link_code(self, player_id: int) -> LinkCode | None:
        """The link code that a player asked for last, used or expired though it may be."""

    async def load_dossier(self, player_id: int) -> Dossier | None:
        """Everything that is stored about a player and told to them, read in one transaction."""

    async def load_erasure(self, sub: str) -> Erasure | None:
        """When the player of this `sub` was erased, as long as that is remembered."""

    async def load_players(self, after: int, limit: int) -> tuple[Player, ...]:
        """At most `limit` players whose rows come after this one, in the order of their rows; aliases too."""

    async def load_census(self) -> Census:
        """What there is, by age."""

    async def load_resurrected(self) -> tuple[Player, ...]:
        """Players who are there although they were erased: a backup from before it was restored.

        Known by what the backend keeps outside of what is restored; one that keeps nothing there finds nobody.
        """

    async def load_profile(self, player_id: int) -> str:
        """What is told of a player, as a JSON object of standard claims; empty without one."""

    async def load_subject(self, sub: str) -> Player | None:
        """The player whose `sub` this is."""

    async def load_visit(self, browser_id: int, project: str, client_id: str) -> Visit | None:
        """A browser, its session in this project that has not ended, and what its player granted to the client."""

    async def load_request(self, request_id: int, browser_id: int) -> LoadedRequest | None:
        """A pending request, completed and expired ones included, and the visit of this browser to its client."""

    async def load_trip(self, trip_id: int, browser_id: int) -> LoadedTrip | None:
        """A trip, used and expired ones included, with its request and the visit of this browser to the client.

        None also for a trip whose request is gone.
        """

    async def load_sessions(self, browser_id: int) -> tuple[SignedIn, ...]:
        """Every session of a browser that has not ended, of all projects, oldest first."""

    async def load_player_sessions(self, player_id: int) -> tuple[SignedIn, ...]:
        """Every session of a player that has not ended, in all browsers, oldest first."""

    async def load_session(self, session_id: int) -> SignedIn | None:
        """A session and its player, ended ones included."""

    async def load_consents(self, player_id: int) -> tuple[Consent, ...]:
        """What a player lets clients have, in the order of their ids; also what those did who were merged into them.

        What several let the same client have is told as one, since the first of it.
        """

    async def load_session_clients(self, session_id: int) -> tuple[str, ...]:
        """The client_ids that took part in a session, sorted."""

    async def load_due_notices(self, now: int, limit: int) -> tuple[LogoutNotice, ...]:
        """At most `limit` notices whose next attempt is due, the longest due first."""

    async def load_keys(self) -> tuple[StoredKey, ...]:
        """Every key of the ring, oldest first."""

    async def load_clients(self) -> tuple[StoredClient, ...]:
        """The file clients remembered by `SyncClients`, by client_id."""

    async def load_registered_clients(self) -> tuple[RegisteredClient, ...]:
        """Every client that registered itself and was not removed, in the order of their ids."""

    async def load_registered_client(self, client_id: str) -> RegisteredClient | None:
        """A client that registered itself, by its client_id."""

    async def load_versions(self) -> Mapping[str, int]:
        """How often what nodes keep in memory has changed, by name; those of `VersionName` are among the names.

        Every change of a key or of a registered client raises its own, but for `UseClient`.
        """

    async def load_leases(self, now: int) -> tuple[Lease, ...]:
        """The leases that somebody holds at this time of the database, by name."""

    async def load_time(self) -> int:
        """The database's clock in Unix seconds; the process's own if the database runs inside it."""

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        """Remove at most `limit` expired rows, in short writes.

        That is reservations, requests, trips, browsers, link codes, revoked tokens and used proofs, then sessions whose
        absolute limit has passed, with who took part in them, and counts for rate limits: of each what expired first
        goes first. Then leases that nobody held for 30 minutes, and what has been kept for as long as `retention` says:
        whom a used credential proved (two minutes), events, addresses in them, bans that ended or were lifted, and
        erasures. That a player was erased stays in the journal for good. Grants come last, in the order of their ids.

        A used code stays for 30 minutes after its use, a revoked grant until `expires_at`, so that reuse is seen, and
        for a day and a minute after it was revoked, so that `load_revocations` tells of it.
        Grants whose `expires_at` has passed go; nothing that is still of use ever does.
        """

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        """As `CountStore` says, all of it or nothing. What is counted need not survive a power cut."""

    async def cut(self, projects: Collection[str], now: int, *, preview: bool = False) -> Cut:
        """End everything that was given out until now, for a database that was restored from a backup; what it was.

        The backup cannot know what was used, revoked or ended after it was made. So every grant is revoked and every
        session ended (`RESTORED`); requests, trips, link codes, browsers and leases are gone; no credential that was
        presented may come again; and what was issued until `now` is void in these projects and in all that the
        database knows. Players, what they own, bans, keys and clients stay. `now` is the version of `RESTORED` from
        then on. One transaction, however long it takes; idempotent. With `preview` nothing is written.
        """

    async def ping(self) -> None:
        """Prove that a write transaction can begin; raises `StorageUnavailable` otherwise. Writes nothing."""

    def vitals(self) -> StorageVitals:
        """How the database does, in numbers. Asks nobody and never waits; also while it is closed."""
