"""The page that takes link codes: from the code, by way of a platform, to the player's last word.

Owns that nothing is linked before somebody saw to whom, what, and the number to compare, and said so (rows D43 and
D45); by GET nothing ever is. Knows no page and no address.
"""

import json
from collections.abc import Mapping

from authsrv.accounts.cases import Proof, proof_of
from authsrv.accounts.code_linking import CodeLinking
from authsrv.accounts.confirmations import read_proof, written
from authsrv.accounts.link_codes import FoundCode, Guesser, LinkCodes
from authsrv.errors import AuthsrvError, InvalidRequest
from authsrv.models import Digest, LoadedRequest, PendingRequest, SignedIn
from authsrv.oauth.browser.account_client import AccountClients, entry
from authsrv.oauth.browser.browsers import Browsers
from authsrv.oauth.browser.pending import Caller, PendingRequests, RequestCompleted, Waiting
from authsrv.oauth.browser.request import PROVIDER, PURPOSE, target_of
from authsrv.oauth.browser.trips import BackHome, Failed, Homecoming, Proven, Trips
from authsrv.oauth.opaque import digest
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer
from authsrv.players import clean_display_name
from authsrv.records import dataclass
from authsrv.signin import is_usable
from authsrv.storage.base import Conflict
from authsrv.storage.changes import AdvanceRequest, AmendRequest, Change, CompleteRequest, UseTrip

_GRACE = 300
"""Seconds for which the last page can still be looked at once the code is too old."""
_CODE, _PROOF, _RETURN_TO, _LINKED = "link_code", "proof", "return_to", "linked"


@dataclass(frozen=True, slots=True)
class CodeCall:
    """A code that somebody typed, and the browser it was typed in. `provider` is the platform wanted, empty for any."""

    text: str
    provider: str
    cookie: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class LinkView:
    """What a page asks. `proof` is the platform account that will be linked, None while it is to be chosen.

    `provider` is the only platform that may be chosen, empty for any. `other` is another player who is signed in in
    this browser. `shown` is how the form says what it speaks of.
    """

    handle: str
    csrf: str
    found: FoundCode
    provider: str
    other: SignedIn | None
    proof: Proof | None
    shown: str


@dataclass(frozen=True, slots=True)
class LinkDone:
    """It is linked."""

    found: FoundCode
    proof: Proof


def account_name(proof: Proof) -> str:
    """What the platform calls the account; without a name its id, which whoever owns it knows."""
    return clean_display_name(proof.display_name) or proof.key.subject


@dataclass(frozen=True, slots=True)
class LinkStopped:
    """The player did not want it. Nothing was linked, and the code is as good as before."""

    found: FoundCode


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """It was refused, which is told at the address that the code names, not on a page of ours."""

    return_to: str
    error: AuthsrvError


