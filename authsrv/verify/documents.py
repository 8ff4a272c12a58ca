"""One document of the issuer, kept: its last good content, how long that is fresh, and the one fetch under way.

Owns caching (RFC 9111, as far as one reader needs it). Knows no document's content and no schedule.
"""

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from authsrv.verify.fetch import Fetch, Fetched, FetchError, fetchable

_LOG = logging.getLogger(__name__)
_SECONDS = 5.0
_LEAST_FRESH, _USUALLY_FRESH, _LONGEST_FRESH = 60, 3600, 86400
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=(\d{1,10})(?=[\s,]|$)")

Clock = Callable[[], float]
T = TypeVar("T")


class Document(Generic[T]):
    """A document at an address, and what `read` made of its last good body: `value`, None before there was one.

    `read` raises whatever it likes for a body that is not to be believed: the last good one stays, however old it is.
    """

    def __init__(
        self,
        name: str,
        address: Callable[[], Awaitable[str]],
        read: Callable[[bytes], Awaitable[T]],
        *,
        fetch: Fetch,
        clock: Clock,
        max_body: int,
    ) -> None:
        self.value: T | None = None
        self.is_failing = False
        self._name = name
        self._address = address
        self._read = read
        self._fetch = fetch
        self._clock = clock
        self._max_body = max_body
        self._etag = ""
        self._confirmed_at = -math.inf
        self._fresh_for = 0
        self._fetching: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether the issuer said that the content may have changed by now. A clock set back does not stretch that."""
        return self.is_failing or not 0 <= self._clock() - self._confirmed_at < self._fresh_for

    @property
    def is_being_fetched(self) -> bool:
        """Whether a fetch is under way that `refresh` would join."""
        return self._fetching is not None

    async def refresh(self, *, anew: bool = False) -> None:
        """Fetch the document, or wait for the fetch under way. A failure is logged, never raised.

        The issuer may answer that nothing changed, unless the body is wanted `anew`.
        """
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._load("" if anew else self._etag))
            self._fetching.add_done_callback(self._fetched)
        await asyncio.shield(self._fetching)

    async def stop(self) -> None:
        """End the fetch under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _fetched(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _load(self, etag: str) -> None:
        try:
            await self._take(await self._answer(etag), etag)
        except Exception as error:  # whatever foreign bytes or a foreign fetch bring about: the last good one stays
            if not self.is_failing:
                kept = "there is none yet" if self.value is None else "the last good one stays in use"
                _LOG.warning("%s: not refreshed, %s: %r", self._name, kept, error)
            self.is_failing = True
            return
        if self.is_failing:
            _LOG.info("%s: refreshed again", self._name)
        self.is_failing = False

    async def _answer(self, etag: str) -> Fetched:
        url = fetchable(await self._address())
        headers = {"If-None-Match": etag} if etag else {}
        async with asyncio.timeout(_SECONDS):
            return await self._fetch(url, headers, self._max_body)

    async def _take(self, answer: Fetched, etag: str) -> None:
        if answer.status == 200:
            if len(answer.body) > self._max_body:
                raise FetchError("the answer is larger than allowed")
            self.value = await self._read(answer.body)
            self._etag = answer.headers.get("etag", "")
        elif answer.status != 304 or not etag:
            raise FetchError(f"status {answer.status}")
        self._confirmed_at = self._clock()
        self._fresh_for = _fresh_for(answer.headers.get("cache-control", ""))


def _fresh_for(cache_control: str) -> int:
    """Seconds, by `max-age`; never so short that it becomes a burden, never so long that a lost key stays for days."""
    directives = cache_control.lower()
    if "no-cache" in directives or "no-store" in directives:
        return _LEAST_FRESH
    found = _MAX_AGE.search(directives)
    return min(max(int(found[1]), _LEAST_FRESH), _LONGEST_FRESH) if found else _USUALLY_FRESH
