"""R21: a year of rotations, and verifiers of every patience that never meet a key they do not know.

Verifiers here are of the worst kind: they never ask again for an unknown `kid`, only when what they have is too old.
The same year with one rule of the rotation taken away must be noticed, or it proves nothing.
"""

import heapq
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any, get_args

import jwt
import pytest

from authsrv.models import KeyRules, SigningAlgorithm, StoredKey
from authsrv.oauth import key_schedule
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.tokens import TokenFacts, TokenIssuer
from authsrv.storage.base import Storage
from tests.support.keys import Node
from tests.support.oauth import ISSUER, LAUNCHER
from tests.support.storage import NOW, memory_storage

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY
LEEWAY = 60
USUAL = KeyRules(get_args(SigningAlgorithm))
FASTEST = KeyRules(("ES256", "EdDSA"), rotation=7 * DAY, announcement=DAY)
NO_CHANGE: tuple[float, ...] = (0.0,)
STEPS = (0.0, HOUR, 0.0, -HOUR, 5.0, -5.0)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class World:
    """What time it really is, and what happens next."""

    now: float = float(NOW)
    _events: list[tuple[float, int, Callable[[], Any]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)

    def at(self, moment: float, happens: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), happens))

    def until(self, end: float) -> Iterator[Callable[[], Any]]:
        """Everything that happens up to then, in order, while time goes on."""
        while self._events and self._events[0][0] <= end:
            self.now, _, happens = heapq.heappop(self._events)
            yield happens


@dataclass
class Server:
    """A node whose clock may be wrong, that may be off, and that comes back without any memory."""

    world: World
    storage: Storage
    rules: KeyRules
    offset: float = 0.0
    off: bool = True

    async def start(self) -> None:
        self.node = Node(self.storage, self.rules)
        self.node.clock.now = self.time()
        await self.node.open()
        self.off = False

    def stop(self) -> None:
        self.off = True

    def time(self) -> float:
        return self.world.now + self.offset

    def key_set(self) -> Mapping[str, Any]:
        self.node.clock.now = self.time()
        return self.node.ring.jwks()

    def token(self, alg: SigningAlgorithm, kind: str, life: int) -> str:
        self.node.clock.now = self.time()
        lifetimes = replace(LAUNCHER.lifetimes, access_token=life, id_token=life)
        client = replace(LAUNCHER, access_token_alg=alg, id_token_alg=alg, lifetimes=lifetimes)
        facts = TokenFacts(client, "amber", ("openid",), gid="g", platform="steam", idp="steam", idp_subject="1")
        issuer = TokenIssuer(ISSUER, self.node.ring, random.randbytes)
        now = int(self.time())
        return issuer.access_token(facts, now) if kind == "access" else issuer.id_token(facts, "an access token", now)


@dataclass
class Cache:
    """Somebody who keeps the key set for a time, and asks somebody else for it; the proxy, or a verifier."""

    world: World
    keeps: float
    ask: Callable[[], Mapping[str, Any] | None]
    kept: Mapping[str, Any] | None = None
    since: float = 0.0

    def key_set(self) -> Mapping[str, Any] | None:
        if self.kept is None or self.world.now - self.since >= self.keeps:
            found = self.ask()
            if found is not None:  # who does not reach the server goes on with what it has
                self.kept, self.since = found, self.world.now
        return self.kept


_seen: dict[tuple[str, str], bool] = {}


def verifies(token: str, kid: str, key_set: Mapping[str, Any] | None) -> bool:
    """Whether a stock library takes the token with these keys. Times are judged by the test."""
    key = next((key for key in (key_set or {"keys": []})["keys"] if key["kid"] == kid), None)
    if key is None:
        return False
    pair = (token, key.get("x") or key["n"])
    if pair not in _seen:  # the same key gives the same answer, and that takes most of the time
        _seen[pair] = takes(token, jwt.PyJWK(dict(key)))
    return _seen[pair]


def takes(token: str, key: jwt.PyJWK) -> bool:
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_aud": False}
    return bool(jwt.decode(token, key, algorithms=[key.algorithm_name], options=options))


