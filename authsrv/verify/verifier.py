"""The verifier: the issuer's keys and revocation feed kept up to date in the background, tokens checked against them.

Owns the schedule. A check costs one signature and no request, except for the first token of a new key.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from authsrv.strict_json import strict_json
from authsrv.verify.checks import MAX_TOKEN, Rules, check
from authsrv.verify.documents import Clock, Document
from authsrv.verify.errors import Unavailable
from authsrv.verify.feed import MAX_FEED, Feed, check_feed
from authsrv.verify.fetch import Fetch, FetchError, HttpFetch, fetchable
from authsrv.verify.jws import Jws
from authsrv.verify.keys import Keys, read_key_set
from authsrv.verify.tokens import AccessToken

COOLDOWN = 60
"""Seconds between two fetches of the key set because of a `kid` that it lacks, however many such tokens come."""
_POLL_WITHOUT_FEED = 30
_MAX_BODY = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Metadata:
    """Where the issuer has its documents; `revocation_feed_uri` is empty if it names none."""

    jwks_uri: str
    revocation_feed_uri: str


class Verifier:
    """Checks access tokens of one issuer, between `async with` and its end, on one event loop.

    The arguments up to `leeway` are those of `Rules`. The addresses of the key set and of the revocation feed come from
    the issuer's metadata unless they are given. `fetch` fetches documents; without one it is done by httpx.

    Both documents are asked for at the begin and then in the background: the feed every `poll` seconds that it names
    itself, the keys when their `Cache-Control` says. Entering waits for the first answers and never fails for want of
    them: until they are there, `verify` raises `Unavailable`.
    """

    def __init__(
        self,
        issuer: str,
        *,
        audience: str = "",
        xsolla_project: str = "",
        on_stale: Literal["refuse", "accept"] = "refuse",
        leeway: int = 60,
        jwks_uri: str = "",
        revocation_feed_uri: str = "",
        fetch: Fetch | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._rules = Rules(issuer, audience, xsolla_project, on_stale, leeway)
        self._given = _Metadata(jwks_uri, revocation_feed_uri)
        for address in filter(None, (issuer, jwks_uri, revocation_feed_uri)):
            fetchable(address)
        self._clock = clock
        self._sleep = sleep
        self._own_fetch = HttpFetch() if fetch is None else None
        self._looked_at = -math.inf
        self._polling: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        how: dict[str, Any] = {"fetch": fetch or self._own_fetch, "clock": clock}
        self._metadata = Document("metadata", self._metadata_uri, self._read_metadata, max_body=_MAX_BODY, **how)
        self._keys = Document("key set", self._jwks_uri, _read_keys, max_body=_MAX_BODY, **how)
        self._feed = Document("revocation feed", self._feed_uri, self._read_feed, max_body=MAX_FEED, **how)

    async def __aenter__(self) -> Self:
        if self._polling is not None:
            raise RuntimeError("this verifier is in use already")
        self._polling = asyncio.create_task(self._poll())
        await self._begun.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
            self._polling = None
            self._begun.clear()
        for document in (self._feed, self._keys, self._metadata):
            await document.stop()
        if self._own_fetch is not None:
            await self._own_fetch.aclose()

    async def verify(self, token: str, scope: str = "") -> AccessToken:
        """The access token behind a text, after every check; `scope` are the scopes it needs, separated by spaces.

        Raises `InvalidToken`, `InsufficientScope` and `Unavailable`.
        """
        if self._polling is None:
            raise RuntimeError("a verifier works inside `async with` only")
        jws = Jws.read(token, MAX_TOKEN)
        await self._look_for(jws.kid)
        checked = check(jws, keys=self._known(), feed=self._feed.value, rules=self._rules, now=self._clock())
        checked.require(scope)
        return checked

    def _known(self) -> Keys:
        return self._keys.value or {}

    async def _look_for(self, kid: str) -> None:
        """Fetch the key set for a key that it lacks, unless that was done a moment ago."""
        if kid in self._known():
            return
        if not 0 <= self._clock() - self._looked_at < COOLDOWN:
            self._looked_at = self._clock()
            await self._keys.refresh()
        elif self._keys.is_being_fetched:
            await self._keys.refresh()
        if self._keys.is_failing and kid not in self._known():
            raise Unavailable("the issuer's keys are not known", COOLDOWN)

    async def _poll(self) -> None:
        while True:
            if self._keys.is_due:
                await self._keys.refresh()
            await self._feed.refresh(anew=self._is_aging())
            self._begun.set()
            await self._sleep(self._feed.value.poll if self._feed.value else _POLL_WITHOUT_FEED)

    def _is_aging(self) -> bool:
        """Whether the feed is in the second half of its life: that nothing changed would then not be enough."""
        feed = self._feed.value
        return feed is not None and self._clock() * 2 >= feed.issued_at + feed.expires_at

    async def _metadata_uri(self) -> str:
        return f"{self._rules.issuer}/.well-known/openid-configuration"

    async def _jwks_uri(self) -> str:
        return self._given.jwks_uri or (await self._named()).jwks_uri

    async def _feed_uri(self) -> str:
        found = self._given.revocation_feed_uri or (await self._named()).revocation_feed_uri
        if not found:
            raise FetchError("the issuer names no revocation feed")
        return found

    async def _named(self) -> _Metadata:
        if self._metadata.is_due:
            await self._metadata.refresh()
        if self._metadata.value is None:
            raise FetchError("the issuer's metadata is not there")
        return self._metadata.value

    async def _read_metadata(self, body: bytes) -> _Metadata:
        document = strict_json(body)
        if not isinstance(document, dict):
            raise FetchError("the metadata is no object")
        if document.get("issuer") != self._rules.issuer:
            raise FetchError(f"the metadata is of {document.get('issuer')!r:.200}, not of {self._rules.issuer!r}")
        return _Metadata(document["jwks_uri"], document.get("revocation_feed_uri", ""))

    async def _read_feed(self, body: bytes) -> Feed:
        # In a thread: a feed may be long, and the event loop has tokens to check.
        jws = await asyncio.to_thread(Jws.read, body.decode("latin-1"), MAX_FEED)
        if jws.kid not in self._known() and not self._keys.is_failing:
            await self._keys.refresh()
        return await asyncio.to_thread(
            check_feed,
            jws,
            keys=self._known(),
            issuer=self._rules.issuer,
            now=self._clock(),
            previous=self._feed.value,
        )


async def _read_keys(body: bytes) -> Keys:
    return read_key_set(body)
