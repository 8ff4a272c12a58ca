"""Whether calls that overlapped can be explained by one order of them (Herlihy and Wing, linearizability).

Owns the search over orders. Knows no model: `step` tells what one call may do to one state.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Call = TypeVar("Call")


@dataclass(frozen=True, slots=True)
class Operation(Generic[Call]):
    """A call, and when it began and ended by a clock that ticks for each of the two.

    `answer` of None means that nobody knows: whoever asked hung up, and the call may have had its effect or none.
    """

    call: Call
    answer: str | None
    began: int
    ended: int


Step = Callable[[State, Operation[Call]], Iterable[State]]
"""The states that one call may leave behind in which its answer makes sense; none if it never does."""


def explanations(history: Sequence[Operation[Call]], before: Iterable[State], step: Step[State, Call]) -> set[State]:
    """Every state that some order of the calls ends in; none if no order explains the answers.

    A call that ended before another one began comes before it. The search visits each set of calls left with each state
    once, so that it takes long for many calls at the same time only.
    """
    after: set[State] = set()
    todo = [(frozenset(range(len(history))), state) for state in before]
    seen = set(todo)
    while todo:
        left, state = todo.pop()
        if not left:
            after.add(state)
            continue
        first_end = min(history[number].ended for number in left)
        for number in (number for number in left if history[number].began < first_end):
            operation = history[number]
            states = [*step(state, operation), *([state] if operation.answer is None else [])]
            found = {(left - {number}, each) for each in states} - seen
            seen |= found
            todo += found
    return after