@dataclass
class Year:
    """A year of nodes on one database. `steps` are what their clocks may be off by, `outages` how often one is off for
    a while, `orders` how often somebody wants the keys changed.
    """

    rules: KeyRules
    seed: int
    nodes: int = 1
    steps: tuple[float, ...] = NO_CHANGE
    outages: int = 0
    orders: int = 0
    patience: tuple[int, ...] = (5 * MINUTE, HOUR, 2 * HOUR, DAY)
    proxied: bool = False
    failed: list[str] = field(default_factory=list)
    checked: int = 0
    signers: set[str] = field(default_factory=set)
    crowded: set[str] = field(default_factory=set)

    async def pass_by(self) -> "Year":
        self.chance = random.Random(self.seed)  # noqa: S311 - to be begun again with the same number
        self.world = World()
        storage = memory_storage()
        await storage.open()
        self.servers = [Server(self.world, storage, self.rules) for _ in range(self.nodes)]
        for server in self.servers:
            await server.start()
        self._verifiers()
        self._plan()
        for happens in self.world.until(NOW + YEAR):
            done = happens()
            if done is not None:
                await done
        await storage.close()
        return self

    def _verifiers(self) -> None:
        def direct() -> Mapping[str, Any] | None:
            server = self._any()
            return server.key_set() if server else None

        proxy = Cache(self.world, HOUR, direct)
        ask = proxy.key_set if self.proxied else direct
        self.verifiers = [
            Cache(self.world, keeps, ask, ask(), NOW - self.chance.uniform(0, keeps)) for keeps in self.patience
        ]

    def _any(self) -> Server | None:
        return self.chance.choice([server for server in self.servers if not server.off] or [None])

    def _plan(self) -> None:
        for hour in range(YEAR // HOUR):
            self.world.at(NOW + hour * HOUR, self._look)
        for half in range(2 * YEAR // HOUR):
            self.world.at(NOW + (half + self.chance.random()) * HOUR / 2, self._serve)
        for _ in range(900):
            self.world.at(NOW + self.chance.uniform(0, YEAR), self._issue)
        for _ in range(40 if len(self.steps) > 1 else 0):
            self.world.at(NOW + self.chance.uniform(0, YEAR), self._step)
        for _ in range(self.outages):
            self.world.at(NOW + self.chance.uniform(0, YEAR), self._fail)
        for _ in range(self.orders):
            self.world.at(NOW + self.chance.uniform(0, YEAR), self._order)

    def _serve(self) -> None:
        """Services are busy all the time: nobody's key set waits for a token of ours to grow too old."""
        for verifier in self.verifiers:
            verifier.key_set()

    async def _look(self) -> None:
        for server in self.servers:
            await self._watched(server, KeyKeeper.round)

    async def _order(self) -> None:
        await self._watched(self.chance.choice(self.servers), KeyKeeper.rotate)

    async def _watched(self, server: Server, act: Callable[[KeyKeeper], Awaitable[None]]) -> None:
        """What one node changes, the others see within a minute."""
        if server.off:
            return
        server.node.clock.now = server.time()
        before = server.node.ring.stored
        await act(server.node.keeper)
        if server.node.ring.stored == before:
            return
        for other in self.servers:
            self.world.at(
                self.world.now + self.chance.uniform(0, MINUTE), partial(self._watched, other, KeyKeeper.round)
            )
        known = {key.kid for key in before}
        for key in server.node.ring.stored:
            if key.kid not in known and key.kid not in self.crowded:
                self._crowd(key)

    def _crowd(self, key: StoredKey) -> None:
        """Much happens around a change of keys; most of all in the second of it."""
        self.crowded.add(key.kid)
        for after in (-1, 0, 1, 30, *(self.chance.uniform(-DAY, 2 * DAY) for _ in range(12))):
            self.world.at(max(self.world.now, key.signs_from + after), self._issue)

    def _step(self) -> None:
        self.chance.choice(self.servers).offset = self.chance.choice(self.steps)

    def _fail(self) -> None:
        server = self.chance.choice(self.servers)
        server.stop()
        self.world.at(self.world.now + self.chance.choice([1, HOUR, DAY, 20 * DAY]), server.start)

    def _issue(self) -> None:
        server = self._any()
        if server is None:
            return
        alg = self.chance.choice(self.rules.algorithms)
        life = self.chance.choice([5 * MINUTE, 15 * MINUTE, HOUR, DAY])
        token = server.token(alg, self.chance.choice(["access", "id"]), life)
        self.signers.add(jwt.get_unverified_header(token)["kid"])
        issued = self.world.now
        end = issued + life + LEEWAY
        for moment in (issued, self.chance.uniform(issued, end), end):
            self.world.at(moment, lambda: self._check(token, issued))

    def _check(self, token: str, issued: float) -> None:
        kid = jwt.get_unverified_header(token)["kid"]
        for verifier in self.verifiers:
            self.checked += 1
            if not verifies(token, kid, verifier.key_set()):
                age, hour = self.world.now - issued, (issued - NOW) / HOUR
                self.failed.append(f"keeps {verifier.keeps} s: token of hour {hour:.2f}, {age:.0f} s old")


YEARS = {
    "usual": (Year(USUAL, 1, outages=10, orders=4), 20),
    "usual, with clocks that step": (Year(USUAL, 2, steps=STEPS, outages=10), 16),
    "fastest": (Year(FASTEST, 3, outages=20), 90),
    "fastest, with clocks that step": (Year(FASTEST, 4, steps=STEPS, outages=20), 80),
    "fastest, behind a proxy that caches": (Year(FASTEST, 5, proxied=True, patience=(HOUR, *(DAY,) * 30)), 100),
    "two nodes": (Year(FASTEST, 8, nodes=2, steps=(0.0, 5.0, -5.0), outages=20, orders=20), 90),
    "on demand": (Year(FASTEST, 6, outages=5, orders=100), 100),
}


@pytest.mark.parametrize(("year", "keys"), YEARS.values(), ids=YEARS.keys())
async def test_R21_in_a_year_of_rotations_no_verification_fails(year: Year, keys: int) -> None:
    await year.pass_by()
    assert year.failed == [], f"begun with {year.seed}"
    assert len(year.signers) >= keys
    assert year.checked > 10_000


@pytest.mark.parametrize(
    "taken_away",
    [
        pytest.param({"LAG": 0}, id="announcement"),
        pytest.param({"RETENTION": 0}, id="retention"),
        pytest.param({"RETENTION": DAY // 2}, id="retention for half a token's life"),
    ],
)
async def test_R21_the_year_notices_what_is_taken_away_from_the_rotation(
    monkeypatch: pytest.MonkeyPatch, taken_away: dict[str, int]
) -> None:
    for name, value in taken_away.items():
        monkeypatch.setattr(key_schedule, name, value)
    announcement = 0 if "LAG" in taken_away else FASTEST.announcement
    year = await Year(replace(FASTEST, announcement=announcement), 7).pass_by()
    assert len(year.failed) > 100
