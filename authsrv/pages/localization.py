"""Which language a player reads: from `ui_locales` (OIDC Core 3.1.2.1) and Accept-Language.

Pure. Garbage never raises and costs no more than a short text. Knows no page and no catalogue.
"""

import re
from collections.abc import Iterator
from typing import Final

LOCALES: Final = ("en", "de", "fr", "es", "pt-BR", "ja", "ko", "zh-Hans")
"""BCP 47 tags of the languages that the pages speak; the first is the fallback."""

_NONE: Final = ""
_BY_RANGE: Final = {
    **{locale.lower(): locale for locale in LOCALES},
    "pt": "pt-BR",
    "zh": "zh-Hans",
    **dict.fromkeys(("zh-hant", "zh-tw", "zh-hk", "zh-mo"), _NONE),  # traditional script: the next wish is better
}
_RANGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,8}")
_QUALITY: Final = re.compile(r"[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*")
_LIMIT: Final = 500  # characters; a browser sends about forty


def negotiate(ui_locales: str, accept_language: str) -> str:
    """One of LOCALES, by lookup (RFC 4647 section 3.4).

    `ui_locales` is space-separated, best first, and goes before the header `Accept-Language` (RFC 9110 section 12.5.4).
    """
    wishes = [*ui_locales[:_LIMIT].split(), *_by_quality(accept_language[:_LIMIT])]
    return next(filter(None, map(_lookup, wishes)), LOCALES[0])


def _by_quality(header: str) -> list[str]:
    wishes = sorted(_weighted(header), key=lambda wish: wish[0], reverse=True)
    return [text for quality, text in wishes if quality > 0]


def _weighted(header: str) -> Iterator[tuple[float, str]]:
    """Each language range with its quality. A range with an unreadable quality is not wanted."""
    for item in header.split(","):
        text, semicolon, weight = item.partition(";")
        quality = _QUALITY.fullmatch(weight)
        yield float(quality[1]) if quality else float(not semicolon), text.strip(" \t")


def _lookup(wish: str) -> str:
    if not _RANGE.fullmatch(wish):
        return _NONE
    subtags = wish.lower().split("-")
    shorter = ("-".join(subtags[:length]) for length in range(len(subtags), 0, -1))
    return next((_BY_RANGE[text] for text in shorter if text in _BY_RANGE), _NONE)
