"""Draws a page: template, language, colours and headers become one HTML answer.

The engine and the catalogues are loaded by the first page, since most nodes of a silent login never show one.
"""

import base64
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse

from authsrv.pages.colours import Colour, Palette, palette
from authsrv.pages.policy import policy
from authsrv.pages.problems import EXPLANATIONS
from authsrv.pages.views import Look, Page
from authsrv.shipped import shipped

if TYPE_CHECKING:
    from jinja2 import Environment

    from authsrv.pages.catalogues import Catalogues

LIGHT_SURFACE: Final = Colour.parse("#ffffff")
DARK_SURFACE: Final = Colour.parse("#1b1e24")
_ACCENT: Final = "#2f5bd3"


class Pages:
    """Every page of the sign-in. `templates` holds `pages/` and `locales/`; the shipped ones are the default."""

    def __init__(self, templates: Path | None = None, random: Callable[[int], bytes] = os.urandom) -> None:
        self._directory = templates or shipped("templates")
        self._random = random

    def render(self, page: Page, look: Look, locale: str, *, status: int = 200) -> HTMLResponse:
        """The page in one of LOCALES; KeyError for another.

        The other security headers are the same for every answer and added by the server.
        """
        nonce = base64.urlsafe_b64encode(self._random(16)).decode("ascii").rstrip("=")
        text = self._engine.get_template(page.TEMPLATE).render(
            page=page,
            look=look,
            locale=locale,
            nonce=nonce,
            light=_palette(look.accent, LIGHT_SURFACE),
            dark=_palette(look.accent_dark or look.accent, DARK_SURFACE),
            explanations=EXPLANATIONS,
            translations=self._catalogues[locale],
        )
        headers = {
            "content-security-policy": policy(page, look, nonce),
            "content-language": locale,
            "vary": "Accept-Language, Cookie",
            "cache-control": "no-store",
        }
        # A name from a platform may hold half a surrogate pair, which no encoding knows.
        return HTMLResponse(text.encode("utf-8", "replace"), status, headers)

    @cached_property
    def _engine(self) -> "Environment":
        from authsrv.pages.engine import environment  # noqa: PLC0415 - see the module's docstring

        return environment(self._directory / "pages")

    @cached_property
    def _catalogues(self) -> "Catalogues":
        from authsrv.pages.catalogues import Catalogues  # noqa: PLC0415 - see the module's docstring

        return Catalogues(self._directory / "locales")


def _palette(accent: str, surface: Colour) -> Palette:
    return palette(Colour.parse(accent or _ACCENT), surface)
