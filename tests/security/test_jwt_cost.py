"""What a bad token costs at each door, beside a request of the same run, and that no log holds a part of one.

CPU of the loop's thread, in which the client counts too; the bounds catch a loop over the text or a second signature,
and are no benchmark.
"""

import json
import logging
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import get_args

import pytest
import pytest_asyncio

from authsrv.log import FLOORS
from authsrv.oauth.own_tokens import AccessToken, NotOurs, OwnTokens
from authsrv.oauth.verified_tokens import VerifiedTokens
from tests.support.jwt_attacks import ROWS, Kind, attacks
from tests.support.jwt_doors import DOORS, Door, Stage, staged
from tests.support.jwt_forging import Good
from tests.support.server import ISSUER

ROUNDS = 3
SENDABLE = 20_000
"""Longer texts get an answer before they reach a door; here they would measure the client."""
COSTLY = {"C05", "C08", "C09", "C10", "C12", "C13", "C14", "C26"}
"""Rows whose attacks are on time and memory."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with staged() as found:
        yield found


@pytest.fixture(scope="module")
def bad_tokens(stage: Stage) -> Mapping[Kind, Mapping[str, str]]:
    """Every attack on a token of a kind, by row and name."""
    return {kind: made(stage.good(kind, "RS256"), kind) for kind in KINDS}


KINDS: tuple[Kind, ...] = get_args(Kind)


def made(good: Good, kind: Kind) -> Mapping[str, str]:
    return {f"{row} {name}": make(good) for row in ROWS for name, make in attacks(row, kind).items()}


def sendable(texts: Mapping[str, str], rows: Container[str]) -> Mapping[str, str]:
    return {name: text for name, text in texts.items() if name[:3] in rows and len(text) <= SENDABLE}


def least(call: Callable[[], object], rounds: int = 7) -> float:
    """CPU seconds of the best of some rounds, which a busy machine disturbs least."""
    taken = []
    for _ in range(rounds):
        began = time.thread_time()
        call()
        taken.append(time.thread_time() - began)
    return min(taken)


async def least_of(call: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        began = time.thread_time()
        await call()
        taken.append(time.thread_time() - began)
    return min(taken)


at_every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)


# Continuation tokens are judged at their door alone, which the next test is about.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "continuation"])
async def test_C13_C09_to_judge_a_bad_token_costs_little_more_than_to_judge_a_good_one(
    stage: Stage, bad_tokens: Mapping[Kind, Mapping[str, str]], kind: Kind
) -> None:
    forgetful = VerifiedTokens[AccessToken](stage.ring.verifier, most=0)
    own, now = OwnTokens(ISSUER, stage.ring, forgetful), int(stage.server.clock.now)
    read = own.hint if kind == "id" else partial(own.access_token, either_profile=kind == "xsolla")

    def judged(text: str) -> None:
        with suppress(NotOurs):
            read(text, now)

    good = stage.good(kind, "RS256").text
    read(good, now)
    reference = least(partial(judged, good))
    costs = {name: least(partial(judged, text)) / reference for name, text in bad_tokens[kind].items()}
    assert {name: round(cost, 1) for name, cost in costs.items() if cost > 15} == {}


@at_every_door
async def test_C13_a_bad_token_costs_the_loop_a_few_reference_requests(
    stage: Stage, bad_tokens: Mapping[Kind, Mapping[str, str]], door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = await least_of(partial(stage.server.http.get, "/.well-known/openid-configuration"), 20)
    texts = sendable(bad_tokens[door.kind], COSTLY)
    costs = {name: await least_of(partial(door.present, stage, text)) / reference for name, text in texts.items()}
    with capsys.disabled():
        worst = max(costs, key=lambda name: costs[name])
        sys.stdout.write(f"\n{door.name}: {costs[worst]:.1f} reference requests at most ({worst})\n")
    assert {name: round(cost, 1) for name, cost in costs.items() if cost > 12} == {}


@at_every_door
async def test_C08_C13_a_bad_token_takes_no_memory_to_speak_of(
    stage: Stage, bad_tokens: Mapping[Kind, Mapping[str, str]], door: Door
) -> None:
    texts = sendable(bad_tokens[door.kind], {"C05", "C08", "C13"})
    await door.present(stage, next(iter(texts.values())))  # what a first request loads for good
    tracemalloc.start()
    try:
        peaks = {name: await least_memory(partial(door.present, stage, text)) for name, text in texts.items()}
    finally:
        tracemalloc.stop()
    assert {name: peak for name, peak in peaks.items() if peak >= 2_000_000} == {}


async def least_memory(call: Callable[[], Awaitable[object]]) -> int:
    """Bytes at the peak of the best of some rounds: what else goes on in the process is counted too."""
    peaks = []
    for _ in range(ROUNDS):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        await call()
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    return min(peaks)


def pieces(text: str) -> Iterator[str]:
    """The middle and the end of a token, unless they are nothing but filling."""
    for piece in (text[len(text) // 3 :][:24], text[len(text) // 3 * 2 :][:24], text[-24:]):
        if len(set(piece)) > 8:
            yield piece


@at_every_door
async def test_I08_no_part_of_a_bad_token_is_logged(
    stage: Stage, bad_tokens: Mapping[Kind, Mapping[str, str]], door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for library, floor in FLOORS.items():
        caplog.set_level(floor, library)
    texts = dict(list(sendable(bad_tokens[door.kind], ROWS).items())[::3])
    for text in texts.values():
        await door.present(stage, text)
    logged = "\n".join([*(record.getMessage() for record in caplog.records), json.dumps(stage.server.events)])
    assert "request" in logged
    assert [name for name, text in texts.items() if any(piece in logged for piece in pieces(text))] == []
