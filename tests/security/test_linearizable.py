"""R38: whatever redeems, refreshes, revokes, ends or sweeps at the same time, some order of it explains every answer.

What a grant is, in a few lines, is told by `tests.support.family`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from authsrv.config import Config
from authsrv.models import Grant
from authsrv.storage.base import Storage
from authsrv.storage.changes import Change, EndSession, RevokeGrant, SetNotBefore, WithdrawConsent
from tests.support.browser import Browser
from tests.support.family import (
    ACCESS,
    CODE,
    DONE,
    GRACE,
    IDLE,
    REFUSED,
    Ask,
    Call,
    End,
    Family,
    GiveUp,
    Redeem,
    Refresh,
    Reload,
    Seen,
    Sweep,
    step,
)
from tests.support.gates import Pauses
from tests.support.linearizable import Operation, explanations
from tests.support.refusals import token_error
from tests.support.server import Server, running_on
from tests.support.storage import BACKENDS

HISTORIES, ROUNDS, MOST_AT_ONCE = 25, 12, 6
ELAPSED = [0] * 8 + [1, 15, GRACE - 1, GRACE, CODE, ACCESS, 1800] * 2 + [IDLE]
WRONG_VERIFIER = "x" * 43


@dataclass
class Course:
    """One grant while calls come from everywhere. `history` holds the calls of one round."""

    server: Server
    chance: Random
    configs: dict[bool, Config]
    code: str
    grant: Grant
    ticks: Iterator[int] = field(default_factory=count)
    history: list[Seen] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: list[tuple[str, int]] = field(default_factory=list)

    @property
    def now(self) -> int:
        return int(self.server.clock.now)

    async def round(self) -> None:
        """A few calls at the same time, some of which nobody waits for."""
        self.history.clear()
        most = MOST_AT_ONCE if self.refresh_tokens else 2  # more would use the code twice almost always
        made = [self.any_call() for _ in range(self.chance.randint(1, most))]
        tasks = [asyncio.create_task(self.observed(call, carry_out)) for call, carry_out in made]
        for task in tasks:
            if self.chance.random() < 1 / 8:
                await Pauses(self.chance, most=30).pause()
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await nothing_is_under_way(self.server.app.storage)
        until = next(self.ticks)
        self.history[:] = [replace(seen, ended=until) if seen.answer is None else seen for seen in self.history]
        for task in tasks:
            assert task.cancelled() or task.exception() is None, task.exception()

    async def observed(self, call: Call, carry_out: Callable[[], Awaitable[str]]) -> None:
        await Pauses(self.chance, most=30).pause()
        began, answer = next(self.ticks), None
        try:
            answer = await carry_out()
        finally:
            self.history.append(Operation(call, answer, began, next(self.ticks)))

    def any_call(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        """Mostly refreshes, once there is something to refresh; what ends it all comes seldom."""
        if not self.refresh_tokens:
            return self.chance.choices([self.redeem, self.sweep, self.end, self.reload], [20, 2, 3, 1])[0]()
        ways = [self.refresh, self.ask, self.sweep, self.redeem, self.give_up, self.end, self.reload]
        return self.chance.choices(ways, [40, 8, 4, 1, 1, 2, 3])[0]()

    def redeem(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        fits = self.chance.random() < 2 / 3
        changes = {} if fits else {"code_verifier": WRONG_VERIFIER}
        browser = Browser(self.server)
        return Redeem(self.now, fits), lambda: self.tokens(browser.redeem(self.code, **changes))

    def refresh(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        token, browser = self.a_refresh_token(), Browser(self.server)
        return Refresh(self.now, token), lambda: self.tokens(browser.refresh(token))

    def ask(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        token, expires_at = self.chance.choice(self.access_tokens)
        return Ask(self.now, expires_at), lambda: self.status(self.server.userinfo(token))

    def give_up(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        token = self.a_refresh_token()
        form = {"client_id": "shop", "client_secret": "shop-secret", "token": token}
        return GiveUp(self.now, token), lambda: self.status(self.server.http.post("/oauth2/revoke", data=form))

    def end(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        grant, now = self.grant, self.now
        session = grant.session_id
        ways: list[tuple[Call, Change]] = [
            (End(), RevokeGrant(grant.id, now, "banned")),
            (End(), WithdrawConsent(grant.player_id, grant.client_id, now)),
            (End(), EndSession(session, now, "logout", bound=("shop",))),
            (End(always=False), EndSession(session, now, "logout")),
            (End(), SetNotBefore("client", grant.client_id, now + 1)),
        ]
        call, change = self.chance.choice(ways)
        return call, lambda: self.done(self.server.app.storage.apply([change]))

    def reload(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        is_there = self.chance.random() < 2 / 3
        return Reload(is_there), lambda: self.done(self.server.app.reload(self.configs[is_there]))

    def sweep(self) -> tuple[Call, Callable[[], Awaitable[str]]]:
        return Sweep(), lambda: self.done(self.server.app.storage.sweep(self.now, 100))

    def a_refresh_token(self) -> str:
        """The newest one that is known, or any."""
        return self.refresh_tokens[-1] if self.chance.random() < 4 / 5 else self.chance.choice(self.refresh_tokens)

    async def tokens(self, asked: Awaitable[httpx.Response]) -> str:
        answer = await asked
        if answer.status_code != 200:
            assert token_error(answer) in {"invalid_grant", "invalid_client"}
            return REFUSED
        found: dict[str, str] = answer.json()
        if self.chance.random() < 2 / 3:  # else the answer is lost
            self.refresh_tokens.append(found["refresh_token"])
            self.access_tokens.append((found["access_token"], self.now + ACCESS))
        return found["refresh_token"]

    async def status(self, asked: Awaitable[httpx.Response]) -> str:
        answer = await asked
        assert answer.status_code in {200, 401}
        return DONE if answer.status_code == 200 else REFUSED

    async def done(self, work: Awaitable[object]) -> str:
        await work
        return DONE


async def nothing_is_under_way(storage: Storage) -> None:
    """Also what nobody waits for is written by now: PostgreSQL does it beside what came later, SQLite before it."""
    await asyncio.gather(*getattr(storage, "_begun", ()), return_exceptions=True)
    await storage.ping()


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path) as started:
        yield started


@pytest.fixture
def configs(server: Server) -> dict[bool, Config]:
    """The configuration with the client and without."""
    without: dict[str, Any] = deepcopy(server.app.config.projects)
    found = server.app.config
    project = found.projects["demo"]
    others = {name: client for name, client in project.clients.items() if name != "shop"}
    without["demo"] = project.model_copy(update={"clients": others})
    return {True: found, False: found.model_copy(update={"projects": without})}


async def test_R38_some_order_explains_every_answer(
    server: Server, configs: dict[bool, Config], chance: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = Pauses(chance, most=15)
    for name in ("load_grant", "apply", "sweep"):
        monkeypatch.setattr(server.app.storage, name, pauses.around(getattr(server.app.storage, name)))
    for _ in range(HISTORIES):
        course = await begun(server, configs, chance)
        families = {Family(expires_at=course.now + CODE)}
        for _ in range(ROUNDS):
            await course.round()
            families, before = explanations(course.history, families, step), families
            assert families, told(before, course.history)
            server.clock.now += chance.choice(ELAPSED) if course.refresh_tokens else chance.choice([0, 30])
            if all(family.ended for family in before):
                break  # it stayed so for a whole round


def told(before: Iterable[Family], history: Sequence[Seen]) -> str:
    """A line each, as the report of a test shortens anything but a text."""
    calls = sorted(history, key=lambda seen: seen.began)
    return "\n".join(["no order explains this; before it:", *map(repr, before), "calls:", *map(repr, calls)])


async def begun(server: Server, configs: dict[bool, Config], chance: Random) -> Course:
    """A code that nobody has used yet."""
    server.clock.now += 1000
    await server.app.reload(configs[True])
    code = await Browser(server).code()
    grant = max(await server.grants(), key=lambda grant: grant.id)
    return Course(server, chance, configs, code, grant)


# --- the search itself ---


def written(value: str, seen: Operation[str]) -> Iterator[str]:
    """A register: `read` answers what was written last, anything else is written."""
    if seen.call != "read":
        yield seen.call
    elif seen.answer in {value, None}:
        yield value


def test_a_read_beside_a_write_may_see_it_or_not() -> None:
    write = Operation("new", DONE, 0, 3)
    for answer in ("old", "new"):
        assert explanations([write, Operation("read", answer, 1, 2)], {"old"}, written) == {"new"}


def test_no_order_explains_a_read_of_the_old_value_after_a_read_of_the_new_one() -> None:
    reads = [Operation("read", "new", 1, 2), Operation("read", "old", 3, 4)]
    assert explanations([Operation("new", DONE, 0, 5), *reads], {"old"}, written) == set()
    assert explanations([Operation("new", DONE, 0, 5), *reads[::-1]], {"old"}, written) == set()


def test_a_call_that_nobody_waited_for_had_its_effect_or_none() -> None:
    assert explanations([Operation("new", None, 0, 1)], {"old"}, written) == {"old", "new"}
    seen = [Operation("new", None, 0, 9), Operation("read", "old", 1, 2), Operation("read", "new", 3, 4)]
    assert explanations(seen, {"old"}, written) == {"new"}


def test_a_revocation_that_nobody_waited_for_had_its_effect_or_none() -> None:
    alive = Family(expires_at=100, redeemed_until=0, tokens=("first",))
    given_up: Seen = Operation(GiveUp(0, "first"), None, 1, 9)
    refused: Seen = Operation(Refresh(0, "first"), REFUSED, 2, 3)
    assert explanations([given_up], {alive}, step) == {alive, replace(alive, ended=True)}
    assert explanations([given_up, refused], {alive}, step) == {replace(alive, ended=True)}
