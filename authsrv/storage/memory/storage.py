"""Storage in this process's memory, for tests and trial runs: the whole contract, but it ends with the process.

Owns transactions over `tables.py`. Knows no SQL; it asks `steps/base.py` only what no database could store.
"""

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

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
    Grant,
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
from authsrv.storage.base import KEPT, LAST_ROW, Cut, StorageError, StorageUnavailable, StoredClient, Swept
from authsrv.storage.changes import Change
from authsrv.storage.memory import clients, keys, nodes  # noqa: F401 - they register their changes
from authsrv.storage.memory.accounts import (
    account,
    events,
    identities,
    identity_events,
    link_code,
    named,
    newest_link_code,
    ownership,
    subs_of,
)
from authsrv.storage.memory.browsers import consents, loaded_request, open_sessions, player_sessions, visit
from authsrv.storage.memory.cutting import cut
from authsrv.storage.memory.privacy import census, dossier, remove_outdated
from authsrv.storage.memory.rates import exchange_counts
from authsrv.storage.memory.revocations import revocations, standing
from authsrv.storage.memory.tables import Tables, write
from authsrv.storage.rows.accounts import names_between
from authsrv.storage.rows.base import checked, digest_column, identity_values, reservation_values, row_ids
from authsrv.storage.schema import REVISIONS
from authsrv.storage.steps.base import sweep_times, writes_of
from authsrv.storage.steps.privacy import retention_times
from authsrv.storage.vitals import StorageVitals


