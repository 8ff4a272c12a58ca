"""Changes about accounts as statements, registered with `base.py`. Knows no driver and no transaction."""

from collections.abc import Iterator

from authsrv.storage.account_changes import (
    AddBan,
    AddIdentityBan,
    AddLinkCode,
    AdvanceVersion,
    BarPlayer,
    EndGrants,
    LiftBan,
    MarkIdentity,
    MergePlayers,
    MoveIdentity,
    RecordEvent,
    ReverseEvent,
    SetAgeGroup,
    SetDisplayName,
    SetSegments,
    UnlinkIdentity,
    UnmergePlayers,
    UseLinkCode,
    UseOnce,
)
from authsrv.storage.rows.accounts import ban_values, event_values, link_code_values
from authsrv.storage.rows.base import checked, digest_column, identity_values, name_key, required
from authsrv.storage.statements import accounts as sql
from authsrv.storage.steps.base import Step, steps_of


@steps_of.register
def _(change: AdvanceVersion) -> Iterator[Step]:
    yield Step(sql.ADVANCE_VERSION, checked(player_id=change.player_id, version=change.version))


@steps_of.register
def _(change: UnlinkIdentity) -> Iterator[Step]:
    yield Step(sql.DELETE_IDENTITY, identity_values(change.key, player_id=change.player_id))


@steps_of.register
def _(change: MoveIdentity) -> Iterator[Step]:
    values = identity_values(change.key, from_id=change.from_id, to_id=change.to_id, now=change.now)
    yield Step(sql.MOVE_IDENTITY, values)


@steps_of.register
def _(change: EndGrants) -> Iterator[Step]:
    values = checked(
        player_id=change.player_id,
        idp=change.idp,
        idp_subject=change.idp_subject,
        now=change.now,
        reason=change.reason,
    )
    yield Step(sql.END_GRANTS, values, guarded=False)


@steps_of.register
def _(change: MergePlayers) -> Iterator[Step]:
    values = checked(loser_id=change.loser_id, survivor_id=change.survivor_id)
    yield Step(sql.MERGE_PLAYER, values)
    yield Step(sql.FLATTEN_ALIASES, values, guarded=False)


@steps_of.register
def _(change: UnmergePlayers) -> Iterator[Step]:
    values = checked(loser_id=change.loser_id, survivor_id=change.survivor_id)
    yield Step(sql.UNMERGE_PLAYER, values)
    for alias_id in change.aliases:
        yield Step(sql.RETURN_ALIAS, {**values, **checked(alias_id=alias_id)})


@steps_of.register
def _(change: BarPlayer) -> Iterator[Step]:
    values = checked(player_id=change.player_id, until=change.until, kind=change.kind or "")
    yield Step(sql.BAR_PLAYER, values)


@steps_of.register
def _(change: AddBan) -> Iterator[Step]:
    yield Step(sql.INSERT_BAN, ban_values(change.ban))


@steps_of.register
def _(change: AddIdentityBan) -> Iterator[Step]:
    key = change.key
    identity = checked(
        identity_project=key.project,
        identity_kind=key.kind,
        identity_environment=key.environment,
        identity_subject=required("subject", key.subject),
    )
    yield Step(sql.INSERT_BAN_OF_NOBODYS, {**ban_values(change.ban), **identity})


@steps_of.register
def _(change: MarkIdentity) -> Iterator[Step]:
    values = checked(digest=digest_column("digest", change.digest), ban_id=change.ban_id)
    yield Step(sql.INSERT_IDENTITY_BAN, values, guarded=False)


@steps_of.register
def _(change: LiftBan) -> Iterator[Step]:
    yield Step(sql.LIFT_BAN, checked(ban_id=change.ban_id, now=change.now))


@steps_of.register
def _(change: SetDisplayName) -> Iterator[Step]:
    values = checked(
        player_id=change.player_id,
        display_name=change.display_name,
        name_key=name_key(change.display_name),
        name_from=change.name_from,
    )
    yield Step(sql.SET_DISPLAY_NAME, values)


@steps_of.register
def _(change: SetSegments) -> Iterator[Step]:
    yield Step(sql.SET_SEGMENTS, checked(player_id=change.player_id, segments=change.segments))


@steps_of.register
def _(change: SetAgeGroup) -> Iterator[Step]:
    yield Step(sql.SET_AGE_GROUP, checked(player_id=change.player_id, age_group=change.age_group))


@steps_of.register
def _(change: RecordEvent) -> Iterator[Step]:
    yield Step(sql.INSERT_EVENT, event_values(change.event))


@steps_of.register
def _(change: ReverseEvent) -> Iterator[Step]:
    yield Step(sql.REVERSE_EVENT, checked(event_id=change.event_id, reversed_by=change.reversed_by))


@steps_of.register
def _(change: UseOnce) -> Iterator[Step]:
    values = checked(digest=digest_column("digest", change.digest), expires_at=change.expires_at)
    yield Step(sql.INSERT_USED_PROOF, values)


@steps_of.register
def _(change: AddLinkCode) -> Iterator[Step]:
    yield Step(sql.REMOVE_UNUSED_LINK_CODES, checked(player_id=change.code.player_id), guarded=False)
    yield Step(sql.INSERT_LINK_CODE, link_code_values(change.code))


@steps_of.register
def _(change: UseLinkCode) -> Iterator[Step]:
    yield Step(sql.USE_LINK_CODE, checked(code_id=change.code_id, now=change.now))
