"""Rate limits: how often a client, a player or an address may try, and the headers that say so.

Throttling, not a security decision: counters live in this process's memory, are bounded, and hold no ids. Knows neither
HTTP frameworks nor which endpoint asks.
"""

import hashlib
import ipaddress
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from authsrv.errors import RateLimited

Clock = Callable[[], float]
"""Seconds; a monotonic clock will do."""

WINDOW = 60
"""Seconds over which every rule counts."""
MAX_COUNTERS = 100_000
"""About 25 MB when full; then the oldest windows are forgotten first."""


class Rule(Enum):
    """What is counted, and by which parts: pass exactly these to `check`, `record_failure` and `headers`.

    The value is the policy's name in the headers. Rules on failures count by `record_failure` only; all others count
    in `check`. A part `address` is the peer's IP address; IPv6 addresses share a counter per /64.
    """

    CLIENT_LOGINS = "client-logins"  # client_id; before the platform call
    CLAIMED_PLAYER_LOGINS = "claimed-player-logins"  # project, platform, claimed subject, address; before the call
    PLAYER_LOGINS = "player-logins"  # project, kind, environment, subject; after the platform call
    TOKEN_REQUESTS = "token-requests"  # client_id, then the grant or the player
    ADDRESS_FAILURES = "address-failures"  # address; failures
    SECRET_FAILURES = "secret-failures"  # client_id, address; failures


_FAILURE_RULES = frozenset({Rule.ADDRESS_FAILURES, Rule.SECRET_FAILURES})


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many per minute each rule allows."""

    client_logins: int
    player_logins: int
    token_requests: int
    address_failures: int
    secret_failures: int

    def of(self, rule: Rule) -> int:
        """The quota of a rule; a claimed player may try as often as a verified one."""
        return {
            Rule.CLIENT_LOGINS: self.client_logins,
            Rule.CLAIMED_PLAYER_LOGINS: self.player_logins,
            Rule.PLAYER_LOGINS: self.player_logins,
            Rule.TOKEN_REQUESTS: self.token_requests,
            Rule.ADDRESS_FAILURES: self.address_failures,
            Rule.SECRET_FAILURES: self.secret_failures,
        }[rule]


class RateLimiter:
    """Counts in windows of one minute that begin with the first event of a counter.

    `clock` gives seconds; `salt` (random per process) keys the hashes under which counters are kept.
    """

    def __init__(self, quotas: Quotas, *, clock: Clock, salt: bytes = b"", max_counters: int = MAX_COUNTERS) -> None:
        self._clock = clock
        self._salt = salt or os.urandom(16)
        self._strategy = FixedWindowRateLimiter(BoundedMemory(clock, max_counters))
        self._items = {rule: RateLimitItemPerMinute(quotas.of(rule), namespace=rule.value) for rule in Rule}

    def check(self, rule: Rule, *parts: str) -> None:
        """Count one event, or for a rule on failures only look. Raises `RateLimited` with `retry_after` in seconds."""
        item, key = self._items[rule], self._key(rule, parts)
        allowed = self._strategy.test if rule in _FAILURE_RULES else self._strategy.hit
        if not allowed(item, key):
            raise RateLimited(retry_after=self._reset(item, key), policy=self._policy(item, key), detail=rule.value)

    def record_failure(self, rule: Rule, *parts: str) -> None:
        """Count one failure against a rule on failures. Never raises; the next `check` does."""
        self._strategy.hit(self._items[rule], self._key(rule, parts))

    def headers(self, rule: Rule, *parts: str) -> Mapping[str, str]:
        """`RateLimit-Policy` and `RateLimit` as structured fields (draft-ietf-httpapi-ratelimit-headers-10).

            RateLimit-Policy: "player-logins";q=30;w=60
            RateLimit: "player-logins";r=12;t=41

        q: quota, w: window in seconds, r: what remains, t: seconds until it is whole again. With nothing left there is
        `Retry-After` too, equal to t.
        """
        item, key = self._items[rule], self._key(rule, parts)
        found = self._policy(item, key)
        return found if self._remaining(item, key) else found | {"Retry-After": str(self._reset(item, key))}

    def _policy(self, item: RateLimitItemPerMinute, key: str) -> dict[str, str]:
        name, remaining, reset = item.namespace, self._remaining(item, key), self._reset(item, key)
        return {
            "RateLimit-Policy": f'"{name}";q={item.amount};w={WINDOW}',
            "RateLimit": f'"{name}";r={remaining};t={reset}',
        }

    def _remaining(self, item: RateLimitItemPerMinute, key: str) -> int:
        return self._strategy.get_window_stats(item, key).remaining

    def _reset(self, item: RateLimitItemPerMinute, key: str) -> int:
        return max(1, math.ceil(self._strategy.get_window_stats(item, key).reset_time - self._clock()))

    def _key(self, rule: Rule, parts: tuple[str, ...]) -> str:
        if rule in _FAILURE_RULES:
            parts = (*parts[:-1], network_of(parts[-1]))
        # A NUL cannot be part of any id, so no two lists of parts are the same text.
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self._salt).hexdigest()


def network_of(address: str) -> str:
    """The part of an IP address that one customer of a provider cannot change at will: the /64 of IPv6, IPv4 whole.

    A text that is no address (a Unix socket's peer) stands for itself.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return parsed.packed[:8].hex()


@dataclass(slots=True)
class _Counter:
    count: int
    expires_at: float


class BoundedMemory(Storage):
    """Counters in memory for the library's fixed-window strategy, used by one thread.

    The library's own memory storage starts a thread for nearly every hit, walks all counters in it, has no upper bound
    and reads the wall clock itself.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock, max_counters: int) -> None:
        super().__init__()
        self._clock = clock
        self._max_counters = max_counters
        self._counters: dict[str, _Counter] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails in a way that the library should translate."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, beginning a window of `expiry` seconds if none is open; the count so far."""
        counter = self._open_window(key)
        if counter is None:
            counter = self._add(key, expiry)
        counter.count += amount
        return counter.count

    def get(self, key: str) -> int:
        """The count of the open window, 0 if none is open."""
        counter = self._open_window(key)
        return counter.count if counter else 0

    def get_expiry(self, key: str) -> float:
        """When the open window ends, in the clock's seconds; if none is open, when one begun now would."""
        counter = self._open_window(key)
        return counter.expires_at if counter else self._clock() + WINDOW

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget everything; how many counters there were."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._counters.pop(key, None)

    def __len__(self) -> int:
        return len(self._counters)

    def _open_window(self, key: str) -> _Counter | None:
        counter = self._counters.get(key)
        return counter if counter and counter.expires_at > self._clock() else None

    def _add(self, key: str, expiry: float) -> _Counter:
        self._counters.pop(key, None)
        self._make_room()
        # All windows are equally long, so the dict's order of insertion is the order in which they end.
        counter = self._counters[key] = _Counter(0, self._clock() + expiry)
        return counter

    def _make_room(self) -> None:
        """Drop up to two ended windows, so that a quiet time shrinks what a busy one filled; and the oldest if full."""
        now = self._clock()
        for _ in range(2):
            oldest = next(iter(self._counters), None)
            if oldest is None or (self._counters[oldest].expires_at > now and len(self) < self._max_counters):
                return
            del self._counters[oldest]
