"""Rows B01 to B06, B08 and B22 to B30 with fifty at once over HTTP, on each storage, with answers lost at random.

Either everybody has read before the first one writes (`gate`), or whatever order chance brings (`shuffled`).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import uvicorn

from authsrv.models import Grant
from authsrv.serving.protocol import HttpLimits, guarded_protocol
from authsrv.storage.changes import RevokeGrant
from tests.support.gates import Gate, Pauses
from tests.support.losing import losing, until_answered
from tests.support.refusals import clients, token_error
from tests.support.server import CALLBACK, VERIFIER, ManualClock, Server, running, running_on
from tests.support.sockets import Posted, port, post, serving
from tests.support.storage import BACKENDS

RACERS = 50
LOST = 1 / 3
DAY = 86400
WRONG_VERIFIER = "x" * 43


def edit(block: dict[str, Any]) -> None:
    clients(block)["other"] = {**clients(block)["launcher"], "name": "Other launcher"}


@pytest.fixture(params=BACKENDS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on(request.param, tmp_path, edit=edit) as started:
        yield started


@contextmanager
def gate(server: Server) -> Iterator[None]:
    """Let nobody go on from the read of the grant until all have read it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.app.storage, "load_grant", Gate(RACERS).after(server.app.storage.load_grant))
        yield


@contextmanager
def shuffled(server: Server, chance: Random) -> Iterator[None]:
    """Let chance say how long a request waits before and after it reads and before and after it writes."""
    pauses = Pauses(chance, most=20)
    with pytest.MonkeyPatch.context() as patch:
        for step in ("load_grant", "apply"):
            patch.setattr(server.app.storage, step, pauses.around(getattr(server.app.storage, step)))
        yield


