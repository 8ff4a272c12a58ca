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
    ADDRESS_SIGN_INS = "address-sign-ins"  # address; sign-ins begun in a browser
    ADDRESS_REGISTRATIONS = "address-registrations"  # address; clients registered, read, updated and deleted
    ADDRESS_GUESTS = "address-guests"  # address; secrets made for guests
    ADDRESS_NEW_GUESTS = "address-new-guests"  # address; guests who become players
    LINK_CODES = "link-codes"  # player; link codes made
    LINK_CODE_FAILURES = "link-code-failures"  # address; failures
    CLIENT_LINK_CODE_FAILURES = "client-link-code-failures"  # client_id; failures
    DATA_REQUESTS = "data-requests"  # player; exports and erasures that players ask for by themselves
    CLAIM_REQUESTS = "claim-requests"  # project, scope, player; calls to services that have claims about players


_FAILURE_RULES = frozenset(
    {Rule.ADDRESS_FAILURES, Rule.SECRET_FAILURES, Rule.LINK_CODE_FAILURES, Rule.CLIENT_LINK_CODE_FAILURES}
)


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many per minute each rule allows."""

    client_logins: int
    player_logins: int
    token_requests: int
    address_failures: int
    secret_failures: int
    address_sign_ins: int
    address_registrations: int
    address_guests: int
    link_code_failures: int = 10
    link_codes: int = 10
    claim_requests: int = 10
    data_requests: int = 10

    def of(self, rule: Rule) -> int:
        """The quota of a rule; a claimed player may try as often as a verified one."""
        return {
            Rule.CLIENT_LOGINS: self.client_logins,
            Rule.CLAIMED_PLAYER_LOGINS: self.player_logins,
            Rule.PLAYER_LOGINS: self.player_logins,
            Rule.TOKEN_REQUESTS: self.token_requests,
            Rule.ADDRESS_FAILURES: self.address_failures,
            Rule.SECRET_FAILURES: self.secret_failures,
            Rule.ADDRESS_SIGN_INS: self.address_sign_ins,
            Rule.ADDRESS_REGISTRATIONS: self.address_registrations,
            Rule.ADDRESS_GUESTS: self.address_guests,
            Rule.ADDRESS_NEW_GUESTS: self.address_guests,
            Rule.LINK_CODES: self.link_codes,
            Rule.LINK_CODE_FAILURES: self.link_code_failures,
            Rule.CLIENT_LINK_CODE_FAILURES: 10 * self.link_code_failures,
            Rule.CLAIM_REQUESTS: self.claim_requests,
            Rule.DATA_REQUESTS: self.data_requests,
        }[rule]


class RateLimiter:
    """Counts in windows of one minute that begin with the first event of a counter.

    `clock` gives seconds; `salt` (random per process) keys the hashes under which counters are kept.
    """

    def __init__(self, quotas: Quotas, *, clock: Clock, salt: bytes = b"", max_counters: int = MAX_COUNTERS) -> None:
        self._clock = clock
        self._salt = salt or os.urandom(16)
        self._windows = Windows(clock, max_counters)
        self._quotas = {rule: quotas.of(rule) for rule in Rule}

    def check(self, rule: Rule, *parts: str) -> None:
        """Count one event, or for a rule on failures only look. Raises `RateLimited` with `retry_after` in seconds."""
        key = self._key(rule, parts)
        if rule in _FAILURE_RULES:
            allowed = self._windows.count(key) < self._quotas[rule]
        else:
            allowed = self._windows.add(key) <= self._quotas[rule]
        if not allowed:
            raise RateLimited(retry_after=self._reset(key), policy=self._policy(rule, key), detail=rule.value)

    def record_failure(self, rule: Rule, *parts: str) -> None:
        """Count one failure against a rule on failures. Never raises; the next `check` does."""
        self._windows.add(self._key(rule, parts))

    def headers(self, rule: Rule, *parts: str) -> Mapping[str, str]:
        """`RateLimit-Policy` and `RateLimit` as structured fields (draft-ietf-httpapi-ratelimit-headers-10).

            RateLimit-Policy: "player-logins";q=30;w=60
            RateLimit: "player-logins";r=12;t=41

        q: quota, w: window in seconds, r: what remains, t: seconds until it is whole again. With nothing left there is
        `Retry-After` too, equal to t.
        """
        key = self._key(rule, parts)
        found = self._policy(rule, key)
        return found if self._remaining(rule, key) else found | {"Retry-After": str(self._reset(key))}

    def _policy(self, rule: Rule, key: str) -> dict[str, str]:
        remaining, reset = self._remaining(rule, key), self._reset(key)
        return {
            "RateLimit-Policy": f'"{rule.value}";q={self._quotas[rule]};w={WINDOW}',
            "RateLimit": f'"{rule.value}";r={remaining};t={reset}',
        }

    def _remaining(self, rule: Rule, key: str) -> int:
        return max(0, self._quotas[rule] - self._windows.count(key))

    def _reset(self, key: str) -> int:
        return max(1, math.ceil(self._windows.ends_at(key) - self._clock()))

    def _key(self, rule: Rule, parts: tuple[str, ...]) -> str:
        if rule in _FAILURE_RULES:
            parts = (*parts[:-1], network_of(parts[-1]))
        # A NUL cannot be part of any id, so no two lists of parts are the same text.
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return f"{rule.value}/{hashlib.blake2b(text, digest_size=16, key=self._salt).hexdigest()}"


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
    ends_at: float


class Windows:
    """Counters, each in a window of one minute that begins with its first event; never more than `max_counters`.

    Used by one thread.
    """

    def __init__(self, clock: Clock, max_counters: int) -> None:
        self._clock = clock
        self._max_counters = max_counters
        self._counters: dict[str, _Counter] = {}

    def add(self, key: str) -> int:
        """Count one event; the count so far in its window."""
        counter = self._open_window(key) or self._begin(key)
        counter.count += 1
        return counter.count

    def count(self, key: str) -> int:
        """The count of the open window, 0 if none is open."""
        counter = self._open_window(key)
        return counter.count if counter else 0

    def ends_at(self, key: str) -> float:
        """When the open window ends, in the clock's seconds; if none is open, when one begun now would."""
        counter = self._open_window(key)
        return counter.ends_at if counter else self._clock() + WINDOW

    def __len__(self) -> int:
        return len(self._counters)

    def _open_window(self, key: str) -> _Counter | None:
        counter = self._counters.get(key)
        return counter if counter and counter.ends_at > self._clock() else None

    def _begin(self, key: str) -> _Counter:
        self._counters.pop(key, None)
        self._make_room()
        # All windows are equally long, so the dict's order of insertion is the order in which they end.
        counter = self._counters[key] = _Counter(0, self._clock() + WINDOW)
        return counter

    def _make_room(self) -> None:
        """Drop up to two ended windows, so that a quiet time shrinks what a busy one filled; and the oldest if full."""
        now = self._clock()
        for _ in range(2):
            oldest = next(iter(self._counters), None)
            if oldest is None or (self._counters[oldest].ends_at > now and len(self) < self._max_counters):
                return
            del self._counters[oldest]
