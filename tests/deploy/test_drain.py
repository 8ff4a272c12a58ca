"""A node that stops behind nginx and Caddy while players come: nobody gets an error, and nothing is sent twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.processes import free_port
from tests.support.proxies import HOST, PROXIES, in_front
from tests.support.serving import Place, Program

BOTH = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in PROXIES]
DRAIN = 7
"""Seconds; longer than the proxies keep idle connections."""
PLAYERS = 12
FORM = {"grant_type": "refresh_token", "client_id": "launcher", "refresh_token": "asr_unknown"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@contextmanager
def nodes(directory: Path) -> Iterator[list[tuple[int, Program]]]:
    """Two with a database of their own each, which is enough for requests that find nothing."""
    with ExitStack() as stack:
        yield [stack.enter_context(_node(directory / name)) for name in ("one", "other")]


@contextmanager
def _node(directory: Path) -> Iterator[tuple[int, Program]]:
    directory.mkdir()
    place = Place(directory, free_port(), directory.parent / "keys")
    server = {**place.block["server"], "trusted_proxies": ["127.0.0.1"], "drain_seconds": DRAIN}
    limits = {"limits": {"multiplier": 1000}}
    place.write({**place.block, **limits, "issuer": f"https://{HOST}", "server": server})
    migrated = place.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    with place.serving() as program:
        yield place.port, program


async def play(client: httpx.AsyncClient, over: asyncio.Event) -> Counter[int]:
    """One request after the other, now and then with a pause in which a connection goes idle."""
    answers: Counter[int] = Counter()
    while not over.is_set():
        answer = await client.post("/oauth2/token", data=FORM)
        answers[answer.status_code] += 1
        await asyncio.sleep(0.2 if answers.total() % 5 else 1.5)
    return answers


@pytest.mark.parametrize("proxy", BOTH)
async def test_a_node_that_stops_costs_no_player_an_answer(proxy: str, tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    over = asyncio.Event()
    with nodes(tmp_path) as ((port, stopping), (other, _)):
        async with in_front(PROXIES[proxy], tmp_path / "front", (other, port, other)) as front:
            players = [asyncio.create_task(play(front.client, over)) for _ in range(PLAYERS)]
            await asyncio.sleep(1)
            stopping.signal(signal.SIGTERM)
            assert await asyncio.to_thread(stopping.ended) == 0, stopping.output
            await asyncio.sleep(1)
            over.set()
            answers: Counter[int] = sum(await asyncio.gather(*players), Counter())
    assert set(answers) == {400}
    assert "cut short" not in stopping.output
