"""Orders about what is stored of a player: all of it is told, or all of it goes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from authsrv.account_models import Dossier
from authsrv.accounts.forgetting import Erased, Order
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players.asking import doer, is_dry, reason, refusals_told
from authsrv.orders.players.naming import Named, nobody, text_of, the_player


async def export(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Everything that is stored about a player, as `export`, beside `outcome`, `sub`, `alias`, `project` and
    `display_name`. Also of those who are banned, restricted or merged.
    """
    try:
        named = await the_player(desk, arguments)
    except OrderRefused as refused:
        await _tell_erased(desk, text_of(arguments, "sub"))
        raise refused from None
    with refusals_told():
        found = await desk.forgetting.export(named.account.player.sub, Order(doer(arguments), reason(arguments)))
    return {"outcome": "exported", **_whom(named), "export": found}


async def erase(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Erase a player with everything, also one who is banned, restricted or merged; `reason` is required.

    The answer has `outcome`, `sub`, `alias`, `project`, `display_name`, `erased`, every `sub` that goes, `erased_at`,
    and `counts` of what goes. Once they are erased there is nothing to do, and no more known of them than `sub`.
    """
    order = Order(doer(arguments), reason(arguments, required=True), preview=is_dry(arguments))
    try:
        named = await the_player(desk, arguments)
    except OrderRefused as refused:
        return await _erased_before(desk, text_of(arguments, "sub"), refused)
    dossier = await desk.server.storage.load_dossier(named.account.player.id)
    with refusals_told():
        erased = await desk.forgetting.erase(named.account.player.sub, order)
    return _told(erased, named, dossier, order)


def _told(erased: Erased, named: Named, dossier: Dossier | None, order: Order) -> Mapping[str, Any]:
    outcome = "unchanged" if erased.was_done else "would_erase" if order.preview else "erased"
    return {
        "outcome": outcome,
        **_whom(named),
        "erased": list(erased.subs),
        "erased_at": None if order.preview else erased.erased_at,
        "counts": _counts(dossier),
    }


async def _erased_before(desk: Desk, sub: str, refused: OrderRefused) -> Mapping[str, Any]:
    """What is told of a player who is not there, but was. Raises the refusal for all others."""
    erasure = await desk.server.storage.load_erasure(sub) if sub else None
    if erasure is None:
        raise refused
    return {
        "outcome": "unchanged",
        "sub": sub,
        "alias": None,
        "project": "",
        "display_name": "",
        "erased": [sub],
        "erased_at": erasure.erased_at,
        "counts": _counts(None),
    }


async def _tell_erased(desk: Desk, sub: str) -> None:
    erasure = await desk.server.storage.load_erasure(sub) if sub else None
    if erasure is not None:
        at = datetime.fromtimestamp(erasure.erased_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise OrderRefused(f"the player was erased, at {at}", nobody().code)


def _whom(named: Named) -> dict[str, Any]:
    player = named.account.player
    return {
        "sub": player.sub,
        "alias": named.alias or None,
        "project": player.project,
        "display_name": player.display_name,
    }


def _counts(dossier: Dossier | None) -> dict[str, int]:
    """How much there is of everything, that of merged accounts included."""
    records = (dossier.own, *dossier.merged) if dossier else ()
    return {
        "accounts": len(records),
        "identities": sum(len(record.account.identities) for record in records),
        "consents": sum(len(record.consents) for record in records),
        "sessions": sum(len(record.sessions) for record in records),
        "grants": sum(len(record.grants) for record in records),
        "events": len(dossier.events) if dossier else 0,
    }
