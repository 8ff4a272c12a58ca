"""Giving a platform account of one player to another, as a pure plan.

The player who loses it is kept with all there is of them, if need be without a way in: a ghost, whose platform account
an undo gives back.
"""

from authsrv.account_models import Account, LinkedIdentity
from authsrv.accounts.banning import spread
from authsrv.accounts.changing import advanced, lost, require_changeable, require_link_age, require_room
from authsrv.accounts.effects import Held, Move, effect_on, held
from authsrv.accounts.journal import Happening, Occasion, Planned
from authsrv.errors import InvalidRequest, NotLinked
from authsrv.models import IdentityKey
from authsrv.oauth.marks import IdentityMarks
from authsrv.storage.account_changes import MoveIdentity, RecordEvent

TRANSFERRED = "transferred"
"""Why a grant or a session ended whose identity went to another player."""


def transfer(key: IdentityKey, giver: Account, taker: Account, occasion: Occasion, marks: IdentityMarks) -> Planned:
    """Give an identity to another player. What clients were given by it for the giver ends.

    Whether the project lets players choose this is the caller's to ask. Raises `NotLinked` unless the giver has it,
    `LinkLimit` if the taker may have no more of the kind, and what `require_changeable` raises.
    """
    require_changeable(giver, occasion)
    require_changeable(taker, occasion)
    if giver.player.id == taker.player.id:
        raise InvalidRequest("Name another player.", parameter="to")
    require_link_age(occasion, giver.player.age_group, taker.player.age_group)
    linked = _found(key, giver)
    require_room(taker, key, occasion)
    now, giver_id, taker_id = occasion.now, giver.player.id, taker.player.id
    effect = effect_on([taker], [Move(key, held(linked), Held(taker_id, now))])
    event = occasion.event(Happening("transferred", taker_id, giver_id, key, facts=effect.facts()))
    return Planned(
        event,
        (
            *advanced(giver.player, taker.player),
            MoveIdentity(key, giver_id, taker_id, now),
            *lost(giver, key, now, TRANSFERRED),
            *spread(taker, key, marks, now),
            RecordEvent(event),
        ),
    )


def _found(key: IdentityKey, giver: Account) -> LinkedIdentity:
    for linked in giver.identities:
        if linked.key == key:
            return linked
    raise NotLinked
