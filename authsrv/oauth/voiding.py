"""Everything that a player, a client or a project was given until now is void from now on.

Owns the moment that this is. Decides nothing about who may order it.
"""

from collections.abc import Sequence

from authsrv.models import NotBeforeKind, Player
from authsrv.oauth.server import TokenServer
from authsrv.storage.account_changes import EndGrants
from authsrv.storage.changes import Change, SetNotBefore


async def void_until_now(
    server: TokenServer, kind: NotBeforeKind, subjects: Sequence[str], along: Sequence[Change] = ()
) -> int:
    """Write it, with what goes `along` before it; the second before which everything is void.

    The `subjects` are one, but for a player into whom others were merged, whose tokens still name those. It is written
    once more if a second passed meanwhile, in which others were still given something. Raises as `Storage.apply`.
    """
    first = server.now() + 1
    await server.storage.apply([*along, *(SetNotBefore(kind, subject, first) for subject in subjects)])
    last = server.now() + 1
    if last > first:
        await server.storage.apply([SetNotBefore(kind, subject, last) for subject in subjects])
    return max(first, last)


async def void_player_until_now(
    server: TokenServer, players: Sequence[Player], reason: str, along: Sequence[Change] = ()
) -> int:
    """The same for a player and who was merged into them. Their grants end by themselves too.

    The clock of the node that gave one may be ahead of this one's, and then it seems to come after this moment.
    """
    ends = [EndGrants(one.id, "", "", server.now(), reason) for one in players]
    return await void_until_now(server, "player", [one.sub for one in players], [*along, *ends])
