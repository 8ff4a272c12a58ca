"""The audit trail: one schema for everything an operator must be able to look up later.

Owns which facts an audit event may hold: no secret, no platform account id, no whole address. Knows no storage; an
event is a line of the log under the logger name `authsrv.audit`.
"""

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Literal

from authsrv.log import Emit, Event
from authsrv.records import dataclass

AuditKind = Literal[
    "login.succeeded",
    "login.refused",
    "player.created",
    "player.age_group_changed",
    "player.exported",
    "player.erased",
    "player.transferred",
    "player.merged",
    "player.undone",
    "player.banned",
    "player.unbanned",
    "player.restricted",
    "player.unrestricted",
    "identity.banned",
    "identity.unbanned",
    "token.issued",
    "token.refreshed",
    "token.revoked",
    "tokens.revoked_before",
    "token.exchanged",
    "session.started",
    "session.ended",
    "identity.linked",
    "identity.unlinked",
    "consent.given",
    "consent.withdrawn",
    "logout.told",
    "logout.untold",
    "code.replayed",
    "refresh.reused",
    "credential.replayed",
    "client.refused",
    "client.registered",
    "client.updated",
    "client.removed",
    "client.expired",
    "registration.refused",
    "config.reloaded",
    "keys.created",
    "keys.announced",
    "keys.erased",
    "keys.revoked",
    "keys.sealed",
    "database.restored",
    "server.started",
    "server.stopped",
]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that happened. Empty facts are left out of the line.

    `project` is its key in the configuration, `sub` our player id, `platform` a platform's name, `reason` a stable
    machine code, `address` the `cut` form of a client address (`authsrv.addresses.ClientAddress`), never the whole.
    `registered_with` is the name that the configuration gives an initial access token, `kid` a signing key's id,
    `exchanged_from` the client whose access token was exchanged, `other_sub` the other one of two players, `operator`
    who gave an order by a command.
    """

    kind: AuditKind
    project: str = ""
    client_id: str = ""
    sub: str = ""
    platform: str = ""
    reason: str = ""
    request_id: str = ""
    address: str = ""
    registered_with: str = ""
    kid: str = ""
    exchanged_from: str = ""
    other_sub: str = ""
    operator: str = ""


_FACTS = tuple(one.name for one in fields(AuditEvent) if one.name != "kind")


class Audit:
    """Records audit events: one dict and one queue put, so that it may stand on the hot path."""

    def __init__(self, emit: Emit, *, now: Callable[[], float] = time.time) -> None:
        self._emit = emit
        self._now = now

    def record(self, event: AuditEvent) -> None:
        """Write the event to the log. Never blocks, never raises."""
        line: Event = {"event": event.kind, "logger": "authsrv.audit", "level": "info", "time": self._now()}
        for name in _FACTS:
            value = getattr(event, name)
            if value:
                line[name] = value
        self._emit(line)
