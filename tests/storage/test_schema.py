"""What the newest schema has, and that it fits the models, the statements and what a refresh may cost."""

import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authsrv.account_models import Ban, JournalEvent, LinkCode, LinkedIdentity
from authsrv.models import (
    Browser,
    Grant,
    IdentityKey,
    LogoutNotice,
    PendingRequest,
    Player,
    RegisteredClient,
    Reservation,
    Session,
    StoredKey,
    Trip,
)
from authsrv.storage.statements import accounts as account_sql
from authsrv.storage.statements import base as sql
from authsrv.storage.statements import browsers as browser_sql
from authsrv.storage.statements import clients as client_sql
from authsrv.storage.statements import keys as key_sql
from authsrv.storage.statements import nodes as node_sql
from authsrv.storage.statements import privacy as privacy_sql
from authsrv.storage.statements import rates as rate_sql
from authsrv.storage.statements import revocations as revocation_sql
from tests.support.storage import migrated_file, rows

STATEMENTS = {
    name: text
    for module in (sql, account_sql, browser_sql, client_sql, key_sql, node_sql, privacy_sql, rate_sql, revocation_sql)
    for name, text in vars(module).items()
    if name.isupper() and not name.startswith("_") and name not in {"PLAYER", "SESSION", "ADDED_UP", "COUNT_MANY"}
}
SMALL = {"alembic_version", "epochs", "keys", "clients", "registered_clients", "leases", "versions"}
"""Tables with as many rows as the configuration has entries, or allows. Every other one grows with the players."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_file(tmp_path_factory.mktemp("schema"))


@pytest.fixture(scope="module")
def driver(template: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(template)) as opened:
        yield opened


def run(driver: sqlite3.Connection, statement: str, *, explain: bool = False) -> sqlite3.Cursor:
    """Run a statement with a value that no row has, for each of its placeholders."""
    values = dict.fromkeys(re.findall(r":(\w+)", statement), -1)
    return driver.execute(f"EXPLAIN QUERY PLAN {statement}" if explain else statement, values)


def plan(driver: sqlite3.Connection, name: str) -> list[str]:
    return [detail for *_, detail in run(driver, STATEMENTS[name], explain=True)]


# --- columns ---


@pytest.mark.parametrize(
    ("model", "table", "elsewhere"),
    [
        pytest.param(Player, "players", set(), id="players"),
        pytest.param(Grant, "grants", set(), id="grants"),
        pytest.param(Reservation, "credentials", {"identity"}, id="credentials"),
        pytest.param(StoredKey, "keys", set(), id="keys"),
        pytest.param(LinkedIdentity, "identities", {"key"}, id="identities"),
        pytest.param(Ban, "bans", set(), id="bans"),
        pytest.param(JournalEvent, "events", {"identity"}, id="events"),
        pytest.param(LinkCode, "link_codes", set(), id="link codes"),
        pytest.param(Browser, "browsers", set(), id="browsers"),
        pytest.param(PendingRequest, "requests", set(), id="requests"),
        pytest.param(Trip, "trips", set(), id="trips"),
        pytest.param(Session, "sessions", set(), id="sessions"),
        pytest.param(LogoutNotice, "logout_notices", set(), id="notices"),
        pytest.param(RegisteredClient, "registered_clients", set(), id="registered clients"),
    ],
)
def test_each_field_of_a_model_has_its_column(
    template: Path, model: type[Player], table: str, elsewhere: set[str]
) -> None:
    columns = {name for (name,) in rows(template, f"SELECT name FROM pragma_table_info('{table}')")}  # noqa: S608
    assert {field.name for field in dataclasses.fields(model)} - elsewhere <= columns


def fields(*models: Any) -> list[str]:
    return [field.name for model in models for field in dataclasses.fields(model)]


VISIT = [*fields(Browser, Session, Player), "scope"]


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        pytest.param(
            "SELECT_GRANT",
            [
                *fields(Grant, Player),
                "coalesce(f.profile, '')",
                "not_before",
                "token_revoked",
                "client_not_before",
                "sub",
                "sub_is_players",
            ],
            id="grant",
        ),
        pytest.param("SELECT_OWNERSHIP", [*fields(Player), *["NULL"] * 9], id="ownership"),
        pytest.param("SELECT_ACCOUNT", [*fields(Player), "segments", "coalesce(f.profile, '')"], id="account"),
        pytest.param("SELECT_ALIASES", fields(Player), id="aliases"),
        pytest.param("SELECT_BANS", fields(Ban), id="bans"),
        pytest.param("SELECT_LINK_CODE", fields(LinkCode, Player), id="link code"),
        pytest.param("SELECT_PLAYER_BY_IDENTITY", fields(Player), id="player"),
        pytest.param("SELECT_PLAYER_BY_SUB", fields(Player), id="player by sub"),
        pytest.param("SELECT_PLAYERS_NAMED", fields(Player), id="players by name"),
        pytest.param(
            "SELECT_IDENTITIES_OF_SUBJECT", [*fields(IdentityKey), *fields(LinkedIdentity)[1:]], id="identities"
        ),
        pytest.param("SELECT_PLAYERS", fields(Player), id="players"),
        pytest.param("SELECT_SESSION_RECORDS", fields(Session), id="sessions, ended ones too"),
        pytest.param("SELECT_KEYS", fields(StoredKey), id="keys"),
        pytest.param("SELECT_VISIT", VISIT, id="visit"),
        pytest.param("SELECT_REQUEST", [*fields(PendingRequest), *VISIT], id="request"),
        pytest.param("SELECT_TRIP", [*fields(Trip, PendingRequest), *VISIT], id="trip"),
        pytest.param("SELECT_SESSIONS", fields(Session, Player), id="sessions"),
        pytest.param("SELECT_PLAYER_SESSIONS", fields(Session, Player), id="sessions of a player"),
        pytest.param("SELECT_SESSION", fields(Session, Player), id="session"),
        pytest.param("SELECT_DUE_NOTICES", fields(LogoutNotice), id="notices"),
        pytest.param("SELECT_REGISTERED_CLIENTS", fields(RegisteredClient), id="registered clients"),
        pytest.param("SELECT_REGISTERED_CLIENT", fields(RegisteredClient), id="registered client"),
    ],
)
def test_a_select_names_the_columns_in_the_order_of_the_fields(
    driver: sqlite3.Connection, name: str, columns: list[str]
) -> None:
    assert [name for name, *_ in run(driver, STATEMENTS[name]).description] == columns


def test_G07_every_table_of_ours_is_strict(template: Path) -> None:
    tables = {str(name): strict for name, strict in rows(template, "SELECT name, strict FROM pragma_table_list")}
    ours = {name: tables[name] for name in tables if not name.startswith(("sqlite_", "alembic_"))}
    first = {"players", "identities", "grants", "credentials", "keys", "clients", "epochs"}
    later = {"browsers", "requests", "trips", "sessions", "session_clients", "consents", "profiles", "logout_notices"}
    latest = {"registered_clients", "revoked_tokens", "not_befores"}
    accounts = {"bans", "identity_bans", "events", "link_codes", "used_proofs", "erasures"}
    nodes = {"leases", "versions", "rate_counts"}
    assert ours == dict.fromkeys(first | later | latest | accounts | nodes, 1)


def test_S10_only_four_column_types_are_used(template: Path) -> None:
    query = """SELECT DISTINCT c.type FROM pragma_table_list t JOIN pragma_table_info(t.name) c WHERE t.strict"""
    assert {kind for (kind,) in rows(template, query)} == {"TEXT", "INTEGER", "BLOB"}


# --- indexes ---


def indexed_columns(template: Path, table: str) -> set[str]:
    """The columns that an index holds or is limited by: a write of one of them writes to an index."""
    query = f"""SELECT c.name, m.sql FROM pragma_index_list('{table}') i JOIN pragma_index_info(i.name) c
        JOIN sqlite_master m ON m.name = i.name"""  # noqa: S608
    found = rows(template, query)
    limits = (str(text).partition(" WHERE ")[2] for _, text in found)
    return {str(column) for column, _ in found} | {word for limit in limits for word in re.findall(r"[a-z_]+", limit)}


def test_what_limits_an_index_counts_as_indexed(template: Path) -> None:
    assert indexed_columns(template, "sessions") == {
        *("browser_id", "project", "ended_at"),
        *("player_id", "absolute_expires_at"),
    }


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        pytest.param("ROTATE_REFRESH_TOKEN", "grants", id="refresh"),
        pytest.param("REDEEM_CODE", "grants", id="exchange"),
        pytest.param("UPDATE_PLAYER_LOGIN", "players", id="login"),
        pytest.param("TOUCH_SESSION", "sessions", id="use of a session"),
        pytest.param("RENEW_SESSION", "sessions", id="renewal of a session"),
        pytest.param("ADVANCE_REQUEST", "requests", id="step of a request"),
    ],
)
def test_no_index_has_to_be_updated_by_what_happens_often(template: Path, statement: str, table: str) -> None:
    written = set(re.findall(r"(\w+) = ", STATEMENTS[statement].partition("WHERE")[0]))
    assert written
    assert written.isdisjoint(indexed_columns(template, table))


def test_grants_are_indexed_by_what_never_changes_but_for_a_revocation(template: Path) -> None:
    """Silent logins have no session and no registered client, and so no entry but in the first index."""
    query = "SELECT i.name, c.name, i.partial FROM pragma_index_list('grants') i JOIN pragma_index_info(i.name) c"
    assert sorted(rows(template, query)) == [
        ("grants_by_player", "player_id", 0),
        ("grants_by_session", "session_id", 1),
        ("grants_of_registered", "client_id", 1),
        ("grants_revoked", "revoked_at", 1),
    ]


def test_indexes_over_a_part_of_a_table_hold_that_part_only(template: Path) -> None:
    """What was answered, used or ended, and what nobody came for, is never walked and costs no entry."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %' ORDER BY name"
    assert [text for (text,) in rows(template, query)] == [
        "CREATE INDEX bans_lifted ON bans (lifted_at) WHERE lifted_at IS NOT NULL",
        "CREATE INDEX consents_of_registered ON consents (client_id) WHERE substr(client_id, 1, 2) = 'c_'",
        "CREATE INDEX credentials_proving ON credentials (settled_at) WHERE identity_subject IS NOT NULL",
        "CREATE INDEX events_by_identity ON events (identity_subject, identity_kind, id) WHERE identity_subject <> ''",
        "CREATE INDEX events_by_other ON events (other_id, id) WHERE other_id <> 0",
        "CREATE INDEX events_by_time ON events (at) WHERE kind NOT IN ('erased', 'consent_withdrawn')",
        "CREATE INDEX events_of_withdrawals ON events (at) WHERE kind = 'consent_withdrawn'",
        "CREATE INDEX events_that_moved ON events (project) WHERE kind IN ('merged', 'undone')",
        "CREATE INDEX events_with_address ON events (at) WHERE address <> ''",
        "CREATE INDEX grants_by_session ON grants (session_id) WHERE session_id <> 0",
        "CREATE INDEX grants_of_registered ON grants (client_id) WHERE substr(client_id, 1, 2) = 'c_'",
        "CREATE INDEX grants_revoked ON grants (revoked_at) WHERE revoked_at IS NOT NULL",
        "CREATE INDEX players_by_name ON players (project, name_key, id) WHERE name_key <> ''",
        "CREATE INDEX players_merged ON players (merged_into) WHERE merged_into IS NOT NULL",
        "CREATE INDEX requests_expecting ON requests (expected_sub) WHERE expected_sub <> ''",
        "CREATE INDEX requests_waiting ON requests (browser_id) WHERE browser_id <> 0 AND completed_at IS NULL",
        "CREATE UNIQUE INDEX sessions_one_open ON sessions (browser_id, project) WHERE ended_at IS NULL",
        "CREATE INDEX trips_under_way ON trips (request_id) WHERE used_at IS NULL",
    ]


