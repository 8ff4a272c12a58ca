"""Between models and rows: which values a column holds, and what no database can hold.

Column values are text, int64, bytes or NULL. Knows no SQL and no driver.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import count
from typing import Any

from authsrv.models import Digest, Grant, IdentityKey, LoadedGrant, Player, Reservation
from authsrv.storage.base import StorageError, StoredClient
from authsrv.storage.changes import DeclaredClient

Column = str | int | bytes | None
Values = Mapping[str, Column]

INT64 = range(-(2**63), 2**63)
EPOCH_BITS = 40
YEAR_2020 = 1_577_836_800
"""When the clock of timed ids began: they last until 2088."""


def row_ids(epoch: int) -> Iterator[int]:
    """Ids for one start of one node: the epoch, which every start raises, and a count of 40 bits.

    No write per id, and none is given twice, even when the rows with the highest ids were removed.
    """
    return count((epoch << EPOCH_BITS) + 1)


def timed_ids(start: int, clock: Callable[[], float]) -> Iterator[int]:
    """Ids for one start of one of several nodes: seconds since 2020, the number of the start, and a count.

    So rows of all nodes are in the order of the seconds in which they were made, and each node's own in theirs. Two
    nodes could give the same id only if one was started 65,536 times while the other ran.
    """
    second, number = 0, 0
    while True:
        now = int(clock()) - YEAR_2020
        if now > second:
            second, number = now, 0
        elif number == 2**16 - 1:
            second, number = second + 1, 0  # so many in one second borrow from the next
        number += 1
        yield second << 32 | (start % 2**16) << 16 | number


def checked(**values: Column) -> Values:
    """The values of one statement by placeholder. Raises `StorageError` for what cannot be stored as it is.

    A NUL is cut off by SQLite's text functions and refused by PostgreSQL; a lone surrogate is no UTF-8; an integer
    beyond 64 bits is an error of the driver.
    """
    for name, value in values.items():
        # The common cases first and in line: every write of every request passes here, with up to 28 values.
        kind = type(value)
        if value is None or kind is bytes or (kind is int and value in INT64):
            continue
        if kind is str and value.isascii() and "\0" not in value:  # type: ignore[union-attr,operator]  # it is a str
            continue
        _check_rare(name, value)
    return values


def _check_rare(name: str, value: Column) -> None:
    if isinstance(value, str):
        _check_text(name, value)
    elif isinstance(value, int):
        raise StorageError(f"{name} is no 64-bit integer")
    else:
        raise StorageError(f"{name} is of no type that a column holds")


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise StorageError(f"{name} holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        # The cause would carry the whole text.
        raise StorageError(f"{name} holds a lone surrogate") from None


def required(name: str, text: str) -> str:
    """A text that must not be empty. Raises `StorageError`."""
    if not text:
        raise StorageError(f"{name} is empty")
    return text


def digest_column(name: str, value: Digest) -> bytes:
    """A SHA-256 digest. Raises `StorageError` for any other length."""
    if len(value) != 32:
        raise StorageError(f"{name} is no SHA-256 digest")
    return value


def optional_digest(name: str, value: Digest | None) -> bytes | None:
    """The same, or nothing."""
    return None if value is None else digest_column(name, value)


def joined(name: str, words: Sequence[str]) -> str:
    """Words in one text column, separated by spaces. Raises `StorageError` for a word that would not come back."""
    if any(word.split() != [word] for word in words):
        raise StorageError(f"{name} holds an empty word or a space")
    return " ".join(words)


def name_key(name: str) -> str:
    """What a player's name is found by: the same for names that differ in case or width alone. Made here, so that every
    database finds the same names.
    """
    return unicodedata.normalize("NFKC", name).casefold()


def player_values(player: Player) -> Values:
    """The columns of a player."""
    return checked(
        name_key=name_key(player.display_name),
        id=player.id,
        sub=required("sub", player.sub),
        project=player.project,
        display_name=player.display_name,
        created_at=player.created_at,
        last_login_at=player.last_login_at,
        version=player.version,
        barred_until=player.barred_until,
        barred_as=player.barred_as,
        age_group=player.age_group,
        name_from=player.name_from,
        merged_into=player.merged_into,
    )


def identity_values(key: IdentityKey, **more: Column) -> Values:
    """The columns of an identity's key, and more."""
    return checked(project=key.project, kind=key.kind, environment=key.environment, subject=key.subject, **more)


