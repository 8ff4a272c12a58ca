"""What every change of several accounts has in common."""

from itertools import permutations

from authsrv.accounts.changing import advanced
from authsrv.storage.account_changes import AdvanceVersion
from tests.support.storage import player


def test_versions_rise_in_one_order_whoever_is_named_first() -> None:
    """Else two changes of the same players could wait for each other for ever on a database that locks rows."""
    for order in permutations([player(1), player(2), player(3)]):
        assert advanced(*order) == [AdvanceVersion(number, 1) for number in (1, 2, 3)]
