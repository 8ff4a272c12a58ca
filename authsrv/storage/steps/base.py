"""What each change becomes: guarded statements with their values, the same for every SQL database.

Owns the order of statements inside a change and which row counts are guards; the modules beside it register the
changes about their nouns. Knows no driver and no transaction.
"""

from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import NamedTuple

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
from authsrv.storage.rows.base import (
    Values,
    checked,
    digest_column,
    grant_values,
    identity_values,
    name_key,
    player_values,
    required,
)
from authsrv.storage.statements import base as sql
from authsrv.storage.statements.nodes import RAISE_VERSION

SUPERSEDED = "superseded"
"""`revoked_reason` of a grant whose unused answer was replaced by a fresh one."""


KEPT_AFTER_USE = 30 * 60
"""Seconds for which a used code, and a replaced refresh token's sealed successor, are never swept."""

KEPT_AFTER_REVOCATION = 86400 + 60
"""Seconds for which a revoked grant is never swept: game servers must hear of it as long as a token of it could be in
time to them, whose life is a day at most and whose clocks may be a minute behind."""


def sweep_times(now: int) -> dict[str, int]:
    """What a sweep compares the times of a grant with."""
    return {"now": now, "kept_since": now - KEPT_AFTER_USE, "told_since": now - KEPT_AFTER_REVOCATION}


class Step(NamedTuple):
    """One statement. A `guarded` one must touch exactly one row, or the change is a `Conflict`."""

    statement: str
    values: Values
    guarded: bool = True


class Write(NamedTuple):
    """A change and its statements in order."""

    change: Change
    steps: tuple[Step, ...]


def writes_of(changes: Sequence[Change]) -> tuple[Write, ...]:
    """All changes as statements. Raises `StorageError` for values that cannot be stored."""
    return tuple(Write(change, (*steps_of(change), *_news_of(change))) for change in changes)


def _news_of(change: Change) -> Iterator[Step]:
    """What lets other nodes hear of it."""
    if type(change) in MOVES:
        yield Step(RAISE_VERSION, {"name": MOVES[type(change)]}, guarded=False)


@singledispatch
def steps_of(change: Change) -> Iterator[Step]:
    """The statements of one change; each kind of change registers its own."""
    raise TypeError(f"no statement writes a {type(change).__name__}")


@steps_of.register
def _(change: AddPlayer) -> Iterator[Step]:
    yield Step(sql.INSERT_PLAYER, player_values(change.player))


@steps_of.register
def _(change: LinkIdentity) -> Iterator[Step]:
    required("subject", change.key.subject)
    values = identity_values(change.key, player_id=change.player_id, now=change.now)
    if change.mark is None:
        yield Step(sql.INSERT_IDENTITY, values)
    else:
        yield Step(sql.INSERT_UNBANNED_IDENTITY, {**values, "mark": digest_column("mark", change.mark)})


@steps_of.register
def _(change: RecordLogin) -> Iterator[Step]:
    values = identity_values(
        change.key,
        player_id=change.player_id,
        version=change.version,
        display_name=change.display_name,
        name_key=name_key(change.display_name),
        now=change.now,
    )
    # The player before what is theirs, as in every change of an account: two never wait for each other crosswise.
    yield Step(sql.UPDATE_PLAYER_LOGIN_AND_NAME if change.display_name else sql.UPDATE_PLAYER_LOGIN, values)
    yield Step(sql.UPDATE_IDENTITY_USE, values)


@steps_of.register
def _(change: AddGrant) -> Iterator[Step]:
    yield Step(sql.INSERT_GRANT, grant_values(change.grant))


@steps_of.register
def _(change: RedeemCode) -> Iterator[Step]:
    refresh = change.refresh_hash
    yield Step(
        sql.REDEEM_CODE,
        checked(
            grant_id=change.grant_id,
            now=change.now,
            refresh_hash=None if refresh is None else digest_column("refresh_hash", refresh),
            refresh_generation=0 if refresh is None else 1,
            expires_at=change.expires_at,
        ),
    )


@steps_of.register
def _(change: CountCodeFailure) -> Iterator[Step]:
    yield Step(sql.COUNT_CODE_FAILURE, checked(grant_id=change.grant_id), guarded=False)


@steps_of.register
def _(change: RotateRefreshToken) -> Iterator[Step]:
    yield Step(
        sql.ROTATE_REFRESH_TOKEN,
        checked(
            grant_id=change.grant_id,
            current=digest_column("current", change.current),
            successor=digest_column("successor", change.successor),
            sealed_successor=change.sealed_successor,
            now=change.now,
            expires_at=change.expires_at,
        ),
    )


@steps_of.register
def _(change: RevokeGrant) -> Iterator[Step]:
    values = checked(grant_id=change.grant_id, now=change.now, reason=change.reason)
    yield Step(sql.REVOKE_GRANT, values, guarded=False)


@steps_of.register
def _(change: SettleCredential) -> Iterator[Step]:
    digest = digest_column("digest", change.digest)
    values = identity_values(
        change.identity,
        digest=digest,
        holder=change.holder,
        grant_id=change.grant_id,
        now=change.now,
        reason=SUPERSEDED,
    )
    yield Step(sql.REVOKE_REPLACED_GRANT, values, guarded=False)
    yield Step(sql.SETTLE_CREDENTIAL, values)


@steps_of.register
def _(change: RefuseCredential) -> Iterator[Step]:
    digest = digest_column("digest", change.digest)
    yield Step(
        sql.REFUSE_CREDENTIAL, checked(digest=digest, holder=change.holder, outcome=change.outcome, now=change.now)
    )


@steps_of.register
def _(change: ReleaseCredential) -> Iterator[Step]:
    digest = digest_column("digest", change.digest)
    yield Step(sql.RELEASE_CREDENTIAL, checked(digest=digest, holder=change.holder), guarded=False)


@steps_of.register
def _(change: SyncClients) -> Iterator[Step]:
    if not change.all_agree:
        for client in change.clients:
            yield Step(sql.ADD_CLIENT, _declared(client), guarded=False)
        return
    # A client stays disabled since the day it left, so only those that are in force are put aside and taken up again.
    yield Step(sql.DISABLE_CLIENTS, checked(now=change.now), guarded=False)
    for client in change.clients:
        values = {**_declared(client), "now": change.now}
        yield Step(sql.VOID_TOKENS_OF_MOVED_CLIENT, values, guarded=False)
        yield Step(sql.UPSERT_CLIENT, values, guarded=False)


def _declared(client: DeclaredClient) -> Values:
    return checked(client_id=client.client_id, project=client.project, name=client.name)
