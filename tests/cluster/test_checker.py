"""What the checker takes from clients' files: an end whose answer was lost promises nothing, in either direction."""

from pathlib import Path

from tests.cluster.checker import known
from tests.cluster.ledger import Ledger

LINKED = {"sub": "amber", "identity": "xbox:1"}


def read(tmp_path: Path, *written: tuple[str, dict[str, str]]) -> tuple[dict[str, str], set[str], set[str]]:
    with Ledger(tmp_path / "0.jsonl") as ledger:
        for fact, told in written:
            ledger.note(fact, **told)
    found = known([tmp_path / "0.jsonl"])
    return found.linked, found.erasing, found.erased


def test_a_link_that_was_answered_is_a_promise(tmp_path: Path) -> None:
    assert read(tmp_path, ("linked", LINKED)) == ({"xbox:1": "amber"}, set(), set())


def test_an_unlink_whose_answer_was_lost_ends_the_promise_of_the_link(tmp_path: Path) -> None:
    ending = {"how": "unlink", **LINKED}
    assert read(tmp_path, ("linked", LINKED), ("ending", ending)) == ({}, set(), set())


def test_who_is_linked_again_after_that_may_rely_on_it(tmp_path: Path) -> None:
    ending = {"how": "unlink", **LINKED}
    linked, _, _ = read(tmp_path, ("linked", LINKED), ("ending", ending), ("linked", LINKED))
    assert linked == {"xbox:1": "amber"}


def test_an_erasure_whose_answer_was_lost_is_known_as_begun_and_not_as_done(tmp_path: Path) -> None:
    ending = {"how": "erase", "sub": "amber"}
    _, erasing, erased = read(tmp_path, ("linked", LINKED), ("ending", ending))
    assert (erasing, erased) == ({"amber"}, set())