async def all_at_once(calls: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return await asyncio.gather(*calls)


def outcomes(answers: Iterable[httpx.Response]) -> Counter[str]:
    """How many were given tokens, and how many were refused in which words. Nothing else is an answer."""
    return Counter("tokens" if each.status_code == 200 else token_error(each) for each in answers)


def successors(answers: Iterable[httpx.Response]) -> set[str]:
    return {each.json()["refresh_token"] for each in answers if each.status_code == 200}


async def only_grant(server: Server) -> Grant:
    (grant,) = await server.grants()
    return grant


# --- one code ---


async def test_B04_R25_of_fifty_who_all_read_first_one_gets_tokens_and_keeps_them(server: Server) -> None:
    code = await server.code("steam", scope="offline")
    with gate(server):
        answers = await all_at_once(server.redeem(code) for _ in range(RACERS))
    assert outcomes(answers) == {"tokens": 1, "invalid_grant": RACERS - 1}
    (token,) = successors(answers)
    assert (await server.refresh(token)).status_code == 200  # losing a race is no replay
    assert (await only_grant(server)).revoked_at is None


async def test_B04_in_any_order_and_with_lost_answers_a_code_gives_tokens_once(server: Server, chance: Random) -> None:
    codes = [await server.code("steam", scope="offline") for _ in range(4)]
    with shuffled(server, chance):
        for code in codes:
            async with losing(server, lambda: chance.random() < LOST) as (far, network):
                await all_at_once(until_answered(lambda: far.redeem(code)) for _ in range(RACERS))  # noqa: B023
            assert len(network.given) > RACERS
            assert outcomes(network.given) == {"tokens": 1, "invalid_grant": len(network.given) - 1}
    assert [grant.refresh_generation for grant in await server.grants()] == [1] * len(codes)


async def test_B03_B05_B06_strangers_at_once_with_its_holder_cost_the_holder_nothing(
    server: Server, chance: Random
) -> None:
    code = await server.code("steam", scope="offline")
    holder: dict[str, str | None] = {}
    wrong: dict[str, str | None] = {"code_verifier": WRONG_VERIFIER}
    strangers: list[dict[str, str | None]] = [{"client_id": "other"}, {"redirect_uri": None}, {"client_id": "spa"}]
    racing = [holder, *[wrong] * 4, *(strangers * RACERS)[: RACERS - 5]]
    chance.shuffle(racing)
    with shuffled(server, chance):
        answers = await all_at_once(server.redeem(code, **changes) for changes in racing)
    assert outcomes(answers) == {"tokens": 1, "invalid_grant": RACERS - 1}
    assert answers[racing.index(holder)].status_code == 200
    (token,) = successors(answers)
    assert (await server.refresh(token)).status_code == 200


@pytest.mark.parametrize("after", [pytest.param(0, id="B01"), pytest.param(30, id="B02")])
async def test_B01_B02_of_fifty_replays_none_gets_tokens_and_the_family_ends(
    server: Server, chance: Random, after: int
) -> None:
    code = await server.code("steam", scope="offline")
    tokens = (await server.redeem(code)).json()
    server.clock.now += after
    with shuffled(server, chance):
        replays = await all_at_once(server.redeem(code) for _ in range(RACERS))
    assert outcomes(replays) == {"invalid_grant": RACERS}
    assert token_error(await server.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert (await only_grant(server)).revoked_reason == "code_replayed"


async def test_B08_fifty_wrong_verifiers_at_once_kill_the_code_and_each_is_counted(server: Server) -> None:
    code = await server.code("steam", scope="offline")
    with gate(server):
        wrong = await all_at_once(server.redeem(code, code_verifier=WRONG_VERIFIER) for _ in range(RACERS))
    assert outcomes(wrong) == {"invalid_grant": RACERS}
    assert (await only_grant(server)).code_failures == RACERS
    assert token_error(await server.redeem(code)) == "invalid_grant"


# --- one refresh token ---


async def test_B25_R26_fifty_who_all_read_first_share_one_successor(server: Server) -> None:
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    with gate(server):
        answers = await all_at_once(server.refresh(token) for _ in range(RACERS))
    assert outcomes(answers) == {"tokens": RACERS}
    assert len({answer.json()["access_token"] for answer in answers}) == RACERS
    (successor,) = successors(answers)
    assert (await server.refresh(successor)).json()["refresh_token"] != successor


async def test_B23_B25_R26_whoever_kept_the_last_answer_is_never_logged_out(server: Server, chance: Random) -> None:
    """Rounds of fifty, each over the whole window; a racer whose answer is lost asks again with what it has."""
    rounds = 5
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    with shuffled(server, chance):
        for _ in range(rounds):
            async with losing(server, lambda: chance.random() < LOST) as (far, network):
                for after, racers in ((0, RACERS // 2), (29, RACERS // 2)):
                    server.clock.now += after
                    ask = lambda: far.refresh(token)  # noqa: B023, E731 - asked and answered within the round
                    answers = await all_at_once(until_answered(ask) for _ in range(racers))
                    assert outcomes(answers) == {"tokens": racers}
            assert outcomes(network.given) == {"tokens": len(network.given)}
            assert len(network.given) > RACERS
            (token,) = set(network.tokens("refresh_token"))
            server.clock.now += chance.randint(1, 900)
    grant = await only_grant(server)
    assert (grant.refresh_generation, grant.revoked_at) == (1 + rounds, None)
    assert server.audited("refresh.reused") == []


async def test_B25_without_a_window_one_of_fifty_is_given_tokens_and_the_family_ends(chance: Random) -> None:
    def without_grace(block: dict[str, Any]) -> None:
        clients(block)["launcher"]["refresh_grace"] = 0

    async with running(edit=without_grace) as server:
        token = (await server.login("steam", scope="offline"))["refresh_token"]
        with shuffled(server, chance):
            answers = await all_at_once(server.refresh(token) for _ in range(RACERS))
        assert outcomes(answers) == {"tokens": 1, "invalid_grant": RACERS - 1}
        (successor,) = successors(answers)
        assert token_error(await server.refresh(successor)) == "invalid_grant"


async def test_B22_fifty_late_reuses_at_once_are_refused_and_end_the_family(server: Server, chance: Random) -> None:
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    newest = (await server.refresh(token)).json()["refresh_token"]
    server.clock.now += 30
    with shuffled(server, chance):
        assert outcomes(await all_at_once(server.refresh(token) for _ in range(RACERS))) == {"invalid_grant": RACERS}
    assert token_error(await server.refresh(newest)) == "invalid_grant"
    assert (await only_grant(server)).revoked_reason == "refresh_reused"
    assert server.audited("refresh.reused")


async def test_B24_late_retries_among_refreshes_of_the_newest_token_end_the_family(
    server: Server, chance: Random
) -> None:
    oldest = (await server.login("steam", scope="offline"))["refresh_token"]
    middle = (await server.refresh(oldest)).json()["refresh_token"]
    newest = (await server.refresh(middle)).json()["refresh_token"]
    racing = [oldest, newest] * (RACERS // 2)
    with shuffled(server, chance):
        answers = await all_at_once(server.refresh(token) for token in racing)
    assert set(outcomes(answers)) <= {"tokens", "invalid_grant"}
    assert outcomes(answers[::2]) == {"invalid_grant": RACERS // 2}
    for token in {newest, *successors(answers)}:
        assert token_error(await server.refresh(token)) == "invalid_grant"


async def test_B26_strangers_at_once_with_its_holder_change_nothing(server: Server, chance: Random) -> None:
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    racing = [None, "other", "spa", "other", "spa"] * (RACERS // 5)
    with shuffled(server, chance):
        answers = await all_at_once(server.refresh(token, **({"client_id": who} if who else {})) for who in racing)
    assert outcomes(answers) == {"tokens": RACERS // 5, "invalid_grant": RACERS - RACERS // 5}
    (successor,) = successors(answers)
    assert (await server.refresh(successor)).status_code == 200


async def test_B27_racers_for_other_scopes_share_the_successor_and_too_large_ones_change_nothing(
    server: Server, chance: Random
) -> None:
    token = (await server.login("steam", scope="openid offline"))["refresh_token"]
    racing = [None, "openid", "offline", "openid offline", "openid profile"] * (RACERS // 5)
    with shuffled(server, chance):
        answers = await all_at_once(server.refresh(token, scope=scope) for scope in racing)
    assert outcomes(answers) == {"tokens": 4 * RACERS // 5, "invalid_scope": RACERS // 5}
    (successor,) = successors(answers)
    assert (await server.refresh(successor)).json()["scope"] == "openid offline"


async def test_B28_no_refresh_that_begins_after_the_end_gets_tokens(server: Server, chance: Random) -> None:
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    grant = await only_grant(server)
    with shuffled(server, chance):
        before = asyncio.gather(*(server.refresh(token) for _ in range(RACERS // 2)))
        await Pauses(chance, most=50).pause()
        await server.app.storage.apply([RevokeGrant(grant.id, int(server.clock.now), "banned")])
        after = await all_at_once(server.refresh(token) for _ in range(RACERS // 2))
        early = await before
    assert outcomes(after) == {"invalid_grant": RACERS // 2}
    assert set(outcomes(early)) <= {"tokens", "invalid_grant"}
    for successor in successors(early):
        assert token_error(await server.refresh(successor)) == "invalid_grant"


@pytest.mark.parametrize(("left", "expected"), [(1, "tokens"), (0, "invalid_grant")], ids=["in time", "too late"])
async def test_B30_fifty_at_the_absolute_end_are_all_in_time_or_all_too_late(
    server: Server, chance: Random, left: int, expected: str
) -> None:
    token = (await server.login("steam", scope="offline"))["refresh_token"]
    for _ in range(7):
        server.clock.now += 25 * DAY
        token = (await server.refresh(token)).json()["refresh_token"]
    server.clock.now += 5 * DAY - left
    with shuffled(server, chance):
        assert outcomes(await all_at_once(server.refresh(token) for _ in range(RACERS))) == {expected: RACERS}


async def test_B29_racers_before_and_after_a_restart_share_one_successor_and_its_use_ends_the_window(
    tmp_path: Path, chance: Random
) -> None:
    clock, found = ManualClock(), []
    async with running(tmp_path, clock=clock) as server:
        token = (await server.login("steam", scope="offline"))["refresh_token"]
    for _ in range(2):
        async with running(tmp_path, clock=clock) as server:
            with shuffled(server, chance):
                found += await all_at_once(server.refresh(token) for _ in range(RACERS // 2))
        clock.now += 14
    assert outcomes(found) == {"tokens": RACERS}
    (successor,) = successors(found)
    async with running(tmp_path, clock=clock) as server:
        newest = (await server.refresh(successor)).json()["refresh_token"]
    async with running(tmp_path, clock=clock) as server:
        assert outcomes(await all_at_once(server.refresh(token) for _ in range(RACERS))) == {"invalid_grant": RACERS}
        assert token_error(await server.refresh(newest)) == "invalid_grant"


# --- real connections ---


async def insistently(listener: uvicorn.Server, form: dict[str, str], chance: Random) -> Posted:
    """Ask until an answer arrives, hanging up at random: before the server has read, while it works, or later."""
    while chance.random() < LOST:
        await post(port(listener), "/oauth2/token", form, hang_up_after=chance.choice([0, 0.001, 0.02]))
    answer = await post(port(listener), "/oauth2/token", form)
    assert answer is not None
    return answer


async def test_B04_B25_R26_fifty_connections_of_which_some_hang_up_get_tokens_once_and_one_successor(
    tmp_path: Path, chance: Random
) -> None:
    async with running(tmp_path) as server, serving(server.app, guarded_protocol(HttpLimits())) as listener:
        code = await server.code("steam", scope="offline")
        form = {"grant_type": "authorization_code", "client_id": "launcher", "code": code}
        form |= {"redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        answers = await asyncio.gather(*(insistently(listener, form, chance) for _ in range(RACERS)))
        statuses = Counter(answer.status for answer in answers)
        assert statuses in ({200: 1, 400: RACERS - 1}, {400: RACERS})  # whoever got the tokens may have hung up
        token = (await server.login("steam", scope="offline"))["refresh_token"]
        for _ in range(3):
            form = {"grant_type": "refresh_token", "client_id": "launcher", "refresh_token": token}
            answers = await asyncio.gather(*(insistently(listener, form, chance) for _ in range(RACERS)))
            assert {answer.status for answer in answers} == {200}
            (token,) = {answer.body["refresh_token"] for answer in answers}
        assert (await server.refresh(token)).status_code == 200
        raced, refreshed = await server.grants()
        assert raced.refresh_generation == 1
        assert (refreshed.refresh_generation, refreshed.revoked_at) == (5, None)
    assert {event["status"] for event in server.events if "status" in event} <= {200, 400, 499}
