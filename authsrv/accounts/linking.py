"""Linking: what it takes for a proven platform account to become a player's, as pure decisions over loaded facts.

Owns when one that was unlinked may be linked elsewhere. Whether the player wants it is the caller's to know.
"""

from collections.abc import Mapping
from typing import Any

from authsrv import ages
from authsrv.account_models import Account, JournalEvent
from authsrv.accounts.banning import spread
from authsrv.accounts.changing import advanced, of_kind, require_changeable, require_link_age, require_room
from authsrv.accounts.effects import Held, Move, effect_on
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.errors import RelinkCooldown
from authsrv.models import AccountRules, IdentityKey, Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.storage.account_changes import RecordEvent, SetAgeGroup
from authsrv.storage.changes import Change, LinkIdentity


def is_full(account: Account, key: IdentityKey, rules: AccountRules) -> bool:
    """Whether the player has as many others of the same kind and environment as one may have."""
    others = (linked.key for linked in account.identities if linked.key != key)
    return of_kind(key, others) >= rules.identities


def require_rested(account: Account, last_unlink: JournalEvent | None, occasion: Occasion) -> None:
    """Refuse what was unlinked from somebody else lately, by the newest `unlinked` event about it.

    Raises `RelinkCooldown` with `retry_at` in Unix seconds.
    """
    if last_unlink is None or last_unlink.reversed_by or last_unlink.player_id == account.player.id:
        return
    retry_at = last_unlink.at + occasion.project.accounts.relink_cooldown
    if occasion.now < retry_at:
        raise RelinkCooldown(facts={"retry_at": retry_at})


def link(
    key: IdentityKey,
    account: Account,
    occasion: Occasion,
    marks: IdentityMarks,
    told: Mapping[str, Any] | None = None,
    *,
    age_group: str = "",
) -> Planned:
    """The platform account, which is nobody's, becomes the player's. `told` are further facts for the journal.

    `age_group` is what the platform tells, by which the player's can only become stricter. Raises `LinkLimit`,
    `AccessDenied` for players who may not link at their age, and what `require_changeable` raises.
    """
    require_changeable(account, occasion)
    require_room(account, key, occasion)
    player, now = account.player, occasion.now
    aged = _aged(player, age_group, occasion)
    effect = effect_on([account], [Move(key, None, Held(player.id, now))])
    event = occasion.event(Happening("linked", player.id, identity=key, facts={**effect.facts(), **(told or {})}))
    marked = spread(account, key, marks, now)
    changes = (*advanced(player), LinkIdentity(key, player.id, now, marks.of(key)), *marked, *aged, RecordEvent(event))
    return Planned(event, changes)


def _aged(player: Player, told: str, occasion: Occasion) -> list[Change]:
    age_group = ages.stricter(player.age_group, told)
    require_link_age(occasion, age_group)
    return [SetAgeGroup(player.id, age_group)] if age_group != player.age_group else []
