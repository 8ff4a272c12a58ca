"""Which file a database URL names: one reading for the configuration's checks and for the storage.

Knows no driver, so that reading the configuration stays light.
"""

from pathlib import Path

_PREFIX = "sqlite:///"


def sqlite_file(url: str) -> Path | None:
    """The path as `sqlite:///relative.db` or `sqlite:////absolute.db` has it; None if the URL names no file.

    SQLite's own URL parameters and `:memory:` are not taken: they would be part of the file's name.
    """
    path = url.removeprefix(_PREFIX)
    if path == url or not Path(path).name or path.startswith(":") or any(sign in path for sign in "?#\0"):
        return None
    return Path(path)
