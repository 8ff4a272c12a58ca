"""Connecting a platform account: proof in, and the player is signed in, linked, switched, or asked to choose.

Owns the order of the work (check, reserve, load, decide, apply), so that a wrong parameter never costs a credential and
a repeat of a request whose answer was lost is answered alike. Knows no HTTP framework and no platform by name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, field, replace
from typing import Any

from authsrv.account_models import Doer, JournalEvent
from authsrv.accounts.arrivals import Arrived, lost_to_another_change
from authsrv.accounts.callers import Call, Caller
from authsrv.accounts.cases import Case, Proof, Wishes, proof_of
from authsrv.accounts.choices import offers
from authsrv.accounts.doors import ConnectParts, Door
from authsrv.accounts.entries import Entry
from authsrv.accounts.journal import Occasion
from authsrv.accounts.outcomes import Arrival, Outcome, decided, told_before
from authsrv.accounts.segments import segments_of
from authsrv.accounts.summaries import blocked
from authsrv.errors import AccountConflict, AuthsrvError, TemporarilyUnavailable
from authsrv.oauth.credentials import REPEAT_WINDOW, Redeemed, replayed
from authsrv.oauth.opaque import digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Attempt
from authsrv.oauth.server import ATTEMPTS
from authsrv.platforms.base import Submission
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change
from authsrv.strict_json import strict_json

_WOULD: Mapping[Outcome, str] = {
    "created": "would_create",
    "signed_in": "would_sign_in",
    "linked": "would_link",
    "switched": "would_switch",
    "unchanged": "unchanged",
}
_MOST_EVENTS = 8
"""Of one platform account within the time of a repeat."""


@dataclass(frozen=True, slots=True)
class ConnectCall:
    """A connect request as it came in. `flags` are those that it names, `code` what it says about the code.

    `segments` is None if it has none. `key` tells it from another request for the same; empty if that is not wanted.
    """

    call: Call
    provider: str
    submitted: Submission = field(repr=False)
    flags: Mapping[str, bool]
    segments: Mapping[str, object] | None = None
    code: Mapping[str, str] = field(default_factory=dict)
    preview: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Proved:
    """A request whose credential was good."""

    caller: Caller
    entry: Entry
    redeemed: Redeemed
    proof: Proof
    wishes: Wishes
    occasion: Occasion

    def settled(self, grant_id: int) -> Sequence[Change]:
        """What settles the credential, on the grant if there is one."""
        now = self.occasion.now
        return self.redeemed.settled(grant_id, now) if grant_id else self.redeemed.kept(now)


class Connector:
    """Connects, or tells what would happen."""

    def __init__(self, parts: ConnectParts, door: Door) -> None:
        self._server = parts.server
        self._proofs = parts.server.proofs
        self._marks = parts.server.proofs.logins.marks
        self._callers = parts.callers
        self._cases = parts.cases
        self._arrivals = parts.arrivals
        self._conflicts = parts.conflicts
        self._door = door

    async def connect(self, call: ConnectCall) -> Arrived:
        """Where the player arrived. Raises `AuthsrvError`: a conflict tells what may be chosen, by which token."""
        proved = await self._prove(call)
        try:
            return await self._arrive(proved)
        except AuthsrvError as error:
            await self._keep(proved, error.reason)
            raise

    async def preview(self, call: ConnectCall) -> Mapping[str, Any]:
        """What `connect` would do. Nothing is changed but that a single-use credential was used."""
        proved = await self._prove(call)
        await self._keep(proved)
        case = await self._case(proved)
        proved.redeemed.require_known(case.found.player)
        return self._previewed(case, proved)

    async def _prove(self, call: ConnectCall) -> _Proved:
        now = self._server.now()
        caller = await self._callers.identified(call.call)
        attempt = Attempt(caller.client, call.provider, caller.sender)
        self._proofs.platform(attempt)
        entry = self._door.entry(caller.client, call.code, now)
        wishes = _wishes(call, caller, self._door)
        # Nobody may repeat a request that nothing tells from that of a thief of the credential.
        requester = digest(f"connect {wishes.request or self._server.storage.next_id()}")
        redeemed = await self._proofs.redeem(attempt, call.submitted, requester, now)
        doer = Doer("player", "", caller.client.client_id, caller.sender.cut_address)
        occasion = Occasion(caller.client.project, doer, now, self._server.storage.next_id)
        return _Proved(caller, entry, redeemed, proof_of(redeemed, now), wishes, occasion)

    async def _case(self, proved: _Proved) -> Case:
        return await self._cases.load(proved.proof, proved.wishes, proved.caller.session, proved.occasion)

    async def _arrive(self, proved: _Proved) -> Arrived:
        for _ in range(ATTEMPTS):
            case = await self._case(proved)
            arrival = await self._decide(case, proved)
            try:
                return await self._arrivals.write(case, arrival, proved.entry, proved.caller, proved.settled)
            except Conflict as conflict:
                if not lost_to_another_change(conflict):
                    raise replayed(f"lost the race for {conflict}") from conflict
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _decide(self, case: Case, proved: _Proved) -> Arrival:
        event = await self._first_answer(case, proved)
        proved.redeemed.require_known(case.found.player)
        if event is not None:
            return told_before(case, event)
        try:
            return decided(case, self._marks)
        except AccountConflict as conflict:
            facts = self._conflicts.asked(case, proved.caller, proved.entry)
            raise AccountConflict(conflict.description, reason=conflict.reason, facts=facts) from conflict

    async def _first_answer(self, case: Case, proved: _Proved) -> JournalEvent | None:
        """What an earlier answer to the same request left in the journal, while it may still be asked for again."""
        since, request = case.occasion.now - REPEAT_WINDOW, case.wishes.request
        if not request or not (proved.redeemed.is_repeat or _was_used(case, since)):
            return None
        with outages_answered():
            events = await self._server.storage.load_identity_events(case.proof.key, _MOST_EVENTS)
        return next((event for event in events if event.at > since and _request_of(event) == request), None)

    async def _keep(self, proved: _Proved, reason: str = "") -> None:
        """Remember whom a credential proved, although nothing came of it, but of nobody whom their age keeps out."""
        logins, now = self._proofs.logins, proved.occasion.now
        if reason == "age_restricted":
            await logins.refuse(proved.redeemed, reason, now)
        else:
            await logins.put_away(proved.redeemed, now)

    def _previewed(self, case: Case, proved: _Proved) -> Mapping[str, Any]:
        try:
            outcome = _WOULD[decided(case, self._marks).outcome]
        except AccountConflict as conflict:
            return self._asked(case, proved, {"outcome": "conflict", "reason": conflict.reason})
        except AuthsrvError as error:
            told = self._conflicts.told(replace(case, owner=None))
            return {**told, "rule": case.decision.rule, **blocked(error), "choices": []}
        return self._asked(case, proved, {"outcome": outcome})

    def _asked(self, case: Case, proved: _Proved, beginning: Mapping[str, Any]) -> Mapping[str, Any]:
        """With a token, where the credential cannot be presented again."""
        found = offers(case, self._marks)
        told = {**beginning, **self._conflicts.told(case), **self._conflicts.choices(found)}
        if proved.redeemed.reservation is None or not any(offer.choice != "cancel" for offer in found):
            return told
        return told | self._conflicts.continuation(case, proved.caller, proved.entry, found)


def _wishes(call: ConnectCall, caller: Caller, door: Door) -> Wishes:
    flags = replace(door.flags(caller.client), **call.flags)
    rules = caller.client.project.accounts
    segments = None if call.segments is None else segments_of(call.segments, rules)
    return Wishes(flags, segments, _request(call, caller) if _is_repeatable(call, caller) else "")


def _is_repeatable(call: ConnectCall, caller: Caller) -> bool:
    """Whether the request has something that no thief of the credential knows."""
    return bool(caller.session or call.key or call.code.get("code_challenge"))


def _request(call: ConnectCall, caller: Caller) -> str:
    """What tells the request from every other one; says nothing about the credential."""
    session = caller.session.grant_id if caller.session else 0
    submitted = [str(part) for part in astuple(call.submitted)]
    told = [caller.client.client_id, session, call.key, call.provider, submitted, sorted(call.flags.items())]
    told += [call.segments, call.preview, sorted(call.code.items())]
    return digest(json.dumps(told, sort_keys=True)).hex()


def _was_used(case: Case, since: int) -> bool:
    """Whether anybody came by the platform account lately."""
    if case.owner is None:
        return False
    used = (max(one.linked_at, one.last_used_at) for one in case.owner.identities if one.key == case.proof.key)
    return any(at > since for at in used)


def _request_of(event: JournalEvent) -> str:
    facts = strict_json(event.facts) if event.facts else {}
    return str(facts.get("request", ""))
