"""Forgetting a player, as a pure plan: everything that they have, and what was merged into them or lost to them.

Owns whom an erasure takes along, and what the journal keeps of it.
"""

from collections.abc import Container, Sequence
from dataclasses import replace

from authsrv.account_models import Account, JournalEvent
from authsrv.accounts.journal import Happening, Occasion, Planned, cause
from authsrv.errors import StateChanged, UserNotFound
from authsrv.storage.account_changes import RecordEvent, UnmergePlayers
from authsrv.storage.changes import Change
from authsrv.storage.privacy_changes import ErasePlayer


def erase(account: Account, ghosts: Sequence[Account], tombstone: int, occasion: Occasion) -> Planned:
    """Forget a player with the accounts merged into them, and the ghosts that only they could have called back.

    `tombstone` is a negative number made by chance, which stands for all of them in the journal. Whoever is banned or
    restricted may be erased too. Raises `UserNotFound` for another project's player, `StateChanged` for an alias.
    """
    player = account.player
    if player.project != occasion.project.key:
        raise UserNotFound("There is no such player in this project.")
    if player.merged_into is not None:
        raise StateChanged
    event = occasion.event(Happening("erased", tombstone))
    # Neither an address nor an operator's words about the player outlive them.
    event = replace(event, address="", reason="")
    erased = [_erased(one, tombstone, occasion) for one in (account, *ghosts)]
    return Planned(event, (*erased, RecordEvent(event)))


def erase_again(account: Account, erased: Container[int], tombstone: int, occasion: Occasion) -> Planned:
    """Forget a player whom a restored backup brought back, alone with those of their aliases who were `erased` too."""
    parted = [alias for alias in account.aliases if alias.id not in erased]
    unmerged = [UnmergePlayers(alias.id, account.player.id, ()) for alias in parted]
    alone = replace(account, aliases=tuple(alias for alias in account.aliases if alias not in parted))
    planned = erase(alone, (), tombstone, occasion)
    return Planned(planned.event, (*unmerged, *planned.changes))


def erase_alias(alias: Account, survivor_id: int, tombstone: int, occasion: Occasion) -> Planned:
    """Forget an account alone that a restored backup has merged into one that nobody erased."""
    unmerged = UnmergePlayers(alias.player.id, survivor_id, ())
    alone = replace(alias, player=replace(alias.player, merged_into=None))
    planned = erase(alone, (), tombstone, occasion)
    return Planned(planned.event, (unmerged, *planned.changes))


def ghosts_made(account: Account, events: Sequence[JournalEvent]) -> tuple[int, ...]:
    """The rows of those who lost a platform account to this player, who alone could give it back."""
    own = {account.player.id, *(alias.id for alias in account.aliases)}
    givers = (event.other_id for event in events if cause(event) == "transferred" and event.player_id in own)
    return tuple(sorted({giver for giver in givers if giver > 0} - own))


def is_ghost_of(account: Account, ghost: Account, events: Sequence[JournalEvent]) -> bool:
    """Whether a player without any way in lost the last one to this player. `events` are the ghost's, newest first."""
    own = {account.player.id, *(alias.id for alias in account.aliases)}
    losses = [event for event in events if cause(event) == "transferred" and event.other_id == ghost.player.id]
    is_alone = not ghost.identities and ghost.player.merged_into is None
    return is_alone and bool(losses) and losses[0].player_id in own


def _erased(account: Account, tombstone: int, occasion: Occasion) -> Change:
    player = account.player
    return ErasePlayer(
        player_id=player.id,
        version=player.version,
        subs=(player.sub, *(alias.sub for alias in account.aliases)),
        tombstone=tombstone,
        now=occasion.now,
        forgets_bans=not occasion.project.accounts.bans_outlive_erasure,
    )
