"""Things that may be used once, handed out in order."""

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Stock(Generic[T]):
    """A store of codes or tokens. What was taken never comes again."""

    def __init__(self, things: Sequence[T]) -> None:
        self._things = things
        self._taken = 0

    def take(self, count: int) -> Sequence[T]:
        """The next ones, fewer when few are left."""
        taken = self._things[self._taken : self._taken + count]
        self._taken += len(taken)
        return taken
