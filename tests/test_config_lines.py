"""Where keys stand in a TOML text."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.config.lines import line_of, lines_of
from authsrv.config.problems import Path, key_text, overlap

TEXT = '''# a comment with [brackets] and = signs
issuer = "https://a.example" # [not.a.table]
text = """
[not.a.table]
not = "a key"
"""
raw = \'\'\'
x = 1\'\'\'

[projects."sky \\"forge"]   # quoted
name = 'x'
clients.shop.secret = { env = "NAME", "file" = 'x' }
redirects = [ # list
  "https://a.example/cb", "second",

  { a = [1, [2,
    3]] },
]
when = 1979-05-27 07:32:00
[[keys]]
key = 1
[keys.more]
deep = true
[[keys]]
key = 2
'''

LINES: dict[Path, int] = {
    ("issuer",): 2,
    ("text",): 3,
    ("raw",): 7,
    ("projects", 'sky "forge'): 10,
    ("projects", 'sky "forge', "name"): 11,
    ("projects", 'sky "forge', "clients"): 12,
    ("projects", 'sky "forge', "clients", "shop", "secret"): 12,
    ("projects", 'sky "forge', "clients", "shop", "secret", "file"): 12,
    ("projects", 'sky "forge', "redirects", 0): 14,
    ("projects", 'sky "forge', "redirects", 1): 14,
    ("projects", 'sky "forge', "redirects", 2, "a", 1, 1): 17,
    ("projects", 'sky "forge', "when"): 19,
    ("keys",): 20,
    ("keys", 0, "key"): 21,
    ("keys", 0, "more", "deep"): 23,
    ("keys", 1): 24,
    ("keys", 1, "key"): 25,
}


@pytest.mark.parametrize(
    ("path", "line"), LINES.items(), ids=lambda value: key_text(value) if isinstance(value, tuple) else ""
)
def test_every_kind_of_key_is_found(path: Path, line: int) -> None:
    assert lines_of(TEXT)[path] == line


def test_what_is_not_in_the_file_is_placed_at_what_is_around_it() -> None:
    lines = lines_of(TEXT)
    assert line_of(lines, ("projects", 'sky "forge', "missing")) == 10
    assert line_of(lines, ("keys", 1, "missing", 3)) == 24
    assert line_of(lines, ("missing",)) == 0
    assert line_of(lines, ()) == 0


def test_windows_line_ends_count_once() -> None:
    assert lines_of("a = 1\r\n\r\n[b]\r\nc = [\r\n1,\r\n]\r\n")[("b", "c", 0)] == 5


def test_a_text_that_is_not_toml_costs_line_numbers_only() -> None:
    assert lines_of("a = 1\nb = [1, [") == {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2}
    assert lines_of("= 1") == {}


VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_every_path_of_any_document_is_found(document: dict[str, Any]) -> None:
    text = "".join(f"{_quoted(key)} = {_inline(value)}\n" for key, value in document.items())
    assert tomllib.loads(text) == document
    assert set(lines_of(text)) == set(_paths(document, ()))
    assert sorted(line for path, line in lines_of(text).items() if len(path) == 1) == list(range(1, len(document) + 1))


def test_paths_are_written_as_toml_would_need_them() -> None:
    assert key_text(("projects", "a b", "uris", 0, 'x"y', "new\nline")) == 'projects."a b".uris[0]."x\\"y"."new?line"'
    assert key_text(()) == ""


def test_paths_overlap_when_one_leads_to_the_other() -> None:
    assert overlap(("a", "b"), ("a",))
    assert overlap(("a",), ("a", 0))
    assert not overlap(("a", "b"), ("a", "c"))


def _paths(value: Any, path: Path) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" if not letter.isalnum() else letter for letter in text) + '"'
