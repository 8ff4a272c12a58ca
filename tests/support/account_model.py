"""What players own, in a few lines: the model that histories of the real server are held against.

No versions, no transactions, no HTTP and no SQL: one thing after the other. Players are numbers in the order in which
they came to be, platform accounts are pairs of a platform and a person.
"""

from dataclasses import dataclass, field
from itertools import count

from authsrv.models import ConnectFlags

Name = tuple[str, str]
"""A platform account: the platform's name, and whose it is there."""


class Refused(Exception):
    """What was asked for is not done. The text is the `error`, and the `reason` behind a space if it matters."""


@dataclass(frozen=True)
class Held:
    """Whose a platform account is, and a number that no other time of having it has."""

    player: int
    since: int


@dataclass(frozen=True)
class Union:
    """One player became part of another, with those who were part of them before."""

    loser: int
    survivor: int
    aliases: frozenset[int]


@dataclass(eq=False)
class Happened:
    """Something that can be undone: whose the accounts were before and after it, and who became part of whom."""

    moves: dict[Name, tuple[Held | None, Held | None]]
    union: Union | None = None
    parted: bool = False
    undone: bool = False
    is_undo: bool = False
    is_final: bool = False
    ghosts: frozenset[int] = frozenset()
    """Who had no way in before it."""

    def players(self) -> set[int]:
        held = {one.player for pair in self.moves.values() for one in pair if one}
        return held | ({self.union.loser, self.union.survivor} if self.union else set())


@dataclass(eq=False)
class Ban:
    """A ban: of a player, and of every account that they had."""

    player: int
    marks: set[Name]
    lifted: bool = False


@dataclass(eq=False)
class Token:
    """What a login gave: to whom, by which account, and whether anything has ended it."""

    player: int
    by: Name
    issued: int
    ended: bool = False


