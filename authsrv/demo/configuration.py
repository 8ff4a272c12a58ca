"""The demo's configuration file: one project, emulated platforms and guests, a PlayFab title, every kind of client.

Owns the documented demo secrets. Knows the configuration's keys, and no rule about them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from authsrv.demo.templates import directory
from authsrv.emulator.toml import to_toml
from authsrv.models import TOKEN_EXCHANGE

USUAL_PORT = 8080
PROJECT = "demo"
SHOP_SECRET = "shop-secret"
_SCOPES = ["openid", "profile", "email", "address", "phone", "offline"]
_GAME_SCOPES = ["openid", "profile", "offline", "playfab"]
_BACKENDS = ["https://match.studio.example", "https://chat.studio.example"]
"""Audiences as the documentation's examples name them; nobody is there."""
_JOIN = "match:join"
_HEAD = "# Written by `authsrv demo` at every start; changes made here are lost.\n\n"


Blocks = Mapping[str, Mapping[str, Any]]
"""Tables of a project, by name."""


def configuration(port: int, state: Path, platforms: Blocks, services: Blocks) -> dict[str, Any]:
    """The whole configuration. `state` is the demo's directory, the others are the emulator's blocks."""
    project = {
        "name": "Demo Studio",
        "look": _look(port),
        **services,
        "platforms": {**platforms, "guest": {}},
        "clients": _clients(port),
    }
    return {
        "issuer": _origin(port),
        "dev": True,
        "server": {"host": "127.0.0.1", "port": port, "drain_seconds": 0, "graceful_seconds": 2},
        "database": {"url": f"sqlite:///{state / 'authsrv.db'}"},
        "limits": {"multiplier": 100},
        "log": {"level": "warning", "format": "console"},
        "projects": {PROJECT: project},
    }


def text(port: int, state: Path, platforms: Blocks, services: Blocks) -> str:
    """The configuration as the content of `authsrv.toml`."""
    return _HEAD + to_toml(configuration(port, state, platforms, services))


def _origin(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _look(port: int) -> dict[str, str]:
    return {
        "logo": str(directory() / "logo.svg"),
        "accent": "#0f766e",
        "accent_dark": "#2dd4bf",
        "support_url": f"{_origin(port)}/demo",
        "privacy_url": f"{_origin(port)}/demo/privacy",
        "terms_url": f"{_origin(port)}/demo/terms",
    }


def _clients(port: int) -> dict[str, dict[str, Any]]:
    return {
        "launcher": _launcher(),
        "shop": _shop(port),
        "spa": _single_page_application(port),
        "backend": _backend(),
        "40": {
            "name": "Demo game on an Xsolla SDK",
            "type": "public",
            "compat": "xsolla",
            "native": True,
            "redirect_uris": ["http://127.0.0.1/blank"],
            "scopes": _GAME_SCOPES,
        },
    }


def _launcher() -> dict[str, Any]:
    return {
        "name": "Demo launcher",
        "type": "public",
        "native": True,
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE],
        "scopes": [*_GAME_SCOPES, "account"],
        "extra_scopes": [_JOIN],
        "audiences": _BACKENDS,
        "id_token_audiences": ["https://mod.io"],
    }


def _backend() -> dict[str, Any]:
    return {
        "name": "Demo game server",
        "type": "server",
        "secret": "backend-secret",
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "extra_scopes": [_JOIN],
        "audiences": _BACKENDS,
        "exchange_from": ["launcher"],
        "introspect": True,
    }


def _shop(port: int) -> dict[str, Any]:
    ports = dict.fromkeys((port, USUAL_PORT))
    page = f"{_origin(port)}/demo/shop"
    return {
        "name": "Demo shop",
        "secret": SHOP_SECRET,
        "redirect_uris": [f"{_origin(each)}/demo/callback" for each in ports],
        "post_logout_redirect_uris": [page],
        "initiate_login_uri": f"{page}/login",
        "scopes": _SCOPES,
        **_links(port, page),
    }


def _single_page_application(port: int) -> dict[str, Any]:
    page = f"{_origin(port)}/demo/spa"
    return {
        "name": "Demo single-page application",
        "type": "public",
        "redirect_uris": [page],
        "post_logout_redirect_uris": [page],
        "cors_origins": [_origin(port)],
        "scopes": _SCOPES,
        **_links(port, page),
    }


def _links(port: int, page: str) -> dict[str, str]:
    return {
        "client_uri": page,
        "policy_uri": f"{_origin(port)}/demo/privacy",
        "tos_uri": f"{_origin(port)}/demo/terms",
    }
