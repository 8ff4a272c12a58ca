"""What players own and see: merged accounts, bans, the journal, link codes, use of sessions; and who was erased."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Compared byte by byte, on a database that would sort texts by a language.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


ROWS_AT_A_TIME = 10_000


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def int64(name: str) -> sa.Column[int]:
    return sa.Column(name, INT64, nullable=False)


def row_id() -> sa.Column[int]:
    return sa.Column("id", INT64, primary_key=True, autoincrement=False)


def digest(table: str, column: str) -> tuple[sa.Column[bytes], sa.CheckConstraint]:
    rule = sa.CheckConstraint(f"length({column}) = 32", name=f"{table}_{column}_is_sha256")
    return sa.Column(column, BYTES, nullable=False), rule


def index_where(rule: str, name: str, table: str, columns: list[str]) -> None:
    where = sa.text(rule)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    extend_players()
    extend_sessions()
    create_bans()
    create_events()
    create_link_codes()
    create_used_proofs()
    create_erasures()


def extend_players() -> None:
    for name in ("barred_as", "age_group", "name_from", "segments"):
        op.add_column("players", sa.Column(name, TEXT, nullable=False, server_default=""))
    op.add_column("players", sa.Column("barred_until", INT64, nullable=False, server_default="0"))
    op.add_column("players", sa.Column("merged_into", INT64, nullable=True))
    index_where("merged_into IS NOT NULL", "players_merged", "players", ["merged_into"])
    op.add_column("players", sa.Column("name_key", TEXT, nullable=False, server_default=""))
    write_name_keys()
    index_where("name_key <> ''", "players_by_name", "players", ["project", "name_key", "id"])


def write_name_keys() -> None:
    """As `authsrv.storage.rows.base.name_key` makes them, some rows at a time: there may be millions."""
    players = sa.table("players", sa.column("id", INT64), sa.column("display_name", TEXT), sa.column("name_key", TEXT))
    page = sa.select(players.c.id, players.c.display_name).order_by(players.c.id).limit(ROWS_AT_A_TIME)
    write = sa.update(players).where(players.c.id == sa.bindparam("row")).values(name_key=sa.bindparam("key"))
    connection, last = op.get_bind(), 0
    while found := connection.execute(page.where(players.c.id > last)).all():
        keys = [{"row": row, "key": unicodedata.normalize("NFKC", name).casefold()} for row, name in found]
        connection.execute(write, keys)
        last = found[-1].id


def extend_sessions() -> None:
    op.add_column("sessions", sa.Column("used_at", INT64, nullable=False, server_default="0"))
    op.execute("UPDATE sessions SET used_at = auth_time")


def create_bans() -> None:
    op.create_table(
        "bans",
        row_id(),
        text("project"),
        # 0 once the player was erased: the marks stay until the ban ends.
        int64("player_id"),
        text("kind"),
        text("reason"),
        text("decided_by"),
        int64("created_at"),
        int64("until"),
        sa.Column("lifted_at", INT64, nullable=True),
        sa.CheckConstraint("kind IN ('banned', 'restricted')", name="bans_kind_is_known"),
        sqlite_strict=True,
    )
    op.create_index("bans_by_player", "bans", ["player_id"])
    op.create_index("bans_by_end", "bans", ["until"])
    index_where("lifted_at IS NOT NULL", "bans_lifted", "bans", ["lifted_at"])
    op.create_table(
        "identity_bans",
        *digest("identity_bans", "digest"),
        sa.Column("ban_id", INT64, sa.ForeignKey("bans.id", name="identity_bans_ban_exists", ondelete="CASCADE")),
        sa.PrimaryKeyConstraint("digest", "ban_id", name="identity_bans_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("identity_bans_by_ban", "identity_bans", ["ban_id"])


def create_events() -> None:
    op.create_table(
        "events",
        row_id(),
        text("project"),
        text("kind"),
        int64("at"),
        # 0 for nobody; once the player was erased a negative number, which no row has.
        int64("player_id"),
        int64("other_id"),
        text("identity_kind"),
        text("identity_environment"),
        text("identity_subject"),
        text("actor"),
        text("actor_name"),
        text("client_id"),
        text("address"),
        text("rule"),
        text("reason"),
        text("facts"),
        int64("reversible_until"),
        int64("reversed_by"),
        sqlite_strict=True,
    )
    op.create_index("events_by_player", "events", ["player_id", "id"])
    index_where("other_id <> 0", "events_by_other", "events", ["other_id", "id"])
    index_where("identity_subject <> ''", "events_by_identity", "events", ["identity_subject", "identity_kind", "id"])
    # That a player was erased is never forgotten, a withdrawal after a time of its own.
    index_where("kind NOT IN ('erased', 'consent_withdrawn')", "events_by_time", "events", ["at"])
    index_where("kind = 'consent_withdrawn'", "events_of_withdrawals", "events", ["at"])
    index_where("address <> ''", "events_with_address", "events", ["at"])
    # Those whose facts name platform accounts: an erasure looks through all of a project's.
    index_where("kind IN ('merged', 'undone')", "events_that_moved", "events", ["project"])


def create_link_codes() -> None:
    op.create_table(
        "link_codes",
        row_id(),
        *digest("link_codes", "code_hash"),
        text("project"),
        sa.Column("player_id", INT64, sa.ForeignKey("players.id", name="link_codes_player_exists"), nullable=False),
        text("client_id"),
        text("check_number"),
        text("return_to"),
        int64("created_at"),
        int64("expires_at"),
        sa.Column("used_at", INT64, nullable=True),
        sa.UniqueConstraint("code_hash", name="link_codes_code_hash_is_unique"),
        sqlite_strict=True,
    )
    op.create_index("link_codes_by_player", "link_codes", ["player_id"])
    op.create_index("link_codes_by_expiry", "link_codes", ["expires_at"])


def create_used_proofs() -> None:
    op.create_table(
        "used_proofs",
        *digest("used_proofs", "digest"),
        int64("expires_at"),
        sa.PrimaryKeyConstraint("digest", name="used_proofs_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("used_proofs_by_expiry", "used_proofs", ["expires_at"])


def create_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("sub", TEXT, primary_key=True, nullable=False),
        int64("erased_at"),
        sqlite_strict=True,
    )
    op.create_index("erasures_by_time", "erasures", ["erased_at", "sub"])
    # Whom a used credential proved is kept for some minutes, and looked for when a player is erased.
    index_where("identity_subject IS NOT NULL", "credentials_proving", "credentials", ["settled_at"])
    index_where("expected_sub <> ''", "requests_expecting", "requests", ["expected_sub"])


def downgrade() -> None:
    op.drop_index("requests_expecting", "requests")
    op.drop_index("credentials_proving", "credentials")
    for table in ("erasures", "used_proofs", "link_codes", "events", "identity_bans", "bans"):
        op.drop_table(table)
    op.drop_column("sessions", "used_at")
    op.drop_index("players_by_name", "players")
    op.drop_index("players_merged", "players")
    with op.batch_alter_table("players") as players:
        for column in ("name_key", "merged_into", "barred_until", "segments", "name_from", "age_group", "barred_as"):
            players.drop_column(column)
