"""The notation of the security checklist, section 4.2: PAGE-400 is `page(answer)`, RED(x) is `refused(answer) == x`,
TOK(x) is `token_error(answer) == x`.
"""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from authsrv.storage.memory.storage import MemoryStorage
from authsrv.storage.memory.tables import Tables
from tests.support.browser import SHOP_CALLBACK, Page
from tests.support.server import Server


def page(answer: httpx.Response | Page, status: int = 400) -> str:
    """The HTML of an error page that leads nowhere, is not cached, cannot be framed and tells no referrer."""
    got = answer.status if isinstance(answer, Page) else answer.status_code
    html, headers = answer.html if isinstance(answer, Page) else answer.text, answer.headers
    assert got == status, html
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "location" not in headers
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    return html


def refused(answer: httpx.Response, redirect_uri: str = SHOP_CALLBACK, state: str | None = "af0ifjsldkj") -> str:
    """The error of a redirect to the client with the exact state, the issuer, and no code."""
    assert answer.status_code in {302, 303}, answer.text
    place, told = told_at(answer.headers["location"])
    assert place == redirect_uri
    assert told["iss"] == "http://127.0.0.1:8080"
    assert told.get("state") == state
    assert "code" not in told
    assert answer.headers["cache-control"] == "no-store"
    return told["error"]


def token_error(answer: httpx.Response, status: int | None = None) -> str:
    """The error of a token request, in RFC 6749's JSON and nothing that may be cached or quoted."""
    told = answer.json()
    assert answer.status_code == (status or (401 if told["error"] == "invalid_client" else 400)), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert told.keys() <= {"error", "error_description", "parameter", "reason"}
    assert told["error_description"].isascii()
    assert told["error_description"].isprintable()
    assert not set('"\\') & set(told["error_description"])
    error: str = told["error"]
    return error


def told_at(location: str) -> tuple[str, dict[str, str]]:
    """An address without its query, and what the query says; no name may come twice."""
    found = parse_qsl(urlsplit(location).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(found)) == len(found)
    return location.partition("?")[0], dict(found)


def tables(server: Server) -> Tables:
    """The rows of a server on memory storage."""
    assert isinstance(server.app.storage, MemoryStorage)
    return server.app.storage._tables


def counts(server: Server) -> dict[str, int]:
    """How many rows the tables have that a sign-in writes."""
    found = tables(server)
    names = ("browsers", "requests", "trips", "sessions", "players", "grants", "reservations", "consents")
    return {name: len(getattr(found, name)) for name in names}


def demo(block: dict[str, Any]) -> dict[str, Any]:
    """The demo's project in a configuration that `running` lets edit."""
    found: dict[str, Any] = block["projects"]["demo"]
    return found


def clients(block: dict[str, Any]) -> dict[str, Any]:
    """The demo's clients."""
    found: dict[str, Any] = demo(block)["clients"]
    return found
