"""A platform account that a player wants to link is another player's: what is asked on the page, and the answer.

Owns that the answer counts once, in the session that was asked. What may be chosen, and what a choice does, is decided
as for every other way of linking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from authsrv.account_models import Account
from authsrv.accounts.arrivals import lost_to_another_change
from authsrv.accounts.browser.desk import AccountCall, AccountDesk, Order, Resident
from authsrv.accounts.callers import Caller
from authsrv.accounts.cases import Case
from authsrv.accounts.choices import offers
from authsrv.accounts.conflicts import is_as_seen, seen
from authsrv.accounts.continuation import Continuation
from authsrv.accounts.doors import ConnectParts
from authsrv.accounts.entries import NoEntry
from authsrv.accounts.journal import Occasion
from authsrv.accounts.outcomes import Arrival, Choice, Survivor, chosen
from authsrv.audit import AuditEvent
from authsrv.errors import InvalidRequest, StateChanged, TemporarilyUnavailable
from authsrv.limits import Rule
from authsrv.models import Project, Visit
from authsrv.oauth.browser.browsers import Browsers, NewCookie
from authsrv.oauth.browser.sessions import REPLACED, BrowserSessions, Proof
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.server import ATTEMPTS
from authsrv.platforms.base import PlatformIdentity
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change

DECISIONS: Mapping[str, tuple[Choice, Survivor | None]] = {
    "switch": ("switch", None),
    "transfer": ("transfer", None),
    "merge-current": ("merge", "current"),
    "merge-other": ("merge", "other"),
}
"""What the page's buttons say, beside `cancel`."""
_CHOICES = {choice for choice, _ in DECISIONS.values()}


@dataclass(frozen=True, slots=True)
class Contest:
    """The question: whose page it is, who is concerned, what may be chosen, and what belongs into the form.

    `leaves_nothing` tells that a transfer takes the other player's last way in.
    """

    resident: Resident
    platform: str
    current: Account
    other: Account
    choices: Sequence[Choice]
    leaves_nothing: bool
    token: str
    csrf: str
    session: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The choice is carried out. A browser in which another player is signed in now has a new cookie."""

    project: Project
    cookie: NewCookie | None


class Contests:
    """Asks, and carries the answer out."""

    def __init__(self, parts: ConnectParts, desk: AccountDesk, browsers: Browsers, sessions: BrowserSessions) -> None:
        self._server = parts.server
        self._marks = parts.server.proofs.logins.marks
        self._desk = desk
        self._browsers = browsers
        self._sessions = sessions
        self._cases = parts.cases
        self._arrivals = parts.arrivals
        self._tokens = parts.tokens

    def asked(self, case: Case, resident: Resident) -> Contest | None:
        """What the player may choose; None if it is nothing but to leave everything as it is."""
        found = [offer for offer in offers(case, self._marks) if offer.choice in _CHOICES]
        if case.current is None or case.other is None or not found:
            return None
        asked = Continuation(
            client_id=resident.session.client.client_id,
            grant=resident.public_id,
            proof=case.proof,
            wishes=case.wishes,
            choices=tuple(offer.choice for offer in found),
            current=seen(case.current),
            owner=seen(case.owner),
        )
        return Contest(
            resident=resident,
            platform=case.proof.platform,
            current=case.current,
            other=case.other,
            choices=asked.choices,
            leaves_nothing=any(offer.choice == "transfer" and offer.warning for offer in found),
            token=self._tokens.issue(asked),
            csrf=self._desk.csrf(resident),
            session=asked.grant,
        )

    async def answer(self, call: AccountCall, order: Order, decision: str) -> Answered | None:
        """Carry out what the player chose; None once they are signed out. `order.item` is the token.

        Raises `StateChanged` when an account changed meanwhile, or the question was answered before.
        """
        resident = await self._desk.require(call, order)
        if resident is None:
            return None
        asked, (choice, survivor) = self._read(resident, order.item), DECISIONS[decision]
        if choice not in asked.choices:
            raise InvalidRequest("This choice was not offered.", parameter="decision")
        for _ in range(ATTEMPTS):
            case = await self._case(asked, resident)
            if not is_as_seen(case, asked):
                raise StateChanged
            arrival = chosen(case, self._marks, choice, survivor)
            if answered := await self._write(case, arrival, asked, resident):
                return answered
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    def _read(self, resident: Resident, token: str) -> Continuation:
        session, limits = resident.session, self._server.limits
        address = session.sender.address
        limits.check(Rule.ADDRESS_FAILURES, address)
        try:
            found = self._tokens.read(token, self._server.now())
        except NotOurs as error:
            limits.record_failure(Rule.ADDRESS_FAILURES, address)
            raise StateChanged(detail=str(error)) from None
        mine = (session.client.client_id, resident.public_id, session.player.sub)
        if (found.client_id, found.grant, found.current.sub) != mine:
            raise StateChanged(detail="the question was asked in another session")
        return found

    async def _case(self, asked: Continuation, resident: Resident) -> Case:
        session = resident.session
        occasion = Occasion(resident.project, session.doer, self._server.now(), self._server.storage.next_id)
        return await self._cases.load(asked.proof, asked.wishes, session, occasion)

    async def _write(self, case: Case, arrival: Arrival, asked: Continuation, resident: Resident) -> Answered | None:
        """None if an account changed meanwhile, which must be looked at again."""
        moved, cookie = await self._moved(case, arrival, resident)
        session = resident.session
        caller = Caller(session.client, session, session.sender)
        try:
            await self._arrivals.write(case, arrival, NoEntry(), caller, lambda _: [asked.use(), *moved])
        except Conflict as conflict:
            if lost_to_another_change(conflict):
                return None
            raise StateChanged(detail=f"lost the race for {conflict}") from conflict
        if moved:
            self._note_move(resident, arrival)
        return Answered(resident.project, cookie)

    async def _moved(
        self, case: Case, arrival: Arrival, resident: Resident
    ) -> tuple[Sequence[Change], NewCookie | None]:
        """What signs the player in as whom they chose, if that is another one."""
        player, present, now = arrival.player, resident.present, case.occasion.now
        if player.id == resident.signed_in.player.id:
            return (), None
        key = case.proof.key
        identity = PlatformIdentity(case.proof.platform, key.kind, key.environment, key.subject)
        visit = Visit(present.browser, resident.signed_in)
        started = await self._sessions.signed_in(visit, resident.project, Proof(player, identity, now))
        rotation, cookie = self._browsers.rotated(present.browser, now)
        return [*started, rotation], cookie

    def _note_move(self, resident: Resident, arrival: Arrival) -> None:
        ended = AuditEvent("session.ended", sub=resident.session.player.sub, reason=REPLACED)
        for event in (ended, AuditEvent("session.started", sub=arrival.player.sub)):
            self._server.note(replace(event, project=resident.project.key), resident.session.sender)
