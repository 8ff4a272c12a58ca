"""What players are asked when a platform account cannot just be connected: who is concerned, and what they may choose.

Owns that another player's summary is shown to those only who proved a platform account of that player, and that every
question comes with a token by which it can be answered.
"""

from typing import Any

from authsrv.account_models import Account, LinkedIdentity
from authsrv.accounts.callers import Caller
from authsrv.accounts.cases import Case
from authsrv.accounts.choices import Offer, offers
from authsrv.accounts.continuation import Continuation, ContinuationTokens, Seen
from authsrv.accounts.entries import Entry
from authsrv.accounts.summaries import Summaries
from authsrv.oauth.server import TokenServer


class Conflicts:
    """Asks."""

    def __init__(self, server: TokenServer, summaries: Summaries, tokens: ContinuationTokens) -> None:
        self._server = server
        self._summaries = summaries
        self._tokens = tokens
        self._marks = server.proofs.logins.marks

    def told(self, case: Case) -> dict[str, Any]:
        """The row, and summaries of the players whom it concerns. The caller proved the platform account just now."""
        blocking = self._blocking(case)
        return {
            "rule": case.decision.rule,
            "current": self._summary(case.current),
            "other": self._summary(case.other),
            "blocking_identity": self._summaries.brief(blocking) if blocking else None,
        }

    def asked(self, case: Case, caller: Caller, entry: Entry) -> dict[str, Any]:
        """The same with everything that may be chosen, and the token for it."""
        found = offers(case, self._marks)
        return self.told(case) | self.choices(found) | self.continuation(case, caller, entry, found)

    def choices(self, found: tuple[Offer, ...]) -> dict[str, Any]:
        """The choices."""
        return {"choices": [offer.told() for offer in found]}

    def continuation(self, case: Case, caller: Caller, entry: Entry, found: tuple[Offer, ...]) -> dict[str, Any]:
        """The token by which one of these can be chosen, and for how many seconds."""
        session = caller.session
        asked = Continuation(
            client_id=caller.client.client_id,
            grant=self._server.opaque.public_id("gid", session.grant_id) if session else "",
            proof=case.proof,
            wishes=case.wishes,
            choices=tuple(offer.choice for offer in found),
            current=seen(case.current),
            owner=seen(case.owner),
            code=entry.code,
        )
        left = asked.expires_at - case.occasion.now
        return {"continuation_token": self._tokens.issue(asked), "expires_in": left}

    def _summary(self, account: Account | None) -> dict[str, Any] | None:
        return self._summaries.summary(account) if account else None

    def _blocking(self, case: Case) -> LinkedIdentity | None:
        if case.current is None or case.decision.outcome != "already_linked":
            return None
        return case.current.other_of_kind(case.proof.key)


def is_as_seen(case: Case, asked: Continuation) -> bool:
    """Whether nothing about the accounts has changed since the player was asked."""
    return (seen(case.current), seen(case.owner)) == (asked.current, asked.owner)


def seen(account: Account | None) -> Seen:
    """An account as it is shown to the player now."""
    return Seen(account.player.sub, account.player.version) if account else Seen()
