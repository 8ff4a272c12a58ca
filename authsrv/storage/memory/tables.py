"""The tables of the memory backend and what each change does to them; the model that SQL is held against.

Owns guards and row changes, but for those that the modules `memory_*.py` register. Knows no transaction: the caller
works on a copy and keeps it only if nothing was raised.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import singledispatch
from typing import Any

from authsrv.account_models import Ban, JournalEvent, LinkCode, LinkedIdentity
from authsrv.models import (
    Browser,
    Consent,
    Digest,
    Grant,
    IdentityKey,
    Lease,
    LogoutNotice,
    NotBeforeKind,
    PendingRequest,
    Player,
    RegisteredClient,
    Reservation,
    Session,
    SharedCount,
    StoredKey,
    Trip,
)
from authsrv.storage.base import Conflict, StoredClient
from authsrv.storage.changes import (
    MOVES,
    AddGrant,
    AddPlayer,
    Change,
    CountCodeFailure,
    DeclaredClient,
    LinkIdentity,
    RecordLogin,
    RedeemCode,
    RefuseCredential,
    ReleaseCredential,
    RevokeGrant,
    RotateRefreshToken,
    SettleCredential,
    SyncClients,
)
from authsrv.storage.steps.base import SUPERSEDED

FIRST_VERSIONS = {"keys": 0, "clients": 0, "bans": 0, "oldest_code": 6}
"""As the migration writes them."""


@dataclass(slots=True)
class Tables:
    """Rows by their primary keys."""

    players: dict[int, Player] = field(default_factory=dict)
    subs: set[str] = field(default_factory=set)
    identities: dict[IdentityKey, LinkedIdentity] = field(default_factory=dict)
    grants: dict[int, Grant] = field(default_factory=dict)
    reservations: dict[Digest, Reservation] = field(default_factory=dict)
    keys: dict[str, StoredKey] = field(default_factory=dict)
    clients: dict[str, StoredClient] = field(default_factory=dict)
    profiles: dict[int, str] = field(default_factory=dict)
    browsers: dict[int, Browser] = field(default_factory=dict)
    requests: dict[int, PendingRequest] = field(default_factory=dict)
    trips: dict[int, Trip] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    session_clients: set[tuple[int, str]] = field(default_factory=set)
    consents: dict[tuple[int, str], Consent] = field(default_factory=dict)
    notices: dict[int, LogoutNotice] = field(default_factory=dict)
    registered: dict[str, RegisteredClient] = field(default_factory=dict)
    revoked_tokens: dict[str, int] = field(default_factory=dict)
    not_befores: dict[tuple[NotBeforeKind, str], int] = field(default_factory=dict)
    segments: dict[int, str] = field(default_factory=dict)
    bans: dict[int, Ban] = field(default_factory=dict)
    identity_bans: set[tuple[Digest, int]] = field(default_factory=set)
    events: dict[int, JournalEvent] = field(default_factory=dict)
    link_codes: dict[int, LinkCode] = field(default_factory=dict)
    used_proofs: dict[Digest, int] = field(default_factory=dict)
    erasures: dict[str, int] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=lambda: dict(FIRST_VERSIONS))
    rate_counts: dict[bytes, SharedCount] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """Tables of their own with the same rows."""
        return Tables(*(getattr(self, one.name).copy() for one in fields(self)))

    def stands_alone(self, player_id: int) -> bool:
        """Whether a player is there, and not merged into another."""
        player = self.players.get(player_id)
        return player is not None and player.merged_into is None

    def with_aliases(self, player_id: int) -> set[int]:
        """A player and whoever was merged into them."""
        return {player_id, *(player.id for player in self.players.values() if player.merged_into == player_id)}

    def reserve(self, wanted: Reservation, *, take_over: bool) -> Reservation:
        """Put the reservation in if its digest is free; the row that stands then."""
        known = self.reservations.get(wanted.digest)
        if known is not None and not _free(known, wanted.created_at, take_over=take_over):
            return known
        self.reservations[wanted.digest] = wanted
        return wanted

    def raise_not_before(self, kind: NotBeforeKind, subject: str, not_before: int) -> None:
        """Let a time before which everything is void be at least this one."""
        key = (kind, subject)
        self.not_befores[key] = max(not_before, self.not_befores.get(key, not_before))

    def raise_version(self, change: Change) -> None:
        """Let other nodes hear of a change."""
        if type(change) in MOVES:
            self.versions[MOVES[type(change)]] += 1

    def remove_expired(self, now: int, kept_since: int, limit: int) -> int:
        """Remove at most `limit` rows that have expired, those of one table after the other; how many."""
        removed = 0
        for rows in (self.reservations, self.requests, self.trips, self.browsers, self.link_codes):
            expired = sorted((row.expires_at, key) for key, row in rows.items() if row.expires_at < now)
            removed += _remove(rows, [key for _, key in expired][: limit - removed])
        for times in (self.revoked_tokens, self.used_proofs):
            void = sorted((expires_at, key) for key, expires_at in times.items() if expires_at < now)
            removed += _remove(times, [key for _, key in void][: limit - removed])
        over = sorted((s.absolute_expires_at, s.id) for s in self.sessions.values() if s.absolute_expires_at < now)
        gone = {id_ for _, id_ in over[: limit - removed]}
        self.session_clients = {pair for pair in self.session_clients if pair[0] not in gone}
        removed += _remove(self.sessions, gone)
        ended = sorted((shared.ends_at, key) for key, shared in self.rate_counts.items() if shared.ends_at < now)
        removed += _remove(self.rate_counts, [key for _, key in ended[: limit - removed]])
        forsaken = sorted(one.name for one in self.leases.values() if one.expires_at <= kept_since)
        return removed + _remove(self.leases, forsaken[: limit - removed])


def _remove(rows: dict[Any, Any], keys: Iterable[Any]) -> int:
    return len([rows.pop(key) for key in keys])


def _free(known: Reservation, now: int, *, take_over: bool) -> bool:
    return known.expires_at < now or (take_over and known.state == "pending" and known.lease_until <= now)


def guard(held: object, change: Change) -> None:
    """Raise `Conflict` unless it held."""
    if not held:
        raise Conflict(change)


@singledispatch
def write(change: Change, tables: Tables) -> None:  # noqa: ARG001 - the registered functions use it
    """Apply one change. Raises `Conflict`; each kind of change registers its own."""
    raise TypeError(f"nothing writes a {type(change).__name__}")


def end_grants(tables: Tables, ends: Callable[[Grant], bool], now: int, reason: str) -> None:
    """End every grant that `ends` tells and that has not ended."""
    for grant in list(tables.grants.values()):
        if grant.revoked_at is None and ends(grant):
            tables.grants[grant.id] = replace(grant, revoked_at=now, revoked_reason=reason)


def bans_on(tables: Tables, mark: Digest, now: int) -> list[Ban]:
    """Every ban in force that holds for a mark."""
    marked = (tables.bans[ban_id] for digest, ban_id in tables.identity_bans if digest == mark)
    return [ban for ban in marked if ban.is_in_force(now)]


@write.register
def _(change: AddPlayer, tables: Tables) -> None:
    player = change.player
    guard(player.id not in tables.players and player.sub not in tables.subs, change)
    tables.players[player.id] = player
    tables.subs.add(player.sub)


@write.register
def _(change: LinkIdentity, tables: Tables) -> None:
    guard(change.key not in tables.identities and tables.stands_alone(change.player_id), change)
    guard(change.mark is None or not bans_on(tables, change.mark, change.now), change)
    tables.identities[change.key] = LinkedIdentity(change.key, change.player_id, change.now, change.now)


@write.register
def _(change: RecordLogin, tables: Tables) -> None:
    player, linked = tables.players.get(change.player_id), tables.identities.get(change.key)
    if player is None or linked is None or linked.player_id != player.id or player.version != change.version:
        raise Conflict(change)
    follows = player.name_from in {"", change.key.kind}
    name = change.display_name if change.display_name and follows else player.display_name
    tables.players[player.id] = replace(player, last_login_at=change.now, display_name=name)
    tables.identities[change.key] = replace(linked, last_used_at=change.now)


@write.register
def _(change: AddGrant, tables: Tables) -> None:
    grant = change.grant
    guard(grant.id not in tables.grants and grant.player_id in tables.players, change)
    tables.grants[grant.id] = grant


@write.register
def _(change: RedeemCode, tables: Tables) -> None:
    grant = _with_unused_code(tables.grants, change.grant_id)
    if grant is None:
        raise Conflict(change)
    tables.grants[grant.id] = replace(
        grant,
        code_used_at=change.now,
        refresh_hash=change.refresh_hash,
        refresh_generation=0 if change.refresh_hash is None else 1,
        expires_at=change.expires_at,
    )


def _with_unused_code(grants: Mapping[int, Grant], grant_id: int) -> Grant | None:
    grant = grants.get(grant_id)
    if grant is None or grant.code_hash is None or grant.code_used_at is not None or grant.revoked_at is not None:
        return None
    return grant


def _unused(grants: Mapping[int, Grant], grant_id: int) -> Grant | None:
    grant = grants.get(grant_id)
    if grant is None or grant.code_hash is not None:
        return _with_unused_code(grants, grant_id)
    return grant if grant.revoked_at is None and grant.refresh_generation <= 1 else None


@write.register
def _(change: CountCodeFailure, tables: Tables) -> None:
    grant = tables.grants.get(change.grant_id)
    if grant is not None:
        tables.grants[grant.id] = replace(grant, code_failures=grant.code_failures + 1)


@write.register
def _(change: RotateRefreshToken, tables: Tables) -> None:
    grant = tables.grants.get(change.grant_id)
    if grant is None or grant.refresh_hash != change.current or grant.revoked_at is not None:
        raise Conflict(change)
    tables.grants[grant.id] = replace(
        grant,
        refresh_hash=change.successor,
        refresh_generation=grant.refresh_generation + 1,
        refresh_previous_hash=change.current,
        refresh_rotated_at=change.now,
        refresh_successor=change.sealed_successor,
        expires_at=change.expires_at,
    )


@write.register
def _(change: RevokeGrant, tables: Tables) -> None:
    grant = tables.grants.get(change.grant_id)
    if grant is not None and grant.revoked_at is None:
        tables.grants[grant.id] = replace(grant, revoked_at=change.now, revoked_reason=change.reason)


@write.register
def _(change: SettleCredential, tables: Tables) -> None:
    row = tables.reservations.get(change.digest)
    if row is None or row.holder != change.holder or row.state == "refused":
        raise Conflict(change)
    replaced = _unused(tables.grants, row.grant_id)
    if replaced is not None and row.state == "settled" and replaced.id != change.grant_id:
        tables.grants[replaced.id] = replace(replaced, revoked_at=change.now, revoked_reason=SUPERSEDED)
    tables.reservations[row.digest] = replace(
        row,
        state="settled",
        settled_at=row.settled_at if row.state == "settled" else change.now,
        identity=change.identity,
        grant_id=change.grant_id,
    )


@write.register
def _(change: RefuseCredential, tables: Tables) -> None:
    row = tables.reservations.get(change.digest)
    if row is None or row.holder != change.holder or row.state != "pending":
        raise Conflict(change)
    tables.reservations[row.digest] = replace(row, state="refused", outcome=change.outcome, settled_at=change.now)


@write.register
def _(change: ReleaseCredential, tables: Tables) -> None:
    row = tables.reservations.get(change.digest)
    if row is not None and row.holder == change.holder and row.state == "pending":
        del tables.reservations[row.digest]


@write.register
def _(change: SyncClients, tables: Tables) -> None:
    if not change.all_agree:
        _add_clients(change.clients, tables)
        return
    for client_id, known in tables.clients.items():
        if known.disabled_at is None:
            tables.clients[client_id] = replace(known, disabled_at=change.now)
    for client in change.clients:
        before = tables.clients.get(client.client_id)
        if before is not None and before.client.project != client.project:
            tables.raise_not_before("client", client.client_id, change.now + 1)
        tables.clients[client.client_id] = StoredClient(client, None)


def _add_clients(clients: Iterable[DeclaredClient], tables: Tables) -> None:
    for client in clients:
        known = tables.clients.get(client.client_id)
        if known is None or known.client.project == client.project:
            tables.clients[client.client_id] = StoredClient(client, None)
