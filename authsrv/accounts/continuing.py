"""The answer to a conflict: a choice, and the token that says what was asked and of whom.

Owns that the answer comes from whoever was asked, within five minutes, once, and about accounts that are still as they
were. Knows no HTTP framework.
"""

from collections.abc import Sequence
from typing import get_args

from authsrv.account_models import Doer
from authsrv.accounts.arrivals import Arrived, lost_to_another_change
from authsrv.accounts.callers import Call, Caller
from authsrv.accounts.cases import Case
from authsrv.accounts.choices import is_allowed
from authsrv.accounts.conflicts import is_as_seen
from authsrv.accounts.continuation import Continuation
from authsrv.accounts.doors import ConnectParts, Door
from authsrv.accounts.entries import Entry
from authsrv.accounts.journal import Occasion
from authsrv.accounts.outcomes import Arrival, Choice, Survivor, chosen
from authsrv.errors import InvalidGrant, InvalidRequest, StateChanged, TemporarilyUnavailable
from authsrv.limits import Rule
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.request import Attempt
from authsrv.oauth.server import ATTEMPTS
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change

_NO_GOOD = "The continuation token is wrong, expired, used, or was given to somebody else; connect again."


@dataclass(frozen=True, slots=True)
class Answer:
    """A choice as it came in. `survivor` is empty unless the choice is a merge."""

    call: Call
    token: str
    choice: str
    survivor: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A choice that was offered to whoever sends it."""

    caller: Caller
    continuation: Continuation
    choice: Choice
    survivor: Survivor | None
    entry: Entry
    occasion: Occasion

    def used(self, _grant_id: int) -> Sequence[Change]:
        """What makes the token count once."""
        return (self.continuation.use(),)


class Continuing:
    """Carries choices out."""

    def __init__(self, parts: ConnectParts, door: Door) -> None:
        self._server = parts.server
        self._marks = parts.server.proofs.logins.marks
        self._callers = parts.callers
        self._cases = parts.cases
        self._arrivals = parts.arrivals
        self._conflicts = parts.conflicts
        self._tokens = parts.tokens
        self._door = door

    async def proceed(self, answer: Answer) -> Arrived:
        """Where the player arrived. Raises `AuthsrvError`; when an account changed meanwhile, with a new question."""
        asked = await self._asked(answer)
        for _ in range(ATTEMPTS):
            case = await self._case(asked)
            arrival = self._decide(case, asked)
            try:
                return await self._arrivals.write(case, arrival, asked.entry, asked.caller, asked.used)
            except Conflict as conflict:
                if not lost_to_another_change(conflict):
                    raise _no_good(f"lost the race for {conflict}") from conflict
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _asked(self, answer: Answer) -> _Asked:
        now = self._server.now()
        caller = await self._callers.identified(answer.call)
        continuation = self._read(answer.token, caller, now)
        choice = next((one for one in continuation.choices if one == answer.choice), None)
        if choice is None:
            raise _not_offered()
        self._server.proofs.platform(Attempt(caller.client, continuation.proof.platform, caller.sender))
        entry = self._door.entry(caller.client, continuation.code, now)
        doer = Doer("player", "", caller.client.client_id, caller.sender.cut_address)
        occasion = Occasion(caller.client.project, doer, now, self._server.storage.next_id)
        return _Asked(caller, continuation, choice, _survivor(answer, choice), entry, occasion)

    def _read(self, token: str, caller: Caller, now: int) -> Continuation:
        self._server.limits.check(Rule.ADDRESS_FAILURES, caller.sender.address)
        try:
            found = self._tokens.read(token, now)
            self._require_same(found, caller)
        except NotOurs as error:
            self._server.limits.record_failure(Rule.ADDRESS_FAILURES, caller.sender.address)
            raise _no_good(str(error)) from None
        return found

    def _require_same(self, found: Continuation, caller: Caller) -> None:
        session, project = caller.session, caller.client.project
        grant = self._server.opaque.public_id("gid", session.grant_id) if session else ""
        if (found.client_id, found.proof.key.project, found.grant) != (caller.client.client_id, project.key, grant):
            raise NotOurs("given to another client or session")

    async def _case(self, asked: _Asked) -> Case:
        proof, wishes = asked.continuation.proof, asked.continuation.wishes
        return await self._cases.load(proof, wishes, asked.caller.session, asked.occasion)

    def _decide(self, case: Case, asked: _Asked) -> Arrival:
        if asked.choice != "cancel" and not is_as_seen(case, asked.continuation):
            raise StateChanged(facts=self._conflicts.asked(case, asked.caller, asked.entry))
        if not is_allowed(case, asked.choice):
            raise _not_offered()
        return chosen(case, self._marks, asked.choice, asked.survivor)


def _survivor(answer: Answer, choice: Choice) -> Survivor | None:
    if choice != "merge":
        return None
    survivor: Survivor | None = next((one for one in get_args(Survivor) if one == answer.survivor), None)
    if survivor is None:
        raise InvalidRequest("Say which player remains: current or other.", parameter="survivor")
    return survivor


def _not_offered() -> InvalidRequest:
    return InvalidRequest("This choice was not offered, or the project allows it no more.", parameter="choice")


def _no_good(detail: str) -> InvalidGrant:
    return InvalidGrant(_NO_GOOD, reason="continuation_rejected", detail=detail)
