"""Who a platform identity is: find, create or refuse, as a pure decision over loaded facts.

Owns the rules for new players and their display names. Does no I/O and knows neither OAuth nor platforms.
"""

import re
import unicodedata
from dataclasses import dataclass

from authsrv.errors import UserNotFound
from authsrv.models import IdentityKey, Player
from authsrv.storage.changes import AddPlayer, Change, LinkIdentity, RecordLogin

_LONGEST_NAME = 32
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class SignIn:
    """The player who signs in, and what must be written for it. `created` tells a first login."""

    player: Player
    created: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class NewPlayer:
    """The row id and the `sub` that a new player would get."""

    id: int
    sub: str


def sign_in(
    key: IdentityKey, owner: Player | None, *, display_name: str, may_create: bool, new: NewPlayer, now: int
) -> SignIn:
    """Decide a login without a session: a known identity signs its player in, an unknown one becomes a new player.

    Raises `UserNotFound` when the identity is unknown and no player may be created.
    """
    name = clean_display_name(display_name)
    if owner is not None:
        return SignIn(owner, False, (RecordLogin(key, owner.id, name, now),))
    if not may_create:
        raise UserNotFound
    player = Player(new.id, new.sub, key.project, name, now, now)
    return SignIn(player, True, (AddPlayer(player), LinkIdentity(key, player.id, now)))


def clean_display_name(text: str, longest: int = _LONGEST_NAME) -> str:
    """A foreign name made harmless: NFC, no control, format or bidirectional characters, no longer than `longest`."""
    normal = unicodedata.normalize("NFC", text[:1024])
    visible = "".join(" " if char.isspace() else char for char in normal if char.isspace() or _is_visible(char))
    return _SPACES.sub(" ", visible).strip()[:longest].rstrip()


def _is_visible(char: str) -> bool:
    return unicodedata.category(char)[0] != "C"
