"""What is wrong with a configuration file, as data and as the text that an operator reads.

Owns `Problem`, `ConfigError` and `report`. Knows no setting, and never sees a value of one.
"""

import re
from collections.abc import Sequence

from authsrv.records import dataclass

Path = tuple[str | int, ...]
"""Where a value stands: keys and list positions, from the root."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before anybody knows its line: where, what is wrong, and what to write instead."""

    path: Path
    what: str
    remedy: str = ""

    def below(self, prefix: Path) -> "Finding":
        """The same finding with its path seen from further up."""
        return Finding((*prefix, *self.path), self.what, self.remedy)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake or warning. `line` is 0 when the key is nowhere in the file, `key` empty for the file as a whole."""

    file: str
    line: int
    key: str
    what: str
    remedy: str = ""

    @property
    def where(self) -> str:
        """For example `line 12, projects.skyforge.clients.launcher.redirect_uris[0]`."""
        return ", ".join(part for part in (f"line {self.line}" if self.line else "", self.key) if part)

    def __str__(self) -> str:
        return _entry("problem", self)


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds every mistake, `warnings` what would have been warned of."""

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> None:
        self.problems = list(problems)
        self.warnings = list(warnings)
        super().__init__(report(problems, warnings))


def report(problems: Sequence[Problem], warnings: Sequence[Problem]) -> str:
    """Plain text for people: an entry for each problem, then each warning, then a line that counts them.

    authsrv.toml, line 12, projects.skyforge.clients.launcher.redirect_uris[0]
      problem: the redirect URI has a wildcard
      remedy:  list every address by itself; they are compared exactly

    1 problem, no warnings
    """
    entries = [_entry("problem", problem) for problem in problems] + [_entry("warning", one) for one in warnings]
    return "\n\n".join([*entries, f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"])


def key_text(path: Path) -> str:
    """`projects.skyforge.redirect_uris[0]`, with the quotes that TOML would need."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def overlap(one: Path, other: Path) -> bool:
    """Whether one path leads to or through the other."""
    return all(left == right for left, right in zip(one, other, strict=False))


def _key(part: str) -> str:
    if _BARE_KEY.fullmatch(part):
        return part
    return '"' + "".join(letter if letter.isprintable() else "?" for letter in part).replace('"', '\\"') + '"'


def _entry(kind: str, problem: Problem) -> str:
    lines = [", ".join(part for part in (problem.file, problem.where) if part), f"  {kind}: {problem.what}"]
    if problem.remedy:
        lines.append(f"  remedy:  {problem.remedy}")
    return "\n".join(lines)


def _count(found: Sequence[Problem], noun: str) -> str:
    return f"{len(found) or 'no'} {noun}{'' if len(found) == 1 else 's'}"
