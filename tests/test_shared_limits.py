"""Rate limits that several nodes share: what is told when, what is heard, and what happens while the store is away."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.errors import RateLimited
from authsrv.jobs import rate_exchange
from authsrv.jobs.rate_exchange import BATCH, INTERVAL, PAUSE, RateExchange
from authsrv.limits import Quotas, RateLimiter, Rule
from authsrv.models import SharedCount
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.memory.storage import MemoryStorage

QUOTAS = Quotas(
    client_logins=100,
    player_logins=3,
    token_requests=20,
    address_failures=2,
    secret_failures=10,
    address_sign_ins=40,
    address_registrations=3,
    address_guests=3,
)
NOW = 1_800_000_000.0
ATTACKER = (Rule.SECRET_FAILURES, "shop", "192.0.2.1")
PLAYER = (Rule.PLAYER_LOGINS, "skyforge", "steam", "", "76561202255232001")
REQUESTS = (Rule.TOKEN_REQUESTS, "launcher", "17")


class Clock:
    """Time that moves only when told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Store:
    """A store in memory that can be away, and that can take what it is told and then lose its answer."""

    def __init__(self) -> None:
        self._memory = MemoryStorage()
        self.told: list[Mapping[bytes, int]] = []
        self.pings = 0
        self.fault: Exception | None = None
        self.loses_answers = False

    async def open(self) -> "Store":
        await self._memory.open()
        return self

    async def exchange_counts(self, counts: Mapping[bytes, int], now: int) -> Mapping[bytes, SharedCount]:
        if self.fault:
            raise self.fault
        self.told.append(counts)
        shared = await self._memory.exchange_counts(counts, now)
        if self.loses_answers:
            raise StorageUnavailable("the connection broke")
        return shared

    async def ping(self) -> None:
        self.pings += 1
        if self.fault:
            raise self.fault

    @property
    def counted(self) -> list[int]:
        """What is counted there under each key."""
        return [shared.count for shared in self._memory._tables.rate_counts.values()]

    def forget(self) -> None:
        """As a store does that is started again with nothing."""
        self._memory._tables.rate_counts.clear()


@dataclass
class Node:
    """One serving process, as far as it counts."""

    limits: RateLimiter
    exchange: RateExchange
    rests: list[float] = field(default_factory=list)

    def passes(self, rule: Rule, *parts: str) -> bool:
        try:
            self.limits.check(rule, *parts)
        except RateLimited:
            return False
        return True

    def fails(self, times: int = 1) -> None:
        for _ in range(times):
            self.limits.record_failure(*ATTACKER)

    def alone(self) -> bool:
        return self.exchange.alone

    def urgent(self) -> bool:
        return self.exchange._urgent.is_set()

    @property
    def standing(self) -> str:
        return self.limits.headers(*REQUESTS)["RateLimit"]


Make = Callable[..., Node]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store() -> Store:
    return await Store().open()


@pytest.fixture
def node(clock: Clock, store: Store) -> Make:
    return lambda **changes: made(clock, store, **changes)


