"""Clients that register themselves at run time, and the way from one to its grants and consents."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Compared byte by byte, on a database that would sort texts by a language.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()
REGISTERED = "substr(client_id, 1, 2) = 'c_'"


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def int64(name: str) -> sa.Column[int]:
    return sa.Column(name, INT64, nullable=False)


def optional(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def digest_or_null(column: str) -> sa.CheckConstraint:
    rule = f"{column} IS NULL OR length({column}) = 32"
    return sa.CheckConstraint(rule, name=f"registered_clients_{column}_is_sha256")


def index_of_registered(name: str, table: str) -> None:
    where = sa.text(REGISTERED)
    op.create_index(name, table, ["client_id"], sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    op.create_table(
        "registered_clients",
        sa.Column("id", INT64, primary_key=True, autoincrement=False),
        text("client_id"),
        text("project"),
        text("metadata"),
        optional("secret_hash", BYTES),
        optional("token_hash", BYTES),
        text("registered_with"),
        int64("created_at"),
        optional("expires_at", INT64),
        int64("version"),
        sa.UniqueConstraint("client_id", name="registered_clients_client_id_is_unique"),
        sa.CheckConstraint(REGISTERED, name="registered_clients_client_id_is_ours"),
        digest_or_null("secret_hash"),
        digest_or_null("token_hash"),
        sqlite_strict=True,
    )
    op.create_index("registered_clients_by_project", "registered_clients", ["project"])
    # What the file's clients write must not pay for the removal of registered ones.
    index_of_registered("grants_of_registered", "grants")
    index_of_registered("consents_of_registered", "consents")


def downgrade() -> None:
    op.drop_index("consents_of_registered", "consents")
    op.drop_index("grants_of_registered", "grants")
    op.drop_table("registered_clients")
