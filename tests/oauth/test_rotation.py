"""What a presented refresh token is, over the whole space of what can be known about it."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.models import Digest, Grant
from authsrv.oauth.opaque import Opaque
from authsrv.oauth.standing import Judgement, judge
from tests.support.storage import NOW, digest, grant

GRACE = 30
CURRENT, PREVIOUS, FOREIGN = digest("current"), digest("previous"), digest("foreign")
GENERATION = 5
FAMILY = replace(
    grant(),
    refresh_hash=CURRENT,
    refresh_previous_hash=PREVIOUS,
    refresh_generation=GENERATION,
    refresh_rotated_at=NOW,
    expires_at=NOW + 1000,
    absolute_expires_at=NOW + 2000,
)


def presented(generation: int, secret: Digest) -> Opaque:
    return Opaque("asr_", FAMILY.id, generation, secret)


TABLE: list[tuple[int, Digest, int, Judgement]] = [
    # generation, secret, seconds after the rotation, judgement
    (5, CURRENT, 0, "current"),
    (5, CURRENT, 999, "current"),
    (5, CURRENT, 1000, "worthless"),
    (5, PREVIOUS, 0, "worthless"),
    (5, FOREIGN, 0, "worthless"),
    (4, PREVIOUS, 0, "repeated"),
    (4, PREVIOUS, 29, "repeated"),
    (4, PREVIOUS, 30, "reused"),
    (4, PREVIOUS, 999, "reused"),
    (4, PREVIOUS, 1000, "worthless"),
    (4, CURRENT, 0, "worthless"),
    (4, FOREIGN, 0, "worthless"),
    (4, FOREIGN, 30, "worthless"),
    (3, FOREIGN, 0, "reused"),
    (3, PREVIOUS, 29, "reused"),
    (1, FOREIGN, 0, "reused"),
    (6, CURRENT, 0, "worthless"),
    (6, FOREIGN, 0, "worthless"),
]


@pytest.mark.parametrize(("generation", "secret", "after", "expected"), TABLE)
def test_the_judgement_row_by_row(generation: int, secret: Digest, after: int, expected: Judgement) -> None:
    assert judge(FAMILY, presented(generation, secret), NOW + after, GRACE) == expected


def test_a_grant_without_refresh_tokens_knows_none() -> None:
    bare = replace(FAMILY, refresh_hash=None, refresh_previous_hash=None, refresh_generation=0)
    for generation, secret in product(range(3), (CURRENT, PREVIOUS, FOREIGN)):
        assert judge(bare, presented(generation, secret), NOW, GRACE) == "worthless"


def test_the_first_refresh_token_has_no_predecessor() -> None:
    first = replace(FAMILY, refresh_previous_hash=None, refresh_generation=1, refresh_rotated_at=0)
    assert judge(first, presented(1, CURRENT), NOW, GRACE) == "current"
    assert judge(first, presented(0, FOREIGN), NOW, GRACE) == "worthless"


@pytest.mark.parametrize("grace", [0, 1, 60])
def test_the_window_is_as_long_as_the_client_has_it(grace: int) -> None:
    outcomes = [judge(FAMILY, presented(4, PREVIOUS), NOW + after, grace) for after in range(62)]
    assert outcomes == ["repeated"] * grace + ["reused"] * (62 - grace)


@dataclass(frozen=True)
class Case:
    """One point of the input space."""

    family: Grant
    token: Opaque
    now: int
    grace: int

    @property
    def judgement(self) -> Judgement:
        return judge(self.family, self.token, self.now, self.grace)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    generation = draw(st.integers(0, 4))
    family = replace(
        FAMILY,
        refresh_hash=draw(st.sampled_from([CURRENT, None])),
        refresh_previous_hash=draw(st.sampled_from([PREVIOUS, None])),
        refresh_generation=generation,
        refresh_rotated_at=NOW + draw(st.integers(-40, 40)),
        expires_at=NOW + draw(st.integers(-2, 50)),
        absolute_expires_at=NOW + draw(st.integers(-2, 50)),
        revoked_at=draw(st.sampled_from([None, None, NOW])),
    )
    token = presented(draw(st.integers(0, 5)), draw(st.sampled_from([CURRENT, PREVIOUS, FOREIGN])))
    return Case(family, token, NOW + draw(st.integers(-1, 40)), draw(st.integers(0, 60)))


@given(cases())
def test_a_family_that_ended_gives_nothing_and_punishes_nothing(case: Case) -> None:
    ended = case.family.revoked_at is not None or case.now >= min(
        case.family.expires_at, case.family.absolute_expires_at
    )
    assert not ended or case.judgement == "worthless"


@given(cases())
def test_only_the_right_secret_of_the_right_generation_gives_tokens(case: Case) -> None:
    if case.judgement == "current":
        assert case.token.digest == case.family.refresh_hash
        assert case.token.generation == case.family.refresh_generation
    if case.judgement == "repeated":
        assert case.token.digest == case.family.refresh_previous_hash
        assert case.token.generation == case.family.refresh_generation - 1
        assert case.now < case.family.refresh_rotated_at + case.grace


@given(cases())
def test_only_a_token_of_an_older_generation_ends_a_family(case: Case) -> None:
    assert case.judgement != "reused" or case.token.generation < case.family.refresh_generation


@given(cases())
def test_a_token_judged_reused_never_becomes_good_later(case: Case) -> None:
    later = replace(case, now=case.now + 5)
    assert case.judgement != "reused" or later.judgement in {"reused", "worthless"}
