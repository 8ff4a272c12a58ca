"""Whatever is merged, given away, linked, unlinked and undone in whatever order, every old `sub` means one player.

A model that knows parents alone says which one. It is held against plans upon a storage.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.account_models import Account, JournalEvent
from authsrv.accounts.effects import effect_of_event
from authsrv.accounts.journal import Planned
from authsrv.accounts.linking import link
from authsrv.accounts.merging import merge
from authsrv.accounts.transferring import transfer
from authsrv.accounts.undoing import Scene, undo
from authsrv.accounts.unlinking import unlink
from authsrv.errors import AuthsrvError, LaterChanges
from authsrv.models import IdentityKey
from authsrv.storage.base import Storage
from tests.support.accounts import MARKS, account, done, key, occasion, reloaded, stored
from tests.support.storage import NOW, memory_storage

PLAYERS = range(1, 6)
KINDS = ("steam", "epic", "xbox")
KEYS = [key(kind, f"{kind}-{number}") for number in PLAYERS for kind in KINDS]

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["merge", "merge", "transfer", "link", "unlink", "undo", "undo"]),
        st.integers(0, 30),
        st.integers(0, 30),
    ),
    max_size=14,
)


@dataclass
class World:
    """The storage, the events in their order, and who was merged into whom by events that stand."""

    storage: Storage
    now: int = NOW + 100
    events: list[JournalEvent] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)

    async def take(self, step: Step) -> None:
        """Do it, unless it is refused; nothing has changed then."""
        kind, first, second = step
        self.now += 1
        before = await self.everything()
        try:
            event = await self._done(kind, first, second)
        except AuthsrvError:
            assert await self.everything() == before
            return
        self.events.append(event)
        self.note(event)

    def note(self, event: JournalEvent) -> None:
        """Who was merged into whom by what happened."""
        union = effect_of_event(event).union
        if union is None:
            return
        if union.parted:
            del self.parents[union.loser_id]
        else:
            self.parents[union.loser_id] = union.survivor_id

    async def _done(self, kind: str, first: int, second: int) -> JournalEvent:
        if kind == "undo":
            return await self.undo(first)
        one, other = await self._account(first), await self._account(second)
        wanted, on = KEYS[(first + second) % len(KEYS)], occasion(now=self.now, identities=2)
        plans: dict[str, Callable[[], Planned]] = {
            "merge": lambda: merge(one, other, on, MARKS, drop_duplicates=True),
            "transfer": lambda: transfer(wanted, one, other, on, MARKS),
            "link": lambda: link(wanted, one, on, MARKS),
            "unlink": lambda: unlink(one.identities[0], one, ways(one), on),
        }
        if kind == "link" and await self.storage.load_player(wanted):
            raise LaterChanges
        if kind == "unlink" and not one.identities:
            raise LaterChanges
        return await self._performed(plans[kind]())

    async def undo(self, number: int) -> JournalEvent:
        """Take back the event of this number, counted from the first one again after the last one."""
        if not self.events:
            raise LaterChanges
        is_newest = number % len(self.events) == len(self.events) - 1
        event = await self.storage.load_event(self.events[number % len(self.events)].id)
        assert event
        union = effect_of_event(event).union
        try:
            undone = await self._performed(
                undo(event, await self._scene(event), occasion(now=self.now, identities=2), MARKS)
            )
        except LaterChanges:
            assert not is_newest or event.reversed_by
            raise
        assert union is None or union.parted or union.survivor_id not in self.parents
        return undone

    async def _scene(self, event: JournalEvent) -> Scene:
        effect = effect_of_event(event)
        accounts = {number: await reloaded(self.storage, number) for number in effect.players}
        keys = {move.key for move in effect.moves}
        return Scene(
            accounts,
            {one: await self.storage.load_ownership(one, MARKS.of(one), self.now) for one in keys},
            {number: ways(one) for number, one in accounts.items()},
            [one for number in accounts for one in await self.storage.load_events(number, 99)],
            str,
        )

    async def _performed(self, planned: Planned) -> JournalEvent:
        await done(self.storage, planned)
        return planned.event

    async def _account(self, number: int) -> Account:
        return await reloaded(self.storage, number % len(PLAYERS) + 1)

    async def everything(self) -> list[Account]:
        return [await reloaded(self.storage, number) for number in PLAYERS]

    def root(self, number: int) -> int:
        return self.root(self.parents[number]) if number in self.parents else number


def ways(one: Account) -> frozenset[IdentityKey]:
    return frozenset(linked.key for linked in one.identities)


async def check(world: World) -> None:
    accounts = {one.player.id: one for one in await world.everything()}
    for number, one in accounts.items():
        remains = world.root(number)
        assert (one.player.merged_into or number) == remains
        assert accounts[remains].player.merged_into is None
        assert not one.identities or remains == number
        assert {alias.id for alias in one.aliases} == {other for other in accounts if world.root(other) == number} - {
            number
        }
        assert max([0, *Counter(linked.key.kind for linked in one.identities).values()]) <= 2
    held = [linked.key for one in accounts.values() for linked in one.identities]
    assert len(held) == len(set(held))


@asynccontextmanager
async def begun() -> AsyncIterator[World]:
    """Five players with an identity of each kind."""
    storage = memory_storage()
    await storage.open()
    await stored(storage, *(account(number, *KINDS) for number in PLAYERS))
    yield World(storage)
    await storage.close()


async def taken(steps: list[Step]) -> None:
    async with begun() as world:
        for step in steps:
            await world.take(step)
            await check(world)


async def taken_back(steps: list[Step]) -> None:
    async with begun() as world:
        before = await world.everything()
        for step in steps:
            await world.take(step)
        for number in reversed(range(len(world.events))):
            world.note(await world.undo(number))
        assert [as_first(one) for one in await world.everything()] == before


def as_first(one: Account) -> Account:
    """Without what no undo brings back: how often the account changed, when an unlinked identity was used."""
    identities = tuple(replace(linked, last_used_at=linked.linked_at) for linked in one.identities)
    return replace(one, player=replace(one.player, version=1), identities=identities)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_every_old_sub_means_one_player_who_owns_what_all_of_them_had(steps: list[Step]) -> None:
    asyncio.run(taken(steps))


@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_what_is_taken_back_in_turn_the_newest_first_is_as_if_it_had_never_been(steps: list[Step]) -> None:
    asyncio.run(taken_back([step for step in steps if step[0] != "undo"]))
