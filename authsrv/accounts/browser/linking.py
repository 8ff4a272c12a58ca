"""Linking a platform account from the account page: away to the platform, and back with a proof.

Owns that what comes back is linked to the player who left, in the session that left, and to nobody else (rows D43, D45
and D46). What it comes to is decided as for every other way of linking.
"""

import json
from collections.abc import Awaitable, Sequence

from authsrv import errors
from authsrv.accounts.arrivals import lost_to_another_change
from authsrv.accounts.browser.contests import Contest, Contests
from authsrv.accounts.browser.desk import AccountCall, AccountDesk, Order, Resident
from authsrv.accounts.callers import Caller
from authsrv.accounts.cases import Case, Wishes, proof_of
from authsrv.accounts.doors import ConnectParts
from authsrv.accounts.entries import NoEntry
from authsrv.accounts.journal import Occasion
from authsrv.accounts.outcomes import Arrival, decided
from authsrv.limits import Rule
from authsrv.models import ConnectFlags, PendingRequest, Project
from authsrv.oauth.browser.account_client import entry
from authsrv.oauth.browser.authorize import Outcome
from authsrv.oauth.browser.pending import RequestCompleted
from authsrv.oauth.browser.request import PURPOSE
from authsrv.oauth.browser.trips import TRIP_SECONDS, BackHome, Failed, Homecoming, Proven, Trips
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.server import ATTEMPTS
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AddRequest, Change, CompleteRequest, UseTrip

_SESSION = "session"
"""The session that left, as the kept request names it."""
_WISHES = Wishes(ConnectFlags(do_not_create_new_player=True))


@dataclass(frozen=True, slots=True)
class Linked:
    """The platform account is the player's."""

    project: Project


class AccountLinking:
    """Sends players away for another platform account, and links what they come back with."""

    def __init__(self, parts: ConnectParts, desk: AccountDesk, trips: Trips, contests: Contests) -> None:
        self._server = parts.server
        self._marks = parts.server.proofs.logins.marks
        self._desk = desk
        self._trips = trips
        self._cases = parts.cases
        self._arrivals = parts.arrivals
        self._contests = contests

    async def depart(self, call: AccountCall, order: Order) -> str:
        """The address of the platform's page; empty once the player is signed out. `order.item` names the platform.

        Raises `ReauthenticationRequired`, `LinkLimit` or `UnsupportedProvider`.
        """
        resident = await self._desk.require(call, order)
        if resident is None:
            return ""
        self._desk.require_recent(resident)
        request = self._request(resident)
        leaving = self._trips.leaving(order.item, request)
        if order.item not in await self._desk.linkable(resident):
            raise errors.LinkLimit
        self._server.limits.check(Rule.ADDRESS_SIGN_INS, call.sender.address)
        await self._server.apply([AddRequest(request), leaving.change])
        return leaving.url

    async def arrive(self, home: Homecoming, back: BackHome) -> Linked | Contest | Failed | Outcome:
        """Link what a browser came back with, or tell what may be chosen instead.

        A player whose sign-in has grown old on the way must sign in again. Raises `InvalidRequest` for a browser in
        which somebody else is signed in now.
        """
        call = AccountCall(home.cookie, home.sender)
        resident = self._returned(back, home)
        try:
            self._desk.require_recent(resident)
            proven = await self._trips.proven(home, back)
            return await self._kept(proven, self._settle(resident, back, proven))
        except errors.ReauthenticationRequired:
            return await self._desk.sign_in_again(call, resident)
        except errors.AuthsrvError as error:
            return await self._trips.failed(back, error)

    async def _kept(self, proven: Proven, settling: Awaitable[Linked | Contest]) -> Linked | Contest:
        """Remember whom the proof proved, although nothing came of it."""
        try:
            return await settling
        except errors.AuthsrvError:
            await self._server.proofs.logins.keep(proven.redeemed, self._server.now())
            raise

    def _request(self, resident: Resident) -> PendingRequest:
        now, session = self._server.now(), resident.session
        kept = {**entry(session.client), PURPOSE: "link", _SESSION: resident.public_id}
        return PendingRequest(
            id=self._server.storage.next_id(),
            browser_id=resident.present.browser.id,
            project=resident.project.key,
            client_id=session.client.client_id,
            parameters=json.dumps(kept, separators=(",", ":")),
            created_at=now,
            expires_at=now + TRIP_SECONDS,
            expected_sub=session.player.sub,
        )

    def _returned(self, back: BackHome, home: Homecoming) -> Resident:
        """The player who left, if they are still the one who is signed in."""
        request = back.kept.request
        resident = self._desk.of_visit(back.visit, home.sender)
        session = json.loads(request.parameters)[_SESSION]
        if resident is None or resident.signed_in.player.sub != request.expected_sub:
            raise _another_session()
        if resident.public_id != session:
            raise _another_session()
        return resident

    async def _settle(self, resident: Resident, back: BackHome, proven: Proven) -> Linked | Contest:
        for _ in range(ATTEMPTS):
            case = await self._case(resident, proven.redeemed)
            try:
                arrival = decided(case, self._marks)
            except errors.AccountConflict:
                return await self._contested(case, resident, back, proven.redeemed)
            settled = proven.redeemed.settled(0, case.occasion.now)
            if await self._write(case, arrival, resident, back, [*self._closed(back), *settled]):
                return Linked(resident.project)
        raise errors.TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _write(
        self, case: Case, arrival: Arrival, resident: Resident, back: BackHome, changes: Sequence[Change]
    ) -> bool:
        """False if an account changed meanwhile, which must be looked at again."""
        session = resident.session
        caller = Caller(session.client, session, session.sender)
        try:
            await self._arrivals.write(case, arrival, NoEntry(), caller, lambda _: changes)
        except Conflict as conflict:
            if lost_to_another_change(conflict):
                return False
            raise RequestCompleted(back.kept.request.client_id) from conflict
        return True

    async def _case(self, resident: Resident, redeemed: Redeemed) -> Case:
        session, now = resident.session, self._server.now()
        occasion = Occasion(resident.project, session.doer, now, self._server.storage.next_id)
        return await self._cases.load(proof_of(redeemed, now), _WISHES, session, occasion)

    async def _contested(self, case: Case, resident: Resident, back: BackHome, redeemed: Redeemed) -> Contest:
        """Ask, once: the trip has ended and its proof is used, whatever the player chooses."""
        contest = self._contests.asked(case, resident)
        if contest is None:
            raise errors.LinkLimit
        await self._trips.once(back, [*self._closed(back), *redeemed.kept(case.occasion.now)])
        return contest

    def _closed(self, back: BackHome) -> list[Change]:
        now = self._server.now()
        return [UseTrip(back.trip.id, now), CompleteRequest(back.kept.request.id, now)]


def _another_session() -> errors.InvalidRequest:
    """Somebody else is signed in than the player who left, or anew (row D43)."""
    return errors.InvalidRequest("This link was begun in another session.", reason="another_session")
