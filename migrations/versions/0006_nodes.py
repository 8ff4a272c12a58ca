"""What several nodes share: who holds which lease, what changed since a node last looked, and counts of rate limits."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Compared byte by byte, on a database that would sort texts by a language.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", TEXT, primary_key=True, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("expires_at", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "versions",
        sa.Column("name", TEXT, primary_key=True, nullable=False),
        sa.Column("value", INT64, nullable=False),
        sqlite_strict=True,
    )
    # The oldest code that may serve this schema knows the migration of this number.
    op.execute("INSERT INTO versions (name, value) VALUES ('keys', 0), ('clients', 0), ('bans', 0), ('oldest_code', 6)")
    op.create_table(
        "rate_counts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("ends_at", INT64, nullable=False),
        sa.Column("count", INT64, nullable=False),
        sa.PrimaryKeyConstraint("key", name="rate_counts_key"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("rate_counts_by_end", "rate_counts", ["ends_at"])


def downgrade() -> None:
    for table in ("rate_counts", "versions", "leases"):
        op.drop_table(table)
