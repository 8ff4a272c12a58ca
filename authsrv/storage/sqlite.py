"""Storage in one SQLite file: one reader, one writer, one process.

Owns which of the two connections does what for each call of the contract. What it does there stands in
`sqlite_units.py`, the SQL in `sql.py` and the modules `*_sql.py`, transactions in `sqlite_groups.py`.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
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
    IdentityKey,
    LoadedGrant,
    LoadedRequest,
    LoadedTrip,
    LogoutNotice,
    Player,
    RegisteredClient,
    Reservation,
    Retention,
    Revocations,
    SignedIn,
    Standing,
    StoredKey,
    Visit,
)
from authsrv.storage import account_sql, browser_sql, client_sql, key_sql, privacy_sql, revocation_sql, sql
from authsrv.storage.account_rows import (
    account_of,
    event_of,
    link_code_of,
    linked_identity_of,
    loaded_link_code_of,
    names_between,
    newest,
    ownership_of,
)
from authsrv.storage.base import KEPT, LAST_ROW, SchemaMismatch, StorageError, StorageUnavailable, StoredClient, Swept
from authsrv.storage.browser_rows import (
    consent_of,
    loaded_request_of,
    loaded_trip_of,
    notice_of,
    one_for_each_client,
    signed_in_of,
    visit_of,
)
from authsrv.storage.changes import Change
from authsrv.storage.client_rows import registered_client_of
from authsrv.storage.files import exists, path_of, refuse_network, tighten
from authsrv.storage.key_steps import key_of
from authsrv.storage.lock import ProcessLock
from authsrv.storage.privacy_changes import ErasePlayer
from authsrv.storage.privacy_rows import dossier_of
from authsrv.storage.privacy_steps import retention_times
from authsrv.storage.revocation_steps import revocations_of, standing_of
from authsrv.storage.rows import (
    INT64,
    Row,
    Values,
    checked,
    digest_column,
    identity_values,
    loaded_grant_of,
    player_of,
    reservation_of,
    reservation_values,
    row_ids,
    stored_client_of,
)
from authsrv.storage.schema import MIGRATE
from authsrv.storage.sqlite_connection import (
    READER,
    WRITER,
    Connection,
    Unit,
    connect,
    opening_error,
)
from authsrv.storage.sqlite_erasures import SqliteErasures
from authsrv.storage.sqlite_groups import read_group, write_group
from authsrv.storage.sqlite_lane import Lane
from authsrv.storage.sqlite_privacy import read_census, read_dossier
from authsrv.storage.sqlite_units import (
    check_schema_and_raise_epoch,
    fetch,
    nothing,
    read_account,
    reserve,
    sweep_expired,
    sweep_grants,
    write_all,
)
from authsrv.storage.steps import sweep_times, writes_of

log = logging.getLogger("authsrv.storage")


class SqliteStorage:
    """The `Storage` of a single node. `path` is the database file; `authsrv migrate` makes it."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened = AsyncExitStack()
        self._reader: Lane | None = None
        self._writer: Lane | None = None
        self._ids: Iterator[int] | None = None
        self._erasures: SqliteErasures | None = None
        self._following: set[asyncio.Task[None]] = set()
        self._swept_up_to = 0

    @classmethod
    def from_url(cls, url: str) -> "SqliteStorage":
        """The storage behind `sqlite:///path`. Raises `StorageError` for another form."""
        return cls(path_of(url))

    async def open(self) -> None:
        if self._writer is not None:
            raise StorageError("the storage is open already")
        async with AsyncExitStack() as stack:
            stack.enter_context(self._claim())
            # Left in reverse: readers end before the writer, which checkpoints and closes last.
            writer = Lane(partial(connect, self._path, WRITER), write_group)
            for leave in (writer.close, writer.checkpoint, writer.drain):
                stack.push_async_callback(leave)
            epoch = await self._begin(await writer.open())
            reader = Lane(partial(connect, self._path, READER), read_group)
            for leave in (reader.close, reader.drain):
                stack.push_async_callback(leave)
            await reader.open()
            erasures = SqliteErasures(self._path, writer, reader)
            await erasures.begin()
            for leave in (erasures.end, self._follow_up):
                stack.push_async_callback(leave)
            self._opened = stack.pop_all()
        self._ids, self._erasures = row_ids(epoch), erasures
        self._writer, self._reader = writer, reader
        log.info("opened %s with SQLite %s, start number %d", self._path, sqlite3.sqlite_version, epoch)

    def _claim(self) -> ProcessLock:
        if not exists(self._path):
            remedy = f"{MIGRATE} to make it, or run this in the server's working directory"
            raise SchemaMismatch(f"there is no database at {self._path}; {remedy}")
        refuse_network(self._path)
        tighten(self._path)
        return ProcessLock(self._path)

    async def _begin(self, connection: Connection) -> int:
        try:
            return await connection.run(check_schema_and_raise_epoch)
        except sqlite3.Error as error:
            raise opening_error(error, self._path) from error

    async def close(self) -> None:
        self._writer = self._reader = self._ids = self._erasures = None
        # A second signal must not cut off the final commit: what was begun ends by itself.
        await asyncio.shield(self._opened.pop_all().aclose())

    def next_id(self) -> int:
        if self._ids is None:
            raise StorageUnavailable("the storage is not open")
        return next(self._ids)

    async def apply(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        writing, unit = self._writing(), partial(write_all, writes=writes_of(changes))
        erased = [Erasure(sub, one.now) for one in changes if isinstance(one, ErasePlayer) for sub in one.subs]
        if not erased:
            await writing.run(unit)
            return
        # The ledger must hear of what was committed, also when the caller is gone by then.
        following = asyncio.create_task(self._erase(writing, unit, erased))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        await asyncio.shield(following)

    async def _erase(self, writing: Lane, unit: Unit, erased: Sequence[Erasure]) -> None:
        erasures = self._following_erasures()
        await writing.run(unit)
        await erasures.follow(erased)

    async def _follow_up(self) -> None:
        """Let the erasures that are under way end."""
        await asyncio.gather(*self._following, return_exceptions=True)

    async def reserve(self, reservation: Reservation, *, take_over: bool) -> Reservation:
        values = {**reservation_values(reservation), "take_over": int(take_over)}
        row = await self._writing().run(partial(reserve, values=values))
        return reservation if row is None else reservation_of(row)

    async def load_reservation(self, digest: Digest) -> Reservation | None:
        rows = await self._read(sql.SELECT_RESERVATION, checked(digest=digest_column("digest", digest)))
        return reservation_of(rows[0]) if rows else None

    async def load_grant(
        self, grant_id: int, jti: str = "", client_id: str = "", origin_jti: str = "", sub: str = ""
    ) -> LoadedGrant | None:
        if grant_id not in INT64:
            return None
        values = checked(grant_id=grant_id, jti=jti, client_id=client_id, origin_jti=origin_jti, sub=sub)
        rows = await self._read(sql.SELECT_GRANT, values)
        return loaded_grant_of(rows[0]) if rows else None

    async def load_standing(self, client_id: str, project: str, jti: str) -> Standing:
        values = checked(client_id=client_id, project=project, jti=jti)
        (row,) = await self._read(revocation_sql.SELECT_STANDING, values)
        return standing_of(row)

    async def load_revocations(self, since: int, now: int) -> Revocations:
        return revocations_of(await self._read(revocation_sql.SELECT_REVOCATIONS, checked(since=since, now=now)))

    async def load_player(self, key: IdentityKey) -> Player | None:
        rows = await self._read(sql.SELECT_PLAYER_BY_IDENTITY, identity_values(key))
        return player_of(rows[0]) if rows else None

    async def load_identities(self, project: str, kind: str, subject: str) -> tuple[LinkedIdentity, ...]:
        values = checked(project=project, kind=kind, subject=subject)
        rows = await self._read(account_sql.SELECT_IDENTITIES_OF_SUBJECT, values)
        return tuple(map(linked_identity_of, rows))

    async def load_players_named(
        self, project: str, prefix: str, limit: int, after: Player | None = None
    ) -> tuple[Player, ...]:
        values = checked(project=project, limit=limit, **names_between(prefix, after))
        return tuple(map(player_of, await self._read(account_sql.SELECT_PLAYERS_NAMED, values)))

    async def load_ownership(self, key: IdentityKey, mark: Digest, now: int) -> Ownership:
        values = identity_values(key, mark=digest_column("mark", mark), now=now)
        return ownership_of(await self._read(account_sql.SELECT_OWNERSHIP, values))

    async def load_account(self, player_id: int) -> Account | None:
        rows = await self._reading().run(partial(read_account, values=checked(player_id=player_id)))
        return account_of(*rows) if rows else None

    async def load_events(self, player_id: int, limit: int, before: int = LAST_ROW) -> tuple[JournalEvent, ...]:
        values = checked(player_id=player_id, limit=limit, before=before)
        rows = await self._read(account_sql.SELECT_EVENTS, values)
        return newest(map(event_of, rows), limit)

    async def load_identity_events(
        self, key: IdentityKey, limit: int, kind: EventKind | Literal[""] = ""
    ) -> tuple[JournalEvent, ...]:
        values = identity_values(key, event_kind=kind, limit=limit)
        return tuple(map(event_of, await self._read(account_sql.SELECT_IDENTITY_EVENTS, values)))

    async def load_event(self, event_id: int) -> JournalEvent | None:
        rows = await self._read(account_sql.SELECT_EVENT, checked(event_id=event_id))
        return event_of(rows[0]) if rows else None

    async def load_link_code(self, code_hash: Digest) -> LoadedLinkCode | None:
        values = checked(code_hash=digest_column("code_hash", code_hash))
        rows = await self._read(account_sql.SELECT_LINK_CODE, values)
        return loaded_link_code_of(rows[0]) if rows else None

    async def load_newest_link_code(self, player_id: int) -> LinkCode | None:
        rows = await self._read(account_sql.SELECT_NEWEST_LINK_CODE, checked(player_id=player_id))
        return link_code_of(rows[0]) if rows else None

    async def load_dossier(self, player_id: int) -> Dossier | None:
        rows = await self._reading().run(partial(read_dossier, values=checked(player_id=player_id)))
        return dossier_of(*rows) if rows else None

    async def load_erasure(self, sub: str) -> Erasure | None:
        rows = await self._read(privacy_sql.SELECT_ERASURE, checked(sub=sub))
        return Erasure(*rows[0]) if rows else None

    async def load_players(self, after: int, limit: int) -> tuple[Player, ...]:
        rows = await self._read(privacy_sql.SELECT_PLAYERS, checked(after=after, limit=limit))
        return tuple(map(player_of, rows))

    async def load_census(self) -> Census:
        return await self._reading().run(read_census)

    async def load_resurrected(self) -> tuple[Player, ...]:
        return await self._following_erasures().resurrected()

    async def load_profile(self, player_id: int) -> str:
        rows = await self._read(browser_sql.SELECT_PROFILE, checked(player_id=player_id))
        return str(rows[0][0]) if rows else ""

    async def load_subject(self, sub: str) -> Player | None:
        rows = await self._read(sql.SELECT_PLAYER_BY_SUB, checked(sub=sub))
        return player_of(rows[0]) if rows else None

    async def load_visit(self, browser_id: int, project: str, client_id: str) -> Visit | None:
        values = checked(browser_id=browser_id, project=project, client_id=client_id)
        rows = await self._read(browser_sql.SELECT_VISIT, values)
        return visit_of(rows[0]) if rows else None

    async def load_request(self, request_id: int, browser_id: int) -> LoadedRequest | None:
        values = checked(request_id=request_id, browser_id=browser_id)
        rows = await self._read(browser_sql.SELECT_REQUEST, values)
        return loaded_request_of(rows[0]) if rows else None

    async def load_trip(self, trip_id: int, browser_id: int) -> LoadedTrip | None:
        rows = await self._read(browser_sql.SELECT_TRIP, checked(trip_id=trip_id, browser_id=browser_id))
        return loaded_trip_of(rows[0]) if rows else None

    async def load_sessions(self, browser_id: int) -> tuple[SignedIn, ...]:
        rows = await self._read(browser_sql.SELECT_SESSIONS, checked(browser_id=browser_id))
        return tuple(map(signed_in_of, rows))

    async def load_player_sessions(self, player_id: int) -> tuple[SignedIn, ...]:
        rows = await self._read(browser_sql.SELECT_PLAYER_SESSIONS, checked(player_id=player_id))
        return tuple(map(signed_in_of, rows))

    async def load_session(self, session_id: int) -> SignedIn | None:
        rows = await self._read(browser_sql.SELECT_SESSION, checked(session_id=session_id))
        return signed_in_of(rows[0]) if rows else None

    async def load_consents(self, player_id: int) -> tuple[Consent, ...]:
        rows = await self._read(browser_sql.SELECT_CONSENTS, checked(player_id=player_id))
        return one_for_each_client(map(consent_of, rows))

    async def load_session_clients(self, session_id: int) -> tuple[str, ...]:
        rows = await self._read(browser_sql.SELECT_SESSION_CLIENTS, checked(session_id=session_id))
        return tuple(client_id for (client_id,) in rows)

    async def load_due_notices(self, now: int, limit: int) -> tuple[LogoutNotice, ...]:
        rows = await self._read(browser_sql.SELECT_DUE_NOTICES, checked(now=now, limit=limit))
        return tuple(map(notice_of, rows))

    async def load_keys(self) -> tuple[StoredKey, ...]:
        return tuple(key_of(row) for row in await self._read(key_sql.SELECT_KEYS, {}))

    async def load_clients(self) -> tuple[StoredClient, ...]:
        return tuple(stored_client_of(row) for row in await self._read(sql.SELECT_CLIENTS, {}))

    async def load_registered_clients(self) -> tuple[RegisteredClient, ...]:
        return tuple(map(registered_client_of, await self._read(client_sql.SELECT_REGISTERED_CLIENTS, {})))

    async def load_registered_client(self, client_id: str) -> RegisteredClient | None:
        rows = await self._read(client_sql.SELECT_REGISTERED_CLIENT, checked(client_id=client_id))
        return registered_client_of(rows[0]) if rows else None

    async def sweep(self, now: int, limit: int, retention: Retention = KEPT) -> Swept:
        if limit < 1:
            raise ValueError("a sweep's limit is at least 1")
        times = checked(**sweep_times(now), **retention_times(now, retention))
        removed = await self._writing().run(partial(sweep_expired, times=times, limit=limit))
        if removed == limit:
            return Swept(removed, more=True)
        await self._following_erasures().settle(now, now - retention.erasures)
        values = checked(limit=limit - removed, after=self._swept_up_to, **sweep_times(now))
        return await self._sweep_grants(values, removed)

    async def _sweep_grants(self, values: Values, removed: int) -> Swept:
        ((last, seen, expired, wipeable),) = await self._read(sql.SELECT_GRANT_WINDOW, values)
        if expired or wipeable:
            removed += await self._writing().run(partial(sweep_grants, values={**values, "upto": last}))
        more = seen == values["limit"]
        self._swept_up_to = last if more else 0
        return Swept(removed, more)

    async def ping(self) -> None:
        await self._writing().run(nothing)

    def _writing(self) -> Lane:
        if self._writer is None:
            raise StorageUnavailable("the storage is not open")
        return self._writer

    def _following_erasures(self) -> SqliteErasures:
        if self._erasures is None:
            raise StorageUnavailable("the storage is not open")
        return self._erasures

    def _reading(self) -> Lane:
        if self._reader is None:
            raise StorageUnavailable("the storage is not open")
        return self._reader

    async def _read(self, statement: str, values: Values) -> list[Row]:
        return await self._reading().run(partial(fetch, statement=statement, values=values))