class LinkPage:
    """Drives the page."""

    def __init__(
        self,
        *,
        server: TokenServer,
        browsers: Browsers,
        pending: PendingRequests,
        pages: AccountClients,
        trips: Trips,
        codes: LinkCodes,
        linking: CodeLinking,
    ) -> None:
        self._server = server
        self._browsers = browsers
        self._pending = pending
        self._pages = pages
        self._trips = trips
        self._codes = codes
        self._linking = linking

    async def begin(self, call: CodeCall) -> Waiting:
        """Remember in the browser which code was typed. Raises `InvalidGrant` for one that is not good."""
        found = await self._codes.find(call.text, Guesser(call.sender))
        page = self._pages.of(found.client.project)
        sent = entry(page)
        if call.provider:
            self._trips.platform(target_of(page, sent["redirect_uri"]), call.provider)
        kept = {"client_id": page.client_id, "redirect_uri": sent["redirect_uri"], PURPOSE: "link_code"}
        optional = {PROVIDER: call.provider, _RETURN_TO: found.code.return_to}
        kept |= {_CODE: found.code.code_hash.hex(), **{name: value for name, value in optional.items() if value}}
        visit = await self._pending.visit(self._browsers.read(call.cookie), page)
        expires_at = found.code.expires_at + _GRACE
        return await self._pending.hold(page, kept, visit.browser if visit else None, expires_at, call.sender)

    async def visit(self, caller: Caller) -> LinkView | LinkDone:
        """What is still to be asked, or that it is done. Raises `InvalidGrant` once the code is good no more."""
        return await self._seen(await self._kept(caller), caller)

    async def depart(self, provider: str, caller: Caller, csrf: str) -> str:
        """The address of the platform's page for this browser. The trip is remembered."""
        kept = await self._kept(caller)
        self._pending.require_form(kept, csrf)
        await self._found(kept.request)
        leaving = self._trips.leaving(provider, kept.request)
        await self._server.apply([leaving.change])
        return leaving.url

    async def arrive(self, home: Homecoming, back: BackHome) -> Failed | LinkRefused | None:
        """Remember what the platform vouches for, for the player to confirm; None if that went well."""
        failed = await self._arrive(home, back)
        return_to = _parameters(back.kept.request).get(_RETURN_TO, "")
        return LinkRefused(return_to, failed.error) if failed and return_to else failed

    async def _arrive(self, home: Homecoming, back: BackHome) -> Failed | None:
        try:
            found = await self._found(back.kept.request)
            proven = await self._trips.proven(home, back)
        except AuthsrvError as error:
            return await self._trips.failed(back, error)
        return await self._remember(found, home, back, proven)

    async def decide(self, caller: Caller, form: Mapping[str, str]) -> LinkView | LinkDone | LinkStopped | LinkRefused:
        """Take what the player pressed: `decision` is link or cancel. Raises the errors of linking."""
        kept = await self._kept(caller)
        self._pending.require_form(kept, form.get("csrf", ""))
        seen = await self._seen(kept, caller)
        if isinstance(seen, LinkDone):
            return seen
        if form.get("decision") == "cancel":
            await self._write(kept, [CompleteRequest(kept.request.id, self._server.now())])
            return LinkStopped(seen.found)
        if form.get("decision") != "link":
            raise InvalidRequest("The form holds no decision.", parameter="decision")
        if seen.proof is None or form.get("session") != seen.shown:
            return seen  # another tab chose another platform account
        try:
            return await self._link(kept, seen.found, seen.proof, caller)
        except AuthsrvError as error:
            if seen.found.code.return_to and not isinstance(error, RequestCompleted):
                return LinkRefused(seen.found.code.return_to, error)
            raise

    async def _link(self, kept: LoadedRequest, found: FoundCode, proof: Proof, caller: Caller) -> LinkDone:
        ended = CompleteRequest(kept.request.id, self._server.now())
        done = AdvanceRequest(kept.request.id, (*kept.request.progress, _LINKED))
        try:
            await self._linking.link(found, proof, caller.sender, [done, ended])
        except Conflict as conflict:
            raise RequestCompleted(kept.request.client_id) from conflict
        return LinkDone(found, proof)

    async def _remember(self, found: FoundCode, home: Homecoming, back: BackHome, proven: Proven) -> Failed | None:
        """What would be refused is refused now; the trip is over all the same, and what was shown there used up."""
        now, redeemed = self._server.now(), proven.redeemed
        proof = proof_of(redeemed, now)
        over: list[Change] = [UseTrip(back.trip.id, now), *redeemed.settled(0, now)]
        try:
            await self._linking.look(found, proof, home.sender)
        except AuthsrvError as error:
            if error.status < 500:
                await self._trips.once(back, over)
            return Failed(back.kept, back.handle, error)
        told = {**_parameters(back.kept.request), _PROOF: written(proof)}
        await self._trips.once(back, [*over, AmendRequest(back.kept.request.id, json.dumps(told))])
        return None

    async def _kept(self, caller: Caller) -> LoadedRequest:
        return await self._pending.of_purpose(caller, "link_code")

    async def _found(self, request: PendingRequest) -> FoundCode:
        return await self._codes.again(_code_hash(request))

    async def _seen(self, kept: LoadedRequest, caller: Caller) -> LinkView | LinkDone:
        if kept.request.completed_at is not None:
            return await self._done(kept.request)
        found, proof = await self._found(kept.request), _proof(kept.request)
        return LinkView(
            handle=caller.handle,
            csrf=self._pending.csrf(kept),
            found=found,
            provider=_parameters(kept.request).get(PROVIDER, ""),
            other=self._other(kept, found),
            proof=proof,
            shown=digest(_parameters(kept.request)[_PROOF]).hex() if proof else "",
        )

    async def _done(self, request: PendingRequest) -> LinkDone:
        found, proof = await self._codes.known(_code_hash(request)), _proof(request)
        if _LINKED not in request.progress or found is None or proof is None:
            raise RequestCompleted(request.client_id)
        return LinkDone(found, proof)

    def _other(self, kept: LoadedRequest, found: FoundCode) -> SignedIn | None:
        """Somebody else than the player of the code, signed in in this browser (row D45)."""
        signed_in = kept.visit.signed_in if kept.visit else None
        if signed_in is None or not is_usable(signed_in, found.client.project, self._server.now()):
            return None
        player = found.loaded.player
        return None if signed_in.player.id in {player.id, player.merged_into} else signed_in

    async def _write(self, kept: LoadedRequest, changes: list[Change]) -> None:
        try:
            await self._server.apply(changes)
        except Conflict as conflict:
            raise RequestCompleted(kept.request.client_id) from conflict


def _parameters(request: PendingRequest) -> dict[str, str]:
    found: dict[str, str] = json.loads(request.parameters)
    return found


def _code_hash(request: PendingRequest) -> Digest:
    return Digest(bytes.fromhex(_parameters(request)[_CODE]))


def _proof(request: PendingRequest) -> Proof | None:
    text = _parameters(request).get(_PROOF, "")
    return read_proof(text) if text else None
