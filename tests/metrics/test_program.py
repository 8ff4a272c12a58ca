"""The real program with metrics on: both listeners, slow senders, a stop."""

import contextlib
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.metrics import families
from tests.support.processes import free_port
from tests.support.serving import Place, Program
from tests.support.storage import migrated_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    migrated_file(tmp_path)
    found = Place(tmp_path, free_port(), tmp_path / "keys")
    found.block["metrics"] = {"enabled": True, "port": free_port()}
    found.block["server"] = {**found.block["server"], "drain_seconds": 30}
    found.write(found.block)
    return found


@pytest.fixture
def program(place: Place) -> Iterator[Program]:
    with place.serving() as started:
        yield started


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def scraped(place: Place) -> dict[tuple[str, ...], float]:
    """Every sample's value, by its name and the values of its labels."""
    address = f"http://127.0.0.1:{place.block['metrics']['port']}/metrics"
    with urllib.request.urlopen(address, timeout=5) as answer:
        found = families(answer.read().decode())
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in found
        for one in family.samples
    }


def test_both_listeners_serve_and_neither_what_the_other_does(place: Place, program: Program) -> None:
    assert status(f"{place.issuer}/metrics") == 404
    assert status(f"http://127.0.0.1:{place.block['metrics']['port']}/health/live") == 404
    found = scraped(place)
    assert found["authsrv_http_requests_total", "4xx", "other", "GET"] == 1
    assert found["authsrv_state", "ready"] == 1
    assert found["authsrv_log_lines_dropped_total",] == 0
    assert found["process_resident_memory_bytes",] > 10_000_000
    assert "metrics at http://127.0.0.1:" in program.output


def test_what_no_application_saw_is_counted_by_itself(place: Place, program: Program) -> None:
    with socket.create_connection(("127.0.0.1", place.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)
        with contextlib.suppress(ConnectionError):
            client.recv(100)
    found = scraped(place)
    assert found["authsrv_http_refused_requests_total", "431"] == 1
    assert found["authsrv_http_refused_requests_total", "400"] == 0
    assert ("authsrv_http_requests_total", "4xx", "other", "GET") not in found


def test_slow_senders_on_the_metrics_port_hold_no_player_up_and_no_stop(place: Place, program: Program) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", place.block["metrics"]["port"])))
            with contextlib.suppress(OSError):
                slow.sendall(b"GET /metr")
        assert status(f"{place.issuer}/.well-known/openid-configuration") == 200
        program.signal(signal.SIGTERM)
        program.wait_for("draining")
        program.signal(signal.SIGTERM)
        assert program.ended() == 0


def test_a_node_that_drains_still_tells_that_it_does(place: Place, program: Program) -> None:
    program.signal(signal.SIGTERM)
    program.wait_for("draining")
    assert scraped(place)["authsrv_state", "draining"] == 1
    program.signal(signal.SIGTERM)
    assert program.ended() == 0


def test_a_port_in_use_ends_the_start_with_what_to_do(place: Place) -> None:
    with socket.create_server(("127.0.0.1", place.block["metrics"]["port"])):
        refused = place.start()
        assert refused.ended() != 0
    assert "the metrics cannot listen on 127.0.0.1" in refused.output
    assert "change [metrics]" in refused.output
    assert "Traceback" not in refused.output
