"""What players own, in a few lines: the model that histories of the real server are held against.

No versions, no transactions, no HTTP and no SQL: one thing after the other. Players are numbers in the order in which
they came to be, platform accounts are pairs of a platform and a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf

from authsrv.models import BarKind, ConnectFlags

Name = tuple[str, str]
"""A platform account: the platform's name, and whose it is there."""


class Refused(Exception):
    """What was asked for is not done. The text is the `error`, and the `reason` behind a space if it matters."""


@dataclass(frozen=True)
class Held:
    """Whose a platform account is since when, and a number that no other time of having it has."""

    player: int
    since: int
    stamp: int


@dataclass(eq=False)
class Ban:
    """A ban or a restriction: of a player, if of anybody, and of every account that they had. It ends by itself."""

    player: int | None
    marks: set[Name]
    kind: BarKind = "banned"
    until: float = inf
    lifted: bool = False


@dataclass(frozen=True)
class Union:
    """One player became part of another, with those who were part of them before, and with a ban of either."""

    loser: int
    survivor: int
    aliases: frozenset[int]
    ban: Ban | None = None


@dataclass(eq=False)
class Happened:
    """Something that can be undone: whose the accounts were before and after it, and who became part of whom.

    `had` is what the players had before it, `bars` are the bans of who remained of two after it. What is a player's
    `own` they did by themselves to nobody else.
    """

    moves: dict[Name, tuple[Held | None, Held | None]]
    at: int
    had: dict[int, set[Name]]
    union: Union | None = None
    bars: tuple[Ban, ...] = ()
    parted: bool = False
    own: bool = False
    undone: bool = False
    is_undo: bool = False
    is_final: bool = False

    def players(self) -> set[int]:
        held = {one.player for pair in self.moves.values() for one in pair if one}
        return held | ({self.union.loser, self.union.survivor} if self.union else set())


@dataclass(eq=False)
class Token:
    """What a login gave: to whom, by which account, and whether anything has ended it."""

    player: int
    by: Name
    issued: int
    ended: bool = False


@dataclass(frozen=True)
class Rules:
    """What a project may say otherwise: how many `identities` of one platform a player may have, for how many steps
    something can be undone, whether a device is a way in to stay with, whether an unlink ends everything, and whether a
    ban outlives its player.
    """

    identities: int
    window: int
    guests_stay: bool
    unlink_ends_all: bool
    bans_outlive: bool