def made(clock: Clock, store: Store, *, ahead: float = 0.0, salt: bytes = b"of the key ring") -> Node:
    """A node whose own clock began at another time, as monotonic clocks do, and whose calendar is `ahead`."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        await asyncio.sleep(0)

    limits = RateLimiter(QUOTAS, clock=lambda: clock() - NOW, salt=salt)
    exchange = RateExchange(limits, store, clock=lambda: clock() + ahead, sleep=sleep)
    return Node(limits, exchange, rests)


# --- reaching the quota together ---


async def test_B15_nodes_reach_a_quota_on_failures_together(node: Make) -> None:
    first, second = node(), node()
    for each in (first, second, first, second, first, second, first, second, first, second):
        assert each.passes(*ATTACKER)
        each.fails()
        await each.exchange.round()
    assert not second.passes(*ATTACKER)
    # What the first one heard was one failure less; it hears of it with the next one, which is all it lets through.
    assert first.passes(*ATTACKER)
    first.fails()
    await first.exchange.round()
    assert not first.passes(*ATTACKER)


async def test_F13_nodes_reach_a_quota_on_requests_together(node: Make) -> None:
    first, second = node(), node()
    for _ in range(10):
        assert first.passes(*REQUESTS)
        assert second.passes(*REQUESTS)
    await first.exchange.round()
    await second.exchange.round()
    assert not second.passes(*REQUESTS)
    assert first.passes(*REQUESTS)
    await first.exchange.round()
    assert not first.passes(*REQUESTS)


async def test_what_a_node_counted_before_it_heard_counts_with_what_it_hears(node: Make) -> None:
    first, second = node(), node()
    for _ in range(9):
        assert first.passes(*REQUESTS)
    await first.exchange.round()
    for _ in range(4):
        assert second.passes(*REQUESTS)
    await second.exchange.round()
    assert second.standing == '"token-requests";r=7;t=60'


async def test_the_store_says_when_a_window_ends(node: Make, clock: Clock) -> None:
    first, second = node(), node()
    for _ in range(5):
        first.passes(*REQUESTS)
    await first.exchange.round()
    clock.now += 45
    for _ in range(5):
        second.passes(*REQUESTS)
    assert second.standing == '"token-requests";r=15;t=60'
    await second.exchange.round()
    assert second.standing == '"token-requests";r=10;t=15'
    clock.now += 15
    assert second.standing == '"token-requests";r=20;t=60'


async def test_a_window_that_the_store_ended_first_begins_again(node: Make, clock: Clock) -> None:
    late, early = node(), node(ahead=5)
    for _ in range(5):
        late.passes(*REQUESTS)
    await late.exchange.round()
    clock.now += 56
    for _ in range(3):
        early.passes(*REQUESTS)
    await early.exchange.round()
    for _ in range(2):
        late.passes(*REQUESTS)
    await late.exchange.round()
    assert late.standing == '"token-requests";r=15;t=60'


async def test_what_is_counted_while_a_new_window_is_heard_of_counts_in_it(
    node: Make, clock: Clock, store: Store
) -> None:
    late = node()
    for _ in range(5):
        late.passes(*REQUESTS)
    await late.exchange.round()
    store.forget()
    clock.now += 30
    late.passes(*REQUESTS)
    told = late.limits.tell(BATCH)
    for _ in range(3):
        late.passes(*REQUESTS)
    late.limits.hear(await store.exchange_counts(told, int(clock())), clock())
    assert late.standing == '"token-requests";r=16;t=60'
    await late.exchange.round()
    assert store.counted == [4]


async def test_a_store_that_forgot_everything_begins_again_with_what_it_is_told(
    node: Make, store: Store, clock: Clock
) -> None:
    first = node()
    for _ in range(5):
        first.passes(*REQUESTS)
    await first.exchange.round()
    store.forget()
    clock.now += 30
    for _ in range(3):
        first.passes(*REQUESTS)
    await first.exchange.round()
    assert first.standing == '"token-requests";r=17;t=60'


async def test_an_answer_to_a_window_that_is_over_changes_nothing(node: Make, clock: Clock, store: Store) -> None:
    first = node()
    first.fails(3)
    told = first.limits.tell(BATCH)
    shared = await store.exchange_counts(told, int(clock()))
    clock.now += 60
    first.limits.hear(shared, NOW)
    assert first.limits.headers(*ATTACKER)["RateLimit"] == '"secret-failures";r=10;t=60'


async def test_a_clock_far_ahead_of_the_others_makes_no_window_longer(node: Make) -> None:
    ahead, right = node(ahead=50), node()
    for each in (ahead, right):
        for _ in range(5):
            each.passes(*REQUESTS)
        await each.exchange.round()
    assert right.standing == '"token-requests";r=10;t=60'


@pytest.mark.parametrize(("salt", "passes"), [(b"of the key ring", False), (b"another", True)])
async def test_I06_only_nodes_with_the_same_keys_share_counters(node: Make, salt: bytes, passes: bool) -> None:
    first, second = node(), node(salt=salt)
    first.fails(10)
    second.fails()
    await first.exchange.round()
    await second.exchange.round()
    assert second.passes(*ATTACKER) is passes


async def test_I06_no_key_holds_an_id(node: Make, store: Store) -> None:
    first = node()
    first.passes(*PLAYER)
    first.fails()
    await first.exchange.round()
    keys = [key for told in store.told for key in told]
    assert [len(key) for key in keys] == [16, 16]
    assert not any(part.encode() in key for key in keys for part in ("76561", "shop", "192.0", "logins"))


# --- what is told, and when ---


async def test_what_is_far_from_its_quota_is_not_told(node: Make, store: Store) -> None:
    first = node()
    first.passes(*REQUESTS)
    await first.exchange.round()
    assert store.told == []
    first.passes(*REQUESTS)
    await first.exchange.round()
    assert [list(told.values()) for told in store.told] == [[2]]


async def test_nothing_is_told_twice(node: Make, store: Store) -> None:
    first = node()
    first.fails(2)
    for _ in range(3):
        await first.exchange.round()
    first.fails()
    await first.exchange.round()
    assert [list(told.values()) for told in store.told] == [[2], [1]]


async def test_what_all_know_is_full_is_not_told_any_more(node: Make, store: Store) -> None:
    first = node()
    first.fails(10)
    await first.exchange.round()
    first.fails(5)
    for _ in range(50):
        assert not first.passes(*ATTACKER)
    await first.exchange.round()
    assert store.counted == [10]


@pytest.mark.parametrize(
    ("counted", "rule", "urgent"),
    [
        pytest.param((0, 1), Rule.CLIENT_LINK_CODE_FAILURES, True, id="a failure"),
        pytest.param((2, 1), Rule.CLIENT_LINK_CODE_FAILURES, True, id="one more failure"),
        pytest.param((0, 3), Rule.ADDRESS_SIGN_INS, False, id="less than a tenth of the quota"),
        pytest.param((0, 4), Rule.ADDRESS_SIGN_INS, True, id="a tenth of the quota"),
        pytest.param((10, 3), Rule.ADDRESS_SIGN_INS, False, id="less than another tenth"),
        pytest.param((10, 4), Rule.ADDRESS_SIGN_INS, True, id="another tenth"),
        pytest.param((30, 1), Rule.ADDRESS_SIGN_INS, False, id="just before the last fifth"),
        pytest.param((30, 2), Rule.ADDRESS_SIGN_INS, True, id="the last fifth"),
    ],
)
async def test_what_cannot_wait_is_told_at_once(node: Make, counted: tuple[int, int], rule: Rule, urgent: bool) -> None:
    first, (before, since) = node(), counted
    for _ in range(before):
        first.limits.record_failure(rule, "192.0.2.1")
    await first.exchange.round()
    assert not first.urgent()
    for _ in range(since):
        first.limits.record_failure(rule, "192.0.2.1")
    assert first.urgent() is urgent


async def test_what_becomes_urgent_is_told_once_and_whole(node: Make, store: Store) -> None:
    first = node()
    for _ in range(3):
        for _ in range(2):
            first.passes(*REQUESTS)
        await first.exchange.round()
    assert [list(told.values()) for told in store.told] == [[2], [2], [2]]


async def test_an_exchange_is_bounded_and_the_rest_follows_at_once(node: Make, store: Store) -> None:
    first = node()
    for number in range(BATCH + 1):
        first.limits.record_failure(Rule.ADDRESS_FAILURES, f"192.0.{number // 250}.{number % 250}")
    await first.exchange.round()
    assert first.urgent()
    await first.exchange.round()
    assert not first.urgent()
    assert [len(told) for told in store.told] == [BATCH, 1]


async def test_what_is_urgent_goes_first(node: Make, store: Store) -> None:
    first = node()
    for _ in range(2):
        first.passes(*REQUESTS)
    await first.exchange.round()
    first.passes(*REQUESTS)
    first.fails(2)
    assert list(first.limits.tell(1).values()) == [2]
    assert list(first.limits.tell(1).values()) == [1]
    assert not first.limits.more_to_tell


async def test_a_node_that_shares_with_nobody_remembers_nothing_to_tell() -> None:
    limits = RateLimiter(QUOTAS, clock=Clock())
    limits.record_failure(*ATTACKER)
    assert not limits.more_to_tell


async def test_what_waits_to_be_told_is_bounded() -> None:
    limits = RateLimiter(QUOTAS, clock=Clock(), max_counters=3)
    limits.share(lambda: None)
    for number in range(9):
        limits.record_failure(Rule.ADDRESS_FAILURES, f"192.0.2.{number}")
    limits.tell(3)
    assert not limits.more_to_tell


# --- the rhythm ---


async def going(node: Node, until: Callable[[], bool]) -> None:
    """Let the task run until something holds."""
    task = asyncio.create_task(node.exchange.run())
    async with asyncio.timeout(10):
        while not until():  # noqa: ASYNC110 - whatever it is, the task's own turns bring it about
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_task_is_woken_by_what_is_urgent(node: Make, store: Store) -> None:
    first = node()
    first.fails()
    await going(first, lambda: bool(store.told))
    assert first.rests[0] == PAUSE


async def test_the_task_tells_the_rest_each_second(node: Make, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert INTERVAL == 1.0
    first = node()
    for _ in range(2):
        first.passes(*REQUESTS)
    await first.exchange.round()
    first.passes(*REQUESTS)
    assert not first.urgent()
    monkeypatch.setattr(rate_exchange, "INTERVAL", 0.001)
    await going(first, lambda: len(store.told) == 2)


async def test_a_store_that_is_away_is_asked_again_each_second(node: Make, store: Store) -> None:
    first = node()
    store.fault = StorageUnavailable("the database is gone")
    first.fails()
    await going(first, lambda: store.pings > 2)
    assert first.rests[:6] == [PAUSE, PAUSE, INTERVAL, PAUSE, INTERVAL, PAUSE]


# --- the store goes and comes back ---


async def test_R16_without_a_store_nodes_count_alone_and_say_so_once(
    node: Make, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = node()
    store.fault = StorageUnavailable("the database is gone")
    with caplog.at_level(logging.INFO, logger="authsrv.limits"):
        for _ in range(10):
            assert first.passes(*ATTACKER)
            first.fails()
            await first.exchange.round()
        assert not first.passes(*ATTACKER)
        assert first.alone()
        store.fault = None
        await first.exchange.round()
        await first.exchange.round()
    assert not first.alone()
    assert [record.getMessage() for record in caplog.records] == [
        "rate limits are counted by this node alone: the database is gone",
        "rate limits are shared with the other nodes again",
    ]


async def test_what_was_counted_meanwhile_is_told_when_the_store_is_back(node: Make, store: Store) -> None:
    first, second = node(), node()
    store.fault = StorageUnavailable("gone")
    first.fails()
    await first.exchange.round()
    first.fails(9)
    await first.exchange.round()
    store.fault = None
    await first.exchange.round()
    # The one that was on its way may have arrived; told again, it might count twice.
    assert store.counted == [9]
    second.fails()
    await second.exchange.round()
    assert not second.passes(*ATTACKER)


async def test_R16_an_answer_that_was_lost_counts_nothing_twice(node: Make, store: Store) -> None:
    first = node()
    store.loses_answers = True
    for _ in range(4):
        first.passes(*REQUESTS)
    await first.exchange.round()
    store.loses_answers = False
    for _ in range(2):
        first.passes(*REQUESTS)
    await first.exchange.round()
    assert store.counted == [6]
    assert first.standing == '"token-requests";r=14;t=60'


async def test_what_a_node_counted_itself_is_not_forgotten_with_what_never_arrived(node: Make, store: Store) -> None:
    first = node()
    store.fault = StorageUnavailable("gone")
    first.fails(9)
    await first.exchange.round()
    store.fault = None
    first.fails()
    await first.exchange.round()
    assert store.counted == [1]
    assert not first.passes(*ATTACKER)


async def test_a_store_that_never_answers_is_away(
    node: Make, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(rate_exchange, "TIMEOUT", 0.01)
    monkeypatch.setattr(store, "exchange_counts", never)
    first = node()
    first.fails()
    await first.exchange.round()
    assert first.alone()
    assert [record.getMessage() for record in caplog.records] == [
        "rate limits are counted by this node alone: the store does not answer"
    ]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["fail", "tell", "lose", "away"])), max_size=40))
def test_nothing_is_ever_counted_twice(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        clock, store = Clock(), await Store().open()
        nodes = {"a": made(clock, store), "b": made(clock, store)}
        failures = 0
        for name, step in steps:
            if step == "fail":
                nodes[name].fails()
                failures += 1
                continue
            store.loses_answers, store.fault = step == "lose", StorageUnavailable("gone") if step == "away" else None
            await nodes[name].exchange.round()
        store.loses_answers, store.fault = False, None
        for each in nodes.values():
            await each.exchange.round()
            assert each.limits._windows.count(each.limits._key(ATTACKER[0], ATTACKER[1:])) <= failures
        assert sum(store.counted) <= failures

    asyncio.run(play())
