"""What must hold for how a project's pages look: colours, links and the logo's file.

A table of checks. Knows no page.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from authsrv.config.logos import read_logo
from authsrv.config.problems import Finding
from authsrv.config.schema import Config, LookSettings
from authsrv.config.web_addresses import HOST, page_problem
from authsrv.pages.colours import Colour

_MAIL = re.compile(rf"mailto:[A-Za-z0-9.!#$&'*+/=^_`{{|}}~-]+@(?:{HOST})(?:\?[A-Za-z0-9\-._~:/@!$&'()*+,;=%]*)?")


def _colours(look: LookSettings, _dev: bool) -> Iterator[Finding]:
    for name, text in (("accent", look.accent), ("accent_dark", look.accent_dark)):
        if text and not _is_colour(text):
            yield Finding((name,), "this is no colour", 'write it as "#rrggbb", two hexadecimal digits for each part')


def _is_colour(text: str) -> bool:
    try:
        Colour.parse(text)
    except ValueError:
        return False
    return True


def _links(look: LookSettings, dev: bool) -> Iterator[Finding]:
    for name, url in (("privacy_url", look.privacy_url), ("terms_url", look.terms_url)):
        problem = page_problem(url, dev=dev) if url else None
        if problem:
            yield problem.below((name,))


def _support_url(look: LookSettings, dev: bool) -> Iterator[Finding]:
    url = look.support_url
    if url.startswith("mailto:"):
        if not _MAIL.fullmatch(url):
            yield Finding(("support_url",), "this is no mail address", "write mailto:support@studio.example")
        return
    problem = page_problem(url, dev=dev) if url else None
    if problem:
        yield problem.below(("support_url",))


def _logo(look: LookSettings, _dev: bool) -> Iterator[Finding]:
    if not look.logo:
        return
    try:
        read_logo(Path(look.logo))
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding(("logo",), what, remedy)


LOOK_CHECKS: tuple[Callable[[LookSettings, bool], Iterator[Finding]], ...] = (_colours, _links, _support_url, _logo)
"""Each takes the block and whether the file is for development, and finds what is wrong, with paths in the block."""


def look_problems(config: Config, dev: bool) -> Iterator[Finding]:
    """Every mistake in the look of any project."""
    for key, project in config.projects.items():
        for check in LOOK_CHECKS:
            yield from (finding.below(("projects", key, "look")) for finding in check(project.look, dev))
