"""`[retention]`: what it means, what is too long, and what is never let through."""

from pathlib import Path

import pytest

from authsrv.config import load
from authsrv.models import Retention
from tests.support.configuration import PROJECT, problems, set_environment, warnings, written

DAY = 86400


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def with_retention(*settings: str) -> str:
    return PROJECT + "[retention]\n" + "\n".join(settings) + "\n"


def test_P08_what_is_kept_by_default(tmp_path: Path) -> None:
    rules = load(written(tmp_path, PROJECT)).retention.rules()
    assert rules == Retention(
        journal=365 * DAY,
        addresses=7 * DAY,
        bans=90 * DAY,
        withdrawn_consents=365 * DAY,
        erasures=30 * DAY,
        inactive_accounts=0,
    )
    assert rules == Retention()


def test_P08_each_time_is_a_setting_of_its_own(tmp_path: Path) -> None:
    text = with_retention(
        *("journal_days = 20", "address_days = 2", "ban_days = 3"),
        *("withdrawn_consent_days = 4", "erasure_days = 5", "inactive_account_days = 6"),
    )
    rules = load(written(tmp_path, text)).retention.rules()
    assert rules == Retention(20 * DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY, 6 * DAY)


LONGEST = [
    ("journal_days", 1098),
    ("address_days", 30),
    ("ban_days", 366),
    ("withdrawn_consent_days", 1098),
    ("erasure_days", 30),
]


@pytest.mark.parametrize(("name", "longest"), LONGEST)
def test_P08_a_time_that_is_too_long_takes_a_further_word_and_is_told_at_every_start(
    tmp_path: Path, name: str, longest: int
) -> None:
    assert problems(tmp_path, with_retention(f"{name} = {longest}")) == []
    (problem,) = problems(tmp_path, with_retention(f"{name} = {longest + 1}"))
    assert (problem.key, problem.what) == (f"retention.{name}", f"this is kept for longer than {longest} days")
    (warning,) = warnings(tmp_path, with_retention(f"{name} = {longest + 1}", "beyond_limits = true"))
    assert (warning.key, warning.what) == (problem.key, problem.what)


@pytest.mark.parametrize("name", [name for name, _ in LONGEST])
@pytest.mark.parametrize("value", ["0", "-1", "3651", '"for ever"', "true", "inf"])
def test_P08_nothing_is_kept_for_ever(tmp_path: Path, name: str, value: str) -> None:
    text = with_retention(f"{name} = {value}", "beyond_limits = true")
    assert [problem.key for problem in problems(tmp_path, text)] == [f"retention.{name}"]


def test_P08_an_undo_needs_the_journal(tmp_path: Path) -> None:
    text = with_retention("journal_days = 13")
    assert [problem.key for problem in problems(tmp_path, text)] == ["projects.p.accounts.undo_window"]
    assert problems(tmp_path, with_retention("journal_days = 14")) == []


def test_P08_sessions_that_are_stored_for_long_are_told_at_every_start(tmp_path: Path) -> None:
    assert warnings(tmp_path, PROJECT + "[sessions]\nabsolute = 2592000\n") == []
    (warning,) = warnings(tmp_path, PROJECT + "[sessions]\nabsolute = 2592001\n")
    assert warning.key == "sessions.absolute"
