"""CPU of the loop's thread, which is all that tests assert of time: always beside a reference of the same run.

Owns how it is measured so that a busy machine disturbs both alike. Owns no bound.
"""

import time
from collections.abc import Awaitable, Callable

Call = Callable[[], Awaitable[object]]


async def cpu_of(call: Call) -> float:
    """CPU seconds that one call takes of this thread."""
    began = time.thread_time()
    await call()
    return time.thread_time() - began


async def cpu_of_both(call: Call, reference: Call, rounds: int) -> tuple[float, float]:
    """The best of some rounds in turns, after one that counts for nothing; each is called once more than `rounds`."""
    await call()
    await reference()
    taken = [(await cpu_of(call), await cpu_of(reference)) for _ in range(rounds)]
    return min(found for found, _ in taken), min(found for _, found in taken)