class MemoryStorage:
    """The `Storage` of a process that may forget. Closing and opening it again keeps what it holds."""

    shared = False

    def __init__(self) -> None:
        self._tables = Tables()
        self._epoch = 0
        self._ids: Iterator[int] | None = None
        self._swept_up_to = 0

    @classmethod
    def from_url(cls, url: str) -> "MemoryStorage":
        """The storage behind `memory://`. Raises `StorageError` for another form."""
        if url != "memory://":
            raise StorageError("write the url of a database in memory as memory://")
        return cls()

    async def open(self) -> None:
        if self._ids is not None:
            raise StorageError("the storage is open already")
        self._epoch += 1
        self._ids = row_ids(self._epoch)

    async def close(self) -> None:
        self._ids = None

    def next_id(self) -> int:
        if self._ids is None:
            raise StorageUnavailable("the storage is not open")
        return next(self._ids)

    async def apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        writes_of(changes)
        await self._turn()
        draft = self._tables.copy()
        for change in changes:
            write(change, draft)
            draft.raise_version(change)
        self._tables = draft

    async def reserve(self, reservation: Reservation, *, take_over: bool) -> Reservation:
        reservation_values(reservation)
        await self._turn()
        return self._tables.reserve(reservation, take_over=take_over)

    async def load_reservation(self, digest: Digest) -> Reservation | None:
        digest_column("digest", digest)
        await self._turn()
        return self._tables.reservations.get(digest)

    async def load_grant(
        self, grant_id: int, jti: str = "", client_id: str = "", origin_jti: str = "", sub: str = ""
    ) -> LoadedGrant | None:
        checked(jti=jti, client_id=client_id, origin_jti=origin_jti, sub=sub)
        await self._turn()
        grant = self._tables.grants.get(grant_id)
        if grant is None:
            return None
        given_to = self._tables.players[grant.player_id]
        player = self._tables.players[given_to.merged_into or given_to.id]
        subs = (given_to.sub, player.sub)
        stands = standing(self._tables, grant.client_id, grant.project, (jti, origin_jti), subs)
        profile = self._tables.profiles.get(player.id, "")
        of_client = self._tables.not_befores.get(("client", client_id), 0)
        known = stands.not_before, stands.token_revoked, of_client
        is_players = sub in subs_of(self._tables, player.id)
        return LoadedGrant(grant, player, profile, *known, given_to.sub, is_players)

    async def load_standing(self, client_id: str, project: str, jti: str) -> Standing:
        checked(client_id=client_id, project=project, jti=jti)
        await self._turn()
        return standing(self._tables, client_id, project, (jti,))

    async def load_revocations(self, since: int, now: int) -> Revocations:
        checked(since=since, now=now)
        await self._turn()
        return revocations(self._tables, since, now)

    async def load_player(self, key: IdentityKey) -> Player | None:
        identity_values(key)
        await self._turn()
        linked = self._tables.identities.get(key)
        return self._tables.players[linked.player_id] if linked else None

    async def load_identities(self, project: str, kind: str, subject: str) -> tuple[LinkedIdentity, ...]:
        checked(project=project, kind=kind, subject=subject)
        await self._turn()
        return identities(self._tables, project, kind, subject)

    async def load_players_named(
        self, project: str, prefix: str, limit: int, after: Player | None = None
    ) -> tuple[Player, ...]:
        checked(project=project, limit=limit, **names_between(prefix, after))
        await self._turn()
        return named(self._tables, project, prefix, after)[:limit]

    async def load_ownership(self, key: IdentityKey, mark: Digest, now: int) -> Ownership:
        identity_values(key, mark=digest_column("mark", mark), now=now)
        await self._turn()
        return ownership(self._tables, key, mark, now)

    async def load_account(self, player_id: int) -> Account | None:
        checked(player_id=player_id)
        await self._turn()
        return account(self._tables, player_id)

    async def load_events(self, player_id: int, limit: int, before: int = LAST_ROW) -> tuple[JournalEvent, ...]:
        checked(player_id=player_id, limit=limit, before=before)
        await self._turn()
        return events(self._tables, player_id, limit, before)

    async def load_identity_events(
        self, key: IdentityKey, limit: int, kind: EventKind | Literal[""] = ""
    ) -> tuple[JournalEvent, ...]:
        identity_values(key, event_kind=kind, limit=limit)
        await self._turn()
        return identity_events(self._tables, key, limit, kind)

    async def load_event(self, event_id: int) -> JournalEvent | None:
        checked(event_id=event_id)
        await self._turn()
        return self._tables.events.get(event_id)

    async def load_link_code(self, code_hash: Digest) -> LoadedLinkCode | None:
        digest_column("code_hash", code_hash)
        await self._turn()
        return link_code(self._tables, code_hash)

    async def load_newest_link_code(self, player_id: int) -> LinkCode | None:
        checked(player_id=player_id)
        await self._turn()
        return newest_link_code(self._tables, player_id)

    async def load_dossier(self, player_id: int) -> Dossier | None:
        checked(player_id=player_id)
        await self._turn()
        return dossier(self._tables, player_id)

    async def load_erasure(self, sub: str) -> Erasure | None:
        checked(sub=sub)
        await self._turn()
        return Erasure(sub, self._tables.erasures[sub]) if sub in self._tables.erasures else None

    async def load_players(self, after: int, limit: int) -> tuple[Player, ...]:
        checked(after=after, limit=limit)
        await self._turn()
        return tuple(player for row, player in sorted(self._tables.players.items()) if row > after)[:limit]

    async def load_census(self) -> Census:
        await self._turn()
        return census(self._tables)

    async def load_resurrected(self) -> tuple[Player, ...]:
        await self._turn()
        return ()

    async def load_profile(self, player_id: int) -> str:
        checked(player_id=player_id)
        await self._turn()
        return self._tables.profiles.get(player_id, "")

    async def load_subject(self, sub: str) -> Player | None:
        checked(sub=sub)
        await self._turn()
        return next((player for player in self._tables.players.values() if player.sub == sub), None)

    async def load_visit(self, browser_id: int, project: str, client_id: str) -> Visit | None:
        checked(browser_id=browser_id, project=project, client_id=client_id)
        await self._turn()
        return visit(self._tables, browser_id, project, client_id)

    async def load_request(self, request_id: int, browser_id: int) -> LoadedRequest | None:
        checked(request_id=request_id, browser_id=browser_id)
        await self._turn()
        return loaded_request(self._tables, request_id, browser_id)

    async def load_trip(self, trip_id: int, browser_id: int) -> LoadedTrip | None:
        checked(trip_id=trip_id, browser_id=browser_id)
        await self._turn()
        trip = self._tables.trips.get(trip_id)
        pending = loaded_request(self._tables, trip.request_id, browser_id) if trip else None
        return LoadedTrip(trip, pending) if trip and pending else None

    async def load_sessions(self, browser_id: int) -> tuple[SignedIn, ...]:
        checked(browser_id=browser_id)
        await self._turn()
        return tuple(open_sessions(self._tables, browser_id))

    async def load_player_sessions(self, player_id: int) -> tuple[SignedIn, ...]:
        checked(player_id=player_id)
        await self._turn()
        return tuple(player_sessions(self._tables, player_id))

    async def load_session(self, session_id: int) -> SignedIn | None:
        checked(session_id=session_id)
        await self._turn()
        session = self._tables.sessions.get(session_id)
        return None if session is None else SignedIn(session, self._tables.players[session.player_id])

    async def load_consents(self, player_id: int) -> tuple[Consent, ...]:
        checked(player_id=player_id)
        await self._turn()
        return consents(self._tables, player_id)

    async def load_session_clients(self, session_id: int) -> tuple[str, ...]:
        checked(session_id=session_id)
        await self._turn()
        return tuple(sorted(client for session, client in self._tables.session_clients if session == session_id))

    async def load_due_notices(self, now: int, limit: int) -> tuple[LogoutNotice, ...]:
        checked(now=now, limit=limit)
        await self._turn()
        due = [notice for notice in self._tables.notices.values() if notice.next_attempt_at <= now]
        return tuple(sorted(due, key=lambda notice: (notice.next_attempt_at, notice.id))[:limit])

    async def load_keys(self) -> tuple[StoredKey, ...]:
        await self._turn()
        return tuple(sorted(self._tables.keys.values(), key=lambda key: (key.created_at, key.kid)))

    async def load_clients(self) -> tuple[StoredClient, ...]:
        await self._turn()
        return tuple(client for _, client in sorted(self._tables.clients.items()))

    async def load_registered_clients(self) -> tuple[RegisteredClient, ...]:
        await self._turn()
        return tuple(sorted(self._tables.registered.values(), key=lambda client: client.id))

    async def load_registered_client(self, client_id: str) -> RegisteredClient | None:
        checked(client_id=client_id)
        await self._turn()
        return self._tables.registered.get(client_id)

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        if limit < 1:
            raise ValueError("a sweep's limit is at least 1")
        times = retention_times(now, retention)
        checked(limit=limit, **sweep_times(now), **times)
        await self._turn()
        removed = self._tables.remove_expired(now, sweep_times(now)["kept_since"], limit)
        removed += remove_outdated(self._tables, times, limit - removed)
        if removed == limit:
            return Swept(removed, more=True)
        return self._sweep_grants(now, limit - removed, removed)

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        await self._turn()
        return exchange_counts(self._tables, counts, now)

    async def cut(self, projects: Collection[str], now: int, *, preview: bool = False) -> Cut:
        checked(now=now)
        await self._turn()
        draft = self._tables.copy()
        done = cut(draft, projects, now)
        self._tables = self._tables if preview else draft
        return done

    async def ping(self) -> None:
        await self._turn()

    async def load_versions(self) -> Mapping[str, int]:
        await self._turn()
        return dict(self._tables.versions)

    async def load_leases(self, now: int) -> tuple[Lease, ...]:
        checked(now=now)
        await self._turn()
        return tuple(lease for _, lease in sorted(self._tables.leases.items()) if lease.expires_at > now)

    async def load_time(self) -> int:
        await self._turn()
        return int(time.time())

    def vitals(self) -> StorageVitals:
        return StorageVitals("memory", REVISIONS[-1])

    async def _turn(self) -> None:
        """Let others run first, as a real database would: tests upon memory then show the same races."""
        await asyncio.sleep(0)
        if self._ids is None:
            raise StorageUnavailable("the storage is not open")

    def _sweep_grants(self, now: int, limit: int, removed: int) -> Swept:
        grants = self._tables.grants
        window = list(islice((grants[id_] for id_ in sorted(grants) if id_ > self._swept_up_to), limit))
        for grant in window:
            removed += self._sweep_grant(grant, now)
        more = len(window) == limit
        self._swept_up_to = window[-1].id if more else 0
        return Swept(removed, more)

    def _sweep_grant(self, grant: Grant, now: int) -> int:
        times = sweep_times(now)
        if _is_over(grant, times):
            del self._tables.grants[grant.id]
            return 1
        if grant.refresh_successor is not None and grant.refresh_rotated_at <= times["kept_since"]:
            self._tables.grants[grant.id] = replace(grant, refresh_successor=None)
        return 0


def _is_over(grant: Grant, times: Mapping[str, int]) -> bool:
    still_in_use = grant.expires_at >= times["now"]
    lately_used = grant.code_used_at is not None and grant.code_used_at > times["kept_since"]
    lately_revoked = grant.revoked_at is not None and grant.revoked_at > times["told_since"]
    return not (still_in_use or lately_used or lately_revoked)
