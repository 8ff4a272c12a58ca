"""The authorization endpoint's driver: what becomes of a request, from its first sight to its code.

Owns the order check -> load -> decide -> apply for browsers. Knows no page, no cookie attribute and no platform by
name; what a sign-in needs is decided in `authsrv/signin.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from authsrv import __version__, errors
from authsrv.account_models import JournalEvent
from authsrv.audit import AuditEvent
from authsrv.limits import Rule
from authsrv.models import Client, LoadedRequest, Player, SessionRules, SignedIn, Visit
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.check import AuthorizationCheck, Checked
from authsrv.oauth.browser.pending import Caller, PendingRequests, RequestCompleted, Waiting
from authsrv.oauth.browser.request import Target
from authsrv.oauth.clients import unknown_client
from authsrv.oauth.grants.code import Authorized
from authsrv.oauth.opaque import digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS, TokenServer
from authsrv.records import dataclass
from authsrv.signin import Step, is_usable, next_step
from authsrv.storage.account_changes import RecordEvent
from authsrv.storage.base import Conflict
from authsrv.storage.changes import Change, CompleteRequest, GiveConsent, UseClient, UseConsent, UseSession

_NONE_FORBIDS: Mapping[Step, type[errors.AuthsrvError]] = {
    "login": errors.SignInRequired,
    "select_account": errors.AccountSelectionRequired,
    "consent": errors.ConsentRequired,
}
_LOST = "lost every race"


@dataclass(frozen=True, slots=True)
class Granted:
    """The request is answered by a code."""

    target: Target
    code: str


@dataclass(frozen=True, slots=True)
class Entered:
    """Whoever is signed in may see the account page. It gets no code: the session is its own."""

    target: Target


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is answered by an error."""

    target: Target
    error: errors.AuthsrvError


@dataclass(frozen=True, slots=True)
class Question:
    """What the sign-in page asks.

    `scope` is what the player would grant. `session` names the session and the scope that the page speaks of.
    `other_account` tells that another player than the present one must sign in.
    """

    step: Step
    handle: str
    csrf: str
    target: Target
    scope: tuple[str, ...]
    signed_in: SignedIn | None
    session: str
    other_account: bool
    ui_locales: str


Outcome = Granted | Entered | Refused | Waiting | Question


