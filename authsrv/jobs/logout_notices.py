"""The background task that tells clients of ended sessions (OpenID Connect Back-Channel Logout 1.0 section 2.5).

Owns the rhythm and the number of tries. Which client is told of what was written with the end of the session; where it
is told is the client's entry.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from authsrv.audit import AuditEvent, AuditKind
from authsrv.models import Client, LogoutNotice
from authsrv.oauth.server import TokenServer
from authsrv.platforms.base import OutboundError, OutboundResponse
from authsrv.storage.base import Conflict, StorageError
from authsrv.storage.changes import PostponeNotice, RemoveNotice

INTERVAL = 1.0
"""Seconds between two looks for notices that are due."""
BATCH = 50
"""Notices that are told at the same time."""
PAUSES = (5, 30, 120, 600, 3600)
"""Seconds to wait after each try that failed; after the last one the client is given up."""
_TAKEN = frozenset({200, 204})

log = logging.getLogger("authsrv.logout")


class FormOutbound(Protocol):
    """How an address that a client gave is called."""

    async def post_form(self, url: str, form: Mapping[str, str], *, max_body: int = 4096) -> OutboundResponse:
        """POST a form, once; no redirect is followed. Raises `OutboundError`."""

    async def aclose(self) -> None:
        """Let go of everything."""


class LogoutNotices:
    """Tells every client of a session that it ended, and tries again when one does not take it."""

    def __init__(
        self, server: TokenServer, outbound: FormOutbound, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._server = server
        self._outbound = outbound
        self._sleep = sleep

    async def run(self) -> None:
        """Deliver for ever; cancel it to end it. What was not delivered is there after a restart."""
        while True:
            await self._sleep(INTERVAL)
            try:
                await self.round()
            except* StorageError as errors:
                log.warning("telling clients of logouts was put off: %s", errors.exceptions[0])

    async def round(self) -> int:
        """Deliver everything that is due now; how many notices that were. Raises `StorageError`."""
        due = await self._server.storage.load_due_notices(self._server.now(), BATCH)
        async with asyncio.TaskGroup() as group:
            for notice in due:
                group.create_task(self._deliver(notice))
        return len(due)

    async def _deliver(self, notice: LogoutNotice) -> None:
        client = self._server.registry.get(notice.client_id)
        if client is None or not client.logout.backchannel_logout_uri:
            await self._leave(notice)
            return
        if not await self._claim(notice):
            return  # another node is at it
        fault = await self._tell(client, notice)
        if not fault:
            await self._settle(notice)
            self._note("logout.told", client, notice)
        elif notice.attempts >= len(PAUSES):
            await self._settle(notice)
            self._note("logout.untold", client, notice, fault)
        else:
            log.warning("client %s was not told of a logout, try %d: %s", client.client_id, notice.attempts + 1, fault)

    async def _leave(self, notice: LogoutNotice) -> None:
        """There is nobody to be told in this configuration; in another node's there may be, and its turn may come."""
        if not self._server.storage.shared or notice.attempts >= len(PAUSES):
            await self._settle(notice)
        else:
            await self._claim(notice)

    async def _tell(self, client: Client, notice: LogoutNotice) -> str:
        """Why the client did not take it; empty if it did."""
        sid = self._server.opaque.public_id("sid", notice.session_id)
        token = self._server.tokens.logout_token(notice, sid, client, self._server.now())
        try:
            answer = await self._outbound.post_form(client.logout.backchannel_logout_uri, {"logout_token": token})
        except OutboundError as error:
            return str(error)
        return "" if answer.status in _TAKEN else f"it answered {answer.status}"

    async def _claim(self, notice: LogoutNotice) -> bool:
        """Plan the next try before this one: if the process dies in the call, or its answer is lost, nothing is."""
        later = self._server.now() + PAUSES[min(notice.attempts, len(PAUSES) - 1)]
        try:
            await self._server.storage.apply([PostponeNotice(notice.id, notice.attempts, later)])
        except Conflict:
            return False
        return True

    async def _settle(self, notice: LogoutNotice) -> None:
        await self._server.storage.apply([RemoveNotice(notice.id)])

    def _note(self, kind: AuditKind, client: Client, notice: LogoutNotice, reason: str = "") -> None:
        event = AuditEvent(kind, project=client.project.key, client_id=client.client_id, sub=notice.sub, reason=reason)
        self._server.audit.record(event)
