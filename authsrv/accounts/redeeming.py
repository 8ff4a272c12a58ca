"""Redeeming a link code by a game on another device: what it is about is shown first, and the player says yes to it.

Owns that nothing is linked without that answer, and that no wrong code costs a credential. Knows no HTTP framework and
no platform by name.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from authsrv.accounts.callers import Call, Caller, Callers
from authsrv.accounts.cases import Proof, proof_of
from authsrv.accounts.code_linking import CodeLinking
from authsrv.accounts.confirmations import LIFETIME, ConfirmationTokens
from authsrv.accounts.link_codes import FoundCode, Guesser, LinkCodes
from authsrv.accounts.summaries import Summaries, moment
from authsrv.oauth.opaque import digest
from authsrv.oauth.request import Attempt
from authsrv.oauth.server import TokenServer
from authsrv.platforms.base import Submission
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Presentation:
    """A code with a credential of the platform account that shall be linked."""

    call: Call
    code: str
    provider: str
    submitted: Submission = field(repr=False)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The player's yes to what was shown."""

    call: Call
    code: str
    token: str = field(repr=False)


class Redeeming:
    """Redeems codes."""

    def __init__(
        self,
        *,
        server: TokenServer,
        callers: Callers,
        codes: LinkCodes,
        linking: CodeLinking,
        tokens: ConfirmationTokens,
        summaries: Summaries,
    ) -> None:
        self._server = server
        self._callers = callers
        self._codes = codes
        self._linking = linking
        self._tokens = tokens
        self._summaries = summaries

    async def present(self, asked: Presentation) -> Mapping[str, Any]:
        """Whose player it is, who asked for the code, and the number to compare. Changes nothing.

        Raises what linking would raise now, so that nobody says yes to what cannot be.
        """
        caller, found = await self._found(asked.call, asked.code)
        proof = await self._prove(asked, caller, found)
        await self._linking.look(found, proof, caller.sender)
        return {
            "outcome": "confirmation_required",
            **self._about(found, proof),
            "client": found.client.name,
            "check_number": found.code.check_number,
            "confirmation_token": self._tokens.issue(proof, found, caller.client),
            "expires_in": min(LIFETIME, found.code.expires_at - self._server.now()),
        }

    async def confirm(self, answer: Confirmation) -> Mapping[str, Any]:
        """Link it. Raises `AccountConflict` and the other errors of linking."""
        caller, found = await self._found(answer.call, answer.code)
        proof = self._tokens.read(answer.token, found, caller.client, self._server.now())
        arrival = await self._linking.link(found, proof, caller.sender)
        return {"outcome": arrival.outcome, "rule": arrival.rule, **self._about(found, proof)}

    async def _found(self, call: Call, code: str) -> tuple[Caller, FoundCode]:
        caller = await self._callers.identified(call)
        guesser = Guesser(caller.sender, caller.client.client_id)
        return caller, await self._codes.find(code, guesser, caller.client.project.key)

    async def _prove(self, asked: Presentation, caller: Caller, found: FoundCode) -> Proof:
        """The platform account behind the credential, which is used up. The same request may come again for a while."""
        attempt, now = Attempt(caller.client, asked.provider, caller.sender), self._server.now()
        requester = digest(f"link code {found.code.code_hash.hex()} {caller.client.client_id}")
        redeemed = await self._server.proofs.redeem(attempt, asked.submitted, requester, now)
        redeemed.require_known(None)
        await self._server.proofs.logins.put_away(redeemed, now)
        return proof_of(redeemed, now)

    def _about(self, found: FoundCode, proof: Proof) -> dict[str, Any]:
        player = found.loaded.player
        return {
            "account": {"display_name": player.display_name, "created_at": moment(player.created_at)},
            "identity": self._summaries.identity(proof.key),
        }
