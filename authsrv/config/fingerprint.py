"""A short text that is the same for two configurations exactly if they mean the same to players.

Owns what does not count: where a process listens, how it reaches the database, and what it logs.
"""

import json
from hashlib import sha256
from typing import Any

from pydantic import SecretStr

from authsrv.config.schema import Config

_OWN = {"server", "database", "log", "metrics"}
"""What may differ from node to node."""


def fingerprint(config: Config) -> str:
    """16 hexadecimal digits. Nothing can be guessed from it: it has 64 bits, and the passphrase is no part of it."""
    told = config.model_dump(exclude={**dict.fromkeys(_OWN, True), "keys": {"passphrase"}})
    return sha256(json.dumps(told, sort_keys=True, default=_plain).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    return str(value)
