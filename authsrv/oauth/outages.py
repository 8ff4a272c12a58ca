"""What a storage that cannot do its work means to a client: come back later."""

from types import TracebackType

from authsrv.errors import TemporarilyUnavailable
from authsrv.storage.base import Conflict, StorageError


class _Answered:
    """Without state, so that one is enough: every request passes here twice."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, StorageError) and not isinstance(error, Conflict):
            raise TemporarilyUnavailable(retry_after=1, detail=f"{type(error).__name__}: {error}") from error


_ANSWERED = _Answered()


def outages_answered() -> _Answered:
    """Turn every fault of the storage into `TemporarilyUnavailable`; a lost race stays the caller's to judge."""
    return _ANSWERED
