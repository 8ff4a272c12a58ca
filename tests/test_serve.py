import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("serve_child.py")
TIMEOUT = 20


class Server:
    """The child process, its lines and its port."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.loop = self.line().removeprefix("loop ")
        self.port = int(self.line().removeprefix("ready 127.0.0.1 "))

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def begin(self, path: str) -> socket.socket:
        connection = self.connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return connection

    def ask(self, path: str) -> bytes:
        with self.begin(path) as connection:
            return answer_of(connection)

    def wait_until_closed_to_new_connections(self) -> None:
        for _ in range(100_000):
            try:
                self.connect().close()
            except ConnectionError:
                return
        raise AssertionError("the listener stays open")

    def ended(self) -> tuple[int, str, str]:
        out, log = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, out, log


def start(
    *, port: int = 0, drain: float = 0.0, graceful: float = 20.0, loop: str = "uvloop", fault: str = "none"
) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(port), str(drain), str(graceful), loop, fault]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def serving(*, drain: float = 0.0, graceful: float = 20.0, loop: str = "uvloop") -> Iterator[Server]:
    process = start(drain=drain, graceful=graceful, loop=loop)
    try:
        yield Server(process)
    finally:
        process.kill()
        process.communicate()


def answer_of(connection: socket.socket) -> bytes:
    """One answer of the child, whose bodies all end alike, or what came before the connection ended."""
    received = b""
    while not received.endswith(b"done") and (more := connection.recv(65536)):
        received += more
    return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(("loop", "module"), [("uvloop", "uvloop"), ("asyncio", "asyncio")])
def test_R19_a_signal_turns_readiness_red_while_the_listener_still_accepts(loop: str, module: str) -> None:
    with serving(drain=60, loop=loop) as server, server.begin("/ready") as kept:
        assert server.loop == module
        assert status(answer_of(kept)) == 200
        server.signal(signal.SIGTERM)
        while status(answer := server.ask("/ready")) == 200:
            continue
        assert status(answer) == 503
        assert status(server.ask("/pause")) == 200
        assert status(server.ask("/other")) == 200
        kept.sendall(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"connection: close" in answer_of(kept)
        server.signal(signal.SIGTERM)
        code, out, log = server.ended()
    assert (code, out) == (0, "closed\n")
    assert "server: uvicorn" not in answer.decode().lower()
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_R19_R20_a_request_in_flight_is_answered_before_the_application_closes(number: signal.Signals) -> None:
    with serving(drain=0.2) as server, server.begin("/slow") as connection:
        assert server.line() == "slow"
        server.signal(number)
        server.wait_until_closed_to_new_connections()
        server.signal(signal.SIGUSR1)
        answer = answer_of(connection)
        assert status(answer) == 200
        assert b"connection: close" in answer
        assert server.ended()[:2] == (0, "closed\n")


def test_R20_a_second_signal_ends_the_waiting_but_not_the_closing() -> None:
    with serving(drain=60, graceful=60) as server, server.begin("/slow") as connection:
        assert server.line() == "slow"
        server.signal(signal.SIGTERM)
        while status(server.ask("/ready")) == 200:
            continue
        server.signal(signal.SIGTERM)
        assert status(answer_of(connection)) == 500  # this small application does not answer a cancellation itself
        code, out, log = server.ended()
    assert (code, out) == (0, "closed\n")
    assert "requests cut short by the stop" in log


def test_R20_a_request_that_never_ends_is_cut_off_after_the_grace_time() -> None:
    with serving(drain=0, graceful=0.1) as server, server.begin("/slow"):
        assert server.line() == "slow"
        server.signal(signal.SIGTERM)
        assert server.ended()[:2] == (0, "closed\n")


def knock(server: Server) -> Counter[str]:
    """Connect and ask, again and again, as a balancer does that only knows whether a port is open."""
    found: Counter[str] = Counter()
    while not found["refused"]:
        try:
            connection = server.begin("/")
        except ConnectionError:
            found["refused"] += 1
            continue
        with connection, suppress(ConnectionError):
            found["answered"] += status(answer_of(connection)) == 200
            continue
        found["broken off"] += 1
    return found


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_R19_no_connection_that_was_made_goes_without_an_answer(loop: str) -> None:
    with serving(loop=loop) as server, ThreadPoolExecutor(16) as clients:
        knocking = [clients.submit(knock, server) for _ in range(16)]
        for _ in range(100):
            assert status(server.ask("/")) == 200
        server.signal(signal.SIGTERM)
        found = sum((each.result() for each in knocking), Counter[str]())
    assert found["answered"] > 0
    assert found["broken off"] == 0


def test_idle_connections_do_not_hold_up_the_stop() -> None:
    with serving(drain=0, graceful=60) as server, server.begin("/other") as idle, server.connect():
        assert status(answer_of(idle)) == 200
        server.signal(signal.SIGTERM)
        assert server.ended()[:2] == (0, "closed\n")


def test_hangup_reloads_and_a_failed_reload_changes_nothing() -> None:
    with serving() as server:
        for _ in range(2):
            server.signal(signal.SIGHUP)
            assert server.line() == "reload"
        assert status(server.ask("/ready")) == 200
        server.signal(signal.SIGTERM)
        code, out, log = server.ended()
    assert (code, out) == (0, "closed\n")
    assert log.count("reload failed; the running configuration stays") == 2


def test_an_application_that_cannot_start_ends_with_a_status() -> None:
    process = start(fault="startup")
    out, log = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 3
    assert out == "loop uvloop\n"
    assert "no database" in log


def test_a_taken_port_ends_with_a_status_and_closes_the_application() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(port=taken.getsockname()[1])
        out, log = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 3
    assert "closed" in out
    assert "address already in use" in log.lower()
