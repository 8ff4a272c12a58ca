"""The database file and its neighbours: where a URL points, modes 0600 and 0700, and file systems that cannot do it.

Owns what happens before SQLite opens the file. Knows no SQL.
"""

import os
import stat
from pathlib import Path

from authsrv.database_url import sqlite_file
from authsrv.storage.base import StorageError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"}
)
MOUNTS = Path("/proc/self/mounts")


def path_of(url: str) -> Path:
    """The absolute path of `sqlite:///relative.db` or `sqlite:////absolute.db`. Raises `StorageError`."""
    path = sqlite_file(url)
    if path is None:
        raise StorageError("write the database's url as sqlite:///relative/path.db or sqlite:////absolute/path.db")
    return path.absolute()


def exists(path: Path) -> bool:
    """Whether there is a database file. Raises `StorageError` if nobody lets us look."""
    try:
        return path.exists()
    except OSError as error:
        raise StorageError(f"cannot look at {path}: {error.strerror}; {_remedy(path)}") from error


def create(path: Path) -> None:
    """Make an empty database file (0600) and its directory (0700) where missing.

    SQLite gives -wal and -shm the mode of the database, so the file must exist before SQLite opens it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StorageError(f"cannot create {path}: {error.strerror}; {_remedy(path)}") from error


def size_of(path: Path) -> int:
    """The bytes of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def tighten(path: Path) -> None:
    """Take the group's and the world's rights to the database and its side files away, if they have any."""
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", ".erasures", ".start"))):
        try:
            _make_private(file)
        except OSError as error:
            raise StorageError(f"cannot set the mode of {file} to 0600: {error.strerror}; {_remedy(path)}") from error


def _make_private(file: Path) -> None:
    if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        file.chmod(0o600)


def settle_directory(directory: Path) -> None:
    """A new name is on disk only when its directory is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_network(path: Path) -> None:
    """Raise `StorageError` on a network file system: the write-ahead log needs memory shared with one machine."""
    kind = _file_system(path)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StorageError(f"{path} is on a network file system ({kind}); put the database on a local disk")


def _file_system(path: Path) -> str:
    if not MOUNTS.exists():
        return ""
    mounts = [line.split(" ") for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    real = path.resolve()
    inside = [(len(row[1]), place, row[2]) for place, row in enumerate(mounts) if real.is_relative_to(row[1])]
    # The deepest mount point, and of several mounts upon it the last one.
    return max(inside, default=(0, 0, ""))[2]


def _remedy(path: Path) -> str:
    return f"let the user that runs authsrv own the directory {path.parent}, or name another path"
