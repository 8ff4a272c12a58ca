"""What a project does with players by their age group: the whole table."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations, product

import pytest

from authsrv.ages import (
    discreet,
    discreet_grant,
    is_guarded,
    may_come,
    require,
    require_link,
    require_unasked,
    stricter,
)
from authsrv.errors import AccessDenied
from authsrv.models import AccountRules, AgePolicy, LoadedGrant, Player
from tests.support.storage import grant

GROUPS = ("child", "teen", "adult", "unknown")
GUARDED = [chosen for size in range(5) for chosen in combinations(GROUPS, size)]
POLICIES: tuple[AgePolicy, ...] = ("refuse", "guest_only", "allow_without_pii")
OFTEN = (False, True)
ROWS = list(product(GUARDED, POLICIES, OFTEN, GROUPS))
PLAYER = Player(1, "sub-1", "p", "Amber", 1, 1)


def told(group: str) -> str:
    """As a player's row has it."""
    return "" if group == "unknown" else group


@pytest.mark.parametrize(("guarded", "policy", "directed", "group"), ROWS)
def test_every_combination(guarded: tuple[str, ...], policy: AgePolicy, directed: bool, group: str) -> None:
    rules = AccountRules(guarded_age_groups=guarded, age_policy=policy, directed_at_children=directed)
    counts_as = "child" if directed and group == "unknown" else group
    by_platform, as_guest = (may_come(rules, told(group), guest=guest) for guest in OFTEN)
    assert is_guarded(rules, told(group)) is (counts_as in guarded)
    if counts_as not in guarded:
        assert (by_platform, as_guest) == (True, True)
    else:
        assert (by_platform, as_guest) == {
            "refuse": (False, False),
            "guest_only": (False, True),
            "allow_without_pii": (True, True),
        }[policy]


@pytest.mark.parametrize(("guarded", "policy", "directed", "tells_ages"), [*product(GUARDED, POLICIES, OFTEN, OFTEN)])
def test_nobody_is_asked_about_a_child_where_the_answer_could_not_let_them_in(
    guarded: tuple[str, ...], policy: AgePolicy, directed: bool, tells_ages: bool
) -> None:
    rules = AccountRules(guarded_age_groups=guarded, age_policy=policy, directed_at_children=directed)
    refused = directed and "child" in guarded and policy != "allow_without_pii" and not tells_ages
    with pytest.raises(AccessDenied) if refused else nullcontext():
        require_unasked(rules, tells_ages=tells_ages, guest=False)


def test_guests_need_no_asking() -> None:
    rules = AccountRules(age_policy="guest_only", directed_at_children=True)
    require_unasked(rules, tells_ages=False, guest=True)
    with pytest.raises(AccessDenied):
        require_unasked(replace(rules, age_policy="refuse"), tells_ages=False, guest=True)


def test_whom_their_age_keeps_out_is_told_so_and_no_more() -> None:
    with pytest.raises(AccessDenied) as refused:
        require(AccountRules(age_policy="refuse"), "child", guest=False)
    assert (refused.value.reason, refused.value.facts) == ("age_restricted", {})
    require(AccountRules(age_policy="refuse"), "teen", guest=False)


@pytest.mark.parametrize(("may_link", "group"), [*product(OFTEN, GROUPS)])
def test_guarded_players_link_where_the_project_lets_them(may_link: bool, group: str) -> None:
    rules = AccountRules(guarded_may_link=may_link)
    if group != "child" or may_link:
        require_link(rules, told(group))
        return
    with pytest.raises(AccessDenied) as refused:
        require_link(rules, told(group))
    assert refused.value.reason == "age_restricted"


@pytest.mark.parametrize(
    ("one", "other", "younger"),
    [
        ("child", "adult", "child"),
        ("adult", "teen", "teen"),
        ("", "adult", "adult"),
        ("teen", "", "teen"),
        ("", "", ""),
        ("child", "child", "child"),
    ],
)
def test_the_younger_of_two_counts_and_what_is_known_before_what_is_not(one: str, other: str, younger: str) -> None:
    assert stricter(one, other) == younger


def test_of_a_guarded_player_neither_name_nor_profile_is_told() -> None:
    child = replace(PLAYER, age_group="child")
    loaded = LoadedGrant(grant(), child, '{"email":"a@b.example"}')
    found = discreet_grant(AccountRules(), loaded)
    assert (found.player.display_name, found.profile) == ("", "")
    assert found.player == discreet(AccountRules(), child)
    assert discreet_grant(AccountRules(guarded_age_groups=()), loaded) is loaded
    assert discreet(AccountRules(), PLAYER) is PLAYER
