"""What every change of several accounts has in common: who may be changed, versions in one order, and what ends.

Owns no change of its own. Pure.
"""

from collections.abc import Iterable, Iterator
from functools import reduce

from authsrv import ages
from authsrv.account_models import Account
from authsrv.accounts.journal import Occasion
from authsrv.errors import LinkLimit, StateChanged, UserNotFound
from authsrv.models import IdentityKey, Player
from authsrv.players import barred
from authsrv.storage.account_changes import AdvanceVersion, EndGrants
from authsrv.storage.changes import Change, EndSessions


def advanced(*players: Player) -> list[Change]:
    """A step of version for each, in the order of their rows: two changes of the same accounts never wait for another
    crosswise.
    """
    return [AdvanceVersion(player.id, player.version) for player in sorted(players, key=lambda player: player.id)]


def lost(account: Account, key: IdentityKey, now: int, reason: str) -> Iterator[Change]:
    """What ends when an account loses an identity: the sessions that it signed in, and what clients got by it.

    In this order: what a session gives at the same moment is there before the session ends, and ends too.
    """
    yield EndSessions(account.player.id, now, reason, key.kind, key.subject)
    yield from grants_ended(account, key, now, reason)


def grants_ended(account: Account, key: IdentityKey, now: int, reason: str) -> Iterator[Change]:
    """What an account gave to clients by an identity, also what it gave before it was merged."""
    for owner in (account.player, *account.aliases):
        yield EndGrants(owner.id, key.kind, key.subject, now, reason)


def require_changeable(account: Account, occasion: Occasion) -> None:
    """Raise unless the account is one of the project and no alias, and nothing bars it for whoever asks.

    Raises `UserNotFound`, `StateChanged`, or `AccessDenied` for one that is banned, which operators alone may change.
    """
    player = account.player
    if player.project != occasion.project.key:
        raise UserNotFound("There is no such player in this project.")
    if player.merged_into is not None:
        raise StateChanged
    if player.is_barred(occasion.now) and occasion.doer.actor != "admin":
        raise barred(player)


def require_link_age(occasion: Occasion, *age_groups: str) -> None:
    """Raise `AccessDenied` for players who want to link, move or merge by themselves what a guarded player has part in.

    The `age_groups` are those of everybody concerned: the youngest counts.
    """
    if occasion.doer.actor == "player":
        ages.require_link(occasion.project.accounts, reduce(ages.stricter, age_groups))


def require_room(account: Account, key: IdentityKey, occasion: Occasion) -> None:
    """Raise `LinkLimit` if the account has as many identities of this kind and environment as the project allows."""
    if of_kind(key, (linked.key for linked in account.identities)) >= occasion.project.accounts.identities:
        raise LinkLimit


def of_kind(key: IdentityKey, others: Iterable[IdentityKey]) -> int:
    """How many are of the same kind and environment."""
    return sum((other.kind, other.environment) == (key.kind, key.environment) for other in others)