class Authorizer:
    """Drives authorization requests of browsers."""

    def __init__(
        self,
        *,
        server: TokenServer,
        check: AuthorizationCheck,
        browsers: Browsers,
        pending: PendingRequests,
        rules: SessionRules,
    ) -> None:
        self._server = server
        self._check = check
        self._browsers = browsers
        self._pending = pending
        self._rules = rules

    def target(self, sent: Mapping[str, str]) -> Target:
        """Where the answer may go. Whatever is wrong before this is known is shown on a page."""
        return self._check.target(sent)

    async def begin(self, target: Target, sent: Mapping[str, str], cookie: str, sender: Sender) -> Outcome:
        """Answer a new request, or keep it until the player has done what it needs."""
        asked = self._check.new(target, sent)
        presented = self._browsers.read(cookie)
        for _ in range(ATTEMPTS):
            visit = await self._pending.visit(presented, target.client)
            checked = await self._as_known_now(asked, visit)
            step = _next(checked, visit, frozenset())
            if step is not None and checked.request.silent:
                raise _forbidden(step, checked)
            if presented is not None and visit is None:
                # A sign-in in another tab may be changing the cookie right now; the next request shows the newer one.
                return await self._pending.park(checked, sent, sender)
            if step is not None or visit is None:
                return await self._pending.keep(checked, sent, visit.browser if visit else None, sender)
            if granted := await self._finish(checked, visit, ()):
                return granted
        raise errors.TemporarilyUnavailable(retry_after=1, detail=_LOST)

    async def park(self, target: Target, sent: Mapping[str, str], sender: Sender) -> Waiting:
        """Keep a request that came without a cookie for the browser that will come for it with one."""
        return await self._pending.park(self._check.new(target, sent), sent, sender)

    async def resume(self, caller: Caller) -> Outcome:
        """Go on with a kept request: ask what is still to be asked, or answer it."""
        for _ in range(ATTEMPTS):
            kept = await self._pending.find(caller)
            if isinstance(kept, Waiting):
                return kept
            if outcome := await self._resume(kept, caller):
                return outcome
        raise errors.TemporarilyUnavailable(retry_after=1, detail=_LOST)

    async def answer(self, caller: Caller, form: Mapping[str, str]) -> Outcome:
        """Take what the player pressed: `decision` is continue, switch, allow, deny or cancel."""
        kept = await self._pending.require(caller, form.get("csrf", ""))
        decision = form.get("decision", "")
        if decision in {"cancel", "deny"}:
            return await self.refuse(kept, errors.AccessDenied("The player did not go on.", reason="cancelled"))
        if decision not in {"continue", "allow", "switch"}:
            raise errors.InvalidRequest("The form holds no decision.", parameter="decision")
        checked = await self._checked(kept)
        if isinstance(checked, Refused):
            return checked
        if decision == "switch":
            return self._question("login", checked, kept, caller.handle)
        if form.get("session", "") != self._shown(checked, _signed_in(kept.visit)):
            return await self.resume(caller)  # another tab signed somebody else in, or out, or the client may ask more
        if decision == "allow":
            return await self._allowed(checked, kept, caller)
        await self._pending.advance(kept, "select_account")
        return await self.resume(caller)

    async def refuse(self, kept: LoadedRequest, error: errors.AuthsrvError) -> Refused:
        """Answer a kept request by an error, once."""
        target = self._check.kept_target(kept.request)
        await self._pending.close(kept)
        return Refused(target, error)

    async def _checked(self, kept: LoadedRequest) -> Checked | Refused:
        """A kept request as its client may ask it now: a reload may have taken something from it."""
        try:
            checked = self._check.kept(kept.request)
        except errors.AuthsrvError as error:
            return await self.refuse(kept, error)
        return await self._as_known_now(checked, kept.visit)

    async def _as_known_now(self, checked: Checked, visit: Visit | None) -> Checked:
        """The request, naming the player by their present `sub`, if it named one who was merged into them."""
        signed_in, expected = _signed_in(visit), checked.demands.expected_sub
        if signed_in is None or expected in {"", signed_in.player.sub}:
            return checked
        with outages_answered():
            named = await self._server.storage.load_subject(expected)
        if named is None or named.merged_into != signed_in.player.id:
            return checked
        return replace(checked, demands=replace(checked.demands, expected_sub=signed_in.player.sub))

    async def _resume(self, kept: LoadedRequest, caller: Caller) -> Outcome | None:
        checked = await self._checked(kept)
        if isinstance(checked, Refused):
            return checked
        step = _next(checked, kept.visit, frozenset(kept.request.progress))
        if step is None and kept.visit:
            return await self._finish(checked, kept.visit, [CompleteRequest(kept.request.id, checked.sent.now)])
        if step is not None and checked.request.silent:
            return await self.refuse(kept, _forbidden(step, checked))
        return self._question(step or "login", checked, kept, caller.handle)

    def _question(self, step: Step, checked: Checked, kept: LoadedRequest, handle: str) -> Question | Waiting:
        if step == "login" and checked.request.provider:
            return Waiting(handle, None, kept.request)  # there is nothing to ask, the platform is named
        signed_in = _usable(kept.visit, checked)
        expected = checked.demands.expected_sub
        return Question(
            step=step,
            handle=handle,
            csrf=self._pending.csrf(kept),
            target=checked.target,
            scope=tuple(sorted(checked.demands.scope)),
            signed_in=signed_in,
            session=self._shown(checked, signed_in),
            other_account=bool(signed_in and expected and signed_in.player.sub != expected),
            ui_locales=checked.request.ui_locales,
        )

    async def _allowed(self, checked: Checked, kept: LoadedRequest, caller: Caller) -> Outcome:
        """Consent answers the last question, so nothing else may be open."""
        visit = kept.visit
        open_step = _next(checked, visit, frozenset({*kept.request.progress, "consent"}))
        if open_step is not None or visit is None or visit.signed_in is None:
            return await self.resume(caller)
        client, player, now = checked.target.client, visit.signed_in.player, checked.sent.now
        granted = tuple(sorted(checked.demands.scope | visit.consented))
        given: list[Change] = [GiveConsent(player.id, client.client_id, granted, now)]
        if frozenset(granted) != visit.consented:
            given.append(RecordEvent(self._consent_event(checked, player, granted, caller.sender)))
        outcome = await self._finish(checked, visit, (CompleteRequest(kept.request.id, now), *given))
        if outcome is None:
            return await self.resume(caller)
        self._note_consent(client, player.sub, caller.sender)
        return outcome

    async def _finish(self, checked: Checked, visit: Visit, changes: Sequence[Change]) -> Granted | Entered | None:
        """Issue the code. None if session or consent ended meanwhile, so that the request must be looked at again."""
        if visit.signed_in is None:
            raise LookupError("nobody is signed in")
        client, player = checked.target.client, visit.signed_in.player
        self._server.limits.check(Rule.TOKEN_REQUESTS, client.client_id, player.sub)
        outcome, written = self._outcome(checked, visit.signed_in, changes)
        try:
            await self._server.apply(written)
        except Conflict as conflict:
            if isinstance(conflict.change, CompleteRequest):
                raise RequestCompleted(checked.target.client.client_id) from None
            if isinstance(conflict.change, UseClient):
                raise unknown_client() from None
            return None
        return outcome

    def _outcome(
        self, checked: Checked, signed_in: SignedIn, changes: Sequence[Change]
    ) -> tuple[Granted | Entered, list[Change]]:
        """How the request is answered, and what is written for it."""
        if checked.grant is None:
            return Entered(checked.target), [*changes]
        checked.grant.grant_id = self._server.storage.next_id()
        authorized = self._authorized(checked, signed_in, changes)
        code: str = self._server.create_authorization_response(checked.sent, authorized, checked.grant)
        return Granted(checked.target, code), checked.grant.changes

    def _authorized(self, checked: Checked, signed_in: SignedIn, changes: Sequence[Change]) -> Authorized:
        session, client_id = signed_in.session, checked.target.client.client_id
        now = checked.sent.now
        use = UseSession(session.id, client_id, now, min(now + self._rules.idle, session.absolute_expires_at))
        return Authorized(
            player=signed_in.player,
            platform=session.platform,
            idp=session.idp,
            idp_subject=session.idp_subject,
            auth_time=session.auth_time,
            changes=(*changes, *_uses(checked, signed_in.player, changes), use),
            session_id=session.id,
            claims=checked.claims,
        )

    def _shown(self, checked: Checked, signed_in: SignedIn | None) -> str:
        """What a page speaks of: a session, and what its player would grant. Empty while nobody is signed in."""
        if signed_in is None:
            return ""
        sid = self._server.opaque.public_id("sid", signed_in.session.id)
        return f"{sid}.{digest(' '.join(sorted(checked.demands.scope))).hex()}"

    def _consent_event(self, checked: Checked, player: Player, granted: Sequence[str], sender: Sender) -> JournalEvent:
        """The record of a consent: to what, and by which text. Ours is that of this version's page."""
        client = checked.target.client
        facts = {"scope": list(granted), "text": f"authsrv {__version__}", "policy_uri": client.links.policy_uri}
        return JournalEvent(
            id=self._server.storage.next_id(),
            project=client.project.key,
            kind="consent_given",
            at=checked.sent.now,
            player_id=player.id,
            client_id=client.client_id,
            address=sender.cut_address,
            facts=json.dumps(facts, separators=(",", ":")),
        )

    def _note_consent(self, client: Client, sub: str, sender: Sender) -> None:
        event = AuditEvent("consent.given", project=client.project.key, client_id=client.client_id, sub=sub)
        self._server.note(event, sender)


