"""How Alembic runs here: on the connection that `authsrv.storage.migrate` hands over, a transaction per migration.

Knows no URL and no configuration file.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
