"""Tokens of ours whose signature was found good, so that one that is shown again is not taken apart and verified again.

Owns how many are remembered, and for how long. Remembers that a key signed a text and what the text says, nothing else:
whether that is in time, of the wanted kind or ended by somebody is judged anew whenever it is shown.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

from authsrv.oauth.key_material import OpenKey
from authsrv.records import dataclass

FindKey = Callable[[object], OpenKey | None]
"""Gives the key of an id."""
MOST = 8192
MOST_CHARACTERS = 8 * 1024 * 1024
"""Of all texts together; what is remembered takes about four bytes for each."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verified(Generic[T]):
    """What a text says, by which key it was verified, and when it expires."""

    content: T
    key: OpenKey
    exp: int
    length: int


class VerifiedTokens(Generic[T]):
    """The tokens that were shown last, by the hash of their text.

    `find` gives the keys that count now: what a key has verified that is revoked, retired or replaced is forgotten.
    Only who holds a genuine token gets one in, and all that comes of too many is that others are verified again.
    """

    def __init__(self, find: FindKey, *, most: int = MOST, most_characters: int = MOST_CHARACTERS) -> None:
        self._find = find
        self._most = most
        self._most_characters = most_characters
        self._characters = 0
        self._tokens: dict[bytes, Verified[T]] = {}  # the one that was shown last at the end

    def __len__(self) -> int:
        return len(self._tokens)

    def recall(self, text: str, now: int) -> T | None:
        """What the text says, if it was verified by a key that counts now, and has not expired."""
        name = _name(text)
        found = self._take(name)
        if found is None or now >= found.exp or not self._counts(found.key):
            return None
        self._put(name, found)
        return found.content

    def keep(self, text: str, verified: Verified[T]) -> None:
        """Remember a text. The caller has verified its signature by the key."""
        name = _name(text)
        self._take(name)
        self._put(name, verified)
        while len(self._tokens) > self._most or self._characters > self._most_characters:
            self._take(next(iter(self._tokens)))

    def _counts(self, key: OpenKey) -> bool:
        """Whether the id stands for the very key that verified; one that was made ready anew is asked again."""
        present = self._find(key.stored.kid)
        return present is not None and present.public is key.public and present.alg == key.alg

    def _take(self, name: bytes) -> Verified[T] | None:
        found = self._tokens.pop(name, None)
        if found is not None:
            self._characters -= found.length
        return found

    def _put(self, name: bytes, verified: Verified[T]) -> None:
        self._tokens[name] = verified
        self._characters += verified.length


def _name(text: str) -> bytes:
    """Nobody who reads the memory finds a token in it. Texts that are no Unicode have names too, of their own."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
