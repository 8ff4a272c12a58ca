"""Which player an order is about. Knows not what is done to them.

An order names a player by `sub`, where that of an account merged into another stands for the account that remains; or
by `platform`, the name of a platform or the kind of an identity, and `account`, the id that the player has there.
`project` is the key of a project, and may be left out where it is plain.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from authsrv.account_models import Account, LinkedIdentity
from authsrv.models import Player
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players.telling import Names
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """A player whom an order named. `alias` is the `sub` that was asked for, if it is that of an account merged into
    this one; else empty.
    """

    account: Account
    alias: str = ""


def text_of(arguments: Mapping[str, Any], name: str) -> str:
    """An argument that is a text, empty if it is not there."""
    value = arguments.get(name, "")
    return value if isinstance(value, str) else ""


def number_of(arguments: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """An argument that is a number from 1 to `most`. Raises `OrderRefused`."""
    value = arguments.get(name, default)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise OrderRefused(f"{name} is a number from 1 to {most}")
    return value


async def the_player(desk: Desk, arguments: Mapping[str, Any]) -> Named:
    """The one player whom the arguments name. Raises `OrderRefused`, with a code of its own if there is none."""
    found = await players_named(desk, arguments)
    if not found:
        raise nobody()
    if len(found) > 1:
        subs = ", ".join(sorted(named.account.player.sub for named in found))
        raise OrderRefused(f"several players have this platform account, so name one by the sub: {subs}")
    return found[0]


async def players_named(desk: Desk, arguments: Mapping[str, Any]) -> Sequence[Named]:
    """Every player whom the arguments name: by an account, those of several projects or environments."""
    sub, platform, account = (text_of(arguments, name) for name in ("sub", "platform", "account"))
    if sub and not (platform or account):
        return await _by_sub(desk, sub, text_of(arguments, "project"))
    if platform and account and not sub:
        return await _by_account(desk, platform, account, text_of(arguments, "project"))
    raise OrderRefused("name a player by the sub, or by platform and account")


def names_of(desk: Desk) -> Names:
    """How events and platforms are named in answers."""
    return Names(partial(desk.server.opaque.public_id, "event"), desk.platforms.provider_of)


def projects_meant(desk: Desk, project: str) -> Sequence[str]:
    """The keys of the projects to look in: the one that is named, or all."""
    return [project] if project else sorted(desk.projects())


def nobody() -> OrderRefused:
    """The refusal of an order about a player who is not there. It tells nothing else."""
    return OrderRefused("there is no such player", "unknown_player")


async def _by_sub(desk: Desk, sub: str, project: str) -> Sequence[Named]:
    player = await desk.server.storage.load_subject(sub)
    if player is None or project not in {"", player.project}:
        return []
    account = await remaining(desk, player)
    return [Named(account, "" if account.player.sub == sub else sub)]


async def _by_account(desk: Desk, platform: str, account: str, project: str) -> Sequence[Named]:
    found = [
        linked
        for key in projects_meant(desk, project)
        for kind in kinds_meant(desk, platform)
        for linked in await desk.server.storage.load_identities(key, kind, account)
    ]
    accounts = [await _owner(desk, linked) for linked in found]
    return [Named(one) for one in {one.player.id: one for one in accounts}.values()]


def kinds_meant(desk: Desk, platform: str) -> Sequence[str]:
    """The kinds of identities of a platform; or the one, if it is a kind that is named. Raises `OrderRefused`."""
    known = desk.platforms.kinds
    if platform in known:
        return known[platform]
    if any(platform in kinds for kinds in known.values()):
        return [platform]
    raise OrderRefused(f"there is no platform {platform}; there are: {', '.join(sorted(known))}")


async def _owner(desk: Desk, linked: LinkedIdentity) -> Account:
    account = await desk.server.storage.load_account(linked.player_id)
    if account is None:
        raise OrderRefused("the player was erased meanwhile")
    return account


async def remaining(desk: Desk, player: Player) -> Account:
    """The account that a player is part of now."""
    account = await desk.server.storage.load_account(player.merged_into or player.id)
    if account is None:
        raise nobody()
    if account.player.merged_into is not None:
        raise OrderRefused("the player is being merged; try again")
    return account
