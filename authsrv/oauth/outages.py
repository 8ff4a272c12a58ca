"""What a storage that cannot do its work means to a client: come back later."""

from collections.abc import Iterator
from contextlib import contextmanager

from authsrv.errors import TemporarilyUnavailable
from authsrv.storage.base import Conflict, StorageError


@contextmanager
def outages_answered() -> Iterator[None]:
    """Turn every fault of the storage into `TemporarilyUnavailable`; a lost race stays the caller's to judge."""
    try:
        yield
    except Conflict:
        raise
    except StorageError as error:
        raise TemporarilyUnavailable(retry_after=1, detail=f"{type(error).__name__}: {error}") from error
