"""Rate limits: how often a client, a player or an address may try, and the headers that say so.

Throttling, not a security decision: counters live in this process's memory, are bounded, and hold no ids. Of several
nodes each owns what the others must be told; who tells them, and where, it does not know. Nor does it know HTTP
frameworks or which endpoint asks.
"""

import hashlib
import ipaddress
import math
import os
from collections.abc import Callable, Mapping
from enum import Enum
from itertools import chain, islice

from authsrv.errors import RateLimited
from authsrv.models import RATE_WINDOW, SharedCount
from authsrv.rate_windows import MAX_COUNTERS, Clock, Windows
from authsrv.records import dataclass

SHARE = 10
"""The part of a quota, a tenth, that a node keeps to itself; whenever it has counted so much it tells at once."""
NEAR = 5
"""The last part of a quota, a fifth, in which the others are told of everything at once instead of within a second."""


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
    """Counts in windows of one minute that begin with the first event of a counter, as the store has them if shared.

    `clock` gives seconds; `salt` keys the hashes under which counters are kept. Nodes that share counters need the same
    one; without it there is a random one for this process.
    """

    def __init__(self, quotas: Quotas, *, clock: Clock, salt: bytes = b"", max_counters: int = MAX_COUNTERS) -> None:
        self._clock = clock
        self._salt = salt or os.urandom(16)
        self._windows = Windows(clock, max_counters)
        self._quotas = {rule: quotas.of(rule) for rule in Rule}
        self._untold = _Untold(max_counters)
        self._wake: Callable[[], None] | None = None

    def check(self, rule: Rule, *parts: str) -> None:
        """Count one event, or for a rule on failures only look. Raises `RateLimited` with `retry_after` in seconds."""
        key = self._key(rule, parts)
        known = self._windows.count(key)
        if known >= self._quotas[rule]:
            raise RateLimited(retry_after=self._reset(key), policy=self._policy(rule, key), detail=rule.value)
        if rule not in _FAILURE_RULES:
            self._count(rule, key)

    def record_failure(self, rule: Rule, *parts: str) -> None:
        """Count one failure against a rule on failures. Never raises; the next `check` does."""
        self._count(rule, self._key(rule, parts))

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

    def share(self, wake: Callable[[], None]) -> None:
        """From now on remember what other nodes must be told. `wake` is called when that cannot wait for a second."""
        self._wake = wake

    def tell(self, limit: int) -> dict[bytes, int]:
        """What was counted since it was told last, of at most `limit` counters, the most urgent first.

        Each event is told once, whatever becomes of it: counted twice would be worse than not at all.
        """
        told = {key: self._windows.tell(key) for key in self._untold.take(limit)}
        return {key: amount for key, amount in told.items() if amount}

    def hear(self, shared: Mapping[bytes, SharedCount], now: float) -> None:
        """Take over what all nodes counted together. `now` is the time at which the store was told."""
        for key, count in shared.items():
            self._windows.hear(key, count, count.ends_at - now)

    @property
    def more_to_tell(self) -> bool:
        """Whether there is something that no other node was told yet, and should be."""
        return bool(self._untold)

    def _count(self, rule: Rule, key: bytes) -> None:
        known = self._windows.add(key)
        if self._wake is None or not self._concerns_others(rule, key, known):
            return
        urgent = self._is_urgent(rule, key, known)
        self._untold.put(key, urgent=urgent)
        if urgent:
            self._wake()

    def _concerns_others(self, rule: Rule, key: bytes, known: int) -> bool:
        """Not what is far below its quota, or every login would be written down; and not what they know is full."""
        quota = self._quotas[rule]
        worth_telling = rule in _FAILURE_RULES or known * SHARE >= quota
        return worth_telling and known - self._windows.untold(key) < quota

    def _is_urgent(self, rule: Rule, key: bytes, known: int) -> bool:
        quota = self._quotas[rule]
        much, near = self._windows.untold(key) * SHARE >= quota, (quota - known) * NEAR <= quota
        return rule in _FAILURE_RULES or much or near

    def _policy(self, rule: Rule, key: bytes) -> dict[str, str]:
        remaining, reset = self._remaining(rule, key), self._reset(key)
        return {
            "RateLimit-Policy": f'"{rule.value}";q={self._quotas[rule]};w={RATE_WINDOW}',
            "RateLimit": f'"{rule.value}";r={remaining};t={reset}',
        }

    def _remaining(self, rule: Rule, key: bytes) -> int:
        return max(0, self._quotas[rule] - self._windows.count(key))

    def _reset(self, key: bytes) -> int:
        return max(1, math.ceil(self._windows.ends_at(key) - self._clock()))

    def _key(self, rule: Rule, parts: tuple[str, ...]) -> bytes:
        if rule in _FAILURE_RULES:
            parts = (*parts[:-1], network_of(parts[-1]))
        # A NUL cannot be part of any id, so no two lists of parts are the same text.
        text = "\0".join((rule.value, *parts)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16, key=self._salt).digest()


class _Untold:
    """The keys of counters that other nodes must be told of, each once; the oldest go beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._urgent: dict[bytes, None] = {}
        self._others: dict[bytes, None] = {}

    def __bool__(self) -> bool:
        return bool(self._urgent or self._others)

    def put(self, key: bytes, *, urgent: bool) -> None:
        """Add a key. What is urgent stays so."""
        if key in self._urgent:
            return
        if urgent:
            self._others.pop(key, None)
        keys = self._urgent if urgent else self._others
        keys[key] = None
        if len(keys) > self._limit:
            del keys[next(iter(keys))]

    def take(self, limit: int) -> list[bytes]:
        """Remove at most `limit` keys, those that are urgent first."""
        taken = list(islice(chain(self._urgent, self._others), limit))
        for key in taken:
            self._urgent.pop(key, None)
            self._others.pop(key, None)
        return taken


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
