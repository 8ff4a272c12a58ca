"""The template engine: HTML escaped by default, no undefined names, translated texts with named placeholders.

The only importer of Jinja2 here; `render` imports this module with the first page.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.ext import InternationalizationExtension
from jinja2.runtime import Context
from markupsafe import Markup

from authsrv.pages.times import ago, day, iso, moment


def environment(directory: Path) -> Environment:
    """Templates of `directory`. Each rendering gets its language as `translations`."""
    found = Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=[InternationalizationExtension],
    )
    found.policies["ext.i18n.trimmed"] = True
    found.filters["name"] = name
    found.filters["day"] = _day
    found.filters["moment"] = _moment
    found.filters["ago"] = _ago
    found.tests["web"] = is_web
    found.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]  # by the extension
    return found


def name(text: str) -> Markup:
    """Somebody's name inside a sentence: its writing direction does not reach the words around it."""
    return Markup("<bdi>{}</bdi>").format(text)


def is_web(url: str) -> bool:
    """Whether a link may be shown: a registered address is foreign text, and `javascript:` is one too."""
    return url.startswith(("https://", "http://"))


@pass_context
def _day(context: Context, when: int) -> Markup:
    return _time(when, day(when, context["locale"]))


@pass_context
def _moment(context: Context, when: int) -> Markup:
    return _time(when, moment(when, context["locale"]))


@pass_context
def _ago(context: Context, when: int) -> Markup:
    return _time(when, ago(when, context["page"].now, context["locale"]))


def _time(when: int, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(iso(when), text)


@pass_context
def _gettext(context: Context, text: str) -> str:
    return str(context["translations"].gettext(text))


@pass_context
def _ngettext(context: Context, one: str, many: str, number: int) -> str:
    return str(context["translations"].ngettext(one, many, number))