def test_each_foreign_key_can_be_followed_back_without_a_scan(template: Path) -> None:
    """Whoever deletes a row makes the database look for those that belong to it."""
    tables = [str(name) for (name,) in rows(template, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    keys = {(table, key) for table in tables for (key,) in rows(template, foreign_keys(table))}
    leading = {(table, column) for table in tables for (column,) in rows(template, leading_columns(table))}
    assert ("session_clients", "session_id") in keys
    assert keys <= leading


def foreign_keys(table: str) -> str:
    return f"""SELECT "from" FROM pragma_foreign_key_list('{table}')"""  # noqa: S608


def leading_columns(table: str) -> str:
    return f"""SELECT name FROM pragma_table_info('{table}') WHERE pk = 1 UNION SELECT c.name
        FROM pragma_index_list('{table}') i JOIN pragma_index_info(i.name) c WHERE c.seqno = 0 AND NOT i.partial"""  # noqa: S608


# --- query plans ---


def scanned(statement: str, details: list[str]) -> set[str]:
    """The tables that a plan walks from end to end."""
    aliases = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) (\w)\b", statement)}
    found = {detail.split()[1] for detail in details if detail.startswith("SCAN")}
    return {aliases.get(name, name) for name in found - {"CONSTANT", "candidates", "environments"}}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_walks_a_table_that_grows(driver: sqlite3.Connection, name: str) -> None:
    assert scanned(STATEMENTS[name], plan(driver, name)) <= SMALL


def test_a_walk_would_be_seen(driver: sqlite3.Connection) -> None:
    statement = "SELECT s.id FROM sessions s JOIN players p ON p.id = s.player_id WHERE s.idp = :idp"
    details = [detail for *_, detail in run(driver, statement, explain=True)]
    assert scanned(statement, details) == {"sessions"}
    walks = [detail for *_, detail in run(driver, "DELETE FROM requests WHERE created_at < :now", explain=True)]
    assert scanned("", walks) == {"requests"}


REQUESTED = (
    "SELECT_GRANT",
    "SELECT_STANDING",
    "SELECT_PLAYER_BY_IDENTITY",
    "SELECT_RESERVATION",
    "SELECT_VISIT",
    "REDEEM_CODE",
    "COUNT_CODE_FAILURE",
    "ROTATE_REFRESH_TOKEN",
    "REVOKE_GRANT",
    "REVOKE_REPLACED_GRANT",
    "SETTLE_CREDENTIAL",
    "REFUSE_CREDENTIAL",
    "RELEASE_CREDENTIAL",
    "UPDATE_PLAYER_LOGIN",
    "UPDATE_PLAYER_LOGIN_AND_NAME",
    "UPDATE_IDENTITY_USE",
    "TOUCH_SESSION",
)
"""What logins, token requests, UserInfo and introspection look up and update, beside the bans of one identity."""


def unique_keys(driver: sqlite3.Connection, table: str) -> list[set[str]]:
    """The columns that together belong to one row at most."""
    primary = {str(name) for (name,) in driver.execute("SELECT name FROM pragma_table_info(?) WHERE pk", [table])}
    indexes = driver.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', [table]).fetchall()
    columns = "SELECT name FROM pragma_index_info(?)"
    return [{"rowid"}, primary, *({name for (name,) in driver.execute(columns, index)} for index in indexes)]


def finds_many(driver: sqlite3.Connection, statement: str, details: list[str]) -> list[str]:
    """The steps of a plan that may find more rows the more there are."""
    aliases = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) (\w)\b", statement)}
    searches = [detail for detail in details if detail.startswith("SEARCH")]
    tables = [aliases.get(search.split()[1], search.split()[1]) for search in searches]
    return [
        search
        for search, table in zip(searches, tables, strict=True)
        if not any(key <= set(re.findall(r"(\w+)=\?", search)) for key in unique_keys(driver, table))
    ]


