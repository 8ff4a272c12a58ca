"""What an order works with, and how it refuses. Knows no order by name."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.server import TokenServer

Order = Callable[["Desk", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Takes its arguments and returns the members of its answer, both as JSON has them; raises `OrderRefused`."""


class OrderRefused(Exception):
    """The order was not carried out. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The open storage with what stands upon it: in the running server its own parts, so that an order acts at once.

    `server` has storage, clients, audit and clock.
    """

    server: TokenServer
    keys: KeyKeeper
