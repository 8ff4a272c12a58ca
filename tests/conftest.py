"""Tests that need a tool the machine lacks: left out with one line locally, a failure where CI is set. And chance."""

import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings

from tests.support.postgres import chosen, with_tls

# A time limit would fail on a busy machine, and say nothing of the code.
settings.register_profile("authsrv", deadline=None)
settings.load_profile("authsrv")

HERE = Path(__file__).parent
TOOLS: Mapping[str, tuple[str, ...]] = {
    "browser": ("chromium", "chromium-browser", "google-chrome"),
    "caddy": ("caddy",),
    "curl": ("curl",),
    "go": ("go",),
    "nginx": ("nginx",),
    "node": ("node",),
    "postgres": ("postgres",),
    "postgres_tls": ("postgres with TLS",),
    "redis": ("redis-server", "valkey-server"),
}
OFF_THE_PATH: Mapping[str, str] = {"go": "usr/local/go/bin/go", "nginx": "usr/sbin/nginx"}
"""Where a tool is found although no search path names it."""
FOUND: Mapping[str, Callable[[], object]] = {"postgres": chosen, "postgres_tls": with_tls}
"""What finds a tool that need not lie where programs do: of PostgreSQL there is mostly the one that PyPI has."""
_left_out = pytest.StashKey[Counter[str]]()


def _missing(mark: str) -> bool:
    if mark in FOUND:
        return not FOUND[mark]()
    found = any(shutil.which(name) for name in TOOLS[mark])
    return not found and not (mark in OFF_THE_PATH and any(Path("/").glob(OFF_THE_PATH[mark])))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lacking = [mark for mark in TOOLS if _missing(mark)]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in lacking)]
    config.stash[_left_out] = Counter(m for item in left_out for m in lacking if item.get_closest_marker(m))
    if os.environ.get("CI") or not left_out:
        return
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Where workers collect and run, only the controller is heard, and it does not know how many tests there are."""
    if not config.getoption("numprocesses", default=None):
        return []
    marked = {mark for mark in TOOLS for file in HERE.rglob("*.py") if f"mark.{mark}" in file.read_text("utf-8")}
    lacking = [f"{mark} tests (no {TOOLS[mark][0]})" for mark in TOOLS if mark in marked and _missing(mark)]
    return [f"{_verb()}: {', '.join(lacking)}"] if lacking else []


def _verb() -> str:
    return "will fail" if os.environ.get("CI") else "left out"


def pytest_report_collectionfinish(config: pytest.Config) -> str | list[str]:
    lacking = config.stash.get(_left_out, Counter())
    if not lacking:
        return []
    return f"{_verb()}: " + ", ".join(f"{count} {mark} tests (no {TOOLS[mark][0]})" for mark, count in lacking.items())


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, names in TOOLS.items():
        if item.get_closest_marker(mark) and _missing(mark):
            pytest.fail(f"this test needs {names[0]}, and CI must have it", pytrace=False)


@pytest.fixture
def chance() -> Random:
    """Another one in every run; a failure shows its seed, and AUTHSRV_TEST_SEED=<seed> has the same again."""
    seed = os.environ.get("AUTHSRV_TEST_SEED") or str(secrets.randbits(32))
    sys.stdout.write(f"AUTHSRV_TEST_SEED={seed}\n")
    return Random(seed)  # noqa: S311 - chance for tests, not for secrets
