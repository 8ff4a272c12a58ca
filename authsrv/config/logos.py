"""A project's logo: read from its file and recognised by its content, never by the file's name.

Owns which kinds of image there are and how large they may be. Knows no page.
"""

import re
from pathlib import Path
from typing import Any
from xml.parsers import expat

from authsrv.records import dataclass

MAX_BYTES = 256 * 1024
_SVG_ROOT = "http://www.w3.org/2000/svg svg"
_MAGIC = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)


@dataclass(frozen=True, slots=True)
class Logo:
    """An image with its media type: `image/svg+xml`, `image/png`, `image/jpeg` or `image/webp`."""

    media_type: str
    content: bytes


def read_logo(path: Path) -> Logo:
    """The image in this file. Raises ValueError for a file that is no logo, with what is wrong and a remedy."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        raise ValueError("the file cannot be read; create it, or name another one") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"the image has more than {MAX_BYTES // 1024} KiB; make it smaller")
    return Logo(_media_type(content), content)


def _media_type(content: bytes) -> str:
    for media_type, magic in _MAGIC:
        if magic.match(content):
            return media_type
    if _root_of(content) == _SVG_ROOT:
        return "image/svg+xml"
    raise ValueError("this is no SVG, PNG, JPEG or WebP image; write the logo in one of these formats")


class _DoctypeFound(Exception):
    """A DOCTYPE may declare entities that grow without end, and no browser needs one in an SVG."""


def _root_of(content: bytes) -> str:
    """The name of an XML document's root after its namespace; empty if it is no XML."""
    names: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _attributes: names.append(name)
    parser.StartDoctypeDeclHandler = _stop
    try:
        parser.Parse(content, True)
    except _DoctypeFound:
        raise ValueError("the SVG has a DOCTYPE; remove it, from <!DOCTYPE to the > that ends it") from None
    except (expat.ExpatError, LookupError, ValueError):  # the last two for encodings that Python or expat lacks
        return ""
    return names[0]


def _stop(*_: Any) -> None:
    raise _DoctypeFound
