"""What players are told of themselves, their erasure, and what is kept for how long, upon the memory backend's tables.

Owns guards and row changes; the model that `statements/privacy.py` is held against. Knows no transaction.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace

from authsrv.account_models import AccountRecord, Census, Dossier, GrantRecord, JournalEvent, SessionRecord
from authsrv.models import Grant, IdentityKey, Player, Reservation
from authsrv.storage.base import LAST_ROW
from authsrv.storage.memory.accounts import account, events
from authsrv.storage.memory.tables import Tables, guard, write
from authsrv.storage.privacy_changes import ErasePlayer, TrimAccount
from authsrv.storage.rows.accounts import newest
from authsrv.storage.steps.privacy import retention_times


def dossier(tables: Tables, player_id: int) -> Dossier | None:
    """Everything that is told of a player."""
    own = _record(tables, player_id)
    if own is None:
        return None
    ids = [player_id, *(alias.id for alias in own.account.aliases)]
    merged = [record for record in (_record(tables, id_) for id_ in ids[1:]) if record]
    found = [event for id_ in ids for event in events(tables, id_, LAST_ROW, LAST_ROW)]
    return Dossier(own, tuple(merged), newest(found, LAST_ROW)[::-1])


def _record(tables: Tables, player_id: int) -> AccountRecord | None:
    found = account(tables, player_id)
    if found is None:
        return None
    consents = [consent for (whose, _), consent in tables.consents.items() if whose == player_id]
    sessions = [session for _, session in sorted(tables.sessions.items()) if session.player_id == player_id]
    grants = [grant for _, grant in sorted(tables.grants.items()) if grant.player_id == player_id]
    return AccountRecord(
        found,
        tuple(sorted(consents, key=lambda consent: consent.client_id)),
        tuple(SessionRecord(session, _clients(tables, session.id)) for session in sessions),
        tuple(map(_grant_record, grants)),
    )


def _clients(tables: Tables, session_id: int) -> tuple[str, ...]:
    return tuple(sorted(client_id for whose, client_id in tables.session_clients if whose == session_id))


def _grant_record(grant: Grant) -> GrantRecord:
    return GrantRecord(
        client_id=grant.client_id,
        scope=grant.scope,
        audience=grant.audience,
        platform=grant.platform,
        idp=grant.idp,
        idp_subject=grant.idp_subject,
        auth_time=grant.auth_time,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        absolute_expires_at=grant.absolute_expires_at,
        is_offline=grant.refresh_generation > 0,
        refreshed_at=grant.refresh_rotated_at,
        revoked_at=grant.revoked_at,
        revoked_reason=grant.revoked_reason,
    )


def census(tables: Tables) -> Census:
    """When the oldest row of each table was made."""
    made: dict[str, list[int]] = {
        "players": [row.created_at for _, row in sorted(tables.players.items())],
        "grants": [row.created_at for _, row in sorted(tables.grants.items())],
        "sessions": [row.created_at for _, row in sorted(tables.sessions.items())],
        "requests": [row.created_at for _, row in sorted(tables.requests.items())],
        "link_codes": [row.created_at for _, row in sorted(tables.link_codes.items())],
        "events": [row.at for _, row in sorted(tables.events.items())],
        "bans": [row.created_at for _, row in sorted(tables.bans.items())],
        "logout_notices": [row.created_at for _, row in sorted(tables.notices.items())],
        "erasures": sorted(tables.erasures.values()),
    }
    return Census({name: times[0] for name, times in made.items() if times}, len(tables.notices))


@write.register
def _(change: ErasePlayer, tables: Tables) -> None:
    own = _claimed(tables, change)
    for sub in change.subs:
        tables.raise_not_before("player", sub, change.now + 1)
        tables.erasures.setdefault(sub, change.now)
    mine = {key for key, linked in tables.identities.items() if linked.player_id in own}
    _forget_proofs(tables, mine)
    _forget_places(tables, own, change.subs)
    _forget_rows(tables, own)
    _forget_bans(tables, own, change)
    for event in list(tables.events.values()):
        known = _without_moves(_without_identity(event, mine), mine)
        tables.events[event.id] = _anonymous(known, own, change.tombstone)
    for player_id in own:
        tables.subs.discard(tables.players.pop(player_id).sub)
        tables.segments.pop(player_id, None)


def _claimed(tables: Tables, change: ErasePlayer) -> frozenset[int]:
    """The rows of the player and of the accounts merged into them, if the guard holds."""
    own = [one for one in tables.players.values() if change.player_id in {one.id, one.merged_into}]
    whole = {one.sub for one in own} == set(change.subs) and len(own) == len(change.subs)
    guard(whole and any(_is_unchanged(one, change) for one in own), change)
    return frozenset(one.id for one in own)


def _is_unchanged(player: Player, change: ErasePlayer) -> bool:
    return player.id == change.player_id and player.version == change.version and player.merged_into is None


def _forget_proofs(tables: Tables, mine: Container[IdentityKey | None]) -> None:
    for row in list(tables.reservations.values()):
        if row.identity in mine:
            tables.reservations[row.digest] = _without_proof(row)


def _forget_places(tables: Tables, own: Container[int], subs: Container[str]) -> None:
    browsers = {session.browser_id for session in tables.sessions.values() if session.player_id in own} - {0}
    for request in list(tables.requests.values()):
        waits_here = request.completed_at is None and request.browser_id in browsers
        if waits_here or request.expected_sub in subs:
            del tables.requests[request.id]


def _forget_rows(tables: Tables, own: Container[int]) -> None:
    tables.identities = {key: linked for key, linked in tables.identities.items() if linked.player_id not in own}
    tables.profiles = {id_: profile for id_, profile in tables.profiles.items() if id_ not in own}
    tables.consents = {key: consent for key, consent in tables.consents.items() if key[0] not in own}
    tables.link_codes = {id_: code for id_, code in tables.link_codes.items() if code.player_id not in own}
    tables.grants = {id_: grant for id_, grant in tables.grants.items() if grant.player_id not in own}
    tables.sessions = {id_: session for id_, session in tables.sessions.items() if session.player_id not in own}
    tables.session_clients = {pair for pair in tables.session_clients if pair[0] in tables.sessions}


def _forget_bans(tables: Tables, own: Container[int], change: ErasePlayer) -> None:
    for ban in [ban for ban in tables.bans.values() if ban.player_id in own]:
        if change.forgets_bans or ban.kind == "restricted" or not ban.is_in_force(change.now):
            del tables.bans[ban.id]
        else:
            tables.bans[ban.id] = replace(ban, player_id=0, reason="", decided_by="")
    _forget_marks(tables)


def _without_identity(event: JournalEvent, mine: Container[IdentityKey | None]) -> JournalEvent:
    """The event without a platform account of theirs, whoever it is about."""
    if event.identity not in mine:
        return event
    return replace(event, identity=None, facts="", reversible_until=0)


def _without_moves(event: JournalEvent, mine: Iterable[IdentityKey]) -> JournalEvent:
    """The event without what it moved, if a platform account of theirs was among that."""
    told = any(f'"{key.subject}"' in event.facts for key in mine if key.project == event.project)
    return replace(event, facts="", reversible_until=0) if told and event.kind in {"merged", "undone"} else event


def _anonymous(event: JournalEvent, own: Container[int], tombstone: int) -> JournalEvent:
    """The event without anybody in it, if it was about one of these."""
    player_id, other_id = (tombstone if id_ in own else id_ for id_ in (event.player_id, event.other_id))
    if (player_id, other_id) == (event.player_id, event.other_id):
        return event
    emptied = replace(event, identity=None, address="", reason="", facts="", reversible_until=0)
    return replace(emptied, player_id=player_id, other_id=other_id)


@write.register
def _(change: TrimAccount, tables: Tables) -> None:
    """As a sweep of tables that hold nothing but what is the account's."""
    mine = Tables(
        events={id_: event for id_, event in tables.events.items() if event.player_id == change.player_id},
        bans={id_: ban for id_, ban in tables.bans.items() if ban.player_id == change.player_id},
    )
    others = {id_: event for id_, event in tables.events.items() if id_ not in mine.events}
    other_bans = {id_: ban for id_, ban in tables.bans.items() if id_ not in mine.bans}
    remove_outdated(mine, retention_times(change.now, change.retention), LAST_ROW)
    tables.events, tables.bans = others | mine.events, other_bans | mine.bans
    _forget_marks(tables)


