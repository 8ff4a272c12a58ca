"""What can be written about players who are forgotten, and about what has been kept long enough. Part of `changes.py`.

A guard that does not hold raises `Conflict` and undoes every change of the same `apply`. Knows no database.
"""

from authsrv.models import Retention
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class ErasePlayer:
    """Forget a player and the accounts merged into them. Guard: nobody changed the account since it had `version`.

    `subs` are the player's own and those of every account merged into them; the guard holds for these alone. Whatever
    they were given until `now` is void, and each is noted as erased. Gone are the accounts with their identities,
    profile, consents, sessions, grants, link codes, and the requests that wait for the player. What stays: used
    credentials, but not whom they proved; logout notices, until they are delivered; events of the journal, in which
    `tombstone`, a negative number that leads nowhere, stands for the player, and which tell no more than what was done
    when and by which client or operator; events of others, but not a platform account in them that is the player's;
    bans in force with their marks, but not whose, why and by whom, unless `forgets_bans`. Restrictions go in any case.

    A backend that can be restored from a backup notes the erasure outside of it too, before `apply` returns, and keeps
    no copy of what is gone in its own files.
    """

    player_id: int
    version: int
    subs: tuple[str, ...]
    tombstone: int
    now: int
    forgets_bans: bool = False


@dataclass(frozen=True, slots=True)
class TrimAccount:
    """Of an account remove what `sweep` would remove at `now` if everything were kept for `retention`.

    Those are its events, addresses in them, and bans. Idempotent.
    """

    player_id: int
    now: int
    retention: Retention


PrivacyChange = ErasePlayer | TrimAccount
