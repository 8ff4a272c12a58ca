"""Compares what clients were told with what the nodes say afterwards, and finds what was lost, doubled or revived.

Owns the meaning of the facts (V1 to V6). Reads the clients' files and asks the nodes; knows nothing of the load.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from tests.cluster import client
from tests.cluster.ledger import Fact, facts
from tests.cluster.sessions import Session, claims, until_answered
from tests.cluster.wire import Answer, Incident, Tally, Wire

State = Literal["live", "dead", "unknown"]
AT_A_TIME = 16
HEALS_WITHIN = 3.0
"""For how many seconds after a fault requests may begin that a node cannot carry out yet."""
LEASE = 20.0
"""The same where a node died that had begun with a credential: others wait until its lease has run out."""
Item = TypeVar("Item")


@dataclass
class Family:
    """What is known of a grant. `successors` are all that were answered for each refresh token."""

    gid: str
    sub: str
    identity: str
    code: str
    refresh: str
    access: str
    state: State = "live"
    successors: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass
class Known:
    """All that clients know, and what their own files contradict already."""

    families: dict[str, Family] = field(default_factory=dict)
    owners: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The `sub`s that each platform account was ever answered with."""
    linked: dict[str, str] = field(default_factory=dict)
    unlinked: dict[str, str] = field(default_factory=dict)
    barred: dict[str, State] = field(default_factory=dict)
    erasing: set[str] = field(default_factory=set)
    """Who asked to be erased, whether or not the answer came."""
    erased: set[str] = field(default_factory=set)
    codes: Counter[str] = field(default_factory=Counter)
    replayed: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    unanswered: int = 0
    facts: int = 0


def known(files: Iterable[Path]) -> Known:
    """What these files say, each in its own order."""
    found = Known()
    for path in files:
        for fact in facts(path):
            found.facts += 1
            _TAKES[fact["fact"]](found, fact)
    return found


def _session(found: Known, fact: Fact) -> None:
    found.codes[fact["code"]] += 1
    found.owners[fact["identity"]].add(fact["sub"])
    state: State = "unknown" if fact["code"] in found.replayed else "live"
    named = {name: fact[name] for name in ("sub", "identity", "code", "refresh", "access")}
    if fact["family"] in found.families:
        found.faults.append(f"a family was begun twice: {fact['family']}")
    found.families[fact["family"]] = Family(fact["family"], state=state, **named)


def _refreshed(found: Known, fact: Fact) -> None:
    family = found.families[fact["family"]]
    family.successors[fact["presented"]].add(fact["refresh"])
    family.refresh, family.access = fact["refresh"], fact["access"]
    if family.state == "dead":
        found.faults.append(f"a family that had ended was refreshed: {family.gid}")


def _refused(found: Known, fact: Fact) -> None:
    family = found.families[fact["family"]]
    if family.state == "live":
        found.faults.append(f"a live family was refused: {family.gid} of {family.identity}")
    family.state = "dead" if family.state == "dead" else "unknown"


def _ending(found: Known, fact: Fact) -> None:
    if fact["how"] == "replay":
        found.replayed.add(fact["code"])
    if fact["how"] == "ban":
        found.barred[fact["sub"]] = "unknown"
    if fact["how"] == "unlink":
        found.linked.pop(fact["identity"], None)
    if fact["how"] == "erase":
        found.erasing.add(fact["sub"])
    for family in _hit(found, fact):
        family.state = "dead" if family.state == "dead" else "unknown"


def _ended(found: Known, fact: Fact) -> None:
    if fact["how"] == "unlink":
        found.unlinked[fact["identity"]] = fact["sub"]
    if fact["how"] == "ban":
        found.barred[fact["sub"]] = "dead"
    if fact["how"] == "erase":
        found.erased.add(fact["sub"])
    for family in _hit(found, fact):
        family.state = "dead"


def _hit(found: Known, fact: Fact) -> Iterator[Family]:
    """Whom such an end ends."""
    for family in found.families.values():
        by_unlink = family.identity == fact.get("identity")
        by_player = fact["how"] in {"ban", "erase"} and family.sub == fact["sub"]
        if by_unlink or by_player or family.gid == fact.get("family"):
            yield family


def _linked(found: Known, fact: Fact) -> None:
    found.linked[fact["identity"]] = fact["sub"]
    found.owners[fact["identity"]].add(fact["sub"])


def _lifted(found: Known, fact: Fact) -> None:
    del found.barred[fact["sub"]]


def _given_up(found: Known, fact: Fact) -> None:
    found.families[fact["family"]].state = "unknown"


def _unanswered(found: Known, _: Fact) -> None:
    found.unanswered += 1


def _odd(found: Known, fact: Fact) -> None:
    found.faults.append(f"nobody expected {fact['status']} {fact['body']}")


_TAKES: dict[str, Callable[[Known, Fact], None]] = {
    "session": _session,
    "refreshed": _refreshed,
    "refused": _refused,
    "ending": _ending,
    "ended": _ended,
    "linked": _linked,
    "lifted": _lifted,
    "given_up": _given_up,
    "unanswered": _unanswered,
    "odd": _odd,
}


