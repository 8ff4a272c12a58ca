"""What pydantic found wrong with a value, in the words of somebody who writes a TOML file.

Owns the table from pydantic's error types to sentences. Never repeats a value.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from authsrv.config.problems import Finding, Path
from authsrv.config.schema_tree import is_secret, keys_at

_SECRET_REMEDY = 'write { env = "NAME" } or { file = "path" }'
_SENTENCES: Mapping[str, tuple[str, str]] = {
    "missing": ("this is required, and not there", "add it"),
    "string_type": ("this is not a text", 'write it in quotes: key = "text"'),
    "int_type": ("this is not a whole number", "write it without quotes and fraction: key = 60"),
    "bool_type": ("this is neither true nor false", "write true or false, without quotes"),
    "tuple_type": ("this is not a list", 'write it in brackets: key = ["one", "two"]'),
    "model_type": ("this is not a table", "write it as a table, with its own keys"),
    "literal_error": ("this is none of the possible values", "write {expected}"),
    "greater_than_equal": ("this is too small", "write {ge} or more"),
    "greater_than": ("this is too small", "write more than {gt}"),
    "less_than_equal": ("this is too large", "write {le} or less"),
    "too_short": ("the list is too short", "write {min_length} or more"),
    "too_long": ("the list is too long", "write {max_length} or fewer"),
    "string_too_short": ("the text is too short", "write {min_length} characters or more"),
    "string_too_long": ("the text is too long", "write {max_length} characters or fewer"),
    "string_pattern_mismatch": ("this has not the right form", "write a text that matches {pattern}"),
}
_ALIASES = {
    "int_parsing": "int_type",
    "int_from_float": "int_type",
    "bool_parsing": "bool_type",
    "list_type": "tuple_type",
    "set_type": "tuple_type",
    "frozen_set_type": "tuple_type",
    "dict_type": "model_type",
    "model_attributes_type": "model_type",
}


def explain(error: ErrorDetails, raw: Mapping[str, Any]) -> Finding:
    """The finding for one of pydantic's errors about `raw`."""
    path = path_in(raw, error["loc"])
    kind = _ALIASES.get(error["type"], error["type"])
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "value_error":
        what, _, remedy = str(error["ctx"]["error"]).partition("; ")
        return Finding(path, what, remedy)
    if kind == "string_type" and is_secret(path):
        return Finding(path, "this is not a secret", _SECRET_REMEDY)
    what, remedy = _SENTENCES.get(kind, (error["msg"], ""))
    return Finding(path, what, remedy.format_map(error.get("ctx", {})))


def path_in(raw: Mapping[str, Any], location: tuple[str | int, ...]) -> Path:
    """Where pydantic's location stands in the file. It also names the branches of unions, which no file has."""
    path: Path = ()
    at: Any = raw
    for part in location[:-1]:
        if isinstance(at, Mapping) and part in at:
            path, at = (*path, part), at[str(part)]
        elif isinstance(at, list) and isinstance(part, int):
            path, at = (*path, part), at[part]
    # A key that is missing ends the location although it is not in the file.
    return (*path, location[-1]) if isinstance(at, Mapping | list) else path


def _unknown_key(path: Path) -> Finding:
    known = keys_at(path[:-1])
    close = get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    if close:
        return Finding(path, "there is no such key", f"did you mean {close[0]}?")
    if known:
        return Finding(path, "there is no such key", f"remove it; possible here: {', '.join(sorted(known))}")
    return Finding(path, "there is no such key", "remove it")