@dataclass
class World:
    """Everything there is. `names` are all platform accounts, in the order of their ids."""

    names: Sequence[Name]
    rules: Rules
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

    def bars(self, player: int) -> list[Ban]:
        """What keeps a player out: their own bans, and those of who became part of them."""
        return [ban for ban in self._in_force() if ban.player in {player, *self.aliases(player)}]

    def marks(self, name: Name) -> list[Ban]:
        """What keeps everybody out who comes by a platform account."""
        return [ban for ban in self._in_force() if name in ban.marks]

    def is_full(self, player: int, name: Name) -> bool:
        """Whether they have as many others of the same platform as one may have."""
        return sum(other[0] == name[0] and other != name for other in self.of(player)) >= self.rules.identities

    def ways_in(self, player: int) -> set[Name]:
        """What they can sign in by, or could but for their own bans; a guest's device is none to stay with."""
        return {name for name in self.of(player) if self._counts(name) and not self._is_banned_itself(player, name)}

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
        return self.connect_to(self.now(session.player), name, flags)

    def connect_to(self, player: int, name: Name, flags: ConnectFlags) -> tuple[str, str, Token | None]:
        """The same for whoever is signed in as a player, or has a code of theirs."""
        owner = self.holder(name)
        self._welcome(name)
        other = self.is_full(player, name)
        if owner == player:
            return "unchanged", "5", None
        if owner is None and flags.do_not_link_to_current_player:
            if flags.do_not_create_new_player:
                raise Refused("user_not_found")
            return "created", "13" if other else "4", self._token(self._new(name), name)
        if owner is None and other:
            conflict = "account_conflict already_linked" if self.rules.identities == 1 else "link_limit"
            raise Refused(f"{conflict} {'11' if flags.switch_if_possible else '8'}")
        if owner is None:
            self.link(player, name, own=True)
            return "linked", "3", None
        if other and not flags.switch_if_possible:
            raise Refused(f"account_conflict already_linked {'9b' if flags.error_on_switch else '9'}")
        if flags.error_on_switch:
            raise Refused(f"account_conflict switch_required {'12' if other else '7'}")
        return "switched", "10" if other else "6", self._token(owner, name)

    def link(self, player: int, name: Name, *, own: bool = False) -> Happened:
        """Whatever keeps the player out keeps out who comes by the account, too."""
        if self.is_full(player, name):
            raise Refused("link_limit")
        had = self._had(player)
        self._spread(player, name)
        return self._happened(had, {name: self._moved(name, player)}, own=own)

    def link_unproven(self, player: int, name: Name) -> Happened:
        """What an operator says is the player's."""
        if self.holder(name) is not None:
            raise Refused("account_conflict")
        if self.marks(name):
            raise Refused("access_denied banned")
        return self.link(player, name)

    def unlink(self, player: int, name: Name, *, own: bool = False) -> Happened:
        """Never the last way in."""
        if self.holder(name) != player:
            raise Refused("not_linked")
        if not self.ways_in(player) - {name}:
            raise Refused("last_identity")
        had = self._had(player)
        self._end(player, name)
        for token in self.tokens:
            token.ended |= self.rules.unlink_ends_all and self.now(token.player) == player
        return self._happened(had, {name: self._moved(name, None)}, own=own)

    def transfer(self, name: Name, giver: int, taker: int, *, operator: bool = False) -> Happened:
        """The giver may be left without any."""
        if self.holder(name) != giver:
            raise Refused("not_linked")
        self._changeable(giver, taker, operator=operator)
        if giver == taker:
            raise Refused("invalid_request")
        if self.is_full(taker, name):
            raise Refused("link_limit")
        had, self.lost_to[giver] = self._had(giver, taker), taker
        self._end(giver, name)
        self._spread(taker, name)
        return self._happened(had, {name: self._moved(name, taker)})

    def merge(self, loser: int, survivor: int, *, drop: bool, operator: bool = False) -> Happened:
        """All that the loser has, but for what the survivor may have no more of. The longest ban of either holds."""
        self._changeable(loser, survivor, operator=operator)
        if loser == survivor:
            raise Refused("invalid_request")
        had, doubled = self._had(loser, survivor), self._doubled(loser, survivor)
        if doubled and not drop:
            raise Refused("account_conflict duplicate_identity")
        for name in doubled:
            self._end(loser, name)
        moves = {name: self._moved(name, None if name in doubled else survivor) for name in self.of(loser)}
        ban, aliases = self._ban_of_both(loser, survivor), frozenset(self.aliases(loser))
        self.into |= dict.fromkeys((loser, *aliases), survivor)
        if ban:
            self.void(survivor, *self.aliases(survivor))
        return self._happened(had, moves, Union(loser, survivor, aliases, ban))

    def undo(self, event: Happened, *, operator: bool = False) -> Happened:
        """Put back what it moved, if everything is as it left it."""
        if event.is_final or event.players() & self.gone or self.clock >= event.at + self.rules.window:
            raise Refused("access_denied not_reversible")
        if event.undone:
            raise Refused("later_changes")
        if not self._stands(event):
            raise Refused("later_changes")
        self._require_undoable(event, operator=operator)
        had = self._had(*event.players())
        event.undone = True
        back = {name: (after, before) for name, (before, after) in event.moves.items()}
        for name, (before, after) in back.items():
            self._put(name, after)
            if before:
                self._end(before.player, name)
            if before and after and not event.union:
                self.lost_to[before.player] = after.player
        if event.union:
            self._turn(event.union, parted=not event.parted)
        for name, (_, after) in back.items():
            if after:
                self._spread(after.player, name)
        happened = self._happened(had, back, event.union, parted=not event.parted)
        happened.is_undo, happened.is_final = True, event.is_undo or bool(event.union and event.union.ban)
        return happened

    def undo_own(self, player: int, event: Happened) -> Happened:
        """What a player did to their own account alone."""
        if player not in event.players():
            raise Refused("not_found")
        if not event.own:
            raise Refused("access_denied support_only")
        happened = self.undo(event)
        happened.own = True
        return happened

    def ban(self, player: int, kind: BarKind = "banned", steps: float = inf) -> None:
        """With every account that they have now; whatever they hold is void."""
        self.bans.append(Ban(player, self.of(player), kind, self.clock + steps))
        self.void(player, *self.aliases(player))

    def unban(self, player: int, kind: BarKind = "banned") -> None:
        """What was void stays void, also to those who become part of the player later."""
        self._lift(ban for ban in self.bars(player) if ban.kind == kind)

    def ban_name(self, name: Name, steps: float) -> None:
        """The player who has it, or whoever comes by it."""
        owner = self.holder(name)
        if owner is None:
            self.bans.append(Ban(None, {name}, until=self.clock + steps))
        else:
            self.ban(owner, steps=steps)

    def unban_name(self, name: Name) -> None:
        """Every ban that holds for it, whomever it was for."""
        self._lift(self.marks(name))

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
                is_kept = self.rules.bans_outlive and ban.kind == "banned"
                ban.player, ban.lifted = None, ban.lifted or not is_kept

    def void(self, *players: int) -> None:
        """End everything that they were given."""
        self.voids |= dict.fromkeys(players, self.clock)

    # --- inside ---

    def _welcome(self, name: Name) -> None:
        owner = self.holder(name)
        _require_none([] if owner is None else self.bars(owner))
        _require_none(self.marks(name))

    def _changeable(self, *players: int, operator: bool) -> None:
        for player in players:
            _require_none([] if operator else self.bars(player))

    def _in_force(self) -> list[Ban]:
        return [ban for ban in self.bans if not ban.lifted and self.clock < ban.until]

    def _lift(self, bans: Iterable[Ban]) -> None:
        for ban in list(bans):
            ban.lifted = True
            if ban.player is not None:
                self.void(self.now(ban.player), *self.aliases(self.now(ban.player)))

    def _spread(self, player: int, name: Name) -> None:
        for ban in self._in_force():
            if ban.player == player:
                ban.marks.add(name)

    def _ban_of_both(self, loser: int, survivor: int) -> Ban | None:
        """One for all that the survivor has now, so that an undo can lift just that."""
        longest = [_longest(bars) for bars in (self.bars(survivor), self.bars(loser)) if bars]
        if not longest:
            return None
        ban = max(longest, key=lambda ban: ban.until)
        self.bans.append(Ban(survivor, self.of(survivor), ban.kind, ban.until))
        return self.bans[-1]

    def _counts(self, name: Name) -> bool:
        return self.rules.guests_stay or name[0] != "guest"

    def _is_banned_itself(self, player: int, name: Name) -> bool:
        bans = self.marks(name)
        return bool(bans) and _longest(bans) not in self.bars(player)

    def _doubled(self, loser: int, survivor: int) -> set[Name]:
        """What the survivor may have no more of; what the loser has had for longest goes first."""
        kept = [name[0] for name in self.of(survivor)]
        found = set()
        for name in sorted(self.of(loser), key=lambda name: (self.owner[name].since, self.names.index(name))):
            if kept.count(name[0]) < self.rules.identities:
                kept.append(name[0])
            else:
                found.add(name)
        return found

    def _had(self, *players: int) -> dict[int, set[Name]]:
        return {player: self.of(player) for player in players}

    def _stands(self, event: Happened) -> bool:
        if any(self.owner.get(name) != after for name, (_, after) in event.moves.items()):
            return False
        if event.union is None:
            return not event.players() & self.into.keys()
        loser, survivor, aliases = event.union.loser, event.union.survivor, event.union.aliases
        if survivor in self.into or not self._is_barred_as_left(survivor, event):
            return False
        if event.parted:
            came_with = {name for name, (_, after) in event.moves.items() if after and after.player == loser}
            is_free = loser not in self.into and not self.bars(loser)
            return is_free and self.of(loser) <= came_with and self.aliases(loser) == aliases
        return {loser, *aliases} <= self.aliases(survivor)

    def _is_barred_as_left(self, survivor: int, event: Happened) -> bool:
        """By no ban that is newer, and for as long as then, unless that is over by now."""
        bars, then = self.bars(survivor), [ban for ban in event.bars if self.clock < ban.until]
        return set(bars) <= set(then) and _told(bars) == _told(then)

    def _require_undoable(self, event: Happened, *, operator: bool) -> None:
        merged = {event.union.loser} if event.union and not event.parted else set[int]()
        self._changeable(*sorted(event.players() - merged), operator=operator)
        gains = {name: before.player for name, (before, _) in event.moves.items() if before}
        losses = {name: after.player for name, (_, after) in event.moves.items() if after}
        for name, player in gains.items():
            kept = self.of(player) - {one for one, loser in losses.items() if loser == player}
            has = kept | {one for one, gainer in gains.items() if gainer == player}
            if sum(one[0] == name[0] for one in has) > self.rules.identities:
                raise Refused("later_changes")
        for name in gains:
            _require_none([] if operator else self.marks(name))
        for player in set(losses.values()) - merged - set(gains.values()):
            lost = {name for name, loser in losses.items() if loser == player}
            if not self.ways_in(player) - lost and not self._had_none(player, event, self.of(player) - lost):
                raise Refused("last_identity")

    def _had_none(self, player: int, event: Happened, left: set[Name]) -> bool:
        """Whether a player had no way in before either: nothing at all, or a device alone, which they have yet."""
        platforms = {platform for platform, _ in event.had[player]}
        return not platforms or (platforms == {"guest"} and bool(left))

    def _turn(self, union: Union, *, parted: bool) -> None:
        """Take an account out of another, or put it back."""
        everybody = {union.loser, *union.aliases}
        if union.ban:
            union.ban.lifted = True
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
        before, after = self.owner.get(name), None if player is None else Held(player, self.clock, next(self._stamps))
        self._put(name, after)
        return before, after

    def _put(self, name: Name, held: Held | None) -> None:
        self.owner.pop(name, None)
        if held is not None:
            self.owner[name] = held

    def _happened(
        self,
        had: dict[int, set[Name]],
        moves: dict[Name, tuple[Held | None, Held | None]],
        union: Union | None = None,
        *,
        parted: bool = False,
        own: bool = False,
    ) -> Happened:
        bars = tuple(self.bars(union.survivor)) if union else ()
        self.events.append(Happened(moves, self.clock, had, union, bars, parted, own))
        return self.events[-1]


def _longest(bans: Sequence[Ban]) -> Ban:
    """Of several the oldest."""
    return max(bans, key=lambda ban: ban.until)


def _told(bans: Sequence[Ban]) -> tuple[str, float]:
    """What of several bans counts: of which kind the longest is, and until when."""
    return (_longest(bans).kind, _longest(bans).until) if bans else ("", 0)


def _require_none(bans: Sequence[Ban]) -> None:
    """A restriction says nothing about itself."""
    if bans:
        raise Refused("access_denied banned" if _longest(bans).kind == "banned" else "access_denied")
