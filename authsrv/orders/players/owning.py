"""Orders about whose a platform account is, about two players who are one, and about taking such things back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from authsrv.account_models import Account, EventKind
from authsrv.accounts.effects import Move, effect_of_event
from authsrv.accounts.naming import Wanted
from authsrv.accounts.performing import Order, Performed
from authsrv.errors import AccountConflict
from authsrv.models import IdentityKey
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players import telling
from authsrv.orders.players.asking import doer, is_dry, project_of, reason, refusals_told
from authsrv.orders.players.naming import Named, kinds_meant, names_of, text_of, the_player

_WITHIN_ENVIRONMENTS: Final = {"xbox": "the relying party and the sandbox", "eos_puid": "the product"}
"""Kinds of platform accounts whose ids name somebody only together with an environment."""

_WOULD: Final[Mapping[EventKind, str]] = {
    "linked": "would_link",
    "unlinked": "would_unlink",
    "transferred": "would_transfer",
    "merged": "would_merge",
    "undone": "would_undo",
}


async def link(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the player with this `sub` the account `account` of `platform`, of an `environment` if it needs one.

    Nobody proves that it is theirs. The answer is that of every order here: `outcome`, `sub`, `alias`, `project`,
    `display_name`, `other`, the second player concerned, platform accounts that `moved` and those `detached`, `event`,
    and `reversible_until`.
    """
    named = await the_player(desk, {"sub": text_of(arguments, "sub")})
    account = named.account
    key = _key(desk, account, arguments)
    with refusals_told(), _conflict_told():
        performed = await desk.changes.link(account.player.sub, key, _order(desk, account, arguments))
    return _told(desk, performed, named, arguments)


async def unlink(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the account `account` of `platform` from its player; from the one with `sub`, if that is given."""
    named = await _owner(desk, arguments)
    wanted, order = _wanted(desk, named.account, arguments), _order(desk, named.account, arguments)
    with refusals_told():
        performed = await desk.changes.unlink(named.account.player.sub, wanted, order)
    return _told(desk, performed, named, arguments)


async def transfer(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the account `account` of `platform` to the player `to`; only if `sub` has it, if that is given."""
    named = await _owner(desk, arguments)
    wanted, order = _wanted(desk, named.account, arguments), _order(desk, named.account, arguments)
    with refusals_told():
        performed = await desk.changes.transfer(named.account.player.sub, wanted, text_of(arguments, "to"), order)
    return _told(desk, performed, named, arguments)


async def merge(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make the player who is named part of the player `into`, with `drop_duplicates` also where both have accounts of
    one platform. `reason` is required.
    """
    named = await the_player(desk, arguments)
    order = _order(desk, named.account, arguments, needs_reason=True)
    into, drop = text_of(arguments, "into"), bool(arguments.get("drop_duplicates"))
    with refusals_told():
        performed = await desk.changes.merge(named.alias or named.account.player.sub, into, order, drop_duplicates=drop)
    return _told(desk, performed, named, arguments)


async def undo(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take back the event with the id `event`, as `show` and the orders here tell it."""
    row = desk.server.opaque.row_id("event", text_of(arguments, "event"))
    event = None if row is None else await desk.server.storage.load_event(row)
    if event is None:
        raise OrderRefused("there is no such event; authsrv players show tells the ids")
    project = project_of(desk, event.project)
    order = Order(project, doer(arguments), reason=reason(arguments), preview=is_dry(arguments))
    with refusals_told():
        performed = await desk.changes.undo(event.id, order)
    return _told(desk, performed, None, arguments)


def _order(desk: Desk, account: Account, arguments: Mapping[str, Any], *, needs_reason: bool = False) -> Order:
    why = reason(arguments, required=needs_reason)
    return Order(project_of(desk, account.player.project), doer(arguments), reason=why, preview=is_dry(arguments))


@contextmanager
def _conflict_told() -> Iterator[None]:
    """Who has a platform account already, and what to do. Raises `OrderRefused`."""
    try:
        yield
    except AccountConflict as error:
        owner = error.facts["sub"]
        text = f"another player has this platform account: {owner}; authsrv players transfer gives it to this one"
        raise OrderRefused(text, "not_possible") from error


def _key(desk: Desk, account: Account, arguments: Mapping[str, Any]) -> IdentityKey:
    platform, subject, environment = (text_of(arguments, name) for name in ("platform", "account", "environment"))
    kinds = kinds_meant(desk, platform)
    if len(kinds) > 1:
        raise OrderRefused(f"{platform} has accounts of several kinds; say which in its place: {', '.join(kinds)}")
    (kind,) = kinds
    if bool(environment) != (kind in _WITHIN_ENVIRONMENTS):
        what = _WITHIN_ENVIRONMENTS.get(kind)
        raise OrderRefused(
            f"an {kind} account needs its environment, {what}" if what else f"{kind} has no environments"
        )
    if not subject.isascii() or not subject.isprintable() or " " in subject or not subject:
        raise OrderRefused("this is no id of a platform account")
    return IdentityKey(account.player.project, kind, environment, subject)


async def _owner(desk: Desk, arguments: Mapping[str, Any]) -> Named:
    """Whose platform account is meant: the player's with `sub`, if that is given."""
    by = ("sub",) if text_of(arguments, "sub") else ("platform", "account", "project")
    return await the_player(desk, {name: text_of(arguments, name) for name in by})


def _wanted(desk: Desk, account: Account, arguments: Mapping[str, Any]) -> Wanted:
    """The one of the player's platform accounts that is meant."""
    kinds = kinds_meant(desk, text_of(arguments, "platform"))
    subject, environment = text_of(arguments, "account"), text_of(arguments, "environment")
    keys = [linked.key for linked in account.identities if linked.key.kind in kinds and linked.key.subject == subject]
    meant = [key for key in keys if environment in {"", key.environment}]
    if not meant:
        raise OrderRefused("the player does not have this platform account", "not_possible")
    if len(meant) > 1:
        raise OrderRefused(f"say in which environment: {', '.join(key.environment for key in meant)}")
    (key,) = meant
    return Wanted(desk.platforms.provider_of(key.kind), key.subject, key.kind, key.environment)


def _told(desk: Desk, performed: Performed, named: Named | None, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    player, event = performed.about.player, performed.event
    told = {
        "outcome": "unchanged",
        "sub": player.sub,
        "alias": (named.alias if named else "") or None,
        "project": player.project,
        "display_name": player.display_name,
    }
    if event is None:
        return {**told, "other": None, "moved": [], "detached": [], "event": None, "reversible_until": None}
    dry, moves = is_dry(arguments), effect_of_event(event).moves
    return {
        **told,
        "outcome": _WOULD[event.kind] if dry else event.kind,
        "other": performed.other.player.sub if performed.other else None,
        "moved": _identities(desk, [move for move in moves if move.after]),
        "detached": _identities(desk, [move for move in moves if not move.after]),
        "event": None if dry else desk.server.opaque.public_id("event", event.id),
        "reversible_until": event.reversible_until or None,
    }


def _identities(desk: Desk, moves: Sequence[Move]) -> Sequence[telling.Told]:
    return [telling.identity(move.key, names_of(desk)) for move in moves]