def remove_outdated(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    """Remove or empty at most `limit` rows that have been kept long enough; how many."""
    done = 0
    for work in (_wipe_proofs, _sweep_events, _sweep_withdrawals, _cut_addresses, _sweep_bans, _sweep_lifted_bans):
        done += work(tables, times, limit - done)
    return done + _sweep_erasures(tables, times, limit - done)


def _wipe_proofs(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    proving = [row for row in tables.reservations.values() if row.identity and row.settled_at < times["proofs_before"]]
    over = sorted(proving, key=lambda row: (row.settled_at, row.digest))[:limit]
    for row in over:
        tables.reservations[row.digest] = _without_proof(row)
    return len(over)


def _without_proof(row: Reservation) -> Reservation:
    return replace(row, state="refused", outcome="", grant_id=0, identity=None)


def _sweep_events(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    over = [e for e in _events_before(tables, times["events_before"]) if e.kind not in {"erased", "consent_withdrawn"}]
    return _forget_events(tables, over[:limit])


def _sweep_withdrawals(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    over = [e for e in _events_before(tables, times["withdrawals_before"]) if e.kind == "consent_withdrawn"]
    return _forget_events(tables, over[:limit])


def _cut_addresses(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    told = [event for event in _events_before(tables, times["addresses_before"]) if event.address][:limit]
    for event in told:
        tables.events[event.id] = replace(event, address="")
    return len(told)


def _events_before(tables: Tables, moment: int) -> list[JournalEvent]:
    return sorted((e for e in tables.events.values() if e.at < moment), key=lambda event: (event.at, event.id))


def _forget_events(tables: Tables, over: Sequence[JournalEvent]) -> int:
    for event in over:
        del tables.events[event.id]
    return len(over)


def _sweep_bans(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    ended = [(ban.until, ban.id) for ban in tables.bans.values() if ban.until < times["bans_before"]]
    return _remove_bans(tables, ended, limit)


def _sweep_lifted_bans(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    lifted = [(ban.lifted_at, ban.id) for ban in tables.bans.values() if ban.lifted_at is not None]
    return _remove_bans(tables, [(at, id_) for at, id_ in lifted if at < times["bans_before"]], limit)


def _remove_bans(tables: Tables, over: Iterable[tuple[int, int]], limit: int) -> int:
    gone = [ban_id for _, ban_id in sorted(over)[:limit]]
    for ban_id in gone:
        del tables.bans[ban_id]
    _forget_marks(tables)
    return len(gone)


def _forget_marks(tables: Tables) -> None:
    tables.identity_bans = {pair for pair in tables.identity_bans if pair[1] in tables.bans}


def _sweep_erasures(tables: Tables, times: Mapping[str, int], limit: int) -> int:
    over = sorted((at, sub) for sub, at in tables.erasures.items() if at < times["erasures_before"])[:limit]
    for _, sub in over:
        del tables.erasures[sub]
        tables.not_befores.pop(("player", sub), None)
    return len(over)
