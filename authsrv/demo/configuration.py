"""The demo's configuration file: one project, three emulated platforms, one client of every kind.

Owns the documented demo secrets. Knows the configuration's keys, and no rule about them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from authsrv.emulator.toml import to_toml

USUAL_PORT = 8080
_HEAD = "# Written by `authsrv demo` at every start; changes made here are lost.\n\n"


def configuration(port: int, state: Path, platforms: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The whole configuration. `state` is the demo's directory, `platforms` the emulator's block."""
    return {
        "issuer": _origin(port),
        "dev": True,
        "server": {"host": "127.0.0.1", "port": port, "drain_seconds": 0, "graceful_seconds": 2},
        "database": {"url": f"sqlite:///{state / 'authsrv.db'}"},
        "limits": {"multiplier": 100},
        "log": {"level": "warning", "format": "console"},
        "projects": {"demo": {"name": "Demo", "platforms": platforms, "clients": _clients(port)}},
    }


def text(port: int, state: Path, platforms: Mapping[str, Mapping[str, Any]]) -> str:
    """The configuration as the content of `authsrv.toml`."""
    return _HEAD + to_toml(configuration(port, state, platforms))


def _origin(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _clients(port: int) -> dict[str, dict[str, Any]]:
    ports = dict.fromkeys((port, USUAL_PORT))
    return {
        "launcher": {
            "name": "Demo launcher",
            "type": "public",
            "native": True,
            "redirect_uris": ["http://127.0.0.1/callback"],
        },
        "shop": {
            "name": "Demo shop",
            "secret": "shop-secret",
            "redirect_uris": [f"{_origin(each)}/demo/callback" for each in ports],
        },
        "spa": {
            "name": "Demo single-page application",
            "type": "public",
            "redirect_uris": [f"{_origin(port)}/demo/spa"],
            "cors_origins": [_origin(port)],
        },
        "backend": {"name": "Demo game server", "type": "server", "secret": "backend-secret"},
        "40": {
            "name": "Demo game on an Xsolla SDK",
            "type": "public",
            "compat": "xsolla",
            "native": True,
            "redirect_uris": ["http://127.0.0.1/blank"],
        },
    }
