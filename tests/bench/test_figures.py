"""The documents' figures are those of the newest recorded run, and of nobody's memory."""

from pathlib import Path

import pytest

from bench.figures import BLOCKS, DOCUMENTS, filled
from bench.keeping import newest, record
from bench.servers import ROOT
from tests.bench.test_results import results

ALL_BLOCKS = "".join(f"Before.\n<!-- bench: {name} -->\nof before\n<!-- /bench -->\n" for name in BLOCKS)


def test_every_block_is_written_anew_and_the_rest_stays(tmp_path: Path) -> None:
    document = filled(ALL_BLOCKS, record(results(), tmp_path))
    assert "of before" not in document
    assert document.count("Before.\n") == len(BLOCKS)
    assert filled(document, newest(tmp_path)) == document, "twice is as once"
    assert (
        "| code exchange, ES256 | 1,000 | 3.0 ms | 120 us | 1.20 times its CPU | 0.1 times `wrong` (9 wrong answers) |"
        in document
    )
    assert "| code exchange, ES256 | 1,000 | 1,300 | 90 | 50 | 9,000 (some wrong) |" in document
    assert "| silent login | 1,000 | - | - | - | - |" in document
    assert "| cold start | 0.65 s | 0.50 to 0.70 | 0.6 s |" in document


def test_a_block_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        filled("<!-- bench: unheard_of -->\n<!-- /bench -->", record(results(), tmp_path))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_say_what_the_newest_run_found(name: str) -> None:
    document = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- bench: " in document
    try:
        recorded = newest()
    except FileNotFoundError:
        return
    assert filled(document, recorded) == document, "run python -m bench.figures"
