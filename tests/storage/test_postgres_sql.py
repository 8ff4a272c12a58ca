"""Every statement on PostgreSQL: the server prepares it, an index finds its rows, and CockroachDB and YugabyteDB, which
cannot run here, know its words. docs/postgresql.md says what that check is worth.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from authsrv import storage as package
from authsrv.storage.postgres.compiled import compiled
from tests.support.postgres import database, fresh_database, shared_server

pytestmark = pytest.mark.postgres

STORAGE = Path(package.__file__).parent
MIGRATIONS = Path(__file__).parents[2] / "migrations" / "versions"
VERBS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")


def written() -> dict[str, str]:
    """Every statement that has a name, by module and name, and those that stand in the code for PostgreSQL, by line."""
    found = {}
    for path in sorted([*STORAGE.glob("statements/*.py"), *STORAGE.glob("postgres/*.py")]):
        module = f"{path.parent.name}.{path.stem}"
        for name, text in vars(importlib.import_module(f"authsrv.storage.{module}")).items():
            if isinstance(text, str) and text.lstrip().startswith(VERBS):
                found[f"{module}.{name}"] = text
    for path in sorted(STORAGE.glob("postgres/*.py")):
        found |= {f"{path.stem}:{line}": text for line, text in literals(ast.parse(path.read_text("utf-8")))}
    return found


def literals(module: ast.Module) -> Iterator[tuple[int, str]]:
    """The statements in a module's code by line, without the pieces of those that are put together."""
    pieces = {id(piece) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in pieces and str(node.value).lstrip().startswith(VERBS):
            yield node.lineno, str(node.value)


STATEMENTS = written()
GROWING = sorted({name for name in STATEMENTS if not name.startswith("statements.restored.")})
"""What runs while players are served. What a restore cuts it looks for everywhere."""
SMALL = {"alembic_version", "epochs", "keys", "clients", "registered_clients", "leases", "versions", "candidates"}
"""Tables with as many rows as the configuration has entries, or allows."""


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with database() as url, psycopg.connect(url, autocommit=True, prepare_threshold=None) as opened:
        # An empty table is read from end to end whatever indexes it has; this shows whether one would do.
        opened.execute("SET enable_seqscan = off")
        opened.execute("SET plan_cache_mode = force_generic_plan")
        yield opened


def plan(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> str:
    """How the server would find the rows, whatever the values are."""
    text = compiled(statement).text
    connection.execute(b"DEALLOCATE ALL")
    connection.execute(f"PREPARE looked_at AS {text}".encode())
    most = max(map(int, re.findall(r"\$(\d+)", text)), default=0)
    values = f"({', '.join(['NULL'] * most)})" if most else ""
    return "\n".join(str(line) for (line,) in connection.execute(f"EXPLAIN EXECUTE looked_at {values}".encode()))


def test_there_are_statements_of_every_module() -> None:
    assert len(STATEMENTS) > 150
    modules = {path.stem for path in (STORAGE / "statements").iterdir() if path.suffix == ".py"} - {"__init__"}
    assert len(modules) > 9
    assert {name.split(".")[1] for name in STATEMENTS if name.startswith("statements.")} == modules
    assert {name.partition(":")[0] for name in STATEMENTS} >= {"storage", "copying", "writes"}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_server_prepares_each_statement(connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    assert plan(connection, STATEMENTS[name])


def walked(plan: str) -> set[str]:
    return set(re.findall(r"Seq Scan on (\w+)", plan))


@pytest.mark.parametrize("name", GROWING)
def test_no_statement_walks_a_table_that_grows(connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    assert walked(plan(connection, STATEMENTS[name])) <= SMALL


def test_a_walk_would_be_seen(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    assert walked(plan(connection, "SELECT id FROM sessions WHERE idp = :idp")) == {"sessions"}


# --- what other servers that speak PostgreSQL's language take ---

FOREIGN = {
    "advisory locks": r"\bpg_(try_)?advisory",
    "LISTEN and NOTIFY": r"\b(UN)?LISTEN\b|\bNOTIFY\b|\bpg_notify\b",
    "unlogged and temporary tables": r"\bUNLOGGED\b|\bTEMP(ORARY)? TABLE\b",
    "sequences": r"\b(SMALL|BIG)?SERIAL\b|\bSEQUENCE\b|\bnextval\b|\bIDENTITY\s+(ALWAYS|BY)",
    "code in the server": r"\bDO \$|\bCREATE (OR REPLACE )?(FUNCTION|PROCEDURE|TRIGGER|RULE)\b|\bLANGUAGE plpgsql\b",
    "places of rows": r"\bctid\b|\bxmin\b|\bxmax\b|\btableoid\b",
    "locks on tables": r"\bLOCK TABLE\b",
    "constraints judged at the end": r"\bDEFERRABLE\b|\bINITIALLY DEFERRED\b",
    "exclusion constraints": r"\bEXCLUDE USING\b",
    "MERGE": r"\bMERGE INTO\b",
    "two-phase commit": r"\bPREPARE TRANSACTION\b",
    "cursors of the server": r"\bDECLARE \w+ (NO )?(SCROLL )?CURSOR\b",
    "extensions and types of one's own": r"\bCREATE (EXTENSION|TYPE|DOMAIN)\b",
    "indexes other than B-trees": r"\bUSING (gin|gist|brin|hash|spgist)\b",
    "inheritance": r"\bINHERITS\b",
    "times and texts of the server": r"\bnow\(\)|\bCURRENT_TIMESTAMP\b|\bto_char\b|\bINTERVAL\b",
    "full text and JSON": r"\bto_tsvector\b|\bjsonb?_\w+\(|::jsonb?\b",
}
"""What CockroachDB or YugabyteDB lacks, has only in part or behind a switch, by what is searched for."""


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_needs_what_only_postgresql_has(name: str) -> None:
    text = compiled(STATEMENTS[name]).text
    assert [what for what, pattern in FOREIGN.items() if re.search(pattern, text, re.IGNORECASE)] == []


def made() -> str:
    """All that the migrations make, as PostgreSQL itself tells it."""
    with fresh_database(shared_server()) as url, psycopg.connect(url) as connection:
        queries = (
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT column_default FROM information_schema.columns WHERE table_schema = 'public'",
        )
        return "\n".join(str(text) for query in queries for (text,) in connection.execute(query) if text is not None)


def test_the_schema_needs_nothing_that_only_postgresql_has() -> None:
    ddl = made()
    assert "PRIMARY KEY" in ddl
    assert [what for what, pattern in FOREIGN.items() if re.search(pattern, ddl, re.IGNORECASE)] == []


def test_S10_only_three_types_are_used_and_texts_are_compared_byte_by_byte() -> None:
    with database() as url, psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT data_type, coalesce(collation_name, ''), table_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        ).fetchall()
    assert {(kind, collation) for kind, collation, _ in columns} == {("bigint", ""), ("bytea", ""), ("text", "C")}


def test_there_is_nothing_but_tables_and_indexes() -> None:
    with database() as url, psycopg.connect(url) as connection:
        kinds = connection.execute(
            "SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
        triggers = connection.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        functions = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert {kind for (kind,) in kinds} == {"r", "i"}
    assert triggers == functions == []


@pytest.mark.parametrize(
    "sample",
    ["SELECT pg_advisory_xact_lock(1)", "SELECT ctid FROM grants", "LOCK TABLE grants", "SELECT now()", "id BIGSERIAL"],
)
def test_such_a_word_would_be_found(sample: str) -> None:
    assert [what for what, pattern in FOREIGN.items() if re.search(pattern, sample, re.IGNORECASE)]
