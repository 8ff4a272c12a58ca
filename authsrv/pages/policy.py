"""The content-security-policy of each page: exactly what it needs, and nothing from elsewhere.

Knows what a page contains, not how it looks.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from authsrv.pages.views import (
    AccountPage,
    ChooseAccountPage,
    ConflictPage,
    ConsentPage,
    DeleteAccountPage,
    FormPostPage,
    LinkCheckPage,
    LinkCodePage,
    LinkConfirmPage,
    LoggedOutPage,
    LoginPage,
    LogoutPage,
    Look,
    Page,
)

_SOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//[A-Za-z0-9.-]+(:(\d{1,5}|\*))?)?")
"""`scheme:` or `scheme://host:port` (CSP level 3, section 2.3.1). The grammar has no IPv6 addresses."""


def policy(page: Page, look: Look, nonce: str) -> str:
    """The header's value. Raises ValueError for a `form_targets` that is no source, so that none adds a directive."""
    return "; ".join(_directives(page, look, nonce))


def form_target(uri: str) -> str:
    """The source under which a form may end at this redirect URI: its scheme, or the loopback address on any port."""
    parts = urlsplit(uri)
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"):
        return f"http://{parts.hostname}:*"
    return f"{parts.scheme}:"


def _directives(page: Page, look: Look, nonce: str) -> Iterator[str]:
    yield "default-src 'none'"
    yield f"style-src 'nonce-{nonce}'"
    if look.logo or _client_logo(page):
        yield "img-src 'self'"
    if isinstance(page, FormPostPage):
        yield f"script-src 'nonce-{nonce}'"
    if isinstance(page, LoggedOutPage) and page.frames:
        yield " ".join(["frame-src", *dict.fromkeys(map(_origin, page.frames))])
    yield "base-uri 'none'"
    yield "frame-ancestors 'none'"
    yield " ".join(["form-action", *_form_sources(page)])


def _client_logo(page: Page) -> str:
    client = page.client if isinstance(page, LoginPage | ChooseAccountPage | ConsentPage) else None
    return client.logo if client else ""


def _form_sources(page: Page) -> tuple[str, ...]:
    match page:
        case (
            LoginPage()
            | ChooseAccountPage()
            | ConsentPage()
            | LogoutPage()
            | AccountPage()
            | LinkCheckPage()
            | LinkConfirmPage()
        ):
            return ("'self'", *map(_checked, page.form_targets))
        case ConflictPage() | DeleteAccountPage() | LinkCodePage():
            return ("'self'",)
        case FormPostPage():
            return tuple(map(_checked, page.form_targets))
        case _:
            return ("'none'",)


def _checked(source: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise ValueError(f"not a source of a content-security-policy: {source!r}")
    return source


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if ":" in (parts.hostname or ""):
        return _checked(f"{parts.scheme}:")  # no source can name an IPv6 address
    return _checked(f"{parts.scheme}://{parts.netloc}")
