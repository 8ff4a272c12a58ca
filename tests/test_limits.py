"""Rate limits: what is counted together, what is refused, and what the headers say."""

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.errors import RateLimited
from authsrv.limits import Quotas, RateLimiter, Rule, network_of
from authsrv.rate_windows import Windows

QUOTAS = Quotas(
    client_logins=4,
    player_logins=3,
    token_requests=5,
    address_failures=2,
    secret_failures=2,
    address_sign_ins=3,
    address_registrations=3,
    address_guests=3,
)


class Clock:
    """Time that moves only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def letters(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(QUOTAS, clock=clock)


@pytest.mark.parametrize(
    ("rule", "parts", "quota"),
    [
        pytest.param(Rule.CLIENT_LOGINS, ("launcher",), 4, id="logins of a client"),
        pytest.param(Rule.CLAIMED_PLAYER_LOGINS, ("skyforge", "steam", "76561"), 3, id="claimed player"),
        pytest.param(Rule.PLAYER_LOGINS, ("skyforge", "steam", "", "76561"), 3, id="verified player"),
        pytest.param(Rule.TOKEN_REQUESTS, ("launcher", "17"), 5, id="F13 token requests"),
        pytest.param(Rule.ADDRESS_SIGN_INS, ("192.0.2.1",), 3, id="sign-ins begun at an address"),
    ],
)
def test_F14_requests_above_the_quota_are_refused(
    limiter: RateLimiter, rule: Rule, parts: tuple[str, ...], quota: int
) -> None:
    for _ in range(quota):
        limiter.check(rule, *parts)
    with pytest.raises(RateLimited) as refused:
        limiter.check(rule, *parts)
    assert refused.value.retry_after == 60
    assert refused.value.detail == rule.value


def test_B15_secret_failures_are_counted_per_client_and_address(limiter: RateLimiter) -> None:
    for _ in range(2):
        limiter.check(Rule.SECRET_FAILURES, "shop", "192.0.2.1")
        limiter.record_failure(Rule.SECRET_FAILURES, "shop", "192.0.2.1")
    with pytest.raises(RateLimited):
        limiter.check(Rule.SECRET_FAILURES, "shop", "192.0.2.1")
    limiter.check(Rule.SECRET_FAILURES, "shop", "192.0.2.2")
    limiter.check(Rule.SECRET_FAILURES, "web", "192.0.2.1")


def test_looking_at_a_rule_on_failures_counts_nothing(limiter: RateLimiter) -> None:
    for _ in range(10):
        limiter.check(Rule.ADDRESS_FAILURES, "192.0.2.1")
    assert limiter.headers(Rule.ADDRESS_FAILURES, "192.0.2.1")["RateLimit"] == '"address-failures";r=2;t=60'


def test_F18_addresses_of_one_ipv6_network_share_a_counter(limiter: RateLimiter) -> None:
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"):
        limiter.record_failure(Rule.ADDRESS_FAILURES, address)
    with pytest.raises(RateLimited):
        limiter.check(Rule.ADDRESS_FAILURES, "2001:0db8:0001:0002::3")
    limiter.check(Rule.ADDRESS_FAILURES, "2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="IPv4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="IPv4 in IPv6"),
        pytest.param("2001:db8:1:2::9", "20010db800010002", id="IPv6"),
        pytest.param("fe80::1%eth0", "fe80000000000000", id="IPv6 with zone"),
        pytest.param("unix:", "unix:", id="no address"),
        pytest.param("", "", id="empty"),
    ],
)
def test_the_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_window_ends_a_minute_after_its_first_event(limiter: RateLimiter, clock: Clock) -> None:
    limiter.check(Rule.PLAYER_LOGINS, "p")
    clock.now += 20.5
    limiter.check(Rule.PLAYER_LOGINS, "p")
    limiter.check(Rule.PLAYER_LOGINS, "p")
    with pytest.raises(RateLimited) as refused:
        limiter.check(Rule.PLAYER_LOGINS, "p")
    assert refused.value.retry_after == 40
    clock.now += 39.5
    limiter.check(Rule.PLAYER_LOGINS, "p")


def test_F20_a_refused_request_does_not_prolong_the_wait(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(3):
        limiter.check(Rule.PLAYER_LOGINS, "p")
    for _ in range(50):
        with pytest.raises(RateLimited):
            limiter.check(Rule.PLAYER_LOGINS, "p")
    clock.now += 60
    limiter.check(Rule.PLAYER_LOGINS, "p")


def test_the_headers_count_down(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(2):
        limiter.check(Rule.PLAYER_LOGINS, "p")
    clock.now += 18.2
    assert limiter.headers(Rule.PLAYER_LOGINS, "p") == {
        "RateLimit-Policy": '"player-logins";q=3;w=60',
        "RateLimit": '"player-logins";r=1;t=42',
    }


def test_the_headers_say_when_to_come_back_once_nothing_is_left(limiter: RateLimiter, clock: Clock) -> None:
    for _ in range(3):
        limiter.check(Rule.PLAYER_LOGINS, "p")
    clock.now += 59.9
    assert limiter.headers(Rule.PLAYER_LOGINS, "p") == {
        "RateLimit-Policy": '"player-logins";q=3;w=60',
        "RateLimit": '"player-logins";r=0;t=1',
        "Retry-After": "1",
    }


def test_rules_and_parts_never_share_a_counter(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.check(Rule.PLAYER_LOGINS, "ab", "c")
    limiter.check(Rule.CLAIMED_PLAYER_LOGINS, "ab", "c")
    limiter.check(Rule.PLAYER_LOGINS, "a", "bc")
    limiter.check(Rule.PLAYER_LOGINS, "ab", "c", "")


def test_I06_counters_hold_no_ids_and_differ_between_processes(clock: Clock) -> None:
    keys = []
    for salt in (b"", b"", b"fixed", b"fixed"):
        limiter = RateLimiter(QUOTAS, clock=clock, salt=salt)
        limiter.check(Rule.PLAYER_LOGINS, "76561202255232001")
        keys += list(limiter._windows._counters)
    assert b"76561202255232001" not in b"".join(keys)
    assert keys[0] != keys[1]
    assert keys[2] == keys[3]


def test_a_lone_surrogate_is_counted_like_any_text(limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.check(Rule.PLAYER_LOGINS, "\udcff")
    with pytest.raises(RateLimited):
        limiter.check(Rule.PLAYER_LOGINS, "\udcff")


def test_memory_is_bounded_and_forgets_the_oldest_first(clock: Clock) -> None:
    memory = Windows(clock, max_counters=3)
    for key in letters("abcd"):
        memory.add(key)
    assert len(memory) == 3
    assert [memory.count(key) for key in letters("abcd")] == [0, 1, 1, 1]


def test_ended_windows_make_room(clock: Clock) -> None:
    memory = Windows(clock, max_counters=100)
    for key in letters("abcdef"):
        memory.add(key)
    clock.now += 60
    for key in letters("uvw"):
        memory.add(key)
    assert len(memory) == 3


def test_a_counter_that_begins_again_counts_as_new(clock: Clock) -> None:
    memory = Windows(clock, max_counters=2)
    memory.add(b"a")
    clock.now += 30
    memory.add(b"b")
    clock.now += 30
    memory.add(b"a")
    memory.add(b"c")
    assert [memory.count(key) for key in letters("abc")] == [1, 0, 1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=80))
def test_no_window_ever_allows_more_than_its_quota(events: list[tuple[int, int]]) -> None:
    clock = Clock()
    limiter = RateLimiter(QUOTAS, clock=clock, max_counters=10)
    allowed: dict[int, list[float]] = {}
    for player, wait in events:
        clock.now += wait
        with contextlib.suppress(RateLimited):
            limiter.check(Rule.PLAYER_LOGINS, str(player))
            allowed.setdefault(player, []).append(clock.now)
    # Two neighbouring fixed windows allow at most twice the quota in any minute.
    for times in allowed.values():
        assert all(late - early >= 60 for early, late in zip(times, times[6:], strict=False))


def test_counting_starts_no_threads(limiter: RateLimiter) -> None:
    before = threading.enumerate()
    for number in range(3):
        limiter.check(Rule.PLAYER_LOGINS, str(number))
    assert threading.enumerate() == before
