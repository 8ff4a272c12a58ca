"""The lock file beside a database: one process at a time.

Owns the file `<database>.lock` and nothing else. The kernel drops the lock when the process ends, however it ends.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from authsrv.storage.base import StorageError


class ProcessLock:
    """Exclusive use of a database for the time of a `with` block.

    Entering raises `StorageError` while another process, or another storage of this one, has it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = self._open()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.__exit__(None, None, None)
            raise StorageError(
                f"another authsrv process uses {self._database}; stop it first (an SQLite database serves one process)"
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The file stays: removing it would let two processes lock two files of the same name.
        os.close(self._descriptor)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(
                f"cannot write the lock file {self._path}: {error.strerror}; "
                f"let the user that runs authsrv own the directory {self._path.parent}"
            ) from error
