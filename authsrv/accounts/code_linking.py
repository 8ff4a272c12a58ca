"""Linking by code: what a platform account that was proven on one device means to the player of another.

Owns that a code links once, and to whom. The rows are those of every other way of linking, but nobody is switched to
another player: whoever redeems a code is not signed in. Knows no HTTP framework and no page.
"""

from collections.abc import Sequence
from dataclasses import replace

from authsrv.account_models import Doer
from authsrv.accounts.arrivals import lost_to_another_change
from authsrv.accounts.cases import Case, Cases, Proof, Wishes
from authsrv.accounts.journal import Occasion
from authsrv.accounts.link_codes import FoundCode, LinkCodes, wrong_code
from authsrv.accounts.outcomes import Arrival, decided
from authsrv.audit import AuditEvent
from authsrv.errors import TemporarilyUnavailable
from authsrv.models import ConnectFlags
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.storage.account_changes import UseLinkCode
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change

_WISHES = Wishes(ConnectFlags(error_on_switch=True))


class CodeLinking:
    """Links a proven platform account to the player of a code."""

    def __init__(self, server: TokenServer, cases: Cases, codes: LinkCodes) -> None:
        self._server = server
        self._cases = cases
        self._codes = codes
        self._marks = server.proofs.logins.marks

    async def look(self, found: FoundCode, proof: Proof, sender: Sender) -> Arrival:
        """What `link` would come to now. Raises what that raises, and changes nothing."""
        return decided(await self._case(found, proof, sender), self._marks)

    async def link(self, found: FoundCode, proof: Proof, sender: Sender, also: Sequence[Change] = ()) -> Arrival:
        """Link, and use the code up. `also` is written with it; whoever loses a race for that gets its `Conflict`.

        Raises `AccountConflict` and the other errors of linking, and `InvalidGrant` for a code that was used meanwhile.
        """
        for _ in range(ATTEMPTS):
            case = await self._case(found, proof, sender)
            arrival = decided(case, self._marks)
            used = UseLinkCode(found.code.id, case.occasion.now)
            try:
                await self._server.apply([*arrival.changes, used, *also])
            except Conflict as conflict:
                if conflict.change == used:
                    raise wrong_code() from conflict
                if not lost_to_another_change(conflict):
                    raise
                continue
            self._note(found, proof, arrival, sender)
            return arrival
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _case(self, found: FoundCode, proof: Proof, sender: Sender) -> Case:
        """The case of the code's player, as if they were signed in here."""
        client, player = found.client, found.loaded.player
        doer = Doer("player", "", client.client_id, sender.cut_address)
        occasion = Occasion(client.project, doer, self._server.now(), self._server.storage.next_id)
        with outages_answered():
            account = await self._server.storage.load_account(player.merged_into or player.id)
        if account is None:
            raise wrong_code()
        # Once the account is read: what ended the code before is seen here, what takes something from the account later
        # meets its version.
        await self._codes.again(found.code.code_hash)
        return replace(await self._cases.load(proof, _WISHES, None, occasion), current=account)

    def _note(self, found: FoundCode, proof: Proof, arrival: Arrival, sender: Sender) -> None:
        if arrival.outcome != "linked":
            return
        event = AuditEvent(
            "identity.linked",
            project=found.code.project,
            client_id=found.client.client_id,
            sub=arrival.player.sub,
            platform=proof.platform,
        )
        self._server.note(event, sender)
