"""The migrations as Alembic runs them, whatever the database. Knows no URL."""

from pathlib import Path

import sqlalchemy
from alembic.config import Config

from authsrv.shipped import shipped
from authsrv.storage.schema import REVISIONS

HEAD = REVISIONS[-1]


def configuration(connection: sqlalchemy.Connection) -> Config:
    """Alembic's configuration for one connection, without a file."""
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def scripts() -> Path:
    """The migrations: inside the package when installed, at the top level of a checkout."""
    return shipped("migrations")
