"""Tokens revoked one by one, times before which everything is void, and the way from a signing key to its successor."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
REVOKED = "revoked_at IS NOT NULL"


def upgrade() -> None:
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", TEXT, primary_key=True),
        sa.Column("expires_at", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("revoked_tokens_by_expiry", "revoked_tokens", ["expires_at", "jti"])
    op.create_table(
        "not_befores",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("not_before", INT64, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name="not_befores_pkey"),
        sa.CheckConstraint("kind IN ('player', 'client', 'project')", name="not_befores_kind_is_known"),
        sqlite_strict=True,
    )
    op.create_index("not_befores_by_time", "not_befores", ["not_before"])
    # Only a revocation writes to it, so that a refresh does not pay for the feed.
    where = sa.text(REVOKED)
    op.create_index("grants_revoked", "grants", ["revoked_at"], sqlite_where=where, postgresql_where=where)
    op.add_column("keys", sa.Column("follows", TEXT, nullable=True))
    op.add_column("keys", sa.Column("revoked_at", INT64, nullable=True))
    # A key has one successor, however many nodes make one at the same moment.
    op.create_index("keys_have_one_successor", "keys", ["follows"], unique=True)


def downgrade() -> None:
    op.drop_index("keys_have_one_successor", "keys")
    with op.batch_alter_table("keys") as keys:
        keys.drop_column("revoked_at")
        keys.drop_column("follows")
    op.drop_index("grants_revoked", "grants")
    op.drop_table("not_befores")
    op.drop_table("revoked_tokens")
