import asyncio
import contextlib
import datetime as dt
import logging
import re
import socket
import ssl
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from authsrv import __version__
from authsrv.outbound.client import HttpOutbound, OutboundLimits
from authsrv.platforms.base import OutboundError, OutboundResponse
from tests.support.fault_server import (
    Exchange,
    Fault,
    FaultServer,
    answer,
    black_hole,
    dripping,
    endless,
    late,
    raw,
    raw_then_hangup,
    raw_then_reset,
    serving,
)

HASTY = OutboundLimits(connect=0.25, total=0.3, queue=0.01, pause=0.001)
PATIENT = OutboundLimits(connect=20, total=20, queue=0.01, pause=0.001)
GOOD = answer()


@dataclass
class Bench:
    """Builds outbounds and closes them at the end of the test."""

    now: float = 1_000_000.0
    built: list[HttpOutbound] = field(default_factory=list)

    def outbound(self, *allowed: str, limits: OutboundLimits = PATIENT, **more: Any) -> HttpOutbound:
        outbound = HttpOutbound("steam", allowed=allowed, clock=lambda: self.now, limits=limits, **more)
        self.built.append(outbound)
        return outbound

    def to(self, server: FaultServer, limits: OutboundLimits = PATIENT, **more: Any) -> HttpOutbound:
        return self.outbound(server.base, limits=limits, **more)

    async def hasty(self, server: FaultServer) -> HttpOutbound:
        """Its short deadline begins with a warm start, so that only the fault can use it up."""
        outbound = self.to(server, HASTY)
        await outbound.start()
        return outbound


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for outbound in bench.built:
        await outbound.aclose()


async def failure(call: Awaitable[OutboundResponse]) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await call
    return caught.value


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def state(outbound: HttpOutbound) -> str:
    return outbound.state


