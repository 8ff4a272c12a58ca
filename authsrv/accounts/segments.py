"""Segments: what a game notes on a player at sign-in, to tell groups of players apart.

Owns their form and size, and which keys a project has. They come from the client, so they never grant anything.
"""

import json
from collections.abc import Mapping

from authsrv.errors import InvalidRequest
from authsrv.models import AccountRules

LONGEST = 2048
"""Bytes of the JSON object in UTF-8."""


def segments_of(sent: Mapping[str, object], rules: AccountRules) -> str:
    """What is stored of a JSON object of texts; empty for an empty one. Raises `InvalidRequest`."""
    if not set(sent) <= set(rules.segments):
        raise InvalidRequest("A segment is none of the project's; see accounts.segments.", parameter="segments")
    if not all(isinstance(value, str) and "\0" not in value for value in sent.values()):
        raise InvalidRequest("Each segment is a text.", parameter="segments")
    text = json.dumps(sent, ensure_ascii=False, separators=(",", ":")) if sent else ""
    if len(text.encode()) > LONGEST:
        raise InvalidRequest(f"The segments have more than {LONGEST} bytes.", parameter="segments")
    return text