def _forbidden(step: Step, checked: Checked) -> errors.AuthsrvError:
    """What `prompt=none` is told. A client whom a player never consented to learns nothing about who is signed in: to
    it, the player it names and any other look the same.
    """
    if step == "consent" and checked.demands.expected_sub:
        return errors.SignInRequired()
    return _NONE_FORBIDS[step]()


def _next(checked: Checked, visit: Visit | None, done: frozenset[str]) -> Step | None:
    signed_in = _signed_in(visit)
    consented = visit.consented if visit else frozenset[str]()
    return next_step(checked.demands, signed_in, consented, done, checked.sent.now)


def _uses(checked: Checked, player: Player, changes: Sequence[Change]) -> Iterator[Change]:
    """A client that registered itself may go at any moment, and what a player lets a client have may be taken back.
    Neither must be followed by a code.
    """
    client = checked.target.client
    if client.registered:
        yield UseClient(client.client_id)
    is_given_now = any(isinstance(change, GiveConsent) for change in changes)
    if checked.demands.scope and not client.first_party and not is_given_now:
        yield UseConsent(player.id, client.client_id)


def _signed_in(visit: Visit | None) -> SignedIn | None:
    return visit.signed_in if visit else None


def _usable(visit: Visit | None, checked: Checked) -> SignedIn | None:
    signed_in = _signed_in(visit)
    if signed_in is None or not is_usable(signed_in, checked.target.client.project, checked.sent.now):
        return None
    return signed_in