@dataclass
class World:
    """Everything there is."""

    owner: dict[Name, Held] = field(default_factory=dict)
    into: dict[int, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    bans: list[Ban] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    lost_to: dict[int, int] = field(default_factory=dict)
    """Who took a platform account from somebody last, for good or not."""
    voids: dict[int, int] = field(default_factory=dict)
    """When everything was void that a player had been given."""
    players: int = 0
    clock: int = 0
    _stamps: "count[int]" = field(default_factory=count)

    # --- asking ---

    def now(self, player: int) -> int:
        """Who a player is today."""
        return self.into.get(player, player)

    def of(self, player: int) -> set[Name]:
        """Their platform accounts."""
        return {name for name, held in self.owner.items() if held.player == player}

    def aliases(self, player: int) -> set[int]:
        """Who became part of them."""
        return {one for one, into in self.into.items() if into == player}

    def holder(self, name: Name) -> int | None:
        """Whose a platform account is."""
        held = self.owner.get(name)
        return held.player if held else None

    def is_barred(self, player: int) -> bool:
        return any(ban.player == player and not ban.lifted for ban in self.bans)

    def is_marked(self, name: Name) -> bool:
        return any(name in ban.marks and not ban.lifted for ban in self.bans)

    def other_of_kind(self, player: int, name: Name) -> Name | None:
        """Another account of the same platform."""
        return next((other for other in sorted(self.of(player)) if other[0] == name[0] and other != name), None)

    def ways_in(self, player: int) -> set[Name]:
        """What they can sign in by; a guest's device is none to stay with."""
        return {name for name in self.of(player) if name[0] != "guest" and not self.is_marked(name)}

    def is_alive(self, token: Token) -> bool:
        """Whether it still stands for something. What voids a player voids what became part of them, too."""
        voids = (self.voids.get(one, -1) for one in (token.player, self.now(token.player)))
        return not token.ended and token.issued > max(voids)

    # --- doing ---

    def login(self, name: Name) -> Token:
        """Without a session: whoever has the account comes in, or somebody new."""
        self._welcome(name)
        player = self.holder(name)
        return self._token(self._new(name) if player is None else player, name)

    def comes(self, name: Name) -> Token:
        """Whoever has the account, or somebody new, as the player chose."""
        return self.login(name)

    def connect(self, session: Token, name: Name, flags: ConnectFlags) -> tuple[str, str, Token | None]:
        """The outcome and the row of the table, with the token for whoever the session changes to."""
        player, owner = self.now(session.player), self.holder(name)
        self._welcome(name)
        other = self.other_of_kind(player, name) is not None
        if owner == player:
            return "unchanged", "5", None
        if owner is None and flags.do_not_link_to_current_player:
            if flags.do_not_create_new_player:
                raise Refused("user_not_found")
            return "created", "13" if other else "4", self._token(self._new(name), name)
        if owner is None and other:
            raise Refused(f"account_conflict already_linked {'11' if flags.switch_if_possible else '8'}")
        if owner is None:
            self.link(player, name)
            return "linked", "3", None
        if other and not flags.switch_if_possible:
            raise Refused(f"account_conflict already_linked {'9b' if flags.error_on_switch else '9'}")
        if flags.error_on_switch:
            raise Refused(f"account_conflict switch_required {'12' if other else '7'}")
        return "switched", "10" if other else "6", self._token(owner, name)

    def link(self, player: int, name: Name) -> Happened:
        ghosts = self._ghosts(player)
        return self._happened(ghosts, {name: self._moved(name, player)})

    def unlink(self, player: int, name: Name) -> Happened:
        """Never the last way in."""
        if self.holder(name) != player:
            raise Refused("not_linked")
        if not self.ways_in(player) - {name}:
            raise Refused("last_identity")
        ghosts = self._ghosts(player)
        self._end(player, name)
        return self._happened(ghosts, {name: self._moved(name, None)})

    def transfer(self, name: Name, giver: int, taker: int) -> Happened:
        """The giver may be left without any."""
        if self.holder(name) != giver:
            raise Refused("not_linked")
        self._changeable(giver, taker)
        if giver == taker:
            raise Refused("invalid_request")
        if self.other_of_kind(taker, name):
            raise Refused("link_limit")
        ghosts, self.lost_to[giver] = self._ghosts(giver, taker), taker
        self._end(giver, name)
        return self._happened(ghosts, {name: self._moved(name, taker)})

    def merge(self, loser: int, survivor: int, *, drop: bool) -> Happened:
        """All that the loser has, but for what the survivor has one of already."""
        self._changeable(loser, survivor)
        if loser == survivor:
            raise Refused("invalid_request")
        ghosts = self._ghosts(loser, survivor)
        doubled = {name for name in self.of(loser) if self.other_of_kind(survivor, name)}
        if doubled and not drop:
            raise Refused("account_conflict duplicate_identity")
        for name in doubled:
            self._end(loser, name)
        moves = {name: self._moved(name, None if name in doubled else survivor) for name in self.of(loser)}
        aliases = frozenset(self.aliases(loser))
        self.into |= dict.fromkeys((loser, *aliases), survivor)
        return self._happened(ghosts, moves, Union(loser, survivor, aliases))

    def undo(self, event: Happened) -> Happened:
        """Put back what it moved, if everything is as it left it."""
        if event.is_final or event.players() & self.gone:
            raise Refused("access_denied not_reversible")
        if event.undone:
            raise Refused("later_changes")
        if not self._stands(event):
            raise Refused("later_changes")
        self._require_undoable(event)
        ghosts = self._ghosts(*sorted(event.players()))
        event.undone = True
        back = {name: (after, before) for name, (before, after) in event.moves.items()}
        for name, (before, after) in back.items():
            self._put(name, after)
            if before:
                self._end(before.player, name)
        if event.union:
            self._turn(event.union, parted=not event.parted)
        happened = self._happened(ghosts, back, event.union)
        happened.parted, happened.is_undo, happened.is_final = not event.parted, True, event.is_undo
        return happened

    def ban(self, player: int) -> Ban:
        """With every account that they have now; whatever they hold is void."""
        ban = Ban(player, self.of(player))
        self.bans.append(ban)
        self.void(player, *self.aliases(player))
        return ban

    def unban(self, player: int) -> None:
        """What was void stays void, also to those who become part of the player later."""
        lifted = [ban for ban in self.bans if ban.player == player and not ban.lifted]
        for ban in lifted:
            ban.lifted = True
        if lifted:
            self.void(player, *self.aliases(player))

    def erase(self, player: int) -> None:
        """With all who are part of them, and who lost their last account to them. What a ban marked stays marked."""
        lost = {giver for giver, taker in self.lost_to.items() if self.now(taker) == player}
        ghosts = {giver for giver in lost if not self.of(giver) and giver not in self.into}
        parts = {part for one in (player, *ghosts) for part in self.aliases(one)}
        self.gone |= {player, *ghosts, *parts}
        self.void(*self.gone)
        lost_names = {name for one in self.gone for name in self.of(one)}
        for event in self.events:
            event.is_final |= not lost_names.isdisjoint(event.moves)
        for name in lost_names:
            del self.owner[name]
        for ban in self.bans:
            if ban.player in self.gone:
                ban.player = -1

    def void(self, *players: int) -> None:
        """End everything that they were given."""
        self.voids |= dict.fromkeys(players, self.clock)

    # --- inside ---

    def _welcome(self, name: Name) -> None:
        owner = self.holder(name)
        if self.is_marked(name) or (owner is not None and self.is_barred(owner)):
            raise Refused("access_denied banned")

    def _changeable(self, *players: int) -> None:
        if any(self.is_barred(player) for player in players):
            raise Refused("access_denied banned")

    def _ghosts(self, *players: int) -> frozenset[int]:
        return frozenset(player for player in players if not self.ways_in(player))

    def _stands(self, event: Happened) -> bool:
        if any(self.owner.get(name) != after for name, (_, after) in event.moves.items()):
            return False
        if event.union is None:
            return not event.players() & self.into.keys()
        loser, survivor, aliases = event.union.loser, event.union.survivor, event.union.aliases
        if survivor in self.into or self.is_barred(survivor):
            return False
        if event.parted:
            came_with = {name for name, (_, after) in event.moves.items() if after and after.player == loser}
            is_free = loser not in self.into and not self.is_barred(loser)
            return is_free and self.of(loser) <= came_with and self.aliases(loser) == aliases
        return {loser, *aliases} <= self.aliases(survivor)

    def _require_undoable(self, event: Happened) -> None:
        merged = {event.union.loser} if event.union and not event.parted else set[int]()
        self._changeable(*(event.players() - merged))
        gains = {name: before.player for name, (before, _) in event.moves.items() if before}
        losses = {name: after.player for name, (_, after) in event.moves.items() if after}
        for name, player in gains.items():
            kept = self.of(player) - {one for one, loser in losses.items() if loser == player}
            if any(one[0] == name[0] and one != name for one in kept | {n for n, p in gains.items() if p == player}):
                raise Refused("later_changes")
        if any(self.is_marked(name) for name in gains):
            raise Refused("access_denied banned")
        for player in set(losses.values()) - merged - set(gains.values()) - event.ghosts:
            if not self.ways_in(player) - {name for name, loser in losses.items() if loser == player}:
                raise Refused("last_identity")

    def _turn(self, union: Union, *, parted: bool) -> None:
        """Take an account out of another, or put it back."""
        everybody = {union.loser, *union.aliases}
        if not parted:
            self.into |= dict.fromkeys(everybody, union.survivor)
            return
        for player in everybody:
            del self.into[player]
        self.into |= dict.fromkeys(union.aliases, union.loser)
        for token in self.tokens:
            token.ended |= token.player in everybody
        self.void(*everybody)

    def _new(self, name: Name) -> int:
        player = self.players
        self.players += 1
        self._moved(name, player)
        return player

    def _token(self, player: int, by: Name) -> Token:
        token = Token(player, by, self.clock)
        self.tokens.append(token)
        return token

    def _end(self, player: int, by: Name) -> None:
        """What a player was given by an account that they lose."""
        for token in self.tokens:
            token.ended |= self.now(token.player) == player and token.by == by

    def _moved(self, name: Name, player: int | None) -> tuple[Held | None, Held | None]:
        before, after = self.owner.get(name), None if player is None else Held(player, next(self._stamps))
        self._put(name, after)
        return before, after

    def _put(self, name: Name, held: Held | None) -> None:
        self.owner.pop(name, None)
        if held is not None:
            self.owner[name] = held

    def _happened(
        self, ghosts: frozenset[int], moves: dict[Name, tuple[Held | None, Held | None]], union: Union | None = None
    ) -> Happened:
        self.events.append(Happened(moves, union, ghosts=ghosts))
        return self.events[-1]
