"""Whoever does something to accounts, done to a real server and to the model at once.

A step is one thing that somebody does, drawn by chance; after it both must look alike.
"""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from math import inf
from random import Random
from typing import Any

import httpx

from authsrv.accounts.naming import Wanted
from authsrv.accounts.performing import Performed, PlayerChanges
from authsrv.emulator.base import PLAYERS
from authsrv.errors import AuthsrvError
from authsrv.models import BarKind, ConnectFlags, IdentityKey
from authsrv.platforms.guest.secret import subject_of
from tests.support.account_model import Ban, Happened, Name, Refused, Token, World
from tests.support.banning import ban_identity, order
from tests.support.ending import introspect
from tests.support.exchange import KINDS, exchange_of, ticket
from tests.support.server import CHALLENGE, Server
from tests.support.sources import GuestDevices

REPEAT, CODE, CHOICE, LINK_CODE = 30, 60, 300, 600
REDEEM = "/v1/me/links/redeem"
SECONDS = 2
"""Of a step."""
PLATFORMS, PEOPLE = ("steam", "epicgames", "guest"), ("amber", "birch", "cedar")
NAMES: list[Name] = [(platform, person) for platform in PLATFORMS for person in PEOPLE]
Told = dict[str, Any]
BACKEND = httpx.BasicAuth("backend", "backend-secret")


@dataclass(frozen=True)
class Question:
    """What somebody was asked who connected an account, when, and whose it was then."""

    session: Token
    name: Name
    told: Told
    owner: int | None
    at: int


@dataclass(frozen=True)
class Request:
    """A request to connect an account, and by what a repeat is known."""

    session: Token
    body: Told
    key: str


@dataclass(frozen=True, eq=False)
class Done:
    """What was done at a request to connect an account."""

    request: Request
    name: Name
    told: Told
    token: Token | None
    at: int


@dataclass(frozen=True)
class LinkCode:
    """What a player shows who wants a platform account linked that somebody proves elsewhere."""

    text: str
    player: int
    token: Token
    at: int


