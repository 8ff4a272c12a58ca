"""Which database a URL names, and how it is used: one reading for the configuration's checks and for the storage.

Knows no driver, so that reading the configuration stays light.
"""

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from authsrv.records import dataclass

_PREFIX = "sqlite:///"
_POSTGRES_SCHEMES = frozenset({"postgresql", "postgres"})


@dataclass(frozen=True, slots=True)
class Database:
    """A database's URL and the limits of its use; all but the URL are for PostgreSQL. Times in seconds.

    `password` takes the place of one in the URL. `pool_timeout` is the wait for a connection, `idle_timeout` that of
    the server for the next statement of a transaction. `erasures` is where it is noted, outside of the database, who
    was erased.
    """

    url: str
    password: str = ""
    pool_size: int = 10
    pool_timeout: float = 2.0
    statement_timeout: float = 5.0
    lock_timeout: float = 2.0
    idle_timeout: float = 10.0
    prepared_statements: bool = True
    erasures: Path | None = None


def sqlite_file(url: str) -> Path | None:
    """The path as `sqlite:///relative.db` or `sqlite:////absolute.db` has it; None if the URL names no file.

    SQLite's own URL parameters and `:memory:` are not taken: they would be part of the file's name.
    """
    path = url.removeprefix(_PREFIX)
    if path == url or not Path(path).name or path.startswith(":") or any(sign in path for sign in "?#\0"):
        return None
    return Path(path)


def names_postgres(url: str) -> bool:
    """Whether the URL is one of PostgreSQL and names a database: `postgresql://user@host:5432/name?sslmode=...`."""
    parts = _split(url)
    return parts is not None and parts.scheme in _POSTGRES_SCHEMES and len(parts.path) > 1


def holds_password(url: str) -> bool:
    """Whether a password stands in the URL."""
    parts = _split(url)
    return parts is not None and bool(parts.password or dict(parse_qsl(parts.query)).get("password"))


def tls_mode(url: str) -> str:
    """How the URL wants the connection secured (libpq's `sslmode`); empty if it does not say, or needs no network."""
    parts = _split(url)
    return "" if parts is None else dict(parse_qsl(parts.query)).get("sslmode", "")


def crosses_network(url: str) -> bool:
    """Whether the server of the URL may be another machine: neither loopback nor a Unix socket."""
    parts = _split(url)
    if parts is None:
        return False
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
    return bool(host) and not host.startswith("/") and host not in {"localhost", "127.0.0.1", "::1"}


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