def contradictions(found: Known) -> list[str]:
    """What the files alone show to be wrong: V2 and V4."""
    doubled = [f"a code was redeemed {times} times: {code}" for code, times in found.codes.items() if times > 1]
    forked = [
        f"{len(heirs)} successors of one refresh token of {family.gid}"
        for family in found.families.values()
        for heirs in family.successors.values()
        if len(heirs) > 1
    ]
    split = [f"{identity} is {subs}" for identity, subs in found.owners.items() if len(subs) > 1]
    return [*found.faults, *doubled, *forked, *split]


def unexplained(sessions: Iterable[Session]) -> list[str]:
    """Sessions whose calls no order explains (R38)."""
    return [f"no order explains {session.history}" for session in sessions if not session.explanations()]


class Checker:
    """Asks every node. `nodes` are wires to each of them, without the balancer."""

    def __init__(self, found: Known, nodes: Sequence[Wire]) -> None:
        self._found = found
        self._nodes = nodes

    async def faults(self) -> list[str]:
        """V1 and V3: whatever was acknowledged and is not so."""
        families = list(self._found.families.values())
        about_families = await _each(families, self._about)
        about_links = await _each(list(self._found.linked.items()), self._about_link)
        about_unlinks = await _each(list(self._found.unlinked.items()), self._about_unlink)
        about_bars = await _each(list(self._found.barred.items()), self._about_bar)
        about_erased = await _each(sorted(self._found.erased), self._about_erased)
        return [*about_families, *about_links, *about_unlinks, *about_bars, *about_erased]

    async def _about(self, family: Family) -> list[str]:
        said = [await self._is_active(node, family.refresh) for node in self._nodes]
        said += [await self._is_active(node, family.access) for node in self._nodes]
        if len(set(said)) > 1:
            return [f"nodes or tokens disagree about {family}: {said}"]
        if family.state == "live" and not said[0]:
            return [f"lost: {family}"]
        if family.state == "dead" and said[0]:
            return [f"revived: {family}"]
        return await self._about_refresh(family, said[0])

    async def _about_refresh(self, family: Family, lives: bool) -> list[str]:
        node = self._nodes[hash(family.gid) % len(self._nodes)]
        answer = await until_answered(lambda: client.refresh(node, family.refresh))
        if (answer.status == 200) != lives:
            return [f"introspection says {lives}, a refresh {answer.status} {answer.content!r}: {family}"]
        if lives and claims(answer.json["access_token"])["sub"] != family.sub:
            return [f"another player: {family}"]
        return []

    async def _is_active(self, node: Wire, token: str) -> bool:
        answer = await until_answered(lambda: client.introspect(node, token))
        return bool(answer.json["active"])

    async def _about_link(self, linked: tuple[str, str]) -> list[str]:
        identity, sub = linked
        if sub in self._found.erasing:
            return []
        said = [await self._has(node, sub, identity) for node in self._nodes]
        return [] if all(said) else [f"lost: {identity} of {sub}, {said}"]

    async def _about_unlink(self, unlinked: tuple[str, str]) -> list[str]:
        identity, sub = unlinked
        said = [await self._has(node, sub, identity) for node in self._nodes]
        return [f"an unlink of {identity} of {sub} was undone, {said}"] if any(said) else []

    async def _has(self, node: Wire, sub: str, identity: str) -> bool:
        answer = await until_answered(lambda: client.show(node, sub))
        told = answer.json.get("identities", [])
        return any(f"{one['provider']}:{one['subject']}".lower() == identity.lower() for one in told)

    async def _about_bar(self, barred: tuple[str, State]) -> list[str]:
        sub, state = barred
        if sub in self._found.erasing or state == "unknown":
            return []
        said = [self._is_barred(answer) for answer in await self._shown(sub)]
        return [] if all(said) else [f"a ban of {sub} was lost, {said}"]

    def _is_barred(self, answer: Answer) -> bool:
        return any(one["lifted_at"] is None for one in answer.json.get("bans", []))

    async def _about_erased(self, sub: str) -> list[str]:
        said = [answer.status for answer in await self._shown(sub)]
        return [] if set(said) == {404} else [f"{sub} was erased and is there, {said}"]

    async def _shown(self, sub: str) -> list[Answer]:
        return [await until_answered(partial(client.show, node, sub)) for node in self._nodes]


async def _each(items: Sequence[Item], ask: Callable[[Item], Awaitable[list[str]]]) -> list[str]:
    turn = asyncio.Semaphore(AT_A_TIME)

    async def one(item: Item) -> list[str]:
        async with turn:
            return await ask(item)

    return [fault for faults in await asyncio.gather(*map(one, items)) for fault in faults]


@dataclass(frozen=True, slots=True)
class Fault:
    """When something was broken, in seconds of the monotonic clock."""

    began: float
    ended: float


def bad_answers(tally: Tally, broken: Sequence[Fault] = ()) -> list[str]:
    """V5: answers of the 500s that no fault excuses."""
    return [f"{broken}: {incident}" for incident in tally.incidents if not _is_excused(incident, broken)]


def _is_excused(incident: Incident, broken: Sequence[Fault]) -> bool:
    heals_within = LEASE if b'"in_progress"' in incident.content else HEALS_WITHIN
    within = any(fault.began <= incident.at and incident.began <= fault.ended + heals_within for fault in broken)
    return within and incident.status == 503 and incident.retry_after.isdigit()
