"""Unlinking at the wish of the player: who may, what is told of it, and what it would come to.

Owns that the player signed in a moment ago. Knows no HTTP framework.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.accounts.access import AccountSession
from authsrv.accounts.journal import Occasion
from authsrv.accounts.naming import Wanted
from authsrv.accounts.summaries import Summaries, blocked, undo_of
from authsrv.accounts.unlinking import Unlinked, Unlinking
from authsrv.audit import AuditEvent
from authsrv.errors import LastIdentity, NotLinked
from authsrv.oauth.server import TokenServer


class OwnUnlinking:
    """Unlinks platform accounts of the player who asks."""

    def __init__(self, server: TokenServer, unlinking: Unlinking, summaries: Summaries) -> None:
        self._server = server
        self._unlinking = unlinking
        self._summaries = summaries

    async def unlink(self, session: AccountSession, wanted: Wanted) -> Mapping[str, Any]:
        """What is left of the account, and by which event and until when the player may take it back."""
        unlinked = await self._unlinking.unlink(session.player.id, wanted, self._occasion(session))
        event = AuditEvent(
            "identity.unlinked",
            project=session.client.project.key,
            client_id=session.client.client_id,
            sub=session.player.sub,
            platform=wanted.provider,
        )
        self._server.note(event, session.sender)
        return {**self._told("unlinked", unlinked), "undo": self._undo(unlinked)}

    async def preview(self, session: AccountSession, wanted: Wanted) -> Mapping[str, Any]:
        """What `unlink` would come to. Changes nothing."""
        try:
            unlinked = await self._unlinking.plan(session.player.id, wanted, self._occasion(session))
        except (LastIdentity, NotLinked) as error:
            return blocked(error)
        return self._told("would_unlink", unlinked)

    def _occasion(self, session: AccountSession) -> Occasion:
        now = self._server.now()
        session.require_recent(now)
        return Occasion(session.client.project, session.doer, now, self._server.storage.next_id)

    def _told(self, outcome: str, unlinked: Unlinked) -> dict[str, Any]:
        return {
            "outcome": outcome,
            "identity": self._summaries.linked(unlinked.linked),
            "user": self._summaries.account(unlinked.account),
        }

    def _undo(self, unlinked: Unlinked) -> dict[str, str] | None:
        event = unlinked.planned.event
        return undo_of(event, self._server.opaque.public_id("event", event.id), event.at)
