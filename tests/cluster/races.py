"""Races between nodes: several requests for one thing at the same moment, each at another node, and what came of them.

Owns one round of each race, and what it may leave behind. Knows nothing of how many rounds there are.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from tests.cluster import client
from tests.cluster.client import LoginTry
from tests.cluster.people import PLATFORMS, Identity, People
from tests.cluster.sessions import Session, claims
from tests.cluster.wire import Answer, Lost, Wire
from tests.support.family import Redeem, Refresh

LINKABLE = ("steam", "epicgames", "xbox")
_INVALID = (400, "invalid_grant")


@dataclass
class Field:
    """Where races are run: wires to each node, and what was wrong so far. `seen` counts outcomes, for people."""

    nodes: Sequence[Wire]
    people: People
    chance: Random
    racers: int
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def wires(self) -> Iterator[Wire]:
        """A wire for each racer, so that the nodes have equally many, in any order."""
        nodes = [node for node, _ in zip(cycle(self.nodes), range(self.racers), strict=False)]
        self.chance.shuffle(nodes)
        return iter(nodes)

    @property
    def anywhere(self) -> Wire:
        """Any node."""
        return self.chance.choice(self.nodes)

    def expect(self, holds: object, what: str) -> None:
        """Note it down if something does not hold."""
        if not holds:
            self.wrong.append(what)

    # --- what happens before and after a race ---

    async def coded(self, identity: Identity) -> Session:
        """A code that nobody has used."""
        tried = LoginTry(identity, self.people.credential(identity))
        answer = await client.log_in(self.anywhere, tried)
        assert answer.status == 200, answer
        return Session(identity, client.code_of(answer), tried.verifier)

    async def signed_in(self, identity: Identity) -> Session:
        """Tokens."""
        session = await self.coded(identity)
        await self.redeemed(session)
        return session

    async def redeemed(self, session: Session) -> None:
        """The tokens of a code."""
        answer = await client.redeem(self.anywhere, session.code, session.verifier)
        assert answer.status == 200, answer
        session.took(answer)

    async def lives(self, session: Session) -> None:
        """Every node says so, and would remember it if it remembered such things."""
        for node in self.nodes:
            said = [(await client.introspect(node, token)).json["active"] for token in session.tokens]
            said.append((await client.user_info(node, session.access_token)).status == 200)
            self.expect(all(said), f"a session does not live: {said}")

    async def dead(self, session: Session, what: str) -> None:
        """Neither of its tokens is worth anything, on any node."""
        for node in self.nodes:
            said = [(await client.introspect(node, token)).json["active"] for token in session.tokens]
            said.append((await client.user_info(node, session.access_token)).status == 200)
            self.expect(not any(said), f"{what}: a token lives on: {said}")
        answer = await client.refresh(self.anywhere, session.refresh_token)
        self.expect((answer.status, answer.error) == _INVALID, f"{what}: refreshed with {answer.status}")

    async def alive(self, session: Session, what: str) -> None:
        """A session goes on, on any node, as the same player."""
        call = Refresh(int(time.time()), session.refresh_token)
        answer = await session.observed(call, lambda: client.refresh(self.anywhere, call.token))
        self.expect(answer.status == 200, f"{what}: logged out with {answer.status} {answer.content!r}")
        if answer.status == 200:
            self.expect(claims(answer.json["access_token"])["sub"] == session.sub, f"{what}: another player")
            session.took(answer)


Race = Callable[[Field], Awaitable[None]]


async def codes(on: Field) -> None:
    """R25: one code, presented to every node; one answer has tokens."""
    session = await on.coded(on.people.newcomer(on.chance.choice(PLATFORMS)))
    call = Redeem(int(time.time()), fits=True)
    answers = await asyncio.gather(
        *(
            session.observed(call, lambda wire=wire: client.redeem(wire, session.code, session.verifier))  # type: ignore[misc]
            for wire in on.wires()
        )
    )
    good = [answer for answer in answers if answer.status == 200]
    on.expect(len(good) == 1, f"{len(good)} redemptions of one code")
    refused = [answer for answer in answers if answer.status != 200]
    on.expect({(a.status, a.error) for a in refused} <= {_INVALID}, f"refused with {refused}")
    if not good:
        return
    session.took(good[0])
    last = Refresh(int(time.time()), session.refresh_token)
    after = await session.observed(last, lambda: client.refresh(on.anywhere, last.token))
    on.seen["kept" if after.status == 200 else "revoked as replayed"] += 1
    on.expect(session.explanations(), f"no order explains {session.history}")


async def refreshes(on: Field) -> None:
    """R26: one refresh token, presented to every node; some answers are lost, and nobody is logged out."""
    session = await on.signed_in(on.people.newcomer(on.chance.choice(PLATFORMS)))
    session.history.clear()
    presented = session.refresh_token
    call = Refresh(int(time.time()), presented)
    answers = await asyncio.gather(
        *(_perhaps_lost(on, session, call, lambda wire=wire: client.refresh(wire, presented)) for wire in on.wires())  # type: ignore[misc]
    )
    arrived = [answer for answer in answers if answer is not None]
    on.seen["lost"] += len(answers) - len(arrived)
    on.expect({answer.status for answer in arrived} <= {200}, f"a repeat was refused: {arrived}")
    heirs = {answer.json["refresh_token"] for answer in arrived if answer.status == 200}
    on.expect(len(heirs) <= 1, f"{len(heirs)} successors of one refresh token")
    if heirs:
        session.took(arrived[0])
    await on.alive(session, "refresh race")


async def _perhaps_lost(
    on: Field, session: Session, call: Refresh, ask: Callable[[], Awaitable[Answer]]
) -> Answer | None:
    """The answer, unless the client hangs up before it comes."""
    if on.chance.random() < 3 / 4:
        return await session.observed(call, ask)
    with suppress(Lost, TimeoutError):
        async with asyncio.timeout(on.chance.uniform(0, 0.02)):
            return await session.observed(call, ask)
    return None


async def first_logins(on: Field) -> None:
    """R27, D49: somebody whom no node knows logs in everywhere at once, and is one player."""
    identity = on.people.newcomer(on.chance.choice(PLATFORMS))
    tries = [LoginTry(identity, on.people.credential(identity)) for _ in range(on.racers)]
    answers = await asyncio.gather(*map(client.log_in, on.wires(), tries))
    refused = [answer for answer in answers if answer.status != 200]
    on.expect(not refused, f"a first login was refused: {refused}")
    if refused:
        return
    sessions = [Session(identity, client.code_of(a), t.verifier) for a, t in zip(answers, tries, strict=True)]
    await asyncio.gather(*map(on.redeemed, sessions))
    on.expect(len({session.sub for session in sessions}) == 1, f"{identity} became several players")


async def links(on: Field) -> None:
    """R27, D47: one platform account, linked to two players everywhere at once and logged in with; it has one owner."""
    rivals = [await on.signed_in(on.people.newcomer("guest")) for _ in range(2)]
    identity = on.people.newcomer(on.chance.choice(LINKABLE))
    arrivals = zip(on.wires(), _by_turns(on, rivals), strict=False)
    answers = await asyncio.gather(*(_arrive(on, wire, rival, identity) for wire, rival in arrivals))
    on.expect({answer.status for answer in answers} <= {200, 409}, f"odd answers to links: {answers}")
    owner = (await on.signed_in(identity)).sub
    expected = [owner] if owner in {rival.sub for rival in rivals} else []
    for node in on.nodes:
        owners = [rival.sub for rival in rivals if await _has(node, rival.sub, identity)]
        on.expect(owners == expected, f"{identity} belongs to {owners} and logs in as {owner}")
    on.seen["linked" if expected else "a player of its own"] += 1


def _by_turns(on: Field, rivals: Sequence[Session]) -> Iterator[Session | None]:
    """Mostly the rivals, now and then somebody who just logs in."""
    for rival in cycle(rivals):
        yield None if on.chance.random() < 1 / 16 else rival


async def _arrive(on: Field, wire: Wire, rival: Session | None, identity: Identity) -> Answer:
    credential = on.people.credential(identity)
    if rival is None:
        return await client.log_in(wire, LoginTry(identity, credential))
    return await client.link(wire, rival.access_token, identity, credential)


async def _has(node: Wire, sub: str, identity: Identity) -> bool:
    told = (await client.show(node, sub)).json["identities"]
    return any(f"{one['provider']}:{one['subject']}".lower() == str(identity).lower() for one in told)


async def ends(on: Field) -> None:
    """R28: a ban, a deletion, an unlink or a revocation among refreshes; nothing that they gave is alive after it."""
    how = on.chance.choice(sorted(_ENDS))
    main = await on.signed_in(on.people.newcomer("xbox"))
    identity = on.people.newcomer("steam")
    linked = await client.link(on.anywhere, main.access_token, identity, on.people.credential(identity))
    assert linked.status == 200, linked
    victim = await on.signed_in(identity)
    await on.lives(victim)
    wires = on.wires()
    calls = [_ENDS[how](next(wires), main, victim), *(client.refresh(wire, victim.refresh_token) for wire in wires)]
    order = on.chance.sample(range(len(calls)), len(calls))
    told = dict(zip(order, await asyncio.gather(*(calls[place] for place in order)), strict=True))
    ended, refreshed = told.pop(0), [answer for answer in told.values() if answer.status == 200]
    on.expect(ended.status == 200, f"{how} was answered {ended.status} {ended.content!r}")
    on.seen[how if refreshed else f"{how} first"] += 1
    await on.dead(victim, how)
    for answer in refreshed:
        victim.took(answer)
        said = (await client.introspect(on.anywhere, victim.access_token)).json["active"]
        on.expect(not said, f"{how}: what a refresh beside it gave lives on")
    await on.dead(victim, how)


_ENDS: dict[str, Callable[[Wire, Session, Session], Awaitable[Answer]]] = {
    "ban": lambda wire, _, victim: client.ban(wire, victim.sub),
    "erase": lambda wire, main, _: client.erase(wire, main.access_token, main.sub),
    "revoke": lambda wire, _, victim: client.revoke(wire, victim.refresh_token),
    "unlink": lambda wire, main, victim: client.unlink(wire, main.access_token, victim.identity),
}

RACES: dict[str, Race] = {
    "R25_B04_codes": codes,
    "R26_B23_refreshes": refreshes,
    "R27_D49_first_logins": first_logins,
    "R27_D47_links": links,
    "R28_ends_against_refreshes": ends,
}
