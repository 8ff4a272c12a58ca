"""Reads the configuration file and reports everything that is wrong with it at once.

Owns the order: text, TOML, types, then sense. To judge the sense of a file with wrong types it takes the wrong parts
out and goes on with the rest.
"""

import re
import time
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from itertools import takewhile
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from authsrv.config.checks import find_problems, find_warnings
from authsrv.config.explain import explain
from authsrv.config.lines import line_of, lines_of
from authsrv.config.problems import ConfigError, Finding, Path, Problem, key_text, overlap
from authsrv.config.schema import Config
from authsrv.platforms.base import Clock
from authsrv.records import dataclass

_POSITION = re.compile(r" \(at (?:line (?P<line>[0-9]+), column [0-9]+|end of document)\)")
_STAND_INS: Mapping[Path, Any] = {
    ("issuer",): "https://stand-in.invalid",
    ("database",): {"url": "sqlite:///stand-in"},
    ("database", "url"): "sqlite:///stand-in",
}
"""For what is required and not there, so that the rest can be judged. Never part of a result."""
_MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its name, what stands in it, and on which line."""

    file: str
    tables: Mapping[str, Any]
    lines: Mapping[Path, int]

    def problems(self, findings: Iterable[Finding]) -> list[Problem]:
        """The findings with their lines, in the order of the file."""
        placed = [
            Problem(self.file, line_of(self.lines, one.path), key_text(one.path), one.what, one.remedy)
            for one in findings
        ]
        return sorted(placed, key=lambda problem: problem.line)


def load(path: FilePath, clock: Clock = time.time) -> Config:
    """The configuration in this file, with its secrets read. Raises `ConfigError` with every mistake in it."""
    return judge(read(path), int(clock()))


def read(path: FilePath) -> Source:
    """What stands in this file, whether or not it makes sense. Raises `ConfigError` if it is no TOML."""
    text = _read(path)
    return Source(path.name, _parse(path, text), lines_of(text))


def judge(source: Source, now: int) -> Config:
    """The configuration that the tables make, at this Unix second. Raises `ConfigError` with every mistake in them."""
    config, sound, findings = _validate(source.tables)
    broken = [one.path for one in findings]
    if config is None:
        raise ConfigError(source.problems(findings))
    findings += find_problems(config, sound, broken)
    warnings = source.problems(find_warnings(config, broken, now))
    if findings:
        raise ConfigError(source.problems(findings), warnings)
    config._warnings = tuple(warnings)  # noqa: SLF001 - the loader is where a Config comes from
    return config


def _read(path: FilePath) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        what = f"the file cannot be read: {error.strerror or type(error).__name__}"
        raise ConfigError(
            [Problem(path.name, 0, "", what, "name another file, or start from authsrv.example.toml")]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(path.name, 0, "", "the file is not UTF-8", "save it as UTF-8")]) from None


def _parse(path: FilePath, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(path.name, text, str(error))]) from None
    except RecursionError:
        raise ConfigError([Problem(path.name, 0, "", "the file is nested too deeply", "remove the brackets")]) from None


def _syntax_problem(file: str, text: str, message: str) -> Problem:
    found = _POSITION.search(message)
    what = f"this is not TOML: {message[: found.start()] if found else message}"
    line = int(found["line"]) if found and found["line"] else text.count("\n") + 1
    remedy = "write each key and each table once, texts in quotes, one setting per line"
    return Problem(file, line, "", what, remedy)


def _validate(raw: Mapping[str, Any]) -> tuple[Config | None, dict[str, Any], list[Finding]]:
    """The configuration made of what can be read, the tables it was made of, and what cannot be read."""
    sound = deepcopy(dict(raw))
    findings: list[Finding] = []
    for _ in range(_MOST_ROUNDS):
        try:
            return Config.model_validate(sound), sound, findings
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        found = [(explain(detail, sound), detail["type"] == "missing") for detail in details]
        for finding, is_missing in found:
            if not any(overlap(finding.path, earlier.path) for earlier in findings):
                findings.append(finding)
            _mend(sound, finding.path, is_missing=is_missing)
    return None, sound, findings


def _mend(sound: dict[str, Any], path: Path, *, is_missing: bool) -> None:
    """Take out what cannot be read; put in what is required, or take out the block that lacks it."""
    if is_missing and path in _STAND_INS:
        _parent(sound, path)[str(path[-1])] = deepcopy(_STAND_INS[path])
        return
    target = _without_positions(path[:-1] if is_missing else path)
    _parent(sound, target).pop(str(target[-1]), None)


def _without_positions(path: Path) -> Path:
    """The path up to the first list: an item taken out of it would renumber the others."""
    return tuple(takewhile(lambda part: isinstance(part, str), path))


def _parent(tables: dict[str, Any], path: Path) -> dict[str, Any]:
    """The table that holds the last key of a path; an empty one if an earlier repair took it out."""
    for part in path[:-1]:
        found = tables.get(str(part))
        tables = found if isinstance(found, dict) else {}
    return tables
