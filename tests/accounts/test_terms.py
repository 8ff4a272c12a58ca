"""How long a ban lasts, as it is written."""

import pytest

from authsrv.accounts.terms import LATEST, end_of
from authsrv.errors import InvalidRequest
from authsrv.models import NEVER

NOW = 1_790_000_000


@pytest.mark.parametrize(
    ("until", "seconds", "end"),
    [
        ("", "", NEVER),
        ("", "1", NOW + 1),
        ("", "86400", NOW + 86400),
        ("", "0", NOW),
        ("1790086400", "", 1_790_086_400),
        ("2026-09-22T14:13:20Z", "", 1_790_086_400),
        ("2026-09-22T16:13:20+02:00", "", 1_790_086_400),
        ("2026-09-22T14:13:20.9Z", "", 1_790_086_400),
        ("9999-12-31T23:59:59Z", "", LATEST),
        ("", str(LATEST - NOW), LATEST),
    ],
)
def test_a_ban_lasts_until_a_time_for_some_seconds_or_for_good(until: str, seconds: str, end: int) -> None:
    assert end_of(until, seconds, NOW) == end


@pytest.mark.parametrize(
    ("until", "seconds", "parameter"),
    [
        ("1790086400", "60", "seconds"),
        ("", "-1", "seconds"),
        ("", "1.5", "seconds"),
        ("", "a day", "seconds"),
        ("", "\u0661", "seconds"),
        ("", "true", "seconds"),
        ("", str(LATEST - NOW + 1), "seconds"),
        ("", "9" * 13, "seconds"),
        ("tomorrow", "", "until"),
        ("2026-09-22", "", "until"),
        ("2026-09-22T14:13:20", "", "until"),
        ("253402300800", "", "until"),
        ("-5", "", "until"),
        ("9999-12-31T23:59:59-01:00", "", "until"),
    ],
)
def test_what_is_no_end_is_refused_by_name(until: str, seconds: str, parameter: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        end_of(until, seconds, NOW)
    assert refused.value.parameter == parameter
