"""On which line of a TOML text a key stands, which the standard library's parser does not tell.

Owns a scanner for text that parser has already accepted; it judges nothing and reads no value.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress

from authsrv.config.problems import Path

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_HEADER = re.compile(r"\[\[?[ \t]*")
_HEADER_END = re.compile(r"[ \t]*\]\]?")
_COMMA = re.compile(r",?")
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')" + r'|"(?:\\.|[^"\\])*"' + r"|'[^']*'" + r"|[^,\]}#\n]+",
    re.DOTALL,
)


def lines_of(text: str) -> Mapping[Path, int]:
    """The line, from 1, of every table header, key and list item in a valid TOML text."""
    scanner = _Scanner(text)
    # A text beyond this scanner costs line numbers, never the report itself.
    with suppress(ValueError, IndexError):
        scanner.document()
    return scanner.found


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a path or of the nearest thing around it; 0 if nothing of it is in the file."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 0)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._array_sizes: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._take(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._take(_BLANK)

    def _header(self) -> Path:
        line = self._line()
        is_array = self._take(_HEADER).startswith("[[")
        *parents, name = self._keys()
        self._take(_HEADER_END)
        path = (*self._inside((), tuple(parents)), name)
        if is_array:
            self._array_sizes[path] = self._array_sizes.get(path, 0) + 1
        table = self._inside(path[:-1], (name,))
        self._note(path, line)
        self._note(table, line)
        return table

    def _inside(self, base: Path, keys: tuple[str, ...]) -> Path:
        """The path of a table, which for an array of tables is that of its latest element."""
        path = base
        for key in keys:
            path = (*path, key)
            if path in self._array_sizes:
                path = (*path, self._array_sizes[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._take(_EQUALS)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._list(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._take(_SCALAR)

    def _list(self, path: Path) -> None:
        self._at += 1
        self._take(_BLANK)
        position = 0
        while self._text[self._at] != "]":
            self._note((*path, position), self._line())
            self._value((*path, position))
            self._separator()
            position += 1
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._take(_BLANK)
        while self._text[self._at] != "}":
            self._pair(path)
            self._separator()
        self._at += 1

    def _separator(self) -> None:
        self._take(_BLANK)
        self._take(_COMMA)
        self._take(_BLANK)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while _DOT.match(self._text, self._at):
            self._take(_DOT)
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        written = self._take(_KEY)
        return next(iter(tomllib.loads(f"{written}=0"))) if written[0] in "\"'" else written

    def _note(self, path: Path, line: int) -> None:
        self.found.setdefault(path, line)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if not match:
            raise ValueError("the scanner disagrees with the parser about this text")
        self._at = match.end()
        return match[0]