@dataclass
class Game:
    """The server and the model, done the same to."""

    server: Server
    chance: Random
    world: World
    subs: list[str] = field(default_factory=list)
    texts: dict[Token, str] = field(default_factory=dict)
    refreshes: dict[Token, str] = field(default_factory=dict)
    codes: dict[Token, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    link_codes: list[LinkCode] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    events: dict[Happened, str] = field(default_factory=dict)

    def tell(self, what: str) -> None:
        """What is done, for whoever reads of a failure."""
        sys.stdout.write(f"{what}\n")

    async def step(self) -> None:
        """One thing that somebody does."""
        self.server.clock.now += SECONDS
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
        request = self.connecting(session, name, flags)
        answer = await self.sent(request)
        try:
            outcome, rule, token = self.world.connect(session, name, flags)
        except Refused as refused:
            self.agrees(answer.json(), refused)
            await self.ask(Question(session, name, answer.json(), self.world.holder(name), self.world.clock))
            return
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["outcome"], told["rule"]) == (outcome, rule)
        if outcome == "linked":
            self.events[self.world.events[-1]] = told["undo"]["event"]
        if token is not None:
            await self.arrive(token, told)
        self.done.append(Done(request, name, told, token, self.world.clock))

    async def repeat(self) -> None:
        """Whoever lost an answer is told the same, if it is so yet; nothing is done twice."""
        recent = [
            done for done in self.done if done.at + REPEAT // SECONDS > self.world.clock and done.name[0] != "guest"
        ]
        if not recent:
            return
        done = self.chance.choice(recent)
        answer = await self.sent(done.request)
        self.tell(f"once more {done.request}: {answer.status_code}")
        told = answer.json()
        if answer.status_code != 200:
            return
        assert self.world.is_alive(done.request.session)
        assert (told["outcome"], told["rule"]) == (done.told["outcome"], done.told["rule"])
        assert self.world.holder(done.name) == self.subs.index(told["user"]["sub"])
        if done.token is None:
            return
        if done.token in self.codes:
            del self.codes[done.token]
            done.token.ended = True
        self.done.remove(done)
        await self.arrive(self.world.comes(done.name), told)

    async def preview(self) -> None:
        """What a player might do, which is done later or never."""
        session, name = self.a_token(), self.chance.choice(NAMES)
        if session is None:
            return
        self.tell(f"{session} looks at {name}")
        answer = await self.sent(self.connecting(session, name, self.some_flags(), preview=True))
        assert answer.status_code == 200, answer.text
        if "continuation_token" in answer.json():
            self.questions.append(Question(session, name, answer.json(), self.world.holder(name), self.world.clock))

    async def ask(self, question: Question) -> None:
        """Whoever is asked answers at once, and then every choice that is offered can be had; or later."""
        if not question.told.get("choices"):
            return
        if self.chance.random() < 0.4:
            self.questions.append(question)
            return
        assert await self.choose(question)

    async def answer_late(self) -> None:
        """What was offered is done as long as it means the same; else nothing happens."""
        if not self.questions:
            return
        question = self.questions.pop(self.chance.randrange(len(self.questions)))
        if not self.world.is_alive(question.session):
            assert (await self.chosen(question, "cancel", "")).status_code in {401, 403}
            return
        if await self.choose(question):
            assert self.world.clock < question.at + CHOICE // SECONDS

    async def choose(self, question: Question) -> bool:
        """Whether it was done."""
        session, name, offered = question.session, question.name, question.told["choices"]
        offer = self.chance.choice(offered)
        choice, survivor = offer["id"], self.chance.choice(offer.get("survivors", [""]))
        self.tell(f"{session} chooses {choice} {survivor} for {name}")
        answer = await self.chosen(question, choice, survivor)
        told, player, owner = answer.json(), self.world.now(session.player), self.world.holder(name)
        if answer.status_code != 200:
            assert self.world.clock > question.at, told
            return False
        if choice == "cancel":
            assert told["outcome"] == "unchanged"
            return True
        assert owner == question.owner, "whose it was is whose it is"
        if choice == "link":
            self.events[self.world.link(player, name, own=True)] = told["undo"]["event"]
            return True
        if choice == "transfer":
            assert owner is not None
            self.events[self.world.transfer(name, owner, player)] = await self.newest_event(player)
            return True
        if choice == "merge":
            assert owner is not None
            loser, remains = (owner, player) if survivor == "current" else (player, owner)
            self.events[self.world.merge(loser, remains, drop=False)] = await self.newest_event(remains)
        if told["code"]:
            await self.arrive(self.world.comes(name), told)
        return True

    async def chosen(self, question: Question, choice: str, survivor: str) -> httpx.Response:
        token = question.told["continuation_token"]
        body = {"client_id": "launcher", "continuation_token": token, "choice": choice, "survivor": survivor}
        sent = {name: text for name, text in body.items() if text}
        return await self.server.http.post("/v1/identity/continue", json=sent, headers=self.bearer(question.session))

    async def arrive(self, token: Token, told: Told) -> None:
        """The session is another player's, by a code that is redeemed at once or later."""
        self.known(token, told["user"]["sub"])
        self.codes[token] = told["code"]
        if self.chance.random() < 0.7:
            await self.redeem(token)

    async def redeem_late(self) -> None:
        if self.codes:
            await self.redeem(self.chance.choice(list(self.codes)))

    async def redeem(self, token: Token) -> None:
        """A code is good for a minute, once, and as long as what it stands for."""
        self.tell(f"the code for {token}")
        answer = await self.server.redeem(self.codes.pop(token), redirect_uri=None)
        if not self.world.is_alive(token) or self.world.clock >= token.issued + CODE // SECONDS:
            assert answer.json()["error"] == "invalid_grant", answer.text
            return
        self.got(token, answer)

    async def refresh(self) -> None:
        """Whoever's tokens they were, the new ones are those of who remains."""
        if not self.refreshes:
            return
        token = self.chance.choice(list(self.refreshes))
        self.tell(f"refresh of {token}")
        answer = await self.server.refresh(self.refreshes[token])
        if not self.world.is_alive(token):
            assert answer.json()["error"] == "invalid_grant", answer.text
            return
        self.got(token, answer)
        assert self.server.claims(self.texts[token])["sub"] == self.subs[self.world.now(token.player)]

    def got(self, token: Token, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.text
        self.texts[token], self.refreshes[token] = answer.json()["access_token"], answer.json()["refresh_token"]
        self.known(token, self.server.claims(self.texts[token])["sub"])

    async def unlink(self) -> None:
        session = self.a_token()
        if session is None:
            return
        name = self.a_name_of(self.world.now(session.player))
        self.tell(f"{session} unlinks {name}")
        path = f"/v1/me/identities/{name[0]}/{subject(name)}"
        answer = await self.server.http.delete(path, headers=self.bearer(session))
        self.happened(answer.json(), lambda: self.world.unlink(self.world.now(session.player), name, own=True))

    async def undo_own(self) -> None:
        session = self.a_token()
        if session is None or not self.events:
            return
        happened = self.chance.choice(list(self.events))
        self.tell(f"{session} undoes {happened}")
        path = f"/v1/events/{self.events[happened]}/undo"
        told = (await self.server.http.post(path, json={}, headers=self.bearer(session))).json()
        self.happened(told, lambda: self.world.undo_own(self.world.now(session.player), happened))

    async def show_code(self) -> None:
        session = self.a_token()
        if session is None:
            return
        self.tell(f"{session} shows a code")
        answer = await self.server.http.post("/v1/me/links/code", headers=self.bearer(session))
        assert answer.status_code == 200, answer.text
        player = self.world.now(session.player)
        self.link_codes = [older for older in self.link_codes if older.player != player]
        self.link_codes.append(LinkCode(answer.json()["code"], player, session, self.world.clock))

    async def link_by_code(self) -> None:
        """A code links once, within ten minutes, and as long as the token is alive that it was asked for by."""
        if not self.link_codes:
            return
        code, name = self.link_codes.pop(self.chance.randrange(len(self.link_codes))), self.chance.choice(NAMES)
        self.tell(f"{name} is linked by {code}")
        sent = {"client_id": "launcher", "code": code.text}
        credential = {"type": KINDS[name[0]], "value": self.credential(name)}
        shown = {**sent, "provider": name[0], "credential": credential}
        told = (await self.server.http.post(REDEEM, json=shown)).json()
        is_good = self.world.is_alive(code.token) and self.world.clock < code.at + LINK_CODE // SECONDS
        assert (told.get("reason") != "link_code_invalid") == is_good, told
        if not is_good:
            return
        try:
            outcome, rule, _ = self.world.connect_to(self.world.now(code.player), name, ConnectFlags())
        except Refused as refused:
            self.agrees({**told, "rule": str(refused).rsplit(" ", 1)[-1]}, refused)
            return
        answer = await self.server.http.post(
            REDEEM, json={**sent, "confirm": True, "confirmation_token": told["confirmation_token"]}
        )
        assert (answer.json()["outcome"], answer.json()["rule"]) == (outcome, rule), answer.text
        if outcome == "linked":
            self.events[self.world.events[-1]] = await self.newest_event(self.world.now(code.player))

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

    # --- what servers do, and operators, who may do it to banned players too ---

    async def transfer(self) -> None:
        if not self.somebody:
            return
        giver, taker = self.a_player(), self.a_player()
        name, operator = self.a_name_of(giver), self.chance.random() < 0.4
        self.tell(f"{name} from {giver} to {taker}, by an operator: {operator}")
        if operator:
            told = await self.ordered(
                self.desk.transfer(self.subs[giver], self.wanted(name), self.subs[taker], order(self.server))
            )
        else:
            body = {"to": self.subs[taker], "provider": name[0], "subject": subject(name)}
            told = await self.asked_for(giver, "transfer", body)
        self.happened(told, lambda: self.world.transfer(name, giver, taker, operator=operator))

    async def merge(self) -> None:
        if not self.somebody:
            return
        loser, survivor, drop = self.a_player(), self.a_player(), self.chance.random() < 0.5
        operator = self.chance.random() < 0.4
        self.tell(f"{loser} into {survivor}, {drop}, by an operator: {operator}")
        if operator:
            told = await self.ordered(
                self.desk.merge(self.subs[loser], self.subs[survivor], order(self.server), drop_duplicates=drop)
            )
        else:
            body = {"into": self.subs[survivor], "drop_duplicates": drop, "reason": "asked for it"}
            told = await self.asked_for(loser, "merge", body)
        self.happened(told, lambda: self.world.merge(loser, survivor, drop=drop, operator=operator))

    async def undo(self) -> None:
        if not self.events:
            return
        happened, operator = self.chance.choice(list(self.events)), self.chance.random() < 0.4
        self.tell(f"undo {happened}, by an operator: {operator}")
        if operator:
            row = self.server.app.desk.server.opaque.row_id("event", self.events[happened])
            assert row is not None
            told = await self.ordered(self.desk.undo(row, order(self.server)))
        else:
            path = f"/v1/events/{self.events[happened]}/undo"
            told = (await self.server.http.post(path, json={}, auth=BACKEND)).json()
        self.happened(told, lambda: self.world.undo(happened, operator=operator))

    async def ban(self) -> None:
        if not self.somebody:
            return
        player, kind, steps = self.a_player(), self.a_kind(), self.some_steps()
        self.tell(f"{kind}: {player} for {steps}")
        verb = "ban" if kind == "banned" else "restrict"
        told = await self.asked_for(player, verb, {"reason": "cheating", **self.term(steps)})
        assert told["outcome"] == kind
        self.world.ban(player, kind, steps)

    async def unban(self) -> None:
        if not self.somebody:
            return
        player, kind = self.a_player(), self.a_kind()
        self.tell(f"no more {kind}: {player}")
        await self.asked_for(player, "unban" if kind == "banned" else "unrestrict", {"reason": "a mistake"})
        self.world.unban(player, kind)

    # --- what operators do ---

    async def link_unproven(self) -> None:
        if not self.somebody:
            return
        player, name = self.a_player(), self.chance.choice(NAMES)
        self.tell(f"an operator links {name} to {player}")
        told = await self.ordered(self.desk.link(self.subs[player], self.key(name), order(self.server)))
        if self.world.holder(name) == player:
            assert told["outcome"] == "unchanged"
            return
        self.happened(told, lambda: self.world.link_unproven(player, name))

    async def unlink_of(self) -> None:
        if not self.somebody:
            return
        player = self.a_player()
        name = self.a_name_of(player)
        self.tell(f"an operator unlinks {name} from {player}")
        told = await self.ordered(self.desk.unlink(self.subs[player], self.wanted(name), order(self.server)))
        self.happened(told, lambda: self.world.unlink(player, name))

    async def ban_name(self) -> None:
        name, steps = self.chance.choice(NAMES), self.some_steps()
        self.tell(f"{name} is banned for {steps}")
        await ban_identity(self.server, self.key(name), **self.term(steps))
        self.world.ban_name(name, steps)

    async def unban_name(self) -> None:
        name = self.chance.choice(NAMES)
        self.tell(f"{name} is banned no more")
        await self.server.app.desk.bans.unban_identity(self.key(name), order(self.server))
        self.world.unban_name(name)

    # --- how it is done ---

    async def newest_event(self, player: int) -> str:
        """What support would undo."""
        found = await self.server.app.storage.load_subject(self.subs[player])
        assert found
        (event,) = await self.server.app.storage.load_events(found.id, 1)
        return self.server.app.desk.server.opaque.public_id("event", event.id)

    def credential(self, name: Name) -> str:
        return ticket(self.server, name[0], player=name[1])

    def connecting(self, session: Token, name: Name, flags: ConnectFlags, *, preview: bool = False) -> Request:
        body = {
            "client_id": "launcher",
            "provider": name[0],
            "credential": {"type": KINDS[name[0]], "value": self.credential(name)},
            "flags": asdict(flags),
            "scope": "openid offline account",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "preview": preview,
        }
        # Or the same again within half a minute would be a repeat, and told what the first one was.
        return Request(session, body, f"request-{self.world.clock:04}")

    async def sent(self, request: Request) -> httpx.Response:
        headers = {**self.bearer(request.session), "idempotency-key": request.key}
        return await self.server.http.post("/v1/identity/connect", json=request.body, headers=headers)

    async def asked_for(self, player: int, what: str, body: dict[str, Any]) -> Told:
        """What a server of the studio is told; and by a preview before."""
        path = f"/v1/users/{self.subs[player]}/{what}"
        preview = (await self.server.http.post(path, json={**body, "preview": True}, auth=BACKEND)).json()
        told: Told = (await self.server.http.post(path, json=body, auth=BACKEND)).json()
        is_done = told.get("outcome", "unchanged") != "unchanged"
        assert preview.get("outcome", "").startswith("would_") == is_done, (preview, told)
        return told

    async def ordered(self, does: Awaitable[Performed]) -> Told:
        """What an operator is told, as a server would be."""
        try:
            event = (await does).event
        except AuthsrvError as error:
            return {"error": error.error, "reason": error.reason}
        public_id = self.server.app.desk.server.opaque.public_id
        undo = {"event": public_id("event", event.id)} if event and event.reversible_until else None
        return {"outcome": event.kind if event else "unchanged", "undo": undo}

    @property
    def desk(self) -> PlayerChanges:
        return self.server.app.desk.changes

    def wanted(self, name: Name) -> Wanted:
        return Wanted(name[0], subject(name))

    def key(self, name: Name) -> IdentityKey:
        return IdentityKey("demo", "epic" if name[0] == "epicgames" else name[0], "", subject(name))

    def bearer(self, session: Token) -> dict[str, str]:
        return {"authorization": f"Bearer {self.texts[session]}"}

    def came(self, answer: httpx.Response, does: Callable[[], Token]) -> None:
        try:
            token = does()
        except Refused as refused:
            # What bars a player is told by the token endpoint as a grant that is good for nothing.
            self.agrees(answer.json(), Refused(str(refused).replace("access_denied", "invalid_grant")))
            return
        self.got(token, answer)

    def known(self, token: Token, sub: str) -> None:
        """A new player's name here, or the name that the player has."""
        if token.player == len(self.subs):
            assert sub not in self.subs
            self.subs.append(sub)
        assert self.subs.index(sub) == self.world.now(token.player)

    def happened(self, told: Told, does: Callable[[], Happened]) -> None:
        try:
            happened = does()
        except Refused as refused:
            self.agrees(told, refused)
            return
        assert "error" not in told, told
        undo = told["undo"]
        assert (undo is None) == happened.is_final
        if undo is not None:
            self.events[happened] = undo["event"]

    def agrees(self, told: Told, refused: Refused) -> None:
        words = " ".join(filter(None, (told.get("error"), told.get("reason"), told.get("rule"))))
        assert words.startswith(str(refused)), (told, str(refused))
        assert ("banned" in words) == ("banned" in str(refused)), (told, str(refused))

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

    def a_name_of(self, player: int) -> Name:
        """One of theirs, most of the time."""
        own = sorted(self.world.of(player))
        return self.chance.choice(own if own and self.chance.random() < 0.8 else NAMES)

    def a_kind(self) -> BarKind:
        return "restricted" if self.chance.random() < 0.3 else "banned"

    def some_steps(self) -> float:
        """For how long somebody is banned."""
        return self.chance.choice((inf, 3, 10, 20))

    def term(self, steps: float) -> dict[str, int]:
        return {} if steps == inf else {"seconds": int(steps) * SECONDS}

    def some_flags(self) -> ConnectFlags:
        return ConnectFlags(*(self.chance.random() < chance for chance in (0.3, 0.5, 0.5, 0.2)))

    # --- looking ---

    def is_barred_alike(self, kind: str, barred: bool, bans: list[Ban]) -> None:
        longest = max(bans, key=lambda ban: ban.until, default=None)
        assert (kind if barred else "") == (longest.kind if longest else ""), (kind, barred, bans)

    async def looks_alike(self) -> None:
        """The server shows of players and tokens what the model has."""
        for player in range(self.world.players):
            await self.shows(player)
        for name in NAMES:
            found = await self.server.app.desk.server.proofs.logins.ownership(
                self.key(name), int(self.server.clock.now)
            )
            self.is_barred_alike(found.ban.kind if found.ban else "", bool(found.ban), self.world.marks(name))
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
        assert shown == {(name[0], subject(name)) for name in self.world.of(now)}
        is_root = player == now
        if is_root:
            found = await self.server.app.storage.load_subject(self.subs[player])
            assert found
            barred = found.is_barred(int(self.server.clock.now))
            self.is_barred_alike(found.barred_as, barred, self.world.bars(player))
        assert set(told["merged_from"]) == {self.subs[alias] for alias in self.world.aliases(now)}


def subject(name: Name) -> str:
    """How the platform calls the account."""
    player = PLAYERS[name[1]]
    if name[0] == "guest":
        return subject_of(GuestDevices().mint(player).text)
    return player.steam_id if name[0] == "steam" else player.epic_account_id


Step = Callable[[Game], Awaitable[None]]
OFTEN: list[Step] = [Game.log_in, Game.log_in, Game.connect, Game.connect, Game.connect, Game.unlink, Game.refresh]
ORDERS: list[Step] = [Game.transfer, Game.merge, Game.undo, Game.undo, Game.ban, Game.unban]
OF_PLAYERS: list[Step] = [
    Game.repeat,
    Game.preview,
    Game.undo_own,
    Game.answer_late,
    Game.redeem_late,
    Game.show_code,
    Game.link_by_code,
    Game.erase,
]
OF_OPERATORS: list[Step] = [Game.link_unproven, Game.unlink_of, Game.ban_name, Game.unban_name]
STEPS_OF_ALL: list[Step] = [*OFTEN, *OFTEN, *ORDERS, *ORDERS, *OF_PLAYERS, *OF_OPERATORS]
