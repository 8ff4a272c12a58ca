"""Whatever players and operators do with accounts, one thing after the other: the server ends where the model does.

A history is drawn from a seed, which a failure prints. It runs over HTTP on every storage backend.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import ConnectFlags
from authsrv.platforms.guest.secret import subject_of
from tests.support.account_model import Happened, Name, Refused, Token, World
from tests.support.ending import introspect
from tests.support.exchange import KINDS, exchange_of, ticket
from tests.support.refusals import clients, demo
from tests.support.server import CHALLENGE, Server, running_on
from tests.support.storage import BACKENDS

HISTORIES, STEPS = 4, 40
PLATFORMS, PEOPLE = ("steam", "epicgames", "guest"), ("amber", "birch", "cedar")
NAMES: list[Name] = [(platform, person) for platform in PLATFORMS for person in PEOPLE]
BACKEND = httpx.BasicAuth("backend", "backend-secret")


def managing(block: dict[str, Any]) -> None:
    """The demo with everything allowed, and a server that manages players."""
    demo(block)["accounts"] = {"transfer": True, "merge": True}
    clients(block)["backend"] |= {"introspect": True, "manage_players": True}


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=managing) as started:
        yield started


@dataclass
class Game:
    """The server and the model, done the same to."""

    server: Server
    chance: Random
    world: World = field(default_factory=World)
    subs: list[str] = field(default_factory=list)
    texts: dict[Token, str] = field(default_factory=dict)
    events: dict[Happened, str] = field(default_factory=dict)

    def tell(self, what: str) -> None:
        """What is done, for whoever reads of a failure."""
        sys.stdout.write(f"{what}\n")

    async def step(self) -> None:
        """One thing that somebody does."""
        self.server.clock.now += 2
        self.world.clock += 1
        does = self.chance.choice(STEPS_OF_ALL)
        await does(self)

    # --- what everybody does ---

    async def log_in(self) -> None:
        name = self.chance.choice(NAMES)
        self.tell(f"login {name}")
        answer = await exchange_of(self.server, name[0], self.credential(name), scope="openid offline account")
        self.came(answer, lambda: self.world.login(name))

    async def connect(self) -> None:
        session, name = self.a_token(), self.chance.choice(NAMES)
        if session is None:
            return
        flags = self.some_flags()
        self.tell(f"{session} connects {name} with {flags}")
        answer = await self.asked(session, name, flags)
        try:
            outcome, rule, token = self.world.connect(session, name, flags)
        except Refused as refused:
            self.agrees(answer, refused)
            await self.choose(session, name, answer.json())
            return
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["outcome"], told["rule"]) == (outcome, rule)
        if outcome == "linked":
            self.events[self.world.events[-1]] = told["undo"]["event"]
        if token is not None:
            await self.arrive(token, told["code"])

    async def choose(self, session: Token, name: Name, question: dict[str, Any]) -> None:
        """Every choice that is offered can be had."""
        offered = [one["id"] for one in question.get("choices", [])]
        if not offered:
            return
        choice = self.chance.choice(offered)
        survivor = self.chance.choice(
            next(one for one in question["choices"] if one["id"] == choice).get("survivors", [""])
        )
        self.tell(f"{session} chooses {choice} {survivor} for {name}")
        body = {"client_id": "launcher", "continuation_token": question["continuation_token"], "choice": choice}
        answer = await self.server.http.post(
            "/v1/identity/continue",
            json=body | ({"survivor": survivor} if survivor else {}),
            headers=self.bearer(session),
        )
        assert answer.status_code == 200, answer.text
        told, player, owner = answer.json(), self.world.now(session.player), self.world.holder(name)
        match choice:
            case "cancel":
                assert told["outcome"] == "unchanged"
            case "transfer":
                assert owner is not None
                self.world.transfer(name, owner, player)
            case "merge":
                assert owner is not None
                loser, remains = (owner, player) if survivor == "current" else (player, owner)
                self.world.merge(loser, remains, drop=False)
                if told["code"]:
                    await self.arrive(self.world.comes(name), told["code"])
            case _:
                await self.arrive(self.world.comes(name), told["code"])

    async def arrive(self, token: Token, code: str) -> None:
        """The session is another player's now."""
        redeemed = await self.server.redeem(code, redirect_uri=None)
        assert redeemed.status_code == 200, redeemed.text
        self.texts[token] = redeemed.json()["access_token"]
        self.known(token)

    async def unlink(self) -> None:
        session, name = self.a_token(), self.chance.choice(NAMES)
        if session is None:
            return
        self.tell(f"{session} unlinks {name}")
        path = f"/v1/me/identities/{name[0]}/{self.subject(name)}"
        answer = await self.server.http.delete(path, headers=self.bearer(session))
        self.happened(answer, lambda: self.world.unlink(self.world.now(session.player), name))

    async def erase(self) -> None:
        session = self.a_token()
        if session is None:
            return
        player = self.world.now(session.player)
        self.tell(f"{session} is {player} and is erased")
        answer = await self.server.http.delete(
            "/v1/me", params={"confirm": self.subs[player]}, headers=self.bearer(session)
        )
        assert answer.status_code == 200, answer.text
        before = set(self.world.gone)
        self.world.erase(player)
        assert set(answer.json()["erased"]) == {self.subs[one] for one in self.world.gone - before}

    # --- what servers do ---

    async def transfer(self) -> None:
        if not self.somebody:
            return
        giver, taker, name = self.a_player(), self.a_player(), self.chance.choice(NAMES)
        self.tell(f"{name} from {giver} to {taker}")
        body = {"to": self.subs[taker], "provider": name[0], "subject": self.subject(name)}
        answer = await self.order(giver, "transfer", body)
        self.happened(answer, lambda: self.world.transfer(name, giver, taker))

    async def merge(self) -> None:
        if not self.somebody:
            return
        loser, survivor, drop = self.a_player(), self.a_player(), self.chance.random() < 0.5
        self.tell(f"{loser} into {survivor}, {drop}")
        body = {"into": self.subs[survivor], "drop_duplicates": drop, "reason": "asked for it"}
        answer = await self.order(loser, "merge", body)
        self.happened(answer, lambda: self.world.merge(loser, survivor, drop=drop))

    async def undo(self) -> None:
        if not self.events:
            return
        happened = self.chance.choice(list(self.events))
        self.tell(f"undo {happened}")
        answer = await self.server.http.post(f"/v1/events/{self.events[happened]}/undo", json={}, auth=BACKEND)
        self.happened(answer, lambda: self.world.undo(happened))

    async def ban(self) -> None:
        if not self.somebody:
            return
        player = self.a_player()
        self.tell(f"ban {player}")
        answer = await self.order(player, "ban", {"reason": "cheating"})
        assert answer.status_code == 200, answer.text
        self.world.ban(player)

    async def unban(self) -> None:
        if not self.somebody:
            return
        player = self.a_player()
        self.tell(f"unban {player}")
        answer = await self.order(player, "unban", {"reason": "a mistake"})
        assert answer.status_code in {200, 409}, answer.text
        self.world.unban(player)

    # --- how it is done ---

    def credential(self, name: Name) -> str:
        return ticket(self.server, name[0], player=name[1])

    async def asked(self, session: Token, name: Name, flags: ConnectFlags) -> httpx.Response:
        body = {
            "client_id": "launcher",
            "provider": name[0],
            "credential": {"type": KINDS[name[0]], "value": self.credential(name)},
            "flags": asdict(flags),
            "scope": "openid offline account",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        # Or the same again within half a minute would be a repeat, and told what the first one was.
        headers = {**self.bearer(session), "idempotency-key": f"request-{self.world.clock:04}"}
        return await self.server.http.post("/v1/identity/connect", json=body, headers=headers)

    async def order(self, player: int, what: str, body: dict[str, Any]) -> httpx.Response:
        return await self.server.http.post(f"/v1/users/{self.subs[player]}/{what}", json=body, auth=BACKEND)

    def bearer(self, session: Token) -> dict[str, str]:
        return {"authorization": f"Bearer {self.texts[session]}"}

    def came(self, answer: httpx.Response, does: Callable[[], Token]) -> None:
        try:
            token = does()
        except Refused as refused:
            # What bars a player is told by the token endpoint as a grant that is good for nothing.
            self.agrees(answer, Refused(str(refused).replace("access_denied", "invalid_grant")))
            return
        assert answer.status_code == 200, answer.text
        self.texts[token] = answer.json()["access_token"]
        self.known(token)

    def known(self, token: Token) -> None:
        """A new player's name here, or the name that the player has."""
        sub = self.server.claims(self.texts[token])["sub"]
        if token.player == len(self.subs):
            assert sub not in self.subs
            self.subs.append(sub)
        assert self.subs.index(sub) == self.world.now(token.player)

    def happened(self, answer: httpx.Response, does: Callable[[], Happened]) -> None:
        try:
            happened = does()
        except Refused as refused:
            self.agrees(answer, refused)
            return
        assert answer.status_code == 200, answer.text
        undo = answer.json()["undo"]
        assert (undo is None) == happened.is_final
        if undo is not None:
            self.events[happened] = undo["event"]

    def agrees(self, answer: httpx.Response, refused: Refused) -> None:
        told = answer.json()
        words = (told.get("error"), told.get("reason"), told.get("rule"))
        assert " ".join(filter(None, words)).startswith(str(refused)), (answer.status_code, told, str(refused))

    def subject(self, name: Name) -> str:
        """How the platform calls the account."""
        player = PLAYERS[name[1]]
        if name[0] == "guest":
            return subject_of(ticket(self.server, *name[:1], player=name[1]))
        return player.steam_id if name[0] == "steam" else player.epic_account_id

    @property
    def somebody(self) -> bool:
        """Whether there is anybody left."""
        return len(self.world.gone) < self.world.players

    def a_token(self) -> Token | None:
        alive = [token for token in self.texts if self.world.is_alive(token)]
        return self.chance.choice(alive) if alive else None

    def a_player(self) -> int:
        """Somebody who is nobody's part, and was not erased."""
        world = self.world
        return self.chance.choice([one for one in range(world.players) if one not in {*world.into, *world.gone}])

    def some_flags(self) -> ConnectFlags:
        return ConnectFlags(*(self.chance.random() < chance for chance in (0.3, 0.5, 0.5, 0.2)))

    # --- looking ---

    async def looks_alike(self) -> None:
        """The server shows of players and tokens what the model has."""
        for player in range(self.world.players):
            await self.shows(player)
        for token in self.chance.sample(list(self.texts), min(4, len(self.texts))):
            told = (await introspect(self.server, self.texts[token])).json()
            if not self.world.is_alive(token):
                assert told == {"active": False}
                continue
            assert told.get("sub") == self.subs[self.world.now(token.player)], token

    async def shows(self, player: int) -> None:
        answer = await self.server.http.get(f"/v1/users/{self.subs[player]}", auth=BACKEND)
        now, told = self.world.now(player), answer.json()
        if player in self.world.gone:
            assert told["error"] == "user_not_found"
            return
        assert player == now or not self.world.of(player), "an alias owns nothing"
        assert told.get("sub") == self.subs[now], (player, told)
        shown = {(one["provider"], one["subject"]) for one in told["identities"]}
        assert shown == {(name[0], self.subject(name)) for name in self.world.of(now)}
        assert set(told["merged_from"]) == {self.subs[alias] for alias in self.world.aliases(now)}


Step = Callable[[Game], Awaitable[None]]
OFTEN: list[Step] = [Game.log_in, Game.log_in, Game.connect, Game.connect, Game.connect, Game.unlink]
STEPS_OF_ALL: list[Step] = [*OFTEN, Game.transfer, Game.merge, Game.undo, Game.undo, Game.erase, Game.ban, Game.unban]


@pytest.mark.parametrize("_", range(HISTORIES))
async def test_whatever_is_done_to_accounts_ends_as_in_the_model(server: Server, chance: Random, _: int) -> None:
    game = Game(server, chance)
    await game.log_in()
    for _ in range(STEPS):
        await game.step()
        await game.looks_alike()
