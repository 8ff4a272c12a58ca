"""Between the models about accounts and their rows. Knows no SQL and no driver."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from authsrv.account_models import Account, Ban, JournalEvent, LinkCode, LinkedIdentity, LoadedLinkCode, Ownership
from authsrv.models import IdentityKey, Player
from authsrv.storage.rows.base import PLAYER_COLUMNS, Row, Values, checked, digest_column, name_key, player_of

_LAST_CHARACTER = "\U0010ffff"
"""Behind every character that a name can have."""
_LINK_CODE = 11
"""How many columns a link code has in a SELECT."""


def ban_values(ban: Ban) -> Values:
    """The columns of a ban."""
    return checked(
        id=ban.id,
        project=ban.project,
        player_id=ban.player_id,
        kind=ban.kind,
        reason=ban.reason,
        decided_by=ban.decided_by,
        created_at=ban.created_at,
        until=ban.until,
        lifted_at=ban.lifted_at,
    )


def event_values(event: JournalEvent) -> Values:
    """The columns of an event."""
    identity = event.identity
    return checked(
        id=event.id,
        project=event.project,
        kind=event.kind,
        at=event.at,
        player_id=event.player_id,
        other_id=event.other_id,
        identity_kind=identity.kind if identity else "",
        identity_environment=identity.environment if identity else "",
        identity_subject=identity.subject if identity else "",
        actor=event.actor,
        actor_name=event.actor_name,
        client_id=event.client_id,
        address=event.address,
        rule=event.rule,
        reason=event.reason,
        facts=event.facts,
        reversible_until=event.reversible_until,
        reversed_by=event.reversed_by,
    )


def link_code_values(code: LinkCode) -> Values:
    """The columns of a link code."""
    return checked(
        id=code.id,
        code_hash=digest_column("code_hash", code.code_hash),
        project=code.project,
        player_id=code.player_id,
        client_id=code.client_id,
        grant_id=code.grant_id,
        check_number=code.check_number,
        return_to=code.return_to,
        created_at=code.created_at,
        expires_at=code.expires_at,
        used_at=code.used_at,
    )


def ownership_of(rows: Sequence[Row]) -> Ownership:
    """The owner and the ban that lasts longest, from a row for the one and a row for each of the others."""
    players = [player_of(row[:PLAYER_COLUMNS]) for row in rows if row[0] is not None]
    bans = [Ban(*row[PLAYER_COLUMNS:]) for row in rows if row[0] is None]
    return Ownership(players[0] if players else None, longest(bans))


def names_between(prefix: str, after: Player | None) -> Values:
    """Where the names that begin so lie among all, by name and row; only those after one of them, if one is given."""
    first = name_key(prefix)
    last_key, last_id = (name_key(after.display_name), after.id) if after else (first, -1)
    return checked(after_key=last_key, after_id=last_id, beyond=first + _LAST_CHARACTER)


def longest(bans: Iterable[Ban]) -> Ban | None:
    """The ban that lasts longest, of several the oldest."""
    return min(bans, key=lambda ban: (-ban.until, ban.id), default=None)


def linked_identity_of(row: Row) -> LinkedIdentity:
    """A player's identity."""
    return LinkedIdentity(IdentityKey(*row[:4]), *row[4:])


def account_of(row: Row, identities: Sequence[Row], aliases: Sequence[Row], bans: Sequence[Row]) -> Account:
    """An account from its four reads."""
    segments, profile = row[PLAYER_COLUMNS:]
    return Account(
        player_of(row[:PLAYER_COLUMNS]),
        tuple(map(linked_identity_of, identities)),
        tuple(map(player_of, aliases)),
        tuple(Ban(*ban) for ban in bans),
        segments,
        profile,
    )


def event_of(row: Row) -> JournalEvent:
    """An event of the journal."""
    id_, project, kind, at, player_id, other_id, of_kind, environment, subject, *rest = row
    identity = IdentityKey(project, of_kind, environment, subject) if subject else None
    return JournalEvent(id_, project, kind, at, player_id, other_id, identity, *rest)


def newest(events: Iterable[JournalEvent], limit: int) -> tuple[JournalEvent, ...]:
    """At most `limit` events, each once, the newest first."""
    each = {event.id: event for event in events}
    return tuple(sorted(each.values(), key=attrgetter("id"), reverse=True)[:limit])


def link_code_of(row: Row) -> LinkCode:
    """A link code."""
    return LinkCode(*row)


def loaded_link_code_of(row: Row) -> LoadedLinkCode:
    """A link code and its player."""
    return LoadedLinkCode(LinkCode(*row[:_LINK_CODE]), player_of(row[_LINK_CODE:]))
