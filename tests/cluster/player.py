"""A player under load, who signs in, plays, links, unlinks and leaves, and writes down whatever was promised.

Owns the mixture and the ledger's facts. Whether promises were kept is the checker's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from tests.cluster import client
from tests.cluster.client import LoginTry
from tests.cluster.ledger import Ledger
from tests.cluster.people import PLATFORMS, Identity, People
from tests.cluster.sessions import Ask, GaveUp, Session, tick, until_answered
from tests.cluster.wire import Answer, Wire
from tests.support.family import Ask as IsItGood
from tests.support.family import End, GiveUp, Redeem, Refresh

MOST_SESSIONS = 4
_LINKABLE = ("steam", "epicgames", "xbox")


@dataclass
class Player:
    """One person at a time; who is gone is followed by another one. `all_sessions` are of all of them."""

    wire: Wire
    people: People
    ledger: Ledger
    chance: Random
    all_sessions: list[Session] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    identities: list[Identity] = field(default_factory=list)
    sub: str = ""

    async def play(self, over: asyncio.Event) -> None:
        """One thing after the other, until it is over."""
        ways: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.refreshes, 40),
            (self.refreshes_twice, 10),
            (self.looks, 10),
            (self.signs_in, 8),
            (self.redeems_twice, 2),
            (self.links, 4),
            (self.unlinks, 4),
            (self.logs_out, 3),
            (self.is_banned_for_a_while, 2),
            (self.leaves, 1),
        ]
        doing, weights = [way for way, _ in ways], [weight for _, weight in ways]
        while not over.is_set():
            way = self.chance.choices(doing, weights)[0] if self.sessions else self.signs_in
            await way()

    # --- signing in ---

    async def signs_in(self) -> None:
        """A login, by any platform account that the person has."""
        session = await self._logged_in()
        if session and await self._redeemed(session):
            self.sessions.append(session)

    async def redeems_twice(self) -> None:
        """The same code at two nodes at once, which one of them may turn into tokens, and which may end them."""
        session = await self._logged_in()
        if session is None:
            return
        self.ledger.note("ending", how="replay", code=session.code)
        both = await asyncio.gather(self._redeemed(session), self._redeemed(session))
        if any(both):
            self.sessions.append(session)

    async def _logged_in(self) -> Session | None:
        if not self.identities:
            self.sub = ""
            self.identities.append(self.people.newcomer(self.chance.choice(PLATFORMS)))
        if len(self.sessions) >= MOST_SESSIONS:
            self.sessions.pop(0)
        tried = LoginTry(who := self.chance.choice(self.identities), self.people.credential(who))
        began, tries = tick(), 0

        async def counted() -> Answer:
            nonlocal tries
            tries += 1
            return await client.log_in(self.wire, tried)

        answer = await self._answered(counted)
        if answer is None:
            return None
        session = Session(who, client.code_of(answer), tried.verifier)
        if tries > 1:  # an earlier try that is carried out late takes this code for what was answered before it
            session.ended_by(End(always=False), began, known=False)
        self.all_sessions.append(session)
        return session

    async def _redeemed(self, session: Session) -> bool:
        """Whether it gave tokens; a repeat of a redemption that was carried out gives none."""
        call = Redeem(int(time.time()), fits=True)
        answer = await self._answered(
            lambda: session.observed(call, lambda: client.redeem(self.wire, session.code, session.verifier)),
            fine=(400,),
        )
        if answer is None or answer.status != 200:
            return False
        session.took(answer)
        self.sub = session.sub
        told = answer.json
        self.ledger.note(
            "session",
            family=session.gid,
            sub=session.sub,
            identity=str(session.identity),
            code=session.code,
            refresh=told["refresh_token"],
            access=told["access_token"],
        )
        return True

    # --- playing ---

    async def refreshes(self) -> None:
        """New tokens, and the old ones are thrown away."""
        session = self.chance.choice(self.sessions)
        self._use(session, [await self._refreshed(session, session.refresh_token)])

    async def refreshes_twice(self) -> None:
        """Two or three threads of a game notice at once that the access token has ended."""
        session, threads = self.chance.choice(self.sessions), self.chance.randint(2, 3)
        presented = session.refresh_token
        self._use(session, await asyncio.gather(*(self._refreshed(session, presented) for _ in range(threads))))

    async def _refreshed(self, session: Session, presented: str) -> Answer | None:
        call = Refresh(int(time.time()), presented)
        answer = await self._answered(
            lambda: session.observed(call, lambda: client.refresh(self.wire, presented)), fine=(400,)
        )
        if answer is None:
            self.ledger.note("given_up", family=session.gid)
        elif answer.status == 200:
            told = answer.json
            self.ledger.note(
                "refreshed",
                family=session.gid,
                presented=presented,
                refresh=told["refresh_token"],
                access=told["access_token"],
            )
        else:
            self.ledger.note("refused", family=session.gid, presented=presented)
        return answer

    def _use(self, session: Session, answers: list[Answer | None]) -> None:
        good = [answer for answer in answers if answer is not None and answer.status == 200]
        if len(good) == len(answers):
            session.took(good[-1])
        else:
            self.sessions.remove(session)

    async def looks(self) -> None:
        """Whether the access token is good."""
        session = self.chance.choice(self.sessions)
        call = IsItGood(int(time.time()), session.access_expires_at)
        answer = await self._answered(
            lambda: session.observed(call, lambda: client.user_info(self.wire, session.access_token)), fine=(401,)
        )
        if answer is not None and answer.status != 200:
            self.ledger.note("refused", family=session.gid, presented=session.access_token)
            self.sessions.remove(session)

    # --- ends ---

    async def logs_out(self) -> None:
        """By one of the two tokens."""
        session = self.chance.choice(self.sessions)
        token = self.chance.choice([session.refresh_token, session.access_token])
        self.sessions.remove(session)
        self.ledger.note("ending", how="revoke", family=session.gid)
        call = GiveUp(int(time.time()), token)
        if await self._answered(lambda: session.observed(call, lambda: client.revoke(self.wire, token))):
            self.ledger.note("ended", how="revoke", family=session.gid)

    async def links(self) -> None:
        """One more platform account, of a platform that may be there already."""
        session = self.chance.choice(self.sessions)
        identity = self.people.newcomer(self.chance.choice(_LINKABLE))
        credential = self.people.credential(identity)
        answer = await self._answered(
            lambda: client.link(self.wire, session.access_token, identity, credential), fine=(401,)
        )
        if answer is not None and answer.status == 200:
            self.identities.append(identity)
            self.ledger.note("linked", sub=self.sub, identity=str(identity))

    async def unlinks(self) -> None:
        """One less, never the one that this session began with."""
        session = self.chance.choice(self.sessions)
        others = [each for each in self.identities if each != session.identity and each.provider != "guest"]
        if not others:
            return
        identity = self.chance.choice(others)
        hit = [each for each in self.all_sessions if each.sub == self.sub and each.identity == identity]
        self.identities.remove(identity)  # whatever comes of it: nobody knows whose it is until the checker asks
        ask: Ask = lambda: client.unlink(self.wire, session.access_token, identity)  # noqa: E731 - too long for one line
        await self._ended(ask, hit, fine=(401, 404, 409), how="unlink", identity=str(identity), sub=self.sub)

    async def is_banned_for_a_while(self) -> None:
        """By the studio's server; sometimes it stays so, and another person comes."""
        sub, hit = self.sub, [each for each in self.all_sessions if each.sub == self.sub]
        if not await self._ended(lambda: client.ban(self.wire, sub), hit, how="ban", sub=sub):
            return
        if self.chance.random() < 1 / 3:
            self._forget()
            return
        if await self._answered(lambda: client.unban(self.wire, sub)) is None:
            self._forget()
            return
        self.ledger.note("lifted", sub=sub)
        await asyncio.sleep(1)  # whatever is given in the second of a ban is void

    async def leaves(self) -> None:
        """For good; another person comes."""
        session, sub = self.chance.choice(self.sessions), self.sub
        hit = [each for each in self.all_sessions if each.sub == sub]
        await self._ended(
            lambda: client.erase(self.wire, session.access_token, sub), hit, fine=(401,), how="erase", sub=sub
        )
        self._forget()

    def _forget(self) -> None:
        self.sessions.clear()
        self.identities.clear()
        self.sub = ""

    async def _ended(self, ask: Ask, hit: list[Session], fine: tuple[int, ...] = (), **told: str) -> bool:
        """Whether it is known to have ended. Refused after a try that was lost, it may have been that try's doing."""
        self.ledger.note("ending", **told)
        began, tries = tick(), 0

        async def counted() -> Answer:
            nonlocal tries
            tries += 1
            return await ask()

        answer = await self._answered(counted, fine)
        known = answer is not None and answer.status == 200
        if known:
            self.ledger.note("ended", **told)
            self.sessions[:] = [session for session in self.sessions if session not in hit]
        if known or tries > 1:
            for session in hit:
                session.ended_by(End(), began, known=known)
        return known

    async def _answered(self, ask: Ask, fine: tuple[int, ...] = ()) -> Answer | None:
        """The answer, if it is good or a refusal that is no surprise; None if none came in time."""
        try:
            answer = await until_answered(ask)
        except GaveUp:
            self.ledger.note("unanswered")
            return None
        if answer.status >= 300 and answer.status not in fine:
            self.ledger.note("odd", status=answer.status, body=answer.content[:300].decode(errors="replace"))
        return answer if answer.status < 300 or answer.status in fine else None