class TestRequest:
    async def test_a_get_carries_parameters_headers_and_our_name(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            response = await bench.to(server).get(
                server.base + "/a", params={"q": "1 2&3", "k": "\u00e9"}, headers={"X-Test": "yes"}
            )
        assert response == OutboundResponse(200, {"content-length": "2"}, b"{}")
        head = server.requests[0].head.decode().lower()
        assert head.startswith("get /a?q=1+2%263&k=%c3%a9 http/1.1\r\n")
        assert f"\r\nuser-agent: authsrv/{__version__}\r\n" in head
        assert "\r\naccept-encoding: identity\r\n" in head
        assert "\r\nx-test: yes\r\n" in head
        assert "cookie" not in head

    @pytest.mark.parametrize(
        ("written", "target"),
        [("", "/"), ("?", "/?"), ("/", "/"), ("/a;b=c;d/e;f?g=h;i&j=?k", "/a;b=c;d/e;f?g=h;i&j=?k"), ("/a?", "/a?")],
    )
    async def test_a_target_is_sent_as_it_is_written(self, bench: Bench, written: str, target: str) -> None:
        async with serving(GOOD) as server:
            await bench.to(server).get(server.base + written)
        assert server.requests[0].head.startswith(f"GET {target} HTTP/1.1\r\n".encode())

    @pytest.mark.parametrize("host", ["Host", "host"])
    async def test_the_host_is_nobodys_to_choose(self, bench: Bench, host: str) -> None:
        async with serving(GOOD) as server:
            outbound = bench.to(server)
            with contextlib.suppress(OutboundError):
                await outbound.get(server.base, headers={host: "evil.example"})
        assert not any(b"evil" in request.head for request in server.requests)

    async def test_what_frames_a_request_is_nobodys_to_choose(self, bench: Bench) -> None:
        chosen = {"content-length": "5", "Transfer-Encoding": "chunked", "connection": "close"}
        async with serving(GOOD) as server:
            outbound = bench.to(server)
            await outbound.get(server.base, headers=chosen)
            await outbound.post(server.base, form={"a": "b"}, headers=chosen)
        framing = [
            re.findall(rb"(?i)\r\n(content-length: \d+|transfer-\w+|connection)", one.head) for one in server.requests
        ]
        assert framing == [[], [b"Content-Length: 3"]]

    async def test_a_form_is_posted(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            await bench.to(server).post(server.base + "/t", form={"code": "a b", "x": "&"}, headers={"A": "b"})
        assert server.requests[0].body == b"code=a+b&x=%26"
        assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in server.requests[0].head

    async def test_json_is_posted(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            await bench.to(server).post(server.base + "/t", json={"a": ["\u00e9"]})
        assert server.requests[0].body == b'{"a": ["\\u00e9"]}'
        assert b"\r\nContent-Type: application/json\r\n" in server.requests[0].head

    async def test_connections_are_kept(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            outbound = bench.to(server)
            await outbound.start()
            for _ in range(3):
                await outbound.get(server.base)
        assert (len(server.requests), server.connections) == (3, 1)

    async def test_cookies_are_not_kept(self, bench: Bench) -> None:
        async with serving(answer("200 OK", b"{}", "Set-Cookie: a=b")) as server:
            outbound = bench.to(server)
            await outbound.get(server.base)
            await outbound.get(server.base)
        assert b"ookie" not in server.requests[1].head

    async def test_proxies_of_the_environment_are_not_used(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, closed_port())
        async with serving(GOOD) as server:
            assert (await bench.to(server).get(server.base)).status == 200

    async def test_H10_an_address_off_the_list_is_refused_before_any_connection(self, bench: Bench) -> None:
        async with serving(GOOD) as ours, serving(GOOD) as other:
            outbound = bench.to(ours)
            assert not (await failure(outbound.get(other.base))).sent
            assert not (await failure(outbound.post(ours.base + "/../x"))).sent
        assert (ours.connections, other.connections) == (0, 0)

    async def test_a_request_that_is_no_http_is_refused_and_not_the_platforms_fault(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            outbound = bench.to(server)
            for value in ["a\r\nEvil: 1", "a\0", "\ud800"] * 3:
                error = await failure(outbound.get(server.base, headers={"Authorization": value}))
                assert not error.sent
            assert state(outbound) == "closed"
        assert server.requests == []

    def test_importing_the_module_does_not_import_httpcore(self) -> None:
        code = "import sys, authsrv.outbound.client; sys.exit('httpcore' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestOutageMatrix:
    """R12: every way in which a platform fails, and what is known afterwards about the bytes we sent."""

    async def test_R12_refused(self, bench: Bench) -> None:
        base = closed_port()
        assert not (await failure(bench.outbound(base).post(base))).sent

    async def test_R12_no_such_host(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        async def nowhere(*_args: Any, **_more: Any) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
        error = await failure(bench.outbound("http://platform.test").post("http://platform.test/a"))
        assert not error.sent

    async def test_R12_a_connection_that_never_comes(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        async def never(*_args: Any, **_more: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
        outbound = bench.outbound("http://platform.test", limits=HASTY)
        assert not (await failure(outbound.post("http://platform.test/a"))).sent

    async def test_R12_a_connection_that_takes_the_whole_deadline(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_args: Any, **_more: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
        outbound = bench.outbound("http://platform.test", limits=OutboundLimits(connect=20, total=0.1))
        error = await failure(outbound.post("http://platform.test/a"))
        assert (str(error), error.sent) == ("steam: no answer in time", False)

    async def test_R12_bad_certificate(self, bench: Bench, self_signed: ssl.SSLContext) -> None:
        async with serving(GOOD, tls=self_signed) as server:
            base = server.base.replace("http:", "https:")
            error = await failure(bench.outbound(base).post(base, form={"key": "s3cret"}))
        assert (error.sent, server.requests) == (False, [])

    async def test_certificates_that_the_environment_names_are_not_trusted(
        self, bench: Bench, self_signed: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with serving(GOOD, tls=self_signed) as server:
            base = server.base.replace("http:", "https:")
            assert not (await failure(bench.outbound(base).post(base))).sent

    async def test_R12_tls_spoken_to_a_server_that_has_none(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            base = server.base.replace("http:", "https:")
            error = await failure(bench.outbound(base, limits=OutboundLimits(connect=0.2, total=20)).post(base))
        assert (str(error), error.sent) == ("steam: no connection (ConnectTimeout)", False)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(black_hole, id="black-hole"),
            pytest.param(late(30), id="late-by-30-seconds"),
            pytest.param(dripping(0.01), id="dripping-body"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-"), id="half-a-head"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), id="body-stops"),
        ],
    )
    async def test_R12_no_whole_answer_within_the_deadline(self, bench: Bench, fault: Fault) -> None:
        async with serving(fault) as server:
            error = await failure((await bench.hasty(server)).post(server.base))
        assert (str(error), error.sent) == ("steam: no answer in time", True)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(raw_then_hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), id="truncated"),
            pytest.param(
                raw_then_hangup(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
                id="truncated-chunks",
            ),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}"), id="longer-than-announced"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}"), id="length-is-no-number"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), id="two-lengths"),
            pytest.param(raw_then_reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), id="reset-mid-body"),
            pytest.param(raw_then_reset(b""), id="reset-before-the-answer"),
            pytest.param(raw_then_hangup(b""), id="closed-before-the-answer"),
            pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), id="not-http"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), id="endless-head"),
            pytest.param(endless, id="endless-body"),
            pytest.param(answer("200 OK", b"x" * 70_000), id="oversized-body"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n" + b"x" * 70_000), id="1-GB"),
            pytest.param(answer("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), id="encoded"),
        ],
    )
    async def test_R12_a_broken_answer_is_no_answer(self, bench: Bench, fault: Fault) -> None:
        async with serving(fault) as server:
            error = await failure(bench.to(server).post(server.base))
        assert error.sent
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("fault", "status", "body"),
        [
            pytest.param(answer("500 Internal Server Error", b"boom"), 500, b"boom", id="500"),
            pytest.param(answer("429 Slow Down", b"", "Retry-After: 7"), 429, b"", id="429"),
            pytest.param(answer("200 OK", b"<html>"), 200, b"<html>", id="html"),
            pytest.param(answer("302 Found", b"", "Location: /elsewhere"), 302, b"", id="redirect"),
            pytest.param(answer("200 OK", b"x" * 65_536), 200, b"x" * 65_536, id="exactly-as-large-as-allowed"),
            pytest.param(raw_then_hangup(b"HTTP/1.0 200 OK\r\n\r\n{}"), 200, b"{}", id="ended-by-the-connection"),
            pytest.param(
                raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
                200,
                b"{}",
                id="chunked",
            ),
        ],
    )
    async def test_R12_a_whole_answer_is_given_as_it_is_and_never_followed(
        self, bench: Bench, fault: Fault, status: int, body: bytes
    ) -> None:
        async with serving(fault) as server:
            response = await bench.to(server).post(server.base)
        assert (response.status, response.body, len(server.requests)) == (status, body, 1)

    async def test_the_body_limit_is_the_callers(self, bench: Bench) -> None:
        async with serving(answer("200 OK", b"x" * 100_000)) as server:
            response = await bench.to(server).get(server.base, max_body=100_000)
        assert len(response.body) == 100_000

    async def test_what_came_after_an_answer_is_never_taken_for_the_next_players_answer(self, bench: Bench) -> None:
        smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        first = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + smuggled + b"other")
        async with serving(first, answer("200 OK", b"mine!")) as server:
            outbound = bench.to(server)
            await failure(outbound.post(server.base))
            assert (await outbound.post(server.base)).body == b"mine!"
        assert server.connections == 2

    async def test_calls_that_ran_out_of_time_leave_no_connection_behind(self, bench: Bench) -> None:
        async with serving(black_hole, black_hole, GOOD) as server:
            outbound = bench.to(server, OutboundLimits(total=1, max_in_flight=2, queue=0.01))
            await asyncio.gather(*[failure(outbound.post(server.base)) for _ in range(2)])
            responses = await asyncio.gather(*[outbound.post(server.base) for _ in range(2)])
        assert [response.status for response in responses] == [200, 200]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem: Path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem


@pytest.fixture(scope="session")
def self_signed(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class TestRetry:
    @pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
    async def test_R14_a_busy_platform_is_asked_once_more_if_the_caller_allows(self, bench: Bench, status: str) -> None:
        async with serving(answer(status), GOOD) as server:
            assert (await bench.to(server).get(server.base, retry=True)).status == 200
        assert len(server.requests) == 2

    async def test_R14_there_is_no_third_try(self, bench: Bench) -> None:
        async with serving(answer("503 Busy")) as server:
            assert (await bench.to(server).get(server.base, retry=True)).status == 503
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(answer("500 Internal Server Error"), id="500"),
            pytest.param(answer("429 Slow Down"), id="429"),
            pytest.param(answer("503 Busy", b"", "Retry-After: 30"), id="503-that-says-when"),
            pytest.param(GOOD, id="200"),
        ],
    )
    async def test_R14_other_answers_are_final(self, bench: Bench, fault: Fault) -> None:
        async with serving(fault) as server:
            await bench.to(server).get(server.base, retry=True)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(black_hole, id="timeout"),
            pytest.param(raw_then_reset(b""), id="reset"),
            pytest.param(raw_then_hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), id="truncated"),
            pytest.param(endless, id="oversized"),
        ],
    )
    async def test_R14_nothing_is_repeated_after_bytes_went_out(self, bench: Bench, fault: Fault) -> None:
        async with serving(fault) as server:
            assert (await failure((await bench.hasty(server)).get(server.base, retry=True))).sent
        assert len(server.requests) == 1

    async def test_R14_without_leave_nothing_is_repeated(self, bench: Bench) -> None:
        async with serving(answer("503 Busy")) as server:
            outbound = bench.to(server)
            await outbound.get(server.base)
            await outbound.post(server.base)
        assert len(server.requests) == 2

    @pytest.mark.parametrize("error", [httpcore.ConnectError, httpcore.ConnectTimeout])
    async def test_R14_a_failed_connect_is_tried_once_more(self, bench: Bench, error: type[Exception]) -> None:
        network = ScriptedNetwork(error("refused"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        outbound = bench.outbound("http://api.example", network=network)
        assert (await outbound.get("http://api.example/", retry=True)).status == 200
        assert network.tried == 2

    async def test_R14_a_failed_connect_of_a_post_is_left_to_the_caller(self, bench: Bench) -> None:
        network = ScriptedNetwork(httpcore.ConnectError("refused"))
        error = await failure(bench.outbound("http://api.example", network=network).post("http://api.example/"))
        assert (network.tried, error.sent) == (1, False)

    async def test_R14_two_failed_connects_sent_nothing(self, bench: Bench) -> None:
        network = ScriptedNetwork(httpcore.ConnectError("refused"))
        outbound = bench.outbound("http://api.example", network=network)
        assert not (await failure(outbound.get("http://api.example/", retry=True))).sent
        assert network.tried == 2

    async def test_bytes_of_the_first_try_count_when_the_server_is_gone_at_the_second(self, bench: Bench) -> None:
        async def busy_then_gone(exchange: Exchange) -> None:
            server.stop_listening()
            await raw_then_hangup(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")(exchange)

        async with serving(busy_then_gone) as server:
            error = await failure(bench.to(server).get(server.base, retry=True))
        assert (str(error), error.sent) == ("steam: no connection (ConnectError)", True)

    async def test_bytes_of_the_first_try_count_when_the_second_cannot_connect(self, bench: Bench) -> None:
        busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        network = ScriptedNetwork(busy, httpcore.ConnectError("refused"))
        outbound = bench.outbound("http://api.example", network=network)
        assert (await failure(outbound.get("http://api.example/", retry=True))).sent

    async def test_no_second_try_is_begun_that_cannot_end_in_time(self, bench: Bench) -> None:
        async with serving(answer("503 Busy")) as server:
            outbound = bench.to(server, OutboundLimits(pause=5, total=5))
            assert (await outbound.get(server.base, retry=True)).status == 503
        assert len(server.requests) == 1

    async def test_no_second_try_follows_the_failure_that_opens_the_circuit(self, bench: Bench) -> None:
        async with serving(answer("503 Busy")) as server:
            outbound = bench.to(server)
            for _ in range(4):
                await outbound.get(server.base)
            assert (await outbound.get(server.base, retry=True)).status == 503
        assert len(server.requests) == 5


class TestLeftovers:
    """An answer behind an answer is never taken for the answer to the next call, however it was received."""

    SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSTOLEN"

    async def test_one_that_came_in_a_tls_record_of_its_own(
        self, bench: Bench, self_signed: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trust = ssl.create_default_context(cafile=certificate)
        monkeypatch.setattr("authsrv.outbound.connections._public_authorities", lambda: trust)

        async def two_records(exchange: Exchange) -> None:
            exchange.writer.writelines([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", self.SECOND])
            await exchange.writer.drain()

        async with serving(two_records, GOOD, tls=self_signed) as server:
            await self.is_kept_apart(bench, server, server.base.replace("http:", "https:"))

    async def test_one_that_was_received_behind_what_the_library_asks_for_at_once(self, bench: Bench) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 65490\r\n\r\n"
        filled = head.replace(b"65490", str(65536 - len(head)).encode()) + b"x" * (65536 - len(head))
        async with serving(raw(filled + self.SECOND), GOOD) as server:
            await self.is_kept_apart(bench, server, server.base)

    async def is_kept_apart(self, bench: Bench, server: FaultServer, base: str) -> None:
        """The first answer may be refused for it; the second call has its own answer, over another connection."""
        outbound = bench.outbound(base)
        await outbound.start()
        with contextlib.suppress(OutboundError):
            await outbound.get(f"{base}/first", max_body=100_000)
        assert (await outbound.get(f"{base}/second")).body == b"{}"
        assert server.connections == 2


class ScriptedNetwork(httpcore.AsyncNetworkBackend):
    """Each connection gives the next of these answers, or fails so; the last one for ever."""

    def __init__(self, *script: bytes | Exception) -> None:
        self._script = script
        self.tried = 0

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.tried += 1
        outcome = self._script[min(self.tried, len(self._script)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return httpcore.AsyncMockStream([outcome])


class TestCircuit:
    async def test_R13_the_circuit_opens_asks_once_and_closes_again(self, bench: Bench) -> None:
        async with serving(*[answer("500 Down")] * 6, GOOD) as server:
            outbound = bench.to(server)
            for _ in range(5):
                await outbound.get(server.base)
            error = await failure(outbound.get(server.base))
            assert (state(outbound), error.sent, error.retry_after) == ("open", False, 10)
            assert len(server.requests) == 5
            bench.now += 10
            assert state(outbound) == "half_open"
            await outbound.get(server.base)
            assert (await failure(outbound.get(server.base))).retry_after == 20
            bench.now += 20
            await outbound.get(server.base)
            assert state(outbound) == "closed"
        assert len(server.requests) == 7

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(black_hole, id="timeout"),
            pytest.param(raw_then_reset(b""), id="reset"),
            pytest.param(endless, id="oversized"),
            pytest.param(answer("502 Bad Gateway"), id="502"),
        ],
    )
    async def test_R13_what_counts_as_a_failure(self, bench: Bench, fault: Fault) -> None:
        async with serving(fault) as server:
            outbound = await bench.hasty(server)
            await asyncio.gather(*[outbound.post(server.base) for _ in range(5)], return_exceptions=True)
            assert state(outbound) == "open"

    async def test_R13_a_refused_connection_counts(self, bench: Bench) -> None:
        base = closed_port()
        outbound = bench.outbound(base)
        for _ in range(5):
            await failure(outbound.post(base))
        assert state(outbound) == "open"

    @pytest.mark.parametrize("status", ["200 OK", "302 Found", "400 Bad Request", "404 Not Found", "422 No"])
    async def test_R13_a_refused_ticket_is_no_failure(self, bench: Bench, status: str) -> None:
        async with serving(answer(status)) as server:
            outbound = bench.to(server)
            for _ in range(25):
                await outbound.post(server.base)
            assert state(outbound) == "closed"

    @pytest.mark.parametrize("after", ["1", "3600", "never", "Fri, 31 Dec 1999 23:59:59 GMT"])
    async def test_a_429_opens_the_circuit_for_a_minute_whatever_its_retry_after(
        self, bench: Bench, after: str
    ) -> None:
        async with serving(answer("429 Slow Down", b"", f"Retry-After: {after}")) as server:
            outbound = bench.to(server)
            assert (await outbound.get(server.base)).status == 429
            assert (await failure(outbound.get(server.base))).retry_after == 60

    @pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
    async def test_three_refusals_of_our_key_open_the_circuit_for_a_minute(self, bench: Bench, status: str) -> None:
        async with serving(answer(status)) as server:
            outbound = bench.to(server)
            for _ in range(3):
                await outbound.get(server.base)
            assert (await failure(outbound.get(server.base))).retry_after == 60

    async def test_refused_players_do_not_shut_out_the_others(self, bench: Bench) -> None:
        async with serving(answer("401 Unauthorized")) as server:
            outbound = bench.to(server, denials_are_ours=False)
            for _ in range(25):
                await outbound.post(server.base)
            assert state(outbound) == "closed"

    async def test_a_caller_that_gives_up_is_no_failure_and_frees_the_probe(self, bench: Bench) -> None:
        async with serving(*[answer("500 Down")] * 5, black_hole, GOOD) as server:
            outbound = bench.to(server)
            for _ in range(5):
                await outbound.get(server.base)
            bench.now += 10
            probe = asyncio.create_task(outbound.get(server.base))
            await server.arrived(6)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            await outbound.get(server.base)
            assert state(outbound) == "closed"

    async def test_a_change_of_the_circuit_is_logged(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        async with serving(answer("429 Slow Down")) as server:
            await bench.to(server).get(server.base)
        assert caplog.messages == ["circuit to steam: open, was closed"]


class TestBulkhead:
    async def test_a_full_house_refuses_at_once_and_other_platforms_do_not_notice(self, bench: Bench) -> None:
        async with serving(black_hole) as slow, serving(GOOD) as fast:
            outbound = bench.to(slow, OutboundLimits(connect=20, total=20, max_in_flight=2, queue=0.01))
            hanging = [asyncio.create_task(outbound.post(slow.base)) for _ in range(2)]
            await slow.arrived(2)
            error = await failure(outbound.post(slow.base))
            assert (str(error), error.sent, error.retry_after) == ("steam: too many calls in flight", False, 1)
            assert (await bench.to(fast).post(fast.base)).status == 200
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
        assert len(slow.requests) == 2

    async def test_a_place_that_becomes_free_in_time_is_taken(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            outbound = bench.to(server, OutboundLimits(connect=20, total=20, max_in_flight=1, queue=20))
            responses = await asyncio.gather(*[outbound.post(server.base) for _ in range(10)])
        assert [response.status for response in responses] == [200] * 10

    async def test_every_place_is_given_back_after_failures(self, bench: Bench) -> None:
        async with serving(raw_then_reset(b""), raw_then_reset(b""), GOOD) as server:
            outbound = bench.to(server, OutboundLimits(connect=20, total=20, max_in_flight=1, queue=0.01))
            await failure(outbound.post(server.base))
            await failure(outbound.post(server.base))
            assert (await outbound.post(server.base)).status == 200


SECRET = "s3cr3t-0f-a-pl4yer"
Ask = Callable[[HttpOutbound, str], Awaitable[OutboundResponse]]


async def ask_get(outbound: HttpOutbound, base: str) -> OutboundResponse:
    return await outbound.get(base, params={"key": SECRET}, headers={"Authorization": SECRET}, retry=True)


async def ask_post(outbound: HttpOutbound, base: str) -> OutboundResponse:
    return await outbound.post(base, form={"ticket": SECRET}, headers={"Authorization": SECRET})


@pytest.mark.parametrize("ask", [ask_get, ask_post])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answer("200 OK", SECRET.encode(), f"Set-Cookie: {SECRET}"), id="good"),
        pytest.param(answer("503 Busy", SECRET.encode()), id="503"),
        pytest.param(black_hole, id="timeout"),
        pytest.param(raw_then_reset(b""), id="reset"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + SECRET.encode() + b"\r\n\r\n"), id="bad-header"),
        pytest.param(raw(SECRET.encode() + b"\r\n\r\n"), id="not-http"),
        pytest.param(answer("200 OK", SECRET.encode() * 4000), id="oversized"),
    ],
)
async def test_I02_D09_no_log_record_and_no_error_holds_a_secret(
    bench: Bench, caplog: pytest.LogCaptureFixture, fault: Fault, ask: Ask
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(fault) as server:
        outbound = await bench.hasty(server)
        written = repr(outbound)
        try:
            await ask(outbound, server.base)
        except OutboundError as error:
            written += repr(error) + str(error) + "".join(traceback.format_exception(error))
            written += repr(error.__cause__)
    assert SECRET not in written + text_of(caplog.records)
    assert server.requests


async def test_I02_the_unwritable_header_is_not_quoted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(GOOD) as server:
        error = await failure(bench.to(server).get(server.base, headers={"Authorization": SECRET + "\n"}))
    assert SECRET not in text_of(caplog.records) + "".join(traceback.format_exception(error)) + repr(error.__context__)


async def test_I02_the_libraries_stay_silent_even_when_their_loggers_are_opened(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(GOOD) as server:
        outbound = bench.to(server)
        await outbound.start()
        caplog.set_level(logging.DEBUG)
        for name in ("httpcore", "httpcore.connection", "httpcore.http11"):
            caplog.set_level(logging.DEBUG, logger=name)
            logging.getLogger(name).warning("a warning about %s", SECRET)
        await outbound.get(server.base, params={"key": SECRET})
    assert SECRET not in text_of(caplog.records)


def text_of(records: list[logging.LogRecord]) -> str:
    return "".join(f"{record.getMessage()} {record.args!r} {record.exc_info!r}" for record in records)


async def test_R39_one_platforms_circuit_leaves_the_others_closed(bench: Bench) -> None:
    async with serving(answer("429 Slow Down")) as broken, serving(GOOD) as healthy:
        first, second = bench.to(broken), bench.to(healthy)
        await first.get(broken.base)
        await second.get(healthy.base)
    assert (state(first), state(second)) == ("open", "closed")


async def test_closing_twice_is_safe_and_needs_no_start() -> None:
    outbound = HttpOutbound("steam", allowed=[], clock=lambda: 0.0)
    await outbound.aclose()
    await outbound.start()
    await outbound.aclose()
    await outbound.aclose()
    assert state(outbound) == "closed"


async def test_a_sign_in_page_that_throttles_us_leaves_the_api_beside_it_open(bench: Bench) -> None:
    async with serving(answer("429 Slow Down")) as page, serving(GOOD) as api:
        outbound = bench.outbound(page.base, api.base)
        await outbound.post(f"{page.base}/openid/login")
        with pytest.raises(OutboundError, match="the circuit is open"):
            await outbound.post(f"{page.base}/openid/login")
        assert (await outbound.get(f"{api.base}/ticket")).status == 200
        assert outbound.state == "open"


async def test_a_slow_page_takes_no_place_from_the_api_beside_it(bench: Bench) -> None:
    one_place = OutboundLimits(connect=20, total=20, queue=0.01, pause=0.001, max_in_flight=1)
    async with serving(black_hole) as page, serving(GOOD) as api:
        outbound = bench.outbound(page.base, api.base, limits=one_place)
        waiting = asyncio.create_task(outbound.get(f"{page.base}/openid/login"))
        await page.arrived(1)
        assert (await outbound.get(f"{api.base}/ticket")).status == 200
        waiting.cancel()


async def test_a_call_given_up_in_the_tls_handshake_leaves_no_connection_open(bench: Bench) -> None:
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        outbound = bench.outbound(address, limits=HASTY)
        await outbound.start()
        error = await failure(outbound.get(f"{address}/"))
        async with asyncio.timeout(20):
            await closed.wait()
    assert not error.sent
