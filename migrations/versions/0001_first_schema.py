"""The first schema: players, identities, grants, presented credentials, keys, file clients and the id epoch.

Four column types on every database: text, int64, bytes, and text for ids. Times are Unix seconds.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A STRICT table of SQLite knows INTEGER only, and it is 64 bits wide there.
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


def check(name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name)


def digest_or_null(table: str, column: str) -> sa.CheckConstraint:
    return check(f"{table}_{column}_is_sha256", f"{column} IS NULL OR length({column}) = 32")


def upgrade() -> None:
    create_players()
    create_grants()
    create_credentials()
    create_keys_and_clients()
    create_epochs()


def create_players() -> None:
    op.create_table(
        "players",
        row_id(),
        text("sub"),
        text("project"),
        text("display_name"),
        int64("created_at"),
        int64("last_login_at"),
        int64("version"),
        sa.UniqueConstraint("sub", name="players_sub_is_unique"),
        check("players_sub_is_set", "sub <> ''"),
        sqlite_strict=True,
    )
    op.create_table(
        "identities",
        text("project"),
        text("kind"),
        text("environment"),
        text("subject"),
        sa.Column("player_id", INT64, sa.ForeignKey("players.id", name="identities_player_exists"), nullable=False),
        int64("linked_at"),
        int64("last_used_at"),
        sa.PrimaryKeyConstraint("project", "kind", "environment", "subject", name="identities_key"),
        check("identities_subject_is_set", "subject <> ''"),
        sqlite_strict=True,
        # The key is nearly the whole row.
        sqlite_with_rowid=False,
    )
    op.create_index("identities_by_player", "identities", ["player_id"])


def create_grants() -> None:
    op.create_table(
        "grants",
        row_id(),
        text("project"),
        text("client_id"),
        sa.Column("player_id", INT64, sa.ForeignKey("players.id", name="grants_player_exists"), nullable=False),
        text("scope"),
        text("audience"),
        text("platform"),
        text("idp"),
        text("idp_subject"),
        int64("auth_time"),
        int64("created_at"),
        int64("expires_at"),
        int64("absolute_expires_at"),
        text("nonce"),
        text("redirect_uri"),
        int64("delivered_as_json"),
        optional("code_hash", BYTES),
        int64("code_expires_at"),
        optional("code_used_at", INT64),
        text("code_challenge"),
        int64("code_failures"),
        optional("refresh_hash", BYTES),
        int64("refresh_generation"),
        optional("refresh_previous_hash", BYTES),
        int64("refresh_rotated_at"),
        optional("refresh_successor", BYTES),
        optional("revoked_at", INT64),
        text("revoked_reason"),
        check("grants_delivered_as_json_is_boolean", "delivered_as_json IN (0, 1)"),
        check("grants_counts_are_natural", "code_failures >= 0 AND refresh_generation >= 0"),
        digest_or_null("grants", "code_hash"),
        digest_or_null("grants", "refresh_hash"),
        digest_or_null("grants", "refresh_previous_hash"),
        sqlite_strict=True,
    )
    op.create_index("grants_by_player", "grants", ["player_id"])


def create_credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("digest", BYTES, nullable=False),
        sa.Column("requester", BYTES, nullable=False),
        sa.Column("holder", BYTES, nullable=False),
        text("state"),
        int64("lease_until"),
        int64("created_at"),
        int64("expires_at"),
        int64("settled_at"),
        text("outcome"),
        optional("identity_project", TEXT),
        optional("identity_kind", TEXT),
        optional("identity_environment", TEXT),
        optional("identity_subject", TEXT),
        int64("grant_id"),
        sa.PrimaryKeyConstraint("digest", name="credentials_key"),
        check("credentials_digests_are_sha256", "length(digest) = 32 AND length(requester) = 32"),
        check("credentials_state_is_known", "state IN ('pending', 'settled', 'refused')"),
        check("credentials_settled_has_identity", "state <> 'settled' OR identity_subject IS NOT NULL"),
        sqlite_strict=True,
        # One tree fewer to write for each presented credential.
        sqlite_with_rowid=False,
    )
    op.create_index("credentials_by_expiry", "credentials", ["expires_at"])


def create_keys_and_clients() -> None:
    op.create_table(
        "keys",
        sa.Column("kid", TEXT, primary_key=True, nullable=False),
        text("use"),
        text("alg"),
        sa.Column("material", BYTES, nullable=False),
        int64("sealed"),
        int64("created_at"),
        int64("signs_from"),
        int64("retires_at"),
        check("keys_use_is_known", "use IN ('sig', 'seal')"),
        check("keys_sealed_is_boolean", "sealed IN (0, 1)"),
        sqlite_strict=True,
    )
    op.create_table(
        "clients",
        sa.Column("client_id", TEXT, primary_key=True, nullable=False),
        text("project"),
        text("name"),
        optional("disabled_at", INT64),
        sqlite_strict=True,
    )


def create_epochs() -> None:
    op.create_table(
        "epochs",
        row_id(),
        int64("value"),
        check("epochs_has_one_row", "id = 1"),
        # Ids are the epoch and 40 bits of counting, together 63 bits.
        check("epochs_value_fits", "value >= 0 AND value < 8388608"),
        sqlite_strict=True,
    )
    op.execute("INSERT INTO epochs (id, value) VALUES (1, 0)")


def downgrade() -> None:
    for table in ("epochs", "clients", "keys", "credentials", "grants", "identities", "players"):
        op.drop_table(table)
