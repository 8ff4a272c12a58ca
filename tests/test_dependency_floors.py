"""Row H16: below these versions a known fault returns. A new floor gets its reason here, in the same change."""

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)==([^\s;\\]+)")


@dataclass(frozen=True, slots=True)
class Floor:
    name: str
    version: str
    reason: str


DIRECT = [
    Floor("authlib", "1.9.8", "open redirects (1.6.10, 1.7.1), alg:none (1.6.7); the grants are fitted to 1.9"),
    Floor("joserfc", "1.8.0", "PBES2 cost CVE-2026-27932 (1.6.3), size limits, empty signatures (1.7.4)"),
    Floor("pyjwt", "2.15.1", "CVE-2026-48523 to 48525 (2.13.0), strict base64url GHSA-hxm8-2xgr-2p9m"),
    Floor("starlette", "1.10.0", "BadHost CVE-2026-48710 (1.0.1), form limits CVE-2026-54283 (1.3.1), body limit"),
    Floor("uvicorn", "0.54.0", "log injection and response splitting (0.11.7); our protocol guard fits 0.54"),
    Floor("httpx", "0.28.1", "CVE-2021-41945 (0.20.0); our transport and its tests fit 0.28"),
    Floor("aiosqlite", "0.22.1", "the writer connection fits the private interface of 0.22"),
    Floor("cryptography", "50.0.2", "CVE-2026-26007 (46.0.5), bundled OpenSSL CVE-2024-12797 (44.0.1)"),
    Floor("jinja2", "3.1.6", "sandbox escapes CVE-2024-56326, CVE-2025-27516; attribute injection"),
]
INDIRECT = [
    Floor("h11", "0.16.0", "request smuggling through chunked bodies CVE-2025-43859"),
    Floor("idna", "3.7", "slow input CVE-2024-3651"),
    Floor("certifi", "2024.7.4", "removed roots CVE-2023-37920, CVE-2024-39689"),
]
OPTIONAL = [
    Floor("python-multipart", "0.0.31", "CVE-2026-53538 and 53539 (0.0.30), negative length CVE-2026-53540"),
    Floor("h2", "4.3.0", "request splitting CVE-2025-57804"),
    Floor("pyyaml", "5.4", "CVE-2020-14343"),
    Floor("psycopg", "3.3.9", "the version our tests run with"),
    Floor("asyncpg", "0.32.0", "CVE-2020-17446 (0.21.0)"),
    Floor("apsw", "3.54.1.0", "bundles SQLite without the WAL-reset corruption"),
]


def floors(table: list[Floor]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("floor", table, ids=[floor.name for floor in table])


def installed(name: str) -> Version | None:
    try:
        return Version(version(name))
    except PackageNotFoundError:
        return None


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    found = [Requirement(line) for line in [*extras, *project["dependencies"]]]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def lower_bound(requirement: Requirement) -> Version | None:
    bounds = [Version(each.version) for each in requirement.specifier if each.operator in (">=", "==", "~=")]
    return max(bounds, default=None)


@floors(DIRECT + INDIRECT)
def test_H16_no_installed_library_is_below_its_floor(floor: Floor) -> None:
    found = installed(floor.name)
    assert found is not None, f"{floor.name} is not installed"
    assert found >= Version(floor.version), floor.reason


@floors(OPTIONAL)
def test_H16_a_library_that_can_be_imported_counts_as_used(floor: Floor) -> None:
    assert (installed(floor.name) or Version(floor.version)) >= Version(floor.version), floor.reason


@floors(DIRECT)
def test_H16_the_package_states_the_floor(floor: Floor) -> None:
    assert lower_bound(requirements()[floor.name]) == Version(floor.version), floor.reason


def test_H16_every_requirement_has_a_lower_bound() -> None:
    assert [name for name, requirement in requirements().items() if lower_bound(requirement) is None] == []


@floors(DIRECT + INDIRECT)
def test_H16_the_pinned_version_is_not_below_the_floor(floor: Floor) -> None:
    lock = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {canonicalize_name(name): Version(pinned) for name, pinned in PIN.findall(lock)}
    assert pins[canonicalize_name(floor.name)] >= Version(floor.version), floor.reason
