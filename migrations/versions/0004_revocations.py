"""Tokens revoked one by one, times before which everything is void, and what becomes of a signing key."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Compared byte by byte, on a database that would sort texts by a language.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REVOKED = "revoked_at IS NOT NULL"
NEVER = str(2**53)


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
    op.add_column("keys", sa.Column("follows", TEXT, nullable=False, server_default=""))
    op.add_column("keys", sa.Column("signs_until", INT64, nullable=False, server_default=NEVER))
    op.add_column("keys", sa.Column("erased_at", INT64, nullable=True))
    op.add_column("keys", sa.Column("revoked_at", INT64, nullable=True))
    # The first key of an algorithm follows its name; so far there was one for each.
    op.execute("UPDATE keys SET follows = alg")
    # A key has one successor, however many nodes make one at the same moment.
    op.create_index("keys_have_one_successor", "keys", ["follows"], unique=True)


def downgrade() -> None:
    op.drop_index("keys_have_one_successor", "keys")
    with op.batch_alter_table("keys") as keys:
        for column in ("revoked_at", "erased_at", "signs_until", "follows"):
            keys.drop_column(column)
    op.drop_index("grants_revoked", "grants")
    op.drop_table("not_befores")
    op.drop_table("revoked_tokens")
