"""Carries out what was decided about a platform account: writes it, and gives the client what it needs.

Owns which lost races are worth another look, and what is audited. Knows no HTTP framework.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from authsrv.account_models import Account, EventKind
from authsrv.accounts.callers import Caller
from authsrv.accounts.cases import Case, Proof
from authsrv.accounts.entries import Entry
from authsrv.accounts.outcomes import Arrival, Outcome
from authsrv.accounts.session_ends import SessionEnds
from authsrv.audit import AuditEvent, AuditKind
from authsrv.errors import InvalidToken
from authsrv.oauth.grants.code import Authorized
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Attempt
from authsrv.oauth.server import TokenServer
from authsrv.records import dataclass
from authsrv.storage.account_changes import AdvanceVersion, MergePlayers, MoveIdentity
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, LinkIdentity, RecordLogin

_LOGINS: Collection[Outcome] = {"created", "signed_in", "switched"}
_AUDITED: Mapping[EventKind, AuditKind] = {
    "created": "player.created",
    "linked": "identity.linked",
    "transferred": "player.transferred",
    "merged": "player.merged",
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """What became of a request. `account` is the player's as it is now, `given` the code or token; empty if none."""

    arrival: Arrival
    account: Account
    given: str


class Arrivals:
    """Lets players arrive."""

    def __init__(self, server: TokenServer, ends: SessionEnds) -> None:
        self._server = server
        self._ends = ends

    async def write(
        self, case: Case, arrival: Arrival, entry: Entry, caller: Caller, before: Callable[[int], Sequence[Change]]
    ) -> Arrived:
        """Carry it out in one transaction; `before` are changes that stand first, for the grant of that id, 0 for none.

        Raises `Conflict` if somebody was faster, and `RateLimited` for too many new players.
        """
        attempt = Attempt(caller.client, case.proof.platform, caller.sender)
        if arrival.outcome == "created" and not arrival.is_repeat:
            self._server.proofs.logins.admit(attempt, case.proof.key)
        told = await self._ends.told(arrival.changes, case.occasion.now)
        given = await self._apply(case.proof, replace(arrival, changes=(*arrival.changes, *told)), entry, before)
        self._audit(attempt, case, arrival)
        return Arrived(arrival, await self._reloaded(arrival), given)

    async def _apply(
        self, proof: Proof, arrival: Arrival, entry: Entry, before: Callable[[int], Sequence[Change]]
    ) -> str:
        if not entry.is_due(arrival):
            await self._server.apply([*before(0), *arrival.changes])
            return ""
        grant_id = self._server.storage.next_id()
        authorized = Authorized(
            player=arrival.player,
            platform=proof.platform,
            idp=proof.key.kind,
            idp_subject=proof.key.subject,
            auth_time=proof.checked_at,
            changes=(*before(grant_id), *arrival.changes),
        )
        given = entry.give(grant_id, authorized)
        await self._server.apply(given.changes)
        return given.text

    async def _reloaded(self, arrival: Arrival) -> Account:
        with outages_answered():
            account = await self._server.storage.load_account(arrival.player.id)
        if account is None:
            raise InvalidToken(detail="the player is gone")
        return account

    def _audit(self, attempt: Attempt, case: Case, arrival: Arrival) -> None:
        kinds: list[AuditKind] = []
        if arrival.event and arrival.event.kind in _AUDITED and not arrival.is_repeat:
            kinds.append(_AUDITED[arrival.event.kind])
        if arrival.outcome in _LOGINS:
            kinds.append("login.succeeded")
        for kind in kinds:
            event = AuditEvent(
                kind,
                project=attempt.client.project.key,
                client_id=attempt.client.client_id,
                sub=arrival.player.sub,
                platform=attempt.provider,
                other_sub=_other_sub(case, arrival) if kind in {"player.transferred", "player.merged"} else "",
            )
            self._server.note(event, attempt.sender)


def _other_sub(case: Case, arrival: Arrival) -> str:
    """The other one of the two players concerned."""
    both = [account.player.sub for account in (case.current, case.owner) if account]
    return next((sub for sub in both if sub != arrival.player.sub), "")


def lost_to_another_change(conflict: Conflict) -> bool:
    """Whether to look again: an account or who has the platform account changed meanwhile."""
    return isinstance(conflict.change, AdvanceVersion | LinkIdentity | MergePlayers | MoveIdentity | RecordLogin)
