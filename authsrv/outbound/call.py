"""One call to a platform: what is asked, until when, and whether any of it was already written.

Owns the words of its errors. Knows no HTTP library and no platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authsrv import __version__
from authsrv.platforms.base import OutboundError

BASE_HEADERS = {"User-Agent": f"authsrv/{__version__}", "Accept-Encoding": "identity"}
"""What every call says beside its own headers."""


class NotConnected(OutboundError):
    """There was no connection, so nothing can have been understood."""


class NotSendable(OutboundError):
    """The request itself cannot be written as HTTP, which says nothing about the platform."""


class NoAnswer(OutboundError):
    """The answer did not come in time."""


class CircuitOpen(OutboundError):
    """Nothing was sent, because nobody answered lately."""


class NoPlace(OutboundError):
    """Nothing was sent, because too many calls are under way."""


@dataclass(slots=True, repr=False, eq=False)  # not frozen: it records its own progress; no repr: it holds secrets
class Call:
    """`deadline` is in the event loop's time. The Host header and the content's length are left to who sends it."""

    platform: str
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes
    max_body: int
    deadline: float
    sent: bool = False
    connection: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by the connection before and after each of its steps (httpcore's `trace` extension)."""
        if event == "http11.send_request_headers.started":
            self.sent, self.connection = True, None
        if event == "connection.connect_tcp.complete":
            self.connection = info["return_value"]

    async def abandon(self) -> None:
        """Close a connection that was given up in its TLS handshake: httpcore forgets those, open."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.aclose()

    def error(
        self, what: str, kind: type[OutboundError] = OutboundError, *, retry_after: int | None = None
    ) -> OutboundError:
        """An error that names the platform, and never the address, headers, body or another library's words."""
        return kind(f"{self.platform}: {what}", sent=self.sent, retry_after=retry_after)
