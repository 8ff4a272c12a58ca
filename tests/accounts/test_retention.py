"""For how long things of one player are kept, and who has been away for too long."""

from dataclasses import replace

import pytest

from authsrv.account_models import Account, AccountRecord, Dossier, GrantRecord, SessionRecord
from authsrv.accounts.retention import kept_for, last_seen, seems_inactive
from authsrv.models import NEVER, AccountRules, Player, Retention
from tests.support.storage import NOW, player
from tests.support.storage_browsers import session

DAY = 86400
USUAL = AccountRules()
KEPT = Retention(100 * DAY, 7 * DAY, 90 * DAY, 50 * DAY, 30 * DAY, 1000 * DAY)


@pytest.mark.parametrize("age_group", ["child", "teen"])
def test_P08_of_children_and_teenagers_things_are_kept_for_half_as_long(age_group: str) -> None:
    half = Retention(50 * DAY, 7 * DAY // 2, 45 * DAY, 25 * DAY, 30 * DAY, 500 * DAY)
    assert kept_for(replace(player(), age_group=age_group), USUAL, KEPT) == half


@pytest.mark.parametrize("age_group", ["", "adult"])
def test_P08_of_others_for_as_long_as_the_project_wants(age_group: str) -> None:
    assert kept_for(replace(player(), age_group=age_group), USUAL, KEPT) == KEPT


def test_P08_a_day_is_a_day_for_everybody() -> None:
    short = Retention(*[DAY] * 6)
    assert kept_for(replace(player(), age_group="child"), USUAL, short) == short


@pytest.mark.parametrize(("age_group", "days"), [("", 50), ("child", 50), ("teen", 50), ("adult", 100)])
def test_P08_P12_where_games_are_made_for_children_who_may_be_one_is_one(age_group: str, days: int) -> None:
    rules = AccountRules(directed_at_children=True)
    assert kept_for(replace(player(), age_group=age_group), rules, KEPT).journal == days * DAY


def away(days: int, **fields: object) -> Player:
    return replace(player(), last_login_at=NOW - days * DAY, **fields)  # type: ignore[arg-type]  # its own fields


@pytest.mark.parametrize(
    ("who", "goes"),
    [
        pytest.param(away(1000), False, id="to the day"),
        pytest.param(away(1001), True, id="a day longer"),
        pytest.param(away(501, age_group="teen"), True, id="a teenager"),
        pytest.param(away(500, age_group="teen"), False, id="a teenager, to the day"),
        pytest.param(away(1001, merged_into=2), False, id="merged into another"),
        pytest.param(away(1001, barred_until=NEVER, barred_as="banned"), True, id="banned"),
        pytest.param(away(1001, barred_until=NEVER, barred_as="restricted"), False, id="restricted"),
        pytest.param(away(1001, barred_until=NOW, barred_as="restricted"), True, id="restricted once"),
    ],
)
def test_P08_who_has_not_logged_in_for_too_long(who: Player, goes: bool) -> None:
    assert seems_inactive(who, kept_for(who, USUAL, KEPT), NOW) is goes


def test_P08_without_a_limit_nobody_has_been_away_for_too_long() -> None:
    assert not seems_inactive(away(100_000), replace(KEPT, inactive_accounts=0), NOW)


GRANT = GrantRecord("shop", (), (), "steam", "steam", "1", NOW, NOW, NOW, NOW, True, 0, None, "")


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        pytest.param({}, NOW, id="login"),
        pytest.param({"grants": (replace(GRANT, created_at=NOW + 5),)}, NOW + 5, id="grant"),
        pytest.param({"grants": (GRANT, replace(GRANT, refreshed_at=NOW + 6))}, NOW + 6, id="refresh"),
        pytest.param({"sessions": (SessionRecord(replace(session(), used_at=NOW + 7), ()),)}, NOW + 7, id="session"),
    ],
)
@pytest.mark.parametrize("merged", [False, True])
def test_P08_who_still_plays_was_there(record: dict[str, tuple[object, ...]], seen: int, merged: bool) -> None:
    own, full = AccountRecord(Account(player())), AccountRecord(Account(player()), **record)  # type: ignore[arg-type]
    assert last_seen(Dossier(own, (full,)) if merged else Dossier(full, (own,))) == seen
