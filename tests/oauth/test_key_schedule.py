"""The life of a key as a pure function of the keys, the rules and the time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from authsrv.models import NEVER, KeyRules, SigningAlgorithm, StoredKey
from authsrv.oauth.key_schedule import LAG, RETENTION, SHORTEST_NOTICE, Plan, Wanted, hastened, plan, states, without
from authsrv.storage.changes import ScheduleKey

DAY = 86400
T = 1_800_000_000
ES: SigningAlgorithm = "ES256"
RULES = KeyRules(algorithms=(ES,), rotation=90 * DAY, announcement=14 * DAY)
NOTICE = 14 * DAY + LAG


def key(kid: str, follows: str = ES, *, alg: str = ES, signs_from: int = T, made: int = T) -> StoredKey:
    return StoredKey(kid, "sig", alg, b"der", False, made, signs_from, NEVER, follows)


def ending(found: StoredKey, signs_until: int) -> StoredKey:
    return replace(found, signs_until=signs_until, retires_at=signs_until + RETENTION)


def erased(found: StoredKey, at: int = T) -> StoredKey:
    return replace(found, erased_at=at)


def revoked(found: StoredKey, at: int = T) -> StoredKey:
    return replace(found, erased_at=at, revoked_at=at)


FIRST = key("first")
DUE = T + 90 * DAY
SECOND = key("second", "first", signs_from=DUE, made=DUE - NOTICE)
HANDED_OVER = ending(FIRST, DUE)


def moves(found: Plan) -> list[tuple[str, int, int, int]]:
    return [(move.key.kid, move.signs_from, move.signs_until, move.retires_at) for move in found.moves]


# --- states ---


def test_the_retention_is_the_longest_token_a_minute_and_the_longest_cache() -> None:
    assert (RETENTION, SHORTEST_NOTICE) == (86400 + 60 + 86400, 86400 + 3660)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(T, ("active", "next"), id="announced"),
        pytest.param(DUE - 1, ("active", "next"), id="the last second"),
        pytest.param(DUE, ("retiring", "active"), id="handed over"),
        pytest.param(DUE + RETENTION - 1, ("retiring", "active"), id="the last second of tokens"),
        pytest.param(DUE + RETENTION, ("retired", "active"), id="retired"),
    ],
)
def test_a_key_goes_from_next_over_active_and_retiring_to_retired(now: int, expected: tuple[str, str]) -> None:
    for first in (HANDED_OVER, erased(HANDED_OVER)) if now >= DUE else (HANDED_OVER,):
        assert states([first, SECOND], now) == {"first": expected[0], "second": expected[1]}


def test_a_revoked_key_is_revoked_whatever_the_time() -> None:
    assert states([revoked(HANDED_OVER), revoked(SECOND)], T) == {"first": "revoked", "second": "revoked"}


def test_each_algorithm_has_states_of_its_own_and_the_secret_has_none() -> None:
    secret = replace(key("seal", "HKDF", alg="HKDF"), use="seal")
    assert states([FIRST, key("rsa", "RS256", alg="RS256"), secret], T) == {"first": "active", "rsa": "active"}


def test_an_erased_key_never_waits_again_when_the_clock_goes_back() -> None:
    assert states([erased(HANDED_OVER), SECOND], T) == {"first": "retiring", "second": "active"}
    assert states([erased(HANDED_OVER), SECOND], T - 9) == {"first": "retiring", "second": "active"}


# --- what is due ---


@dataclass(frozen=True)
class Case:
    """Keys at a time, and what is to be done."""

    keys: Sequence[StoredKey]
    now: int
    wanted: tuple[Wanted, ...] = ()
    moved: tuple[tuple[str, int, int, int], ...] = ()
    spent: tuple[str, ...] = ()


LATE = DUE + 30 * DAY
CASES = {
    "nothing is there yet": Case([], T, (Wanted(ES, ES, T),)),
    "nothing is due": Case([FIRST], DUE - NOTICE - 1),
    "the successor is due": Case(
        [FIRST],
        DUE - NOTICE,
        (Wanted(ES, "first", DUE),),
        (("first", T, DUE, DUE + RETENTION),),
    ),
    "a server that was off announces first all the same": Case(
        [FIRST],
        LATE,
        (Wanted(ES, "first", LATE + NOTICE),),
        (("first", T, LATE + NOTICE, LATE + NOTICE + RETENTION),),
    ),
    "the successor waits": Case([HANDED_OVER, SECOND], DUE - 1),
    "the successor signs": Case([HANDED_OVER, SECOND], DUE, spent=("first",)),
    "all is done": Case([erased(HANDED_OVER), SECOND], DUE + 1),
    "a server that was off until after the retirement": Case([HANDED_OVER, SECOND], DUE + 9 * DAY, spent=("first",)),
    "a successor whose predecessor was not told": Case(
        [FIRST, SECOND], DUE - 9, moved=(("first", T, DUE, DUE + RETENTION),)
    ),
    "the successor was revoked long before it is needed": Case(
        [HANDED_OVER, revoked(SECOND)], T + DAY, moved=(("first", T, NEVER, NEVER),)
    ),
    "the successor was revoked": Case(
        [HANDED_OVER, revoked(SECOND)],
        DUE - DAY,
        (Wanted(ES, "second", DUE - DAY + NOTICE),),
        (("first", T, DUE - DAY + NOTICE, DUE - DAY + NOTICE + RETENTION),),
    ),
    "every key was revoked": Case([revoked(FIRST)], T + 5, (Wanted(ES, "first", T + 5),)),
    "the clock was ten years ahead when the successor was made": Case(
        [ending(FIRST, T + 3650 * DAY + NOTICE), replace(SECOND, signs_from=T + 3650 * DAY + NOTICE)],
        T + DAY,
        moved=(("second", DUE, NEVER, NEVER), ("first", T, DUE, DUE + RETENTION)),
    ),
    "the clock went back behind the first signature": Case([erased(HANDED_OVER), SECOND], T),
    "two have been left behind": Case(
        [HANDED_OVER, ending(SECOND, DUE + 90 * DAY), key("third", "second", signs_from=DUE + 90 * DAY)],
        DUE + 90 * DAY,
        spent=("second", "first"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_plan(case: Case) -> None:
    found = plan(case.keys, RULES, case.now)
    assert (found.wanted, moves(found)) == (case.wanted, list(case.moved))
    assert tuple(each.kid for each in found.spent) == case.spent


def test_a_shorter_period_in_the_configuration_brings_the_next_change_nearer_but_never_too_near() -> None:
    shorter = replace(RULES, rotation=30 * DAY)
    now = T + 80 * DAY
    found = plan([HANDED_OVER, SECOND], shorter, now)
    assert found == Plan(), "ten days ahead is near enough"
    far = replace(SECOND, signs_from=now + 60 * DAY)
    assert moves(plan([ending(FIRST, now + 60 * DAY), far], shorter, now)) == [
        ("second", now + NOTICE, NEVER, NEVER),
        ("first", T, now + NOTICE, now + NOTICE + RETENTION),
    ]


def test_every_algorithm_has_its_own_line() -> None:
    found = plan([FIRST], replace(RULES, algorithms=(ES, "EdDSA", "RS256")), T)
    assert found.wanted == (Wanted("EdDSA", "EdDSA", T), Wanted("RS256", "RS256", T))


def test_a_key_of_an_algorithm_that_left_the_list_ends_when_its_period_does_and_has_no_successor() -> None:
    keys, rules = [FIRST, key("rsa", "RS256", alg="RS256")], replace(RULES, algorithms=("RS256",))
    assert moves(plan(keys, rules, T)) == [("first", T, DUE, DUE + RETENTION)]
    told = [HANDED_OVER, keys[1]]
    assert not plan(told, rules, T + 1)
    assert [each.kid for each in plan(told, rules, DUE).spent] == ["first"]
    assert not plan([erased(HANDED_OVER), ending(keys[1], NEVER)], replace(rules, rotation=900 * DAY), DUE).wanted


def test_a_key_of_an_algorithm_that_left_the_list_late_still_outlives_its_tokens() -> None:
    found = plan([FIRST], replace(RULES, algorithms=()), LATE)
    assert moves(found) == [("first", T, LATE, LATE + RETENTION)]


def test_an_algorithm_that_comes_back_in_time_goes_on_with_its_key() -> None:
    assert moves(plan([HANDED_OVER], RULES, T + DAY)) == [("first", T, NEVER, NEVER)]
    assert plan([erased(HANDED_OVER)], RULES, LATE).wanted == (Wanted(ES, "first", LATE),)


# --- as near as is safe ---


def test_a_rotation_on_demand_announces_for_as_long_as_verifiers_need() -> None:
    now = T + DAY
    begins = now + SHORTEST_NOTICE
    found = hastened([FIRST], RULES, now)
    assert found.wanted == (Wanted(ES, "first", begins),)
    assert moves(found) == [("first", T, begins, begins + RETENTION)]


@pytest.mark.parametrize(
    ("announced_for", "begins_in"),
    [
        pytest.param(60, SHORTEST_NOTICE - 60, id="just announced"),
        pytest.param(SHORTEST_NOTICE, 0, id="known to all"),
        pytest.param(9 * DAY, 0, id="long known to all"),
        pytest.param(-3600, SHORTEST_NOTICE, id="announced by a clock that was ahead"),
    ],
)
def test_a_successor_that_waits_is_brought_as_near_as_verifiers_can_follow(announced_for: int, begins_in: int) -> None:
    now = DUE - 11 * DAY
    waiting = replace(SECOND, created_at=now - announced_for)
    assert moves(hastened([HANDED_OVER, waiting], RULES, now)) == [
        ("second", now + begins_in, NEVER, NEVER),
        ("first", T, now + begins_in, now + begins_in + RETENTION),
    ]


def test_a_change_that_is_nearer_already_stays_where_it_is() -> None:
    waiting = replace(SECOND, created_at=DUE - 60)
    assert not hastened([HANDED_OVER, waiting], RULES, DUE - 30)


def test_a_rotation_on_demand_is_not_put_off_again() -> None:
    now = T + DAY
    begins = now + SHORTEST_NOTICE
    waiting = key("second", "first", signs_from=begins, made=now)
    assert not plan([ending(FIRST, begins), waiting], RULES, now + 60)
    assert not hastened([ending(FIRST, begins), waiting], RULES, now + 60)


def test_without_any_key_a_rotation_makes_one() -> None:
    assert hastened([], RULES, T).wanted == (Wanted(ES, ES, T),)


# --- in an emergency ---


def test_the_next_key_is_promoted_when_the_active_one_is_revoked() -> None:
    now = DUE - DAY
    found = without([HANDED_OVER, SECOND], HANDED_OVER, RULES, now)
    assert (found.wanted, moves(found)) == ((), [("second", now, NEVER, NEVER)])


def test_a_new_key_signs_at_once_when_the_only_one_is_revoked() -> None:
    found = without([FIRST], FIRST, RULES, T + 5)
    assert (found.wanted, found.moves) == ((Wanted(ES, "first", T + 5),), ())


def test_another_successor_is_announced_when_the_next_key_is_revoked() -> None:
    now = DUE - DAY
    found = without([HANDED_OVER, SECOND], SECOND, RULES, now)
    begins = now + NOTICE
    assert found.wanted == (Wanted(ES, "second", begins),)
    assert moves(found) == [("first", T, begins, begins + RETENTION)]


@pytest.mark.parametrize("now", [DUE + 5, LATE], ids=["retiring", "retired"])
def test_nothing_follows_when_a_key_is_revoked_that_has_signed_for_the_last_time(now: int) -> None:
    found = without([erased(HANDED_OVER), SECOND], erased(HANDED_OVER), RULES, now)
    assert not found


def test_a_move_of_a_promoted_key_goes_on_from_where_the_promotion_left_it() -> None:
    third = key("third", "second", signs_from=DUE + DAY, made=T)
    now = DUE - 30 * DAY
    found = without([HANDED_OVER, SECOND, third], HANDED_OVER, RULES, now)
    promoted = replace(SECOND, signs_from=now)
    assert found.moves == (
        ScheduleKey(SECOND, now, NEVER, NEVER),
        ScheduleKey(promoted, now, DUE + DAY, DUE + DAY + RETENTION),
    )
