"""docs/pages.md names what others rely on: every id, problem and language."""

from pathlib import Path
from typing import get_args

import pytest

from authsrv.pages.localization import LOCALES
from authsrv.pages.problems import Problem
from authsrv.pages.render import Pages
from tests.pages.documents import read
from tests.pages.samples import FRIENDLY, look, samples

DOCS = (Path(__file__).parents[2] / "docs" / "pages.md").read_text(encoding="utf-8")
PAGES = Pages()
IDS = {found for _, page in samples() for found in read(PAGES.render(page, look(FRIENDLY), "en")).values("id")}


@pytest.mark.parametrize("name", sorted(IDS))
def test_every_id_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS


@pytest.mark.parametrize("problem", get_args(Problem))
def test_every_problem_is_documented(problem: str) -> None:
    assert f"`{problem}`" in DOCS


@pytest.mark.parametrize("locale", LOCALES[1:])
def test_every_language_is_documented(locale: str) -> None:
    assert f"`{locale}`" in DOCS