def grant_values(grant: Grant) -> Values:
    """The columns of a grant."""
    return checked(
        id=grant.id,
        project=grant.project,
        client_id=grant.client_id,
        player_id=grant.player_id,
        scope=joined("scope", grant.scope),
        audience=joined("audience", grant.audience),
        platform=grant.platform,
        idp=grant.idp,
        idp_subject=grant.idp_subject,
        auth_time=grant.auth_time,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        absolute_expires_at=grant.absolute_expires_at,
        nonce=grant.nonce,
        redirect_uri=grant.redirect_uri,
        delivered_as_json=int(grant.delivered_as_json),
        code_hash=optional_digest("code_hash", grant.code_hash),
        code_expires_at=grant.code_expires_at,
        code_used_at=grant.code_used_at,
        code_challenge=grant.code_challenge,
        code_failures=grant.code_failures,
        refresh_hash=optional_digest("refresh_hash", grant.refresh_hash),
        refresh_generation=grant.refresh_generation,
        refresh_previous_hash=optional_digest("refresh_previous_hash", grant.refresh_previous_hash),
        refresh_rotated_at=grant.refresh_rotated_at,
        refresh_successor=grant.refresh_successor,
        revoked_at=grant.revoked_at,
        revoked_reason=grant.revoked_reason,
        session_id=grant.session_id,
        claims=joined("claims", grant.claims),
    )


def reservation_values(reservation: Reservation) -> Values:
    """The columns of a reservation."""
    identity = reservation.identity
    return checked(
        digest=digest_column("digest", reservation.digest),
        requester=digest_column("requester", reservation.requester),
        holder=reservation.holder,
        state=reservation.state,
        lease_until=reservation.lease_until,
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
        settled_at=reservation.settled_at,
        outcome=reservation.outcome,
        identity_project=identity.project if identity else None,
        identity_kind=identity.kind if identity else None,
        identity_environment=identity.environment if identity else None,
        identity_subject=identity.subject if identity else None,
        grant_id=reservation.grant_id,
    )


# Rows arrive as tuples in the order of the SELECT, which is the order of the model's fields.
Row = Sequence[Any]


PLAYER_COLUMNS = len(fields(Player))
"""How many columns a player has in a SELECT."""


def player_of(row: Row) -> Player:
    """A player from the columns of its model."""
    return Player(*row)


def loaded_grant_of(row: Row) -> LoadedGrant:
    """A grant and its player from one joined row."""
    id_, project, client_id, player_id, scope, audience, *rest = row[:30]
    platform, idp, idp_subject, auth_time, created_at, expires_at, absolute, nonce, redirect_uri, as_json, *rest = rest
    *code, claims = rest
    grant = Grant(
        id_,
        project,
        client_id,
        player_id,
        tuple(scope.split()),
        tuple(audience.split()),
        platform,
        idp,
        idp_subject,
        auth_time,
        created_at,
        expires_at,
        absolute,
        nonce,
        redirect_uri,
        bool(as_json),
        *(*code, tuple(claims.split())),
    )
    player, told = player_of(row[30 : 30 + PLAYER_COLUMNS]), row[30 + PLAYER_COLUMNS :]
    profile, not_before, token_revoked, client_not_before, issued_as, is_players = told
    stands = not_before, bool(token_revoked), client_not_before
    return LoadedGrant(grant, player, profile, *stands, issued_as, bool(is_players))


def reservation_of(row: Row) -> Reservation:
    """A reservation; its identity is there once it is settled."""
    (digest, requester, holder, state, lease_until, created_at, expires_at, settled_at, outcome) = row[:9]
    project, kind, environment, subject, grant_id = row[9:]
    identity = None if subject is None else IdentityKey(project, kind, environment, subject)
    return Reservation(
        digest,
        requester,
        holder,
        state,
        lease_until,
        created_at,
        expires_at,
        settled_at,
        outcome,
        identity,
        grant_id,
    )


def stored_client_of(row: Row) -> StoredClient:
    """A remembered file client."""
    client_id, project, name, disabled_at = row
    return StoredClient(DeclaredClient(client_id, project, name), disabled_at)
