"""Secrets that stand in the configuration file itself, where anybody who sees the file reads them.

Finds them at any depth by their type, platform blocks included. Never repeats one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from authsrv.config.problems import Finding, Path
from authsrv.config.schema import Config
from authsrv.database_url import holds_password

_DATABASE = ("database", "url")
_REMEDY = 'write { env = "NAME" } or { file = "path" }; only with dev = true may a secret stand here'


def literal_secrets(config: Config, raw: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each. The address of a database is none unless it holds a password."""
    for path in _literals(config, raw, ()):
        if path != _DATABASE or holds_password(config.database.url.get_secret_value()):
            yield Finding(path, "the secret stands in the file itself", _REMEDY)


def _literals(value: Any, raw: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, SecretStr):
        if isinstance(raw, str):
            yield path
    elif isinstance(value, BaseModel) and isinstance(raw, Mapping):
        for name in raw:
            yield from _literals(getattr(value, name, None), raw[name], (*path, name))
    elif isinstance(value, Mapping) and isinstance(raw, Mapping):
        for name in raw:
            yield from _literals(value.get(name), raw[name], (*path, name))
    elif isinstance(value, tuple | list) and isinstance(raw, list):
        for place, (item, raw_item) in enumerate(zip(value, raw, strict=False)):
            yield from _literals(item, raw_item, (*path, place))
