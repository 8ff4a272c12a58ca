"""Which grant a link code was asked for by: the code is good for as long as that is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # 0 is no grant: codes from before, and those of nodes that know no column of this name yet, are good no more.
    op.add_column("link_codes", sa.Column("grant_id", INT64, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("link_codes", "grant_id")
