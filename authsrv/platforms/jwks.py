"""The public keys of a platform: reading a JWK set (RFC 7517), and keeping one loaded through outages and floods.

Owns when a key list is fetched. Knows no token and no platform; one with another kind of list passes its own parser.
"""

import asyncio
import base64
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from authsrv.platforms.base import Clock, Outbound, OutboundError, PlatformUnavailable
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

_LOG = logging.getLogger(__name__)
_MAX_KID = 256
_MIN_BITS = 2048
_MODULUS = re.compile(r"[A-Za-z0-9_-]{342,1368}")  # 2048 to 8192 bits
_EXPONENT = re.compile(r"[A-Za-z0-9_-]{2,11}")

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class RsaJwk:
    """One RSA key of a set. `alg` and `use` are empty when the entry has none."""

    kid: str
    alg: str
    use: str
    key: RSAPublicKey


def parse_jwk_set(body: bytes) -> Mapping[str, RsaJwk]:
    """The usable RSA keys of a JWK set (RFC 7517 section 5) by `kid`; of two with one `kid` the first counts.

    Entries that are not RSA, below 2048 bits, without a text `kid` or malformed are ignored.
    Raises ValueError if the document is not a key set.
    """
    document = strict_json(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the document is not a JWK set")  # noqa: TRY004 - a foreign document, not a caller's mistake
    found: dict[str, RsaJwk] = {}
    for entry in entries:
        jwk = _rsa_jwk(entry)
        if jwk is not None:
            found.setdefault(jwk.kid, jwk)
    return found


def _rsa_jwk(entry: Any) -> RsaJwk | None:
    if not isinstance(entry, dict) or entry.get("kty") != "RSA":
        return None
    kid, alg, use = entry.get("kid"), entry.get("alg", ""), entry.get("use", "")
    if not (isinstance(kid, str) and isinstance(alg, str) and isinstance(use, str)):
        return None
    if not 0 < len(kid) <= _MAX_KID:
        return None
    key = _rsa_key(entry.get("n"), entry.get("e"))
    return RsaJwk(kid, alg, use, key) if key else None


def _rsa_key(n: Any, e: Any) -> RSAPublicKey | None:
    if not (isinstance(n, str) and _MODULUS.fullmatch(n) and isinstance(e, str) and _EXPONENT.fullmatch(e)):
        return None
    modulus = _base64url_uint(n)
    if modulus.bit_length() < _MIN_BITS or modulus % 2 == 0:
        return None
    try:
        return RSAPublicNumbers(e=_base64url_uint(e), n=modulus).public_key()
    except ValueError:
        return None


def _base64url_uint(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


class KeySource(Generic[K]):
    """One platform's key list at one URL, loaded ahead and kept through failures.

    It is fetched by `start`, every `refresh` seconds after a success, and because of an unknown `kid` at most once per
    `cooldown` seconds, however many ids are tried: the set itself says for that long which ids do not exist, so nothing
    a caller sends is ever stored. The last good set is used until it is `keep` seconds old, and a key that has left the
    list for `retire` seconds more, for tokens signed before. `parse` turns a body into keys by id and raises
    ValueError; a list without a single key counts as a failed fetch.
    """

    def __init__(
        self,
        url: str,
        outbound: Outbound,
        clock: Clock,
        parse: Callable[[bytes], Mapping[str, K]],
        *,
        refresh: int = 3600,
        cooldown: int = 60,
        keep: int = 86400,
        retire: int = 0,
        max_body: int = 256 * 1024,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._outbound = outbound
        self._clock = clock
        self._parse = parse
        self._refresh = refresh
        self._cooldown = cooldown
        self._keep = keep
        self._retire = retire
        self._max_body = max_body
        self._sleep = sleep
        self._keys: Mapping[str, K] = {}
        self._retired: Mapping[str, tuple[K, float]] = {}
        self._loaded_at = -math.inf
        self._demanded_at = -math.inf
        self._last_fetch_failed = True
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> K | None:
        """The key with this id; None if the platform's list, fetched without error, does not have it.

        Raises `PlatformUnavailable` when the list cannot be had and the key is not among those kept.
        """
        found = self._kept(kid)
        if found is not None:
            return found
        if not self._cooling():
            self._demanded_at = self._clock()
            await asyncio.shield(self._fetch())
        elif self._fetching:
            await asyncio.shield(self._fetching)
        found = self._kept(kid)
        if found is None and self._last_fetch_failed:
            raise PlatformUnavailable("the key list cannot be fetched", retry_after=self._cooldown_left())
        return found

    async def start(self) -> None:
        """Begin the first load and the refreshing, both in the background. A failure is logged, never raised."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """End all background work. Safe to call twice and without `start`."""
        tasks = [task for task in (self._refreshing, self._fetching) if task]
        self._refreshing = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _kept(self, kid: str) -> K | None:
        now = self._clock()
        if now - self._loaded_at <= self._keep and kid in self._keys:
            return self._keys[kid]
        retired = self._retired.get(kid)
        return retired[0] if retired and now - retired[1] <= self._retire else None

    def _cooling(self) -> bool:
        # A clock that was set back must not stretch the pause.
        return 0 <= self._clock() - self._demanded_at < self._cooldown

    def _cooldown_left(self) -> int:
        return max(1, math.ceil(self._demanded_at + self._cooldown - self._clock()))

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.shield(self._fetch())
            await self._sleep(self._cooldown if self._last_fetch_failed else self._refresh)

    def _fetch(self) -> asyncio.Task[None]:
        """The one fetch under way; whoever needs the keys waits for the same."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._load())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _load(self) -> None:
        try:
            keys = await self._download()
        except Exception as error:  # whatever foreign bytes bring about: the refreshing goes on, the kept keys stay
            self._last_fetch_failed = True
            _LOG.warning("key list not refreshed, the last good one stays in use: %r", error)
            return
        self._retired = self._still_retired(keys)
        self._keys, self._loaded_at, self._last_fetch_failed = keys, self._clock(), False

    def _still_retired(self, listed: Mapping[str, K]) -> Mapping[str, tuple[K, float]]:
        now = self._clock()
        leaving = {kid: (key, now) for kid, key in self._keys.items()} if self._retire else {}
        return {
            kid: kept
            for kid, kept in (leaving | dict(self._retired)).items()
            if kid not in listed and now - kept[1] <= self._retire
        }

    async def _download(self) -> Mapping[str, K]:
        response = await self._outbound.get(self._url, max_body=self._max_body, retry=True)
        if response.status != 200:
            raise OutboundError(f"status {response.status}", sent=True)
        keys = self._parse(response.body)
        if not keys:
            raise ValueError("the key list holds no usable key")
        return keys
