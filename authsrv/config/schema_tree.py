"""The JSON Schema of the configuration file, for editors, and questions to it: which keys stand where.

Knows no value.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from authsrv.config.problems import Path
from authsrv.config.schema import Config

Node = Mapping[str, Any]

_SECRET_FORMAT = "password"
_SECRET = {
    "description": "A secret, read when the server starts.",
    "anyOf": [
        {
            "type": "object",
            "properties": {"env": {"type": "string", "description": "Name of an environment variable."}},
            "required": ["env"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"file": {"type": "string", "description": "Path of a file."}},
            "required": ["file"],
            "additionalProperties": False,
        },
        {"type": "string", "description": "The secret itself, with dev = true only.", "format": _SECRET_FORMAT},
    ],
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `authsrv.toml`. Secrets may be written as `{ env = ... }` or `{ file = ... }`."""
    schema = _with_secret_forms(_raw_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "authsrv.toml"}


def keys_at(path: Path) -> tuple[str, ...]:
    """The keys a table at this path may have; none if it takes any, or is no table."""
    schema = _raw_schema()
    return tuple(key for node in _nodes_at(schema, path) for key in node.get("properties", ()))


def is_secret(path: Path) -> bool:
    """Whether the value at this path is a secret."""
    schema = _raw_schema()
    return any(node.get("format") == _SECRET_FORMAT for node in _nodes_at(schema, path))


def all_settings() -> list[tuple[str, ...]]:
    """Every setting and block, platforms included, as a path with KEY for the names that operators choose."""
    schema = _raw_schema()
    return sorted(set(_settings(schema, schema, ())))


@cache
def _raw_schema() -> dict[str, Any]:
    return Config.model_json_schema()


def _settings(schema: Node, node: Node, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for option in _options(schema, node):
        for key, below in option.get("properties", {}).items():
            yield (*path, key)
            yield from _settings(schema, below, (*path, key))
        if isinstance(option.get("additionalProperties"), Mapping):
            yield from _settings(schema, option["additionalProperties"], (*path, "KEY"))
        if "items" in option:
            yield from _settings(schema, option["items"], path)


def _nodes_at(schema: Node, path: Path) -> list[Node]:
    nodes = [schema]
    for part in path:
        nodes = [below for node in nodes for option in _options(schema, node) for below in _step(option, part)]
    return [option for node in nodes for option in _options(schema, node)]


def _options(schema: Node, node: Node) -> Iterator[Node]:
    """The node itself, or what it refers to, or each of its alternatives."""
    if "$ref" in node:
        yield from _options(schema, schema["$defs"][node["$ref"].removeprefix("#/$defs/")])
    elif "anyOf" in node:
        for option in node["anyOf"]:
            yield from _options(schema, option)
    else:
        yield node


def _step(node: Node, part: str | int) -> list[Node]:
    if isinstance(part, int):
        return [node["items"]] if "items" in node else []
    below = node.get("properties", {}).get(part, node.get("additionalProperties"))
    return [below] if isinstance(below, Mapping) else []


def _with_secret_forms(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_secret_forms(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == _SECRET_FORMAT:
        return _SECRET | {key: node[key] for key in ("title", "description") if key in node}
    return {key: _with_secret_forms(value) for key, value in node.items()}
