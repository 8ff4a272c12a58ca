"""The programs that docs/verifying-tokens.md shows, as the page has them."""

import re
from pathlib import Path

from tests.support.token_source import AUDIENCE, ISSUER

_PAGE = Path(__file__).parents[2] / "docs" / "verifying-tokens.md"
_BLOCK = re.compile(r"^```\w+ name=(?P<name>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def program(name: str, issuer: str) -> str:
    """The code block of this name, for another issuer."""
    blocks = {block["name"]: block["code"] for block in _BLOCK.finditer(_PAGE.read_text("utf-8"))}
    found = blocks[name]
    assert ISSUER in found
    assert AUDIENCE in found
    return found.replace(ISSUER, issuer)


def shown_feed() -> str:
    """The revocation feed as the page shows it."""
    return _PAGE.read_text("utf-8").partition("```json\n")[2].partition("```")[0]
