"""The listener of the metrics: off unless asked for, never the public one, and held up by nobody."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from authsrv.serving import metrics_listener
from authsrv.serving.metrics_listener import MOST_CONNECTIONS, MetricsEndpoint, MetricsRefused, listening
from authsrv.serving.process import Process
from authsrv.serving.protocol import HttpLimits
from tests.support.loop_cpu import cpu_of_both
from tests.support.metrics import measured
from tests.support.server import running

BODY = b"authsrv_up 1\n" * 20_000


async def render(accept: str) -> tuple[bytes, str]:
    return BODY, accept or "text/plain"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with listening(MetricsEndpoint(render), "127.0.0.1", 0) as found:
        yield found


@pytest.fixture
async def http(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as found:
        yield found


async def test_it_serves_one_address(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["content-type"] == "application/openmetrics-text"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    assert (await http.head("/metrics")).headers["content-length"] == str(len(BODY))


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metrics/x", "/health/ready", "/oauth2/token", "/METRICS"])
async def test_there_is_nothing_else(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_it_is_only_read(http: httpx.AsyncClient, method: str) -> None:
    assert (await http.request(method, "/metrics")).status_code == 405


SLOW = [
    pytest.param(b"", id="nothing at all"),
    pytest.param(b"GET /metr", id="half a request line"),
    pytest.param(b"GET /metrics HTTP/1.1\r\nHost: x\r\n", id="a head without an end"),
    pytest.param(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n", id="a body that never comes"),
]


@pytest.mark.parametrize("sent", SLOW)
async def test_F05_slow_senders_hold_nothing_up_and_are_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = HttpLimits(head_seconds=0.2, request_seconds=0.2, keep_alive_seconds=1, linger_seconds=0.1)
    monkeypatch.setattr(metrics_listener, "LIMITS", quick)
    async with listening(MetricsEndpoint(render), "127.0.0.1", 0) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS - 2)]
        for _, writer in slow:
            writer.write(sent)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert (await http.get("/metrics")).content == BODY
        async with asyncio.timeout(10):
            for reader, writer in slow:
                await reader.read()
                writer.close()


async def test_a_reader_who_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_listener, "READING_SECONDS", 0.2)
    large = b"x" * 50_000_000

    async def much(_: str) -> tuple[bytes, str]:
        return large, "text/plain"

    async with listening(MetricsEndpoint(much), "127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readexactly(100)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # every socket's transport has it
        reader._limit = 2**30  # type: ignore[attr-defined]  # whatever came before the cut is taken at once
        await asyncio.sleep(0.5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        received = 0
        with suppress(ConnectionResetError):
            received = len(await reader.read())
        assert received < len(large)
        writer.close()


async def test_whoever_comes_beyond_the_bound_is_closed_at_once(port: int) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
    await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(2):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    for one in (writer, *(each for _, each in held)):
        one.close()


async def test_an_address_in_use_is_refused_with_what_to_do(port: int) -> None:
    with pytest.raises(MetricsRefused, match=r"change \[metrics\]"):
        async with listening(MetricsEndpoint(render), "127.0.0.1", port):
            pytest.fail("two listeners on one address")


@asynccontextmanager
async def process(tmp_path: Path, **metrics: object) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """The process's lifespan around a server that runs on its own, as `authsrv serve` has it."""

    def edit(block: dict[str, object]) -> None:
        measured(block)
        block["metrics"] = {**block["metrics"], **metrics}  # type: ignore[dict-item]

    async with running(tmp_path, edit=edit) as server:
        found = Process(server.app, tmp_path / "authsrv.toml", dropped=lambda: 7)
        async with found.metrics_served():
            yield found, server.http


async def test_the_public_address_has_no_metrics(tmp_path: Path) -> None:
    async with process(tmp_path) as (found, public):
        assert (await public.get("/metrics")).status_code == 404
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{found.metrics_port}/metrics")
            assert "authsrv_log_lines_dropped_total 7.0" in answer.text
            assert (await http.get(f"http://127.0.0.1:{found.metrics_port}/oauth2/jwks")).status_code == 404


async def test_without_the_setting_nobody_listens(tmp_path: Path) -> None:
    async with process(tmp_path, enabled=False) as (found, _):
        assert found.metrics_port is None


def test_without_the_setting_prometheus_is_not_even_loaded() -> None:
    program = (
        "import sys, authsrv.serving.process; print([n for n in sys.modules if n.startswith('prometheus_client')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_scrapes_do_not_hold_up_the_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with process(tmp_path) as (found, public), httpx.AsyncClient(trust_env=False) as http:
        address = f"http://127.0.0.1:{found.metrics_port}/metrics"
        answer = await http.get(address)
        discovery = partial(public.get, "/.well-known/openid-configuration")
        scrape, reference = await cpu_of_both(partial(http.get, address), discovery, rounds=12)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(answer.content)} bytes, {scrape * 1000:.2f} ms of the loop's thread, ")
        sys.stdout.write(f"{scrape / reference:.1f} reference requests\n")
    assert scrape < 30 * reference
    assert answer.headers["content-type"].startswith("text/plain")
