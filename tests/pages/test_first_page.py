"""A start must not pay for pages that may never be shown; and templates may stand elsewhere."""

import shutil
import subprocess
import sys
from pathlib import Path

from authsrv.pages.render import Pages
from authsrv.pages.views import ClientCard, DonePage
from tests.pages.samples import LOOK

ROOT = Path(__file__).parents[2]
IMPORTED = """
import sys
from authsrv.pages.render import Pages
import authsrv.pages.localization, authsrv.pages.policy, authsrv.pages.views
Pages()
print([name for name in ("jinja2", "markupsafe", "babel", "gettext") if name in sys.modules])
"""


def test_importing_and_making_the_pages_loads_neither_the_engine_nor_babel() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_catalogue_is_read_once(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    pages = Pages(tmp_path / "templates")
    first = pages.render(DonePage(ClientCard("A")), LOOK, "de")
    shutil.rmtree(tmp_path / "templates" / "locales")
    second = pages.render(DonePage(ClientCard("A")), LOOK, "de")
    assert "Diese Anmeldung ist abgeschlossen" in bytes(first.body).decode()
    assert "Diese Anmeldung ist abgeschlossen" in bytes(second.body).decode()
