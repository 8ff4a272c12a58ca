"""Orders that keep players out, and let them in again."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from authsrv.account_models import Account, EventKind
from authsrv.accounts.banning import Sentence
from authsrv.accounts.bans import Barred
from authsrv.accounts.performing import Order
from authsrv.models import NEVER, BarKind
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players import telling
from authsrv.orders.players.asking import doer, is_dry, project_of, reason, refusals_told
from authsrv.orders.players.naming import Named, names_of, the_player

_LONGEST: Final = 100 * 365 * 86400

_WOULD: Final[Mapping[EventKind, str]] = {
    "banned": "would_ban",
    "unbanned": "would_unban",
    "restricted": "would_restrict",
    "unrestricted": "would_unrestrict",
}


async def ban(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep a player out for `seconds`, or for good; `reason` is required.

    The answer is that of every order here: `outcome`, `sub`, `alias`, `project`, `display_name`, `barred` as it is
    afterwards, `identities`, the platform accounts, and `event`.
    """
    return await _bar(desk, arguments, "banned")


async def restrict(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same for privacy's sake: what is stored is not used until it is lifted, and nobody is told why."""
    return await _bar(desk, arguments, "restricted")


async def unban(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lift every ban of a player."""
    return await _lift(desk, arguments, "banned")


async def unrestrict(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lift every restriction of a player."""
    return await _lift(desk, arguments, "restricted")


async def _bar(desk: Desk, arguments: Mapping[str, Any], kind: BarKind) -> Mapping[str, Any]:
    sentence = Sentence(kind, _until(desk, arguments), reason(arguments, required=True))

    async def carry_out(sub: str, order: Order) -> Barred:
        return await desk.bans.ban(sub, sentence, order)

    return await _carried_out(desk, arguments, carry_out)


async def _lift(desk: Desk, arguments: Mapping[str, Any], kind: BarKind) -> Mapping[str, Any]:
    async def carry_out(sub: str, order: Order) -> Barred:
        return await desk.bans.unban(sub, kind, order)

    return await _carried_out(desk, arguments, carry_out)


async def _carried_out(
    desk: Desk, arguments: Mapping[str, Any], carry_out: Callable[[str, Order], Awaitable[Barred]]
) -> Mapping[str, Any]:
    named = await the_player(desk, arguments)
    player = named.account.player
    order = Order(project_of(desk, player.project), doer(arguments), preview=is_dry(arguments))
    with refusals_told():
        barred = await carry_out(player.sub, order)
    return _told(desk, named, barred, arguments)


def _until(desk: Desk, arguments: Mapping[str, Any]) -> int:
    seconds = arguments.get("seconds")
    if seconds is None:
        return NEVER
    if not isinstance(seconds, int) or not 0 < seconds <= _LONGEST:
        raise OrderRefused("seconds is a number above 0; without it there is no end")
    return desk.server.now() + seconds


def _told(desk: Desk, named: Named, barred: Barred, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    account, event, dry = named.account, barred.event, is_dry(arguments)
    outcome = "unchanged" if event is None else _WOULD[event.kind] if dry else event.kind
    return {
        "outcome": outcome,
        "sub": account.player.sub,
        "alias": named.alias or None,
        "project": account.player.project,
        "display_name": account.player.display_name,
        "barred": telling.barred(barred.until, barred.kind or "", desk.server.now()),
        "identities": _identities(desk, account),
        "event": desk.server.opaque.public_id("event", event.id) if event and not dry else None,
    }


def _identities(desk: Desk, account: Account) -> list[telling.Told]:
    return [telling.identity(linked.key, names_of(desk)) for linked in account.identities]
