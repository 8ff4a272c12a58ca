import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.health import live, ready
from authsrv.serving.readiness import Absent, PartDown, Readiness, ReadinessReport

REQUEST = Request({"type": "http", "method": "GET", "headers": []})


async def works() -> None:
    return None


async def fails() -> None:
    raise OSError("disk /var/secret full")


async def held_back() -> None:
    raise PartDown("circuit_open")


async def absent() -> None:
    raise Absent


async def hangs() -> None:
    await asyncio.Event().wait()


async def asked(readiness: Readiness) -> tuple[int, dict[str, object]]:
    answer = await ready(readiness)(REQUEST)
    return answer.status_code, json.loads(bytes(answer.body))


async def test_live_says_only_that_the_loop_turns() -> None:
    answer: Response = await live(REQUEST)
    assert (answer.status_code, bytes(answer.body)) == (200, b'{"status":"live"}')


async def test_ready_is_red_before_the_start_and_while_draining() -> None:
    readiness = Readiness({"storage": works})
    assert await asked(readiness) == (503, {"status": "starting", "failed": [], "degraded": [], "parts": {}})
    readiness.start()
    well = {"status": "ready", "failed": [], "degraded": [], "parts": {"storage": "ok"}}
    assert await asked(readiness) == (200, well)
    readiness.drain()
    assert await asked(readiness) == (503, {"status": "draining", "failed": [], "degraded": [], "parts": {}})
    assert (await ready(readiness)(REQUEST)).headers["retry-after"] == "5"


async def test_H14_a_failing_check_is_named_without_its_reason() -> None:
    readiness = Readiness({"storage": fails, "keys": works})
    readiness.start()
    parts = {"storage": "failing", "keys": "ok"}
    assert await asked(readiness) == (
        503,
        {"status": "failing", "failed": ["storage"], "degraded": [], "parts": parts},
    )


async def test_R39_a_degraded_provider_is_listed_and_does_not_make_it_red() -> None:
    readiness = Readiness({"storage": works}, {"steam": works, "xbox": held_back, "epicgames": absent})
    readiness.start()
    parts = {"storage": "ok", "steam": "ok", "xbox": "circuit_open"}
    assert await asked(readiness) == (200, {"status": "ready", "failed": [], "degraded": ["xbox"], "parts": parts})


async def test_a_check_that_hangs_fails_at_its_deadline() -> None:
    readiness = Readiness({"storage": hangs}, deadline=0.01)
    readiness.start()
    assert await readiness.report() == ReadinessReport("failing", ("storage",), parts={"storage": "no_answer"})


async def test_probes_run_once_for_many_callers_and_again_when_stale() -> None:
    calls = 0
    now = 100.0

    async def count() -> None:
        nonlocal calls
        calls += 1

    readiness = Readiness({"storage": count}, fresh_for=1.0, clock=lambda: now)
    readiness.start()
    report: Callable[[], Awaitable[ReadinessReport]] = readiness.report
    await asyncio.gather(*(report() for _ in range(20)))
    assert calls == 1
    now += 1.0
    await report()
    assert calls == 2


async def test_a_drain_during_a_probe_is_seen_by_its_caller() -> None:
    async def drain() -> None:
        readiness.drain()

    readiness = Readiness({"storage": drain})
    readiness.start()
    assert (await readiness.report()).state == "draining"
