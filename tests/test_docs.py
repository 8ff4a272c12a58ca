"""The documentation names everything that a game, a server or an operator can meet, and its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args
from unittest.mock import MagicMock

import pytest
import typer.main
from starlette.routing import Route

from authsrv.audit import AuditKind
from authsrv.cli import app
from authsrv.endpoints.routes import Served, routes
from authsrv.errors import ErrorCode
from authsrv.platforms.base import RejectionReason, UserActionReason

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_REASON = re.compile(r'\breason="([a-z_]+)"')
_NO_SLUG = re.compile(r"[^\w\- ]")


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def told_elsewhere() -> Iterator[str]:
    """Reasons outside the vocabulary of the platforms, as the sources write them."""
    sources = [ROOT / "authsrv" / "players.py"]
    for part in ("oauth", "accounts", "endpoints"):
        sources += (ROOT / "authsrv" / part).rglob("*.py")
    for source in sources:
        yield from _REASON.findall(source.read_text(encoding="utf-8"))


REASONS = {*get_args(RejectionReason), *get_args(UserActionReason), *told_elsewhere()}


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_stands_in_a_contract(reason: str) -> None:
    pages = ("silent-login.md", "browser-sign-in.md", "client-registration.md", "players.md", "xsolla.md")
    assert f"`{reason}`" in "".join(map(page, pages))


@pytest.mark.parametrize("code", get_args(ErrorCode))
def test_every_error_code_is_documented(code: str) -> None:
    pages = ("silent-login.md", "tokens.md", "browser-sign-in.md", "client-registration.md", "players.md")
    assert f"`{code}`" in "".join(map(page, pages))


@pytest.mark.parametrize("kind", get_args(AuditKind))
def test_every_audit_event_is_documented(kind: str) -> None:
    assert f"`{kind}`" in page("operations.md")


@pytest.mark.parametrize(
    "path", [route.path for route in routes(cast("Served", MagicMock())) if isinstance(route, Route)]
)
def test_every_path_is_documented(path: str) -> None:
    names = (
        "silent-login.md",
        "browser-sign-in.md",
        "client-registration.md",
        "tokens.md",
        "operations.md",
        "players.md",
        "xsolla.md",
        "gamesparks.md",
    )
    assert re.search(rf"(?<![\w/]){re.escape(path)}`", "".join(map(page, names)))


def commands(group: Any, *before: str) -> Iterator[str]:
    """Every command below a group, groups too, as they are written."""
    for name, command in group.commands.items():
        yield " ".join((*before, name))
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)


@pytest.mark.parametrize("command", sorted(commands(typer.main.get_command(app))))
def test_every_command_is_documented(command: str) -> None:
    where = "emulator.md" if command.startswith("emulator ") else "operations.md"
    assert re.search(rf"authsrv {re.escape(command)}(?![\w-])", page(where))


def anchors(path: Path) -> set[str]:
    """The ids that headings get when the page is shown: lower case, without punctuation, hyphens for spaces."""
    headings = _HEADING.findall(_FENCED.sub("", path.read_text(encoding="utf-8")))
    return {_NO_SLUG.sub("", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_to_a_page_and_a_heading(path: Path) -> None:
    links = [link for link in _LINK.finditer(_FENCED.sub("", path.read_text(encoding="utf-8"))) if "://" not in link[0]]
    dead = [link[0] for link in links if not leads_somewhere(path, link["path"], link["anchor"])]
    assert not dead


def leads_somewhere(page: Path, target: str, anchor: str | None) -> bool:
    found = (page.parent / target) if target else page
    return found.exists() and (not anchor or anchor in anchors(found))
