"""A grant as a model: all that a code and the tokens that came of it are, in a few lines, without storage or SQL.

Owns what each call may do to it. `tests.support.linearizable` searches for an order of calls that explains answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.support.linearizable import Operation

CODE, ACCESS, IDLE, GRACE = 60, 900, 30 * 86400, 30
REFUSED, DONE = "refused", "done"


@dataclass(frozen=True, slots=True)
class Redeem:
    """The code is presented at `now`."""

    now: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token of the family is presented at `now`."""

    now: int
    token: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Whether an access token of the family that ends at `expires_at` is still good."""

    now: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class End:
    """Somebody ends it: always, or only as long as nothing but the code is out."""

    always: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The client revokes one of the family's refresh tokens."""

    now: int
    token: str


@dataclass(frozen=True, slots=True)
class Reload:
    """The client is, or is not, in the configuration from now on."""

    is_there: bool


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows that are of no use are removed, which nobody can see."""


Call = Redeem | Refresh | Ask | End | GiveUp | Reload | Sweep
Seen = Operation[Call]


@dataclass(frozen=True, slots=True)
class Family:
    """A code and what came of it. `tokens` are the refresh tokens in order; None is one that nobody has seen yet.

    `redeemed_until` is when the call that used the code ended: whoever came before that lost a race and nothing else.
    """

    expires_at: int
    redeemed_until: int | None = None
    failures: int = 0
    tokens: tuple[str | None, ...] = ()
    rotated_at: int = 0
    ended: bool = False
    client_is_there: bool = True

    def is_dead(self, now: int) -> bool:
        return self.ended or not self.client_is_there or now >= self.expires_at


def step(family: Family, seen: Seen) -> Iterator[Family]:
    """What one call may make of a family."""
    refused, done = seen.answer in {REFUSED, None}, seen.answer in {DONE, None}
    match seen.call:
        case Redeem():
            yield from redeemed(family, seen.call, seen)
        case Refresh():
            yield from refreshed(family, seen.call, seen)
        case Ask(now, expires_at) if (family.is_dead(now) or now >= expires_at) == refused:
            yield family
        case End(always) if done:
            yield replace(family, ended=family.ended or always or family.redeemed_until is None)
        case GiveUp(now) if done if family.client_is_there else refused:
            yield family if family.is_dead(now) else replace(family, ended=True)
        case Reload(is_there) if done:
            yield replace(family, client_is_there=is_there)
        case Sweep() if done:
            yield family


def redeemed(family: Family, call: Redeem, seen: Seen) -> Iterator[Family]:
    is_used = family.redeemed_until is not None
    too_late = not is_used and call.now >= family.expires_at
    if family.ended or not family.client_is_there or family.failures >= 5 or too_late:
        yield from [family] if seen.answer in {REFUSED, None} else []
    elif not call.fits:
        yield from [replace(family, failures=family.failures + 1)] if seen.answer in {REFUSED, None} else []
    elif family.redeemed_until is None:
        first = replace(family, redeemed_until=seen.ended, tokens=(seen.answer,), expires_at=call.now + IDLE)
        yield from [first] if seen.answer != REFUSED else []
    elif seen.answer in {REFUSED, None}:
        yield replace(family, ended=True)
        yield from [family] if seen.began < family.redeemed_until else []


def refreshed(family: Family, call: Refresh, seen: Seen) -> Iterator[Family]:
    if family.is_dead(call.now):
        yield from [family] if seen.answer in {REFUSED, None} else []
        return
    behind = len(family.tokens) - 1 - family.tokens.index(call.token)
    if behind == 0:
        next_one = replace(family, tokens=(*family.tokens, seen.answer), rotated_at=call.now)
        yield from [replace(next_one, expires_at=call.now + IDLE)] if seen.answer != REFUSED else []
    elif behind == 1 and call.now < family.rotated_at + GRACE:
        same = seen.answer in {family.tokens[-1], None} or (family.tokens[-1] is None and seen.answer != REFUSED)
        yield from [replace(family, tokens=(*family.tokens[:-1], seen.answer or family.tokens[-1]))] if same else []
    elif seen.answer in {REFUSED, None}:
        yield replace(family, ended=True)
