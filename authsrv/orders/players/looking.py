"""Orders that look for players and at them. They change nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from authsrv.account_models import JournalEvent
from authsrv.models import Player
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players import telling
from authsrv.orders.players.naming import (
    Named,
    names_of,
    nobody,
    number_of,
    players_named,
    projects_meant,
    remaining,
    text_of,
    the_player,
)

_PAGE: Final = 50
_MOST: Final = 500


async def find(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """`players`, in short, and `next`, what `after` has to be for the next page, null if there is none.

    Takes what names a player, or `name`, how a display name begins; then also `limit` and `after`, a `sub`.
    """
    name = text_of(arguments, "name")
    if not name:
        told = [_in_short(desk, named) for named in await players_named(desk, arguments)]
        return _answer(told, None)
    project, limit = _one_project(desk, text_of(arguments, "project")), number_of(arguments, "limit", _PAGE, _MOST)
    after = await _after(desk, text_of(arguments, "after"), project)
    found = await desk.server.storage.load_players_named(project, name, limit + 1, after)
    shown = found[:limit]
    return _answer([await _with_survivor(desk, one) for one in shown], shown[-1].sub if len(found) > limit else None)


async def show(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Everything about one player that support needs, with at most `events` of the newest events.

    Neither the profile that a platform told nor anything secret is among it.
    """
    named = await the_player(desk, arguments)
    storage, now, names = desk.server.storage, desk.server.now(), names_of(desk)
    account, opaque = named.account, desk.server.opaque
    rows = [one.id for one in (account.player, *account.aliases)]
    sessions = [one for row in rows for one in await storage.load_player_sessions(row)]
    consents = await storage.load_consents(account.player.id)
    events = await storage.load_events(account.player.id, number_of(arguments, "events", 10, 1000))
    return {
        **telling.account(account, now),
        "alias": named.alias or None,
        "identities": [telling.linked(linked, names) for linked in account.identities],
        "bans": [telling.ban(ban, now) for ban in account.bans],
        "sessions": [telling.session(one, opaque.public_id("sid", one.session.id)) for one in sessions],
        "consents": [telling.consent(one) for one in consents],
        "events": [telling.event(one, await _other(desk, one, rows), names) for one in events],
    }


def _answer(told: Sequence[telling.Told], following: str | None) -> Mapping[str, Any]:
    if not told:
        raise nobody()
    return {"players": told, "next": following}


def _in_short(desk: Desk, named: Named) -> telling.Told:
    return {**telling.player(named.account.player, desk.server.now()), "alias": named.alias or None}


async def _with_survivor(desk: Desk, player: Player) -> telling.Told:
    now = desk.server.now()
    if player.merged_into is None:
        return {**telling.player(player, now), "alias": None}
    survivor = await remaining(desk, player)
    return {**telling.player(player, now, survivor.player.sub), "alias": None}


def _one_project(desk: Desk, project: str) -> str:
    meant = projects_meant(desk, project)
    if len(meant) != 1:
        raise OrderRefused(f"say in which project to look by name: {', '.join(meant)}")
    return meant[0]


async def _after(desk: Desk, sub: str, project: str) -> Player | None:
    if not sub:
        return None
    player = await desk.server.storage.load_subject(sub)
    if player is None or player.project != project:
        raise OrderRefused("the player after whom the page begins is gone; begin anew")
    return player


async def _other(desk: Desk, event: JournalEvent, rows: Sequence[int]) -> str | None:
    """The `sub` of the second player of an event, seen from the one with these rows."""
    second = event.other_id if event.player_id in rows else event.player_id
    account = await desk.server.storage.load_account(second) if event.other_id and second else None
    return account.player.sub if account else None
