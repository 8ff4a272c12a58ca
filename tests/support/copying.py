"""Databases in which every table has rows with everything that a column can hold, to be copied."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from authsrv.storage.moving.tables import TABLES, Table
from authsrv.storage.rows.base import Column
from tests.support.storage import migrated_file

TEXTS = ("", "plain", "a\nline's end, a ' and a \"", "Z", "a", "\u00e4", "\ufffd", "\U0001f980", "\\x00", "NULL")
NUMBERS = (0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)

SPECIAL: Mapping[str, Callable[[int], Column]] = {
    "players.sub": lambda number: f"sub-{number}",
    "players.merged_into": lambda number: None if number % 2 else number + 1,
    "identities.subject": lambda number: f"{number}{TEXTS[number % len(TEXTS)]}",
    "grants.delivered_as_json": lambda number: number % 2,
    "grants.code_failures": lambda number: number,
    "grants.refresh_generation": lambda number: number,
    "credentials.state": lambda number: ("pending", "settled", "refused")[number % 3],
    "credentials.identity_subject": lambda number: f"{number}",
    "keys.kid": lambda number: f"kid-{number}",
    "keys.use": lambda number: ("sig", "seal")[number % 2],
    "keys.sealed": lambda number: number % 2,
    "keys.follows": lambda number: f"kid-{number - 1}",
    "clients.client_id": lambda number: f"client-{number}",
    "registered_clients.client_id": lambda number: f"c_{number}",
    "revoked_tokens.jti": lambda number: f"{TEXTS[number % len(TEXTS)]}{number}",
    "not_befores.kind": lambda number: ("player", "client", "project")[number % 3],
    "not_befores.subject": lambda number: f"{TEXTS[number % len(TEXTS)]}{number}",
    "sessions.browser_id": lambda number: number,
    "bans.kind": lambda number: ("banned", "restricted")[number % 2],
    "erasures.sub": lambda number: f"{TEXTS[number % len(TEXTS)]}{number}",
}
"""What a rule of the schema or a key asks of a column. Everything else gets any value of its type."""
NAMED = {"id", "player_id", "session_id", "ban_id"}
"""Columns that name a row of that number."""
DIGESTS = {"code_hash", "secret_hash", "token_hash", "refresh_hash", "refresh_previous_hash", "state_hash", "requester"}


def filled(directory: Path, rows: int = 7, start: int = 3) -> Path:
    """A database with so many rows in every table, as it is after so many starts."""
    directory.mkdir(exist_ok=True)
    path = migrated_file(directory)
    with closing(sqlite3.connect(path)) as driver, driver:
        for table in TABLES:
            fill(driver, table, rows)
        driver.execute("UPDATE epochs SET value = ?", (start,))
    return path


def fill(driver: sqlite3.Connection, table: Table, rows: int) -> None:
    found = driver.execute(f"SELECT name, type, \"notnull\" FROM pragma_table_info('{table.name}')").fetchall()  # noqa: S608
    names, places = ", ".join(name for name, *_ in found), ", ".join("?" * len(found))
    each = ([value(table, column, number) for column in found] for number in range(1, rows + 1))
    driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", each)  # noqa: S608


def value(table: Table, column: tuple[str, str, int], number: int) -> Column:
    """What the row of that number has in a column, given by its name, its type and whether it is required."""
    name, kind, required = column
    if special := SPECIAL.get(f"{table.name}.{name}"):
        return special(number)
    if name in NAMED:
        return number
    if not required and name not in table.key and number % 3 == 0:
        return None
    if kind == "BLOB":
        return sha256(f"{name} {number}".encode()).digest() if name in {*table.key, *DIGESTS} else bytes(range(number))
    return TEXTS[number % len(TEXTS)] if kind == "TEXT" else NUMBERS[number % len(NUMBERS)]


def empty(directory: Path) -> Path:
    """A database that was migrated and never served."""
    directory.mkdir(exist_ok=True)
    return migrated_file(directory)


@dataclass(slots=True)
class Watched:
    """What a watcher was told."""

    phases: list[tuple[str, int]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def begin(self, doing: str, rows: int) -> None:
        self.phases.append((doing, rows))
        self.rows.append(0)

    def advance(self, rows: int) -> None:
        self.rows[-1] += rows
