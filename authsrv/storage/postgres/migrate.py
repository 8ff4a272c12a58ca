"""Brings a database of PostgreSQL to the schema this code needs, also when several nodes try at once.

Each migration is one transaction, which one of them commits; the others see that it is done. Knows no file.
"""

import sqlalchemy
from alembic import command

from authsrv.database_url import Database
from authsrv.storage.base import StorageError, StorageUnavailable
from authsrv.storage.migrations import HEAD, configuration
from authsrv.storage.schema import check_known

ATTEMPTS = 5
"""How often a migration is tried that met another one, or waited too long for a table in use."""
INSUFFICIENT_PRIVILEGE = "42501"
LOCK_TIMEOUT = "5s"
"""Whoever waits longer for a table makes everybody wait who comes after."""


def migrate_postgres(url: str, password: str = "") -> None:
    """Run the migrations that the database lacks. Raises `StorageError` with a text for the operator."""
    engine = engine_of(Database(url, password))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _upgrade(engine)
        except sqlalchemy.exc.DBAPIError as error:
            if attempt == ATTEMPTS or error.connection_invalidated or _is_forbidden(error):
                raise StorageUnavailable(f"the database could not be migrated: {_told(error)}") from error
        else:
            return


def engine_of(database: Database) -> sqlalchemy.Engine:
    """An engine for the database. Raises `StorageError` if the driver is missing or the URL is wrong."""
    try:
        import psycopg  # noqa: PLC0415 - an extra

        from authsrv.storage.postgres.connection import CONNECT_SECONDS, conninfo  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise StorageError("PostgreSQL needs the extra of this name: pip install 'authsrv[postgres]'") from error
    given = {"connect_timeout": CONNECT_SECONDS, **conninfo(database)}
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(**given), poolclass=sqlalchemy.pool.NullPool
    )


def _upgrade(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        found = _current(connection)
        if found == HEAD:
            return
        if found is not None:
            check_known(found)
        connection.execute(sqlalchemy.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        command.upgrade(configuration(connection), HEAD)


def _current(connection: sqlalchemy.Connection) -> str | None:
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()


def _is_forbidden(error: sqlalchemy.exc.DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE


def _told(error: sqlalchemy.exc.DBAPIError) -> str:
    said = " ".join(str(error.orig).partition("\nLINE ")[0].split())
    if _is_forbidden(error):
        return f"{said}; do it as the role that owns the tables, which is not the one that nodes use"
    return said
