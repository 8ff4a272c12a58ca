"""A game that is signed in: every call about its grant is kept with its begin and end, for the search for an order.

Owns the record of calls. Decides neither what is asked nor whether an answer was right.
"""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from tests.cluster.people import Identity
from tests.cluster.wire import Answer, Lost
from tests.support.family import ACCESS, CODE, DONE, REFUSED, Call, Family, Seen, step
from tests.support.family import Ask as IsItGood
from tests.support.linearizable import Operation, explanations

STAYS = 25.0
"""For how many seconds a client asks again; a repeated refresh is answered for thirty."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
_REFUSALS = {400, 401}
_ticks = count()


class GaveUp(Exception):
    """No answer for as long as a client asks again."""


Ask = Callable[[], Awaitable[Answer]]


async def until_answered(ask: Ask) -> Answer:
    """The first answer that is no outage, asking again as real clients do. Raises `GaveUp`."""
    deadline, pause = time.monotonic() + STAYS, FIRST_PAUSE
    while time.monotonic() < deadline:
        try:
            answer = await ask()
        except Lost:
            answer = None
        if answer is not None and answer.status < 500:
            return answer
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    raise GaveUp


def claims(token: str) -> dict[str, Any]:
    """What an access token says, unchecked."""
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@dataclass
class Session:
    """A code and what came of it."""

    identity: Identity
    code: str
    verifier: str
    sub: str = ""
    gid: str = ""
    refresh_token: str = ""
    access_token: str = ""
    history: list[Seen] = field(default_factory=list)
    began_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def tokens(self) -> tuple[str, str]:
        """Both."""
        return self.refresh_token, self.access_token

    def took(self, answer: Answer) -> None:
        """Use what a token answer gave from now on."""
        told = answer.json
        self.refresh_token, self.access_token = told["refresh_token"], told["access_token"]
        said = claims(self.access_token)
        self.sub, self.gid = said["sub"], said["gid"]

    async def observed(self, call: Call, ask: Ask) -> Answer:
        """One try, kept in the history. What was lost or answered by an outage may have had its effect or none.

        Of all tries of one call that were lost one is kept: the second of them could do no more than the first.
        """
        began, answer = next(_ticks), None
        try:
            answer = await ask()
        finally:
            seen = Operation(call, None if answer is None else told_by(answer), began, next(_ticks))
            if seen.answer is not None or not (isinstance(call, IsItGood) or self._has_lost(call)):
                self.history.append(seen)
        return answer

    def _has_lost(self, call: Call) -> bool:
        return any(seen.call == call and seen.answer is None for seen in self.history)

    def ended_by(self, call: Call, began: int, *, known: bool) -> None:
        """Something ended it from outside, or may have."""
        self.history.append(Operation(call, DONE if known else None, began, next(_ticks)))

    def explanations(self) -> set[Family]:
        """What it may be now; nothing if no order of the calls explains all answers.

        A call without an answer may have its effect at any time until now.
        """
        now = next(_ticks)
        history = [replace(seen, ended=now) if seen.answer is None else seen for seen in self.history]
        return explanations(history, {Family(expires_at=self.began_at + CODE)}, step)

    @property
    def access_expires_at(self) -> int:
        """When its newest access token ends, in Unix seconds."""
        return int(claims(self.access_token)["exp"]) if self.access_token else self.began_at + ACCESS


def tick() -> int:
    """The clock of histories, which ticks for each begin and each end."""
    return next(_ticks)


def told_by(answer: Answer) -> str | None:
    """What an answer says about the grant; None for an outage."""
    if answer.status >= 500:
        return None
    if answer.status in _REFUSALS:
        return REFUSED
    return str(answer.json.get("refresh_token", DONE)) if answer.content else DONE