@pytest.mark.parametrize("name", REQUESTED)
def test_what_a_request_looks_up_is_one_row_by_a_whole_key(driver: sqlite3.Connection, name: str) -> None:
    """So that a request costs the same with a thousand rows and with five million."""
    assert finds_many(driver, STATEMENTS[name], plan(driver, name)) == []


def test_a_look_up_by_a_part_of_a_key_would_be_seen(driver: sqlite3.Connection) -> None:
    for condition in ("g.player_id = :player_id", "g.id > :id"):
        statement = f"SELECT g.id FROM grants g WHERE {condition}"  # noqa: S608
        details = [detail for *_, detail in run(driver, statement, explain=True)]
        assert finds_many(driver, statement, details) == details


@pytest.mark.parametrize("name", ["SWEEP_GRANTS", "WIPE_SUCCESSORS"])
def test_a_sweep_of_grants_goes_through_one_window_of_keys(driver: sqlite3.Connection, name: str) -> None:
    assert plan(driver, name) == ["SEARCH grants USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]


@pytest.mark.parametrize("name", [name for name, text in STATEMENTS.items() if "LIMIT" in text])
def test_a_limited_statement_stops_early_because_it_sorts_nothing(driver: sqlite3.Connection, name: str) -> None:
    assert not [detail for detail in plan(driver, name) if "TEMP B-TREE" in detail]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        pytest.param("SELECT_PLAYERS_NAMED", "players_by_name (project=? AND name_key>? AND name_key<?)", id="names"),
        pytest.param("PRUNE_REQUESTS", "requests_waiting (browser_id=?)", id="requests"),
        pytest.param("PRUNE_TRIPS", "trips_under_way (request_id=?)", id="trips"),
        pytest.param("SELECT_SESSIONS", "sessions_one_open (browser_id=?)", id="sessions of a browser"),
        pytest.param("SELECT_PLAYER_SESSIONS", "sessions_by_player (player_id=?)", id="sessions of a player"),
        pytest.param("SELECT_VISIT", "sessions_one_open (browser_id=? AND project=?)", id="session of a visit"),
        pytest.param("REVOKE_WITHOUT_REFRESH", "grants_by_session (session_id=?)", id="grants of a session"),
        pytest.param("REVOKE_OF_CLIENT", "grants_by_session (session_id=?)", id="grants of a session and client"),
        pytest.param("REVOKE_OF_PLAYER_AND_CLIENT", "grants_by_player (player_id=?)", id="grants of a player"),
        pytest.param("SELECT_DUE_NOTICES", "logout_notices_by_attempt (next_attempt_at<?)", id="notices"),
        pytest.param("REVOKE_OF_REGISTERED_CLIENT", "grants_of_registered (client_id=?)", id="grants of a client"),
        pytest.param(
            "DELETE_CONSENTS_OF_REGISTERED_CLIENT", "consents_of_registered (client_id=?)", id="consents to a client"
        ),
        pytest.param(
            "INSERT_REGISTERED_CLIENT", "registered_clients_by_project (project=?)", id="clients of a project"
        ),
    ],
)
def test_an_index_over_few_rows_is_the_one_that_is_used(driver: sqlite3.Connection, name: str, index: str) -> None:
    found = [detail for detail in plan(driver, name) if "INDEX" in detail]
    used = [
        detail for detail in found if "players_merged" not in detail
    ]  # by which aliases are found, of a few players
    assert used
    assert all(index in detail for detail in used)
