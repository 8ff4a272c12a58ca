"""Databases that have grown: players with their identities, and millions of grants as logins and refreshes leave them.

Owns what such rows look like and how they get into a file within minutes: by the storage's own statements, in one
process and in large transactions; and the files that are kept for later runs. Knows nothing of servers and requests.
"""

import hashlib
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from authsrv.models import Digest, Grant, IdentityKey, Player, Reservation
from authsrv.storage.rows.base import Values, grant_values, identity_values, player_values, reservation_values, row_ids
from authsrv.storage.schema import REVISIONS
from authsrv.storage.statements import base as sql
from bench.site import CHALLENGE, GAMES, REDIRECT_URI

GRANTS_PER_PLAYER = 5
DAY = 86400
WEEK = 7 * DAY
_EPOCH = 1
"""The first start of a new database."""
_AT_ONCE = 100_000
_CACHE = 512 * 1024
"""KiB of pages that the filling process keeps: random keys of indexes are then written once each."""


@dataclass(frozen=True, slots=True)
class Grown:
    """How much a database holds. Of the grants, `expired` have been of no use for a day; the others are live, most of
    them rotated already. `credentials` were presented and have expired.
    """

    grants: int
    expired: int
    credentials: int = 0

    @property
    def players(self) -> int:
        """How many players own the grants."""
        return max(self.grants // GRANTS_PER_PLAYER, 1)

    def is_expired(self, number: int) -> bool:
        """Whether the grant of this number, from 0, is of no use any more."""
        return number * self.expired // self.grants != (number + 1) * self.expired // self.grants

    def live_ids(self, count: int) -> Sequence[int]:
        """The ids of about so many live grants, at equal distances; fewer where there are not so many."""
        first = next(row_ids(_EPOCH)) + self.players
        step = max(1, self.grants // count)
        numbers = range(0, self.grants, step)
        return [first + number for number in numbers if not self.is_expired(number)]


def kept(directory: Path, grown: Grown, migrate: Callable[[Path], None]) -> Path:
    """A database of this size, made unless an earlier run has left one of the same schema and the same kind of rows
    within a week (their times grow old). To be copied, not served.
    """
    file = directory / f"{grown.grants}-{grown.expired}-{grown.credentials}-{_kind()}.db"
    if file.exists() and time.time() - file.stat().st_mtime < WEEK:
        return file
    _forget(directory, grown)
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    migrate(part)
    fill(part, grown)
    part.replace(file)
    return file


def _kind() -> str:
    source = Path(__file__).read_bytes()
    return hashlib.sha256(source + REVISIONS[-1].encode()).hexdigest()[:12]


def _forget(directory: Path, grown: Grown) -> None:
    for old in directory.glob(f"{grown.grants}-{grown.expired}-{grown.credentials}-*"):
        old.unlink()


def fill(database: Path, grown: Grown) -> None:
    """Put everything into a migrated database that nobody serves. Nothing of it is safe from a power cut."""
    with closing(sqlite3.connect(database, isolation_level=None)) as driver:
        for pragma in ("journal_mode = MEMORY", "synchronous = OFF", f"cache_size = -{_CACHE}"):
            driver.execute(f"PRAGMA {pragma}")
        assert driver.execute(sql.RAISE_EPOCH).fetchall() == [(_EPOCH,)]
        ids = row_ids(_EPOCH)
        players = [next(ids) for _ in range(grown.players)]
        now = int(time.time())
        _insert(driver, sql.INSERT_PLAYER, (player_values(_player(one, now)) for one in players))
        _insert(driver, sql.INSERT_IDENTITY, _identities(players, now))
        _insert(driver, sql.INSERT_GRANT, _grants(ids, players, grown, now))
        _insert(driver, sql.RESERVE, _credentials(grown.credentials, players[0], now))
        driver.execute("PRAGMA journal_mode = WAL")


def _insert(driver: sqlite3.Connection, statement: str, rows: Iterator[Values]) -> None:
    while batch := list(islice(rows, _AT_ONCE)):
        driver.execute("BEGIN")
        driver.executemany(statement, batch)
        driver.execute("COMMIT")


def _player(player_id: int, now: int) -> Player:
    return Player(player_id, str(uuid.uuid4()), "bench", f"Player {player_id % 10**9}", now - 60 * DAY, now - DAY)


def _identities(players: list[int], now: int) -> Iterator[Values]:
    for number, player_id in enumerate(players):
        key = IdentityKey("bench", "steam", "", str(76561197960265728 + number))
        yield identity_values(key, player_id=player_id, now=now)


def _grants(ids: Iterator[int], players: list[int], grown: Grown, now: int) -> Iterator[Values]:
    """The expired ones lie between the live ones, and a player's own far from each other, as in life."""
    live, expired = grant_values(_rotated(now)), grant_values(_idle(now))
    for number in range(grown.grants):
        hashes = os.urandom(96)
        yield {
            **(expired if grown.is_expired(number) else live),
            "id": next(ids),
            "player_id": players[_scattered(number, len(players))],
            "code_hash": hashes[:32],
            "refresh_hash": hashes[32:64],
            "refresh_previous_hash": hashes[64:],
        }


def _scattered(number: int, among: int) -> int:
    """Any of so many, and not the neighbour of the one before (Knuth's multiplicative hash)."""
    return number * 2_654_435_761 % 2**32 * among >> 32


def _idle(now: int) -> Grant:
    """Redeemed a month ago and not used since."""
    return _grant(now - 31 * DAY, now - DAY)


def _rotated(now: int) -> Grant:
    """In use: the successor of its last refresh was wiped long ago."""
    return _grant(now - 3 * DAY, now + 29 * DAY)


def _grant(used_at: int, expires_at: int) -> Grant:
    digest = Digest(bytes(32))
    return Grant(
        id=0,
        project="bench",
        client_id=GAMES["ES256"],
        player_id=0,
        scope=("openid", "profile", "offline"),
        audience=(),
        platform="steam",
        idp="steam",
        idp_subject="76561197960287930",
        auth_time=used_at,
        created_at=used_at,
        expires_at=expires_at,
        absolute_expires_at=used_at + 180 * DAY,
        redirect_uri=REDIRECT_URI,
        delivered_as_json=True,
        code_hash=digest,
        code_expires_at=used_at + 60,
        code_used_at=used_at,
        code_challenge=CHALLENGE,
        refresh_hash=digest,
        refresh_generation=7,
        refresh_previous_hash=digest,
        refresh_rotated_at=used_at + DAY,
    )


def _credentials(count: int, grant_id: int, now: int) -> Iterator[Values]:
    """Presented yesterday."""
    identity = IdentityKey("bench", "steam", "", "76561197960287930")
    digest = Digest(bytes(32))
    presented = Reservation(
        digest=digest,
        requester=digest,
        holder=bytes(16),
        state="settled",
        lease_until=now - DAY,
        created_at=now - DAY,
        expires_at=now - DAY // 2,
        settled_at=now - DAY,
        identity=identity,
        grant_id=grant_id,
    )
    values = {**reservation_values(presented), "take_over": 0}
    for _ in range(count):
        yield {**values, "digest": os.urandom(32), "requester": os.urandom(32), "holder": os.urandom(16)}
