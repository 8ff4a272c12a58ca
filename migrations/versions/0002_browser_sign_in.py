"""Browser sign-in: browsers, their requests, trips and sessions, consents, profiles and logout notices."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Compared byte by byte, on a database that would sort texts by a language.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def int64(name: str) -> sa.Column[int]:
    return sa.Column(name, INT64, nullable=False)


def optional(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def row_id() -> sa.Column[int]:
    return sa.Column("id", INT64, primary_key=True, autoincrement=False)


def player_id(table: str) -> sa.Column[int]:
    return sa.Column("player_id", INT64, sa.ForeignKey("players.id", name=f"{table}_player_exists"), nullable=False)


def digest(table: str, column: str) -> tuple[sa.Column[bytes], sa.CheckConstraint]:
    rule = sa.CheckConstraint(f"length({column}) = 32", name=f"{table}_{column}_is_sha256")
    return sa.Column(column, BYTES, nullable=False), rule


def index_where(rule: str, name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    where = sa.text(rule)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    create_browsers()
    create_requests()
    create_sessions()
    create_consents()
    create_notices()
    extend_grants()


def create_browsers() -> None:
    op.create_table(
        "browsers",
        row_id(),
        *digest("browsers", "secret_hash"),
        int64("created_at"),
        int64("expires_at"),
        sqlite_strict=True,
    )
    op.create_index("browsers_by_expiry", "browsers", ["expires_at"])


def create_requests() -> None:
    op.create_table(
        "requests",
        row_id(),
        int64("browser_id"),
        text("project"),
        text("client_id"),
        text("parameters"),
        int64("created_at"),
        int64("expires_at"),
        text("expected_sub"),
        text("progress"),
        optional("completed_at", INT64),
        sqlite_strict=True,
    )
    # Only what waits: adding a request never walks those that were answered, nor those that nobody came for.
    index_where("browser_id <> 0 AND completed_at IS NULL", "requests_waiting", "requests", ["browser_id"])
    op.create_index("requests_by_expiry", "requests", ["expires_at"])
    op.create_table(
        "trips",
        row_id(),
        int64("browser_id"),
        int64("request_id"),
        text("platform"),
        *digest("trips", "state_hash"),
        int64("created_at"),
        int64("expires_at"),
        optional("used_at", INT64),
        sqlite_strict=True,
    )
    index_where("used_at IS NULL", "trips_under_way", "trips", ["request_id"])
    op.create_index("trips_by_expiry", "trips", ["expires_at"])


def create_sessions() -> None:
    op.create_table(
        "sessions",
        row_id(),
        int64("browser_id"),
        text("project"),
        player_id("sessions"),
        text("platform"),
        text("idp"),
        text("idp_subject"),
        int64("auth_time"),
        int64("created_at"),
        int64("expires_at"),
        int64("absolute_expires_at"),
        optional("ended_at", INT64),
        text("ended_reason"),
        sqlite_strict=True,
    )
    # The guard of a new session: two tabs that sign in at once end with one.
    index_where("ended_at IS NULL", "sessions_one_open", "sessions", ["browser_id", "project"], unique=True)
    op.create_index("sessions_by_player", "sessions", ["player_id"])
    op.create_index("sessions_by_expiry", "sessions", ["absolute_expires_at"])
    op.create_table(
        "session_clients",
        sa.Column(
            "session_id",
            INT64,
            sa.ForeignKey("sessions.id", name="session_clients_session_exists", ondelete="CASCADE"),
            nullable=False,
        ),
        text("client_id"),
        sa.PrimaryKeyConstraint("session_id", "client_id", name="session_clients_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def create_consents() -> None:
    op.create_table(
        "consents",
        player_id("consents"),
        text("client_id"),
        text("scope"),
        int64("given_at"),
        sa.PrimaryKeyConstraint("player_id", "client_id", name="consents_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "profiles",
        sa.Column(
            "player_id",
            INT64,
            sa.ForeignKey("players.id", name="profiles_player_exists"),
            primary_key=True,
            autoincrement=False,
        ),
        text("profile"),
        sqlite_strict=True,
    )


def create_notices() -> None:
    op.create_table(
        "logout_notices",
        row_id(),
        text("client_id"),
        int64("session_id"),
        text("sub"),
        int64("created_at"),
        int64("next_attempt_at"),
        int64("attempts"),
        sqlite_strict=True,
    )
    op.create_index("logout_notices_by_attempt", "logout_notices", ["next_attempt_at"])


def extend_grants() -> None:
    op.add_column("grants", sa.Column("session_id", INT64, nullable=False, server_default="0"))
    op.add_column("grants", sa.Column("claims", TEXT, nullable=False, server_default=""))
    # Silent logins have no session, and their inserts must not pay for the index.
    index_where("session_id <> 0", "grants_by_session", "grants", ["session_id"])


def downgrade() -> None:
    op.drop_index("grants_by_session", "grants")
    op.drop_column("grants", "claims")
    op.drop_column("grants", "session_id")
    for table in (
        "logout_notices",
        "profiles",
        "consents",
        "session_clients",
        "sessions",
        "trips",
        "requests",
        "browsers",
    ):
        op.drop_table(table)
