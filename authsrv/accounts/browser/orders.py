"""What players order on their account page: to sign out elsewhere, to take back what a client may have or what was
changed, to unlink.

Owns what is written and audited for it. Whose page a form stood on is judged in `desk.py`.
"""

from dataclasses import replace

from authsrv.account_models import Doer
from authsrv.accounts.browser.desk import AccountCall, AccountDesk, Order, Resident
from authsrv.accounts.journal import Happening, event_of
from authsrv.accounts.managed import ManagedPlayers
from authsrv.accounts.naming import Wanted
from authsrv.accounts.own_unlinking import OwnUnlinking
from authsrv.audit import AuditEvent
from authsrv.oauth.browser.sessions import BrowserSessions
from authsrv.oauth.server import TokenServer
from authsrv.storage.account_changes import RecordEvent
from authsrv.storage.changes import Change, WithdrawConsent


class AccountOrders:
    """Carries orders out. Each says whether there was anything to do: a form may be older than what it speaks of."""

    def __init__(
        self,
        server: TokenServer,
        desk: AccountDesk,
        sessions: BrowserSessions,
        unlinking: OwnUnlinking,
        managed: ManagedPlayers,
    ) -> None:
        self._server = server
        self._desk = desk
        self._sessions = sessions
        self._unlinking = unlinking
        self._managed = managed

    async def sign_out(self, call: AccountCall, order: Order) -> bool:
        """End one session of the player's. `order.item` is its public id."""
        resident = await self._desk.require(call, order)
        known = await self._desk.sessions(resident) if resident else ()
        meant = next((one.signed_in for one in known if one.public_id == order.item), None)
        if resident is None or meant is None:
            return False
        ending = await self._sessions.ended(meant, "signed_out", self._server.now())
        await self._write(resident, call, [*ending.changes], AuditEvent("session.ended", reason="signed_out"))
        return True

    async def withdraw(self, call: AccountCall, order: Order) -> bool:
        """Take a consent back, which ends what the client was given. `order.item` is the client_id."""
        resident = await self._desk.require(call, order)
        known = await self._desk.consents(resident) if resident else ()
        meant = next((consent for consent in known if consent.client_id == order.item), None)
        if resident is None or meant is None:
            return False
        player_id, now = resident.signed_in.player.id, self._server.now()
        happening = Happening("consent_withdrawn", player_id, facts={"scope": list(meant.scope)})
        doer = Doer("player", "", order.item, call.sender.cut_address)
        event = event_of(happening, resident.project, doer, self._server.storage.next_id(), now)
        changes: list[Change] = [WithdrawConsent(player_id, order.item, now), RecordEvent(event)]
        await self._write(resident, call, changes, AuditEvent("consent.withdrawn", client_id=order.item))
        return True

    async def unlink(self, call: AccountCall, order: Order) -> bool:
        """Take a platform account from the player. `order.item` is its name in the forms of this browser."""
        resident = await self._desk.require(call, order)
        known = await self._desk.identities(resident) if resident else ()
        meant = next((one for one in known if one.ref == order.item), None)
        if resident is None or meant is None:
            return False
        key = meant.linked.key
        wanted = Wanted(meant.provider, key.subject, key.kind, key.environment)
        await self._unlinking.unlink(resident.session, wanted)
        return True

    async def undo(self, call: AccountCall, order: Order) -> bool:
        """Take back a link or an unlink of the player's. `order.item` is the event's public id."""
        resident = await self._desk.require(call, order)
        if resident is None:
            return False
        await self._managed.undo_own(order.item, resident.session, preview=False)
        return True

    async def _write(self, resident: Resident, call: AccountCall, changes: list[Change], event: AuditEvent) -> None:
        await self._server.apply(changes)
        told = replace(event, project=resident.project.key, sub=resident.signed_in.player.sub)
        self._server.note(told, call.sender)
