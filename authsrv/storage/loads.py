"""The loads of a SQL database: which statement each runs, and what its rows become.

Owns that for every backend alike. Knows no driver and no connection: how statements are run, each backend says itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar

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
    Revocations,
    SignedIn,
    Standing,
    StoredKey,
    Visit,
)
from authsrv.storage.base import LAST_ROW, StoredClient
from authsrv.storage.dialogues import Reading, read_account, read_census, read_dossier
from authsrv.storage.rows.accounts import (
    event_of,
    link_code_of,
    linked_identity_of,
    loaded_link_code_of,
    names_between,
    newest,
    ownership_of,
)
from authsrv.storage.rows.base import (
    INT64,
    Row,
    Values,
    checked,
    digest_column,
    identity_values,
    loaded_grant_of,
    player_of,
    reservation_of,
    stored_client_of,
)
from authsrv.storage.rows.browsers import (
    consent_of,
    loaded_request_of,
    loaded_trip_of,
    notice_of,
    one_for_each_client,
    signed_in_of,
    visit_of,
)
from authsrv.storage.rows.clients import registered_client_of
from authsrv.storage.statements import accounts as account_sql
from authsrv.storage.statements import base as sql
from authsrv.storage.statements import browsers as browser_sql
from authsrv.storage.statements import clients as client_sql
from authsrv.storage.statements import keys as key_sql
from authsrv.storage.statements import nodes as node_sql
from authsrv.storage.statements import privacy as privacy_sql
from authsrv.storage.statements import revocations as revocation_sql
from authsrv.storage.steps.keys import key_of
from authsrv.storage.steps.nodes import lease_of
from authsrv.storage.steps.revocations import revocations_of, standing_of

T = TypeVar("T")


class SqlLoads(ABC):
    """The loads of the `Storage` contract, whose docstrings say what each returns."""

    @abstractmethod
    async def _read(self, statement: str, values: Values) -> Sequence[Row]:
        """The rows of one SELECT. Raises `StorageUnavailable`."""

    @abstractmethod
    async def _follow(self, begin: Callable[[], Reading[T]]) -> T:
        """What a dialogue of SELECTs comes to; it is begun anew if it has to be repeated."""

    @abstractmethod
    async def _follow_at_one_moment(self, begin: Callable[[], Reading[T]]) -> T:
        """The same, in one read transaction."""

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
        return await self._follow(partial(read_account, checked(player_id=player_id)))

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
        return await self._follow_at_one_moment(partial(read_dossier, checked(player_id=player_id)))

    async def load_erasure(self, sub: str) -> Erasure | None:
        rows = await self._read(privacy_sql.SELECT_ERASURE, checked(sub=sub))
        return Erasure(*rows[0]) if rows else None

    async def load_players(self, after: int, limit: int) -> tuple[Player, ...]:
        rows = await self._read(privacy_sql.SELECT_PLAYERS, checked(after=after, limit=limit))
        return tuple(map(player_of, rows))

    async def load_census(self) -> Census:
        return await self._follow(read_census)

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

    async def load_versions(self) -> Mapping[str, int]:
        return dict(await self._read(node_sql.SELECT_VERSIONS, {}))  # type: ignore[arg-type]  # pairs, by the statement

    async def load_leases(self, now: int) -> tuple[Lease, ...]:
        return tuple(map(lease_of, await self._read(node_sql.SELECT_LEASES, checked(now=now))))
