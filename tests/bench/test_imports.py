"""What a start imports is summed by library, and all lines of the table add up."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.figures import filled
from bench.imports import BESIDE, IMPORTS, REST, STANDARD, WHOLE, Told, findings, milliseconds
from bench.keeping import record
from tests.bench.test_results import results

TOLD = """import time: self [us] | cumulative | imported package
import time:      1500 |       1500 |   json.decoder
import time:       500 |       2000 | json
{"event": "a line of the log"}
import time:     20000 |      25000 |   authsrv.config
import time:     10000 |      35000 | authsrv
import time:      3000 |       3000 | pydantic.main
"""
BLOCK = "<!-- bench: imports -->\nof before\n<!-- /bench -->\n"


def test_each_library_has_what_its_own_modules_took() -> None:
    assert milliseconds(TOLD) == {STANDARD: 2.0, "authsrv": 30.0, "pydantic": 3.0}


def test_the_lines_add_up_to_the_start_and_the_largest_come_first() -> None:
    small = "".join(f"import time:      {100 + each} |      100 | library_{each}\n" for each in range(20))
    lines = {one.name.removeprefix(IMPORTS): one.median for one in findings(Told(0.1, TOLD + small))}
    assert list(lines)[:3] == ["authsrv", "pydantic", STANDARD]
    assert list(lines)[-4:] == ["library_11", REST, BESIDE, WHOLE]
    assert lines[WHOLE] == 100.0
    assert sum(lines.values()) == pytest.approx(200.0)


def test_the_table_shows_each_library_with_its_share(tmp_path: Path) -> None:
    run = results()
    told = replace(run, findings=[*run.findings, *findings(Told(0.1, TOLD))])
    document = filled(BLOCK, record(told, tmp_path))
    assert "| authsrv | 30.0 | 30% |\n| pydantic | 3.0 | 3% |" in document
    assert f"| {BESIDE} | 65.0 | 65% |\n| {WHOLE} | 100.0 | 100% |\n" in document
    assert IMPORTS not in filled("<!-- bench: findings -->\n<!-- /bench -->", record(told, tmp_path))


def test_a_run_of_before_has_no_such_table(tmp_path: Path) -> None:
    assert "has no such figures" in filled(BLOCK, record(results(), tmp_path))
