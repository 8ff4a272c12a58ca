"""Where the demo's templates lie, and how one becomes an answer with its own content-security-policy.

Knows no page by name.
"""

import base64
import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from authsrv.shipped import shipped

if TYPE_CHECKING:
    from jinja2 import Environment


def directory() -> Path:
    """Where they lie."""
    return shipped("templates") / "demo"


class Templates:
    """Draws the demo's pages: one style for all, nothing from elsewhere, no script but by a page's own policy."""

    def __init__(self) -> None:
        self._style = (directory() / "page.css").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode("ascii")
        self._style_source = f"'sha256-{digest}'"

    def page(
        self, template: str, *, title: str, allow: str = "form-action 'none'", status: int = 200, **context: object
    ) -> HTMLResponse:
        """The page. `allow` holds the directives of its policy beyond the style."""
        text = self._engine.get_template(template).render(style=self._style, title=title, **context)
        headers = {
            "Content-Security-Policy": f"default-src 'none'; style-src {self._style_source}; "
            f"base-uri 'none'; frame-ancestors 'none'; {allow}",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return HTMLResponse(text, status, headers)

    @cached_property
    def _engine(self) -> "Environment":
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - takes a tenth of a start

        return Environment(
            loader=FileSystemLoader(directory()), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
