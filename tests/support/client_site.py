"""The web site of a client, as little as a browser needs: some pages, and a memory of everything that came."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = "<!doctype html><html lang=en><title>{path}</title><h1>{path}</h1>"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request that came."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClientSite:
    """A site on a port of its own. Every path is a page that says its name, but for `files`: media type and content."""

    port: int
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def visited(self, path: str) -> list[Visit]:
        """The requests for a path, in their order."""
        return [visit for visit in self.visits if visit.path == path]


@contextmanager
def client_site() -> Iterator[ClientSite]:
    """A site for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._give("")

        def do_POST(self) -> None:
            self._give(self.rfile.read(int(self.headers.get("content-length", 0))).decode())

        def _give(self, body: str) -> None:
            parts = urlsplit(self.path)
            site.visits.append(Visit(self.command, parts.path, _single(parts.query), _single(body)))
            plain = ("text/html; charset=utf-8", PAGE.format(path=parts.path).encode())
            media_type, content = site.files.get(parts.path, plain)
            self.send_response(200)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = ClientSite(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
