import asyncio
import logging
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import pytest

from authsrv import __version__
from authsrv.outbound.guarded import GuardedOutbound
from authsrv.outbound.guarded_addresses import Address
from authsrv.platforms.base import OutboundError, OutboundResponse
from tests.support.fault_server import (
    Fault,
    FaultServer,
    answer,
    black_hole,
    dripping,
    endless,
    raw,
    raw_then_hangup,
    raw_then_reset,
    serving,
)
from tests.support.throwaway_ca import ThrowawayCa, throwaway_ca

GOOD = answer()
LOOPBACK = "127.0.0.1"
PUBLIC = "93.184.215.14"


@dataclass
class Bench:
    """Builds guarded outbounds over a name service of its own: `names` says what each name leads to."""

    ca: ThrowawayCa
    names: dict[str, list[str]] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    built: list[GuardedOutbound] = field(default_factory=list)

    async def resolve(self, host: str) -> Sequence[Address]:
        self.resolved.append(host)
        if host not in self.names:
            raise OSError("no such name")
        return [ip_address(address) for address in self.names[host]]

    def outbound(self, *allow: str, **more: Any) -> GuardedOutbound:
        settings = {"extra_ca": self.ca.file, "resolve": self.resolve, "connect": 20, "total": 20}
        outbound = GuardedOutbound(allow=allow, **{**settings, **more})
        self.built.append(outbound)
        return outbound

    def to(self, server: FaultServer, name: str = "shop.example", **more: Any) -> tuple[GuardedOutbound, str]:
        """An outbound that may call this server, and the server's https address under this name."""
        self.names[name] = [LOOPBACK]
        return self.outbound(f"{name}:{server.port}", **more), f"https://{name}:{server.port}"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCa:
    return throwaway_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def shop(ca: ThrowawayCa) -> ssl.SSLContext:
    return ca.server("shop.example")


@pytest.fixture
async def bench(ca: ThrowawayCa) -> AsyncIterator[Bench]:
    bench = Bench(ca)
    yield bench
    for outbound in bench.built:
        await outbound.aclose()


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Loopback ports behind public addresses: what may be called in production is reached without leaving here."""
    ports: dict[str, int] = {}
    connect = anyio.connect_tcp

    async def connect_tcp(remote_host: str, remote_port: int, **more: Any) -> Any:
        return await connect(LOOPBACK, ports[f"{remote_host}:{remote_port}"], **more)

    monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
    return ports


async def failure(call: Awaitable[OutboundResponse]) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await call
    return caught.value


class TestRequest:
    async def test_a_get_carries_the_path_headers_and_our_name(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server)
            response = await outbound.get(base + "/a%20b?c=%2F", headers={"Accept": "image/png", "Host": "b.example"})
        assert response == OutboundResponse(200, {"content-length": "2"}, b"{}")
        head = server.requests[0].head.decode()
        assert head.startswith("GET /a%20b?c=%2F HTTP/1.1\r\n")
        assert f"\r\nHost: shop.example:{server.port}\r\n" in head
        assert f"\r\nUser-Agent: authsrv/{__version__}\r\n" in head
        assert "\r\nAccept: image/png\r\n" in head
        assert "b.example" not in head

    async def test_a_form_is_posted(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(answer("204 No Content", b""), tls=shop) as server:
            outbound, base = bench.to(server)
            assert (await outbound.post_form(base + "/out", {"logout_token": "a.b c"})).status == 204
        assert server.requests[0].head.startswith(b"POST /out HTTP/1.1\r\n")
        assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in server.requests[0].head
        assert server.requests[0].body == b"logout_token=a.b+c"

    async def test_cookies_are_not_kept(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(answer("200 OK", b"{}", "Set-Cookie: a=b"), tls=shop) as server:
            outbound, base = bench.to(server)
            await outbound.get(base)
            await outbound.get(base)
        assert b"ookie" not in server.requests[1].head

    async def test_proxies_of_the_environment_are_not_used(
        self, bench: Bench, shop: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with serving(GOOD) as proxy, serving(GOOD, tls=shop) as server:
            for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.base)
            outbound, base = bench.to(server)
            await outbound.get(base)
        assert (proxy.connections, len(server.requests)) == (0, 1)

    async def test_an_injected_header_is_refused(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server)
            error = await failure(outbound.get(base, headers={"Accept": "a\r\nEvil: 1"}))
        assert (error.sent, server.requests) == (False, [])

    @pytest.mark.parametrize("module", ["guarded", "guarded_urls", "guarded_addresses"])
    def test_importing_the_module_does_not_import_httpcore(self, module: str) -> None:
        code = f"import sys, authsrv.outbound.{module}; sys.exit('httpcore' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestGuard:
    """H10, G14: what is judged is what is called."""

    async def test_H10_a_public_host_is_called_without_being_listed(
        self, bench: Bench, shop: ssl.SSLContext, internet: dict[str, int]
    ) -> None:
        bench.names["shop.example"] = [PUBLIC]
        async with serving(GOOD, tls=shop) as server:
            internet[f"{PUBLIC}:443"] = server.port
            assert (await bench.outbound().get("https://shop.example/jwks")).status == 200
        assert b"\r\nHost: shop.example\r\n" in server.requests[0].head

    async def test_H10_the_name_is_resolved_once_and_never_again(
        self, bench: Bench, shop: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked_up: list[object] = []

        async def rebound(host: object, *_args: Any, **_more: Any) -> Any:
            looked_up.append(host)
            raise OSError

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", rebound)
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server)
            await outbound.get(base)
        assert (bench.resolved, looked_up) == (["shop.example"], [])

    @pytest.mark.parametrize(
        "addresses",
        [
            pytest.param([LOOPBACK], id="loopback"),
            pytest.param(["169.254.169.254"], id="metadata"),
            pytest.param([PUBLIC, "10.0.0.1"], id="one-private-among-public"),
            pytest.param(["10.0.0.1", PUBLIC], id="private-first"),
            pytest.param([PUBLIC, PUBLIC, PUBLIC, PUBLIC, "::1"], id="private-beyond-those-that-are-tried"),
            pytest.param(["::ffff:127.0.0.1"], id="mapped"),
        ],
    )
    async def test_H10_a_name_that_leads_inside_is_refused_before_any_connection(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
    ) -> None:
        tried: list[object] = []

        async def connect_tcp(*args: object, **_more: object) -> None:
            tried.append(args)

        monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
        bench.names["shop.example"] = addresses
        error = await failure(bench.outbound().get("https://shop.example/"))
        assert str(error) == ("shop.example: refused: the name leads to an address that is not on the public Internet")
        assert (error.sent, tried) == (False, [])

    async def test_H10_a_name_that_is_listed_with_another_port_is_no_exception(
        self, bench: Bench, shop: ssl.SSLContext
    ) -> None:
        async with serving(GOOD, tls=shop) as server:
            bench.names["shop.example"] = [LOOPBACK]
            error = await failure(bench.outbound("shop.example:1").get(f"https://shop.example:{server.port}"))
        assert (error.sent, server.connections) == (False, 0)

    @pytest.mark.parametrize(
        "url", ["http://shop.example/", "https://u:p@shop.example/", "https://127.1/", "https://shop.example/#a"]
    )
    async def test_H10_a_url_that_can_never_be_called_is_not_even_resolved(self, bench: Bench, url: str) -> None:
        bench.names["shop.example"] = [PUBLIC]
        outbound = bench.outbound()
        for call in (outbound.get(url), outbound.post_form(url, {})):
            error = await failure(call)
            assert str(error).startswith("refused: ")
            assert not error.sent
        assert bench.resolved == []

    async def test_a_listed_target_may_be_http_and_private(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            assert (await bench.outbound(f"127.0.0.1:{server.port}").get(server.base)).status == 200
        assert bench.resolved == []

    @pytest.mark.parametrize("resolved", [[], None], ids=["no-address", "no-such-name"])
    async def test_G15_a_name_that_leads_nowhere_is_an_outbound_error(
        self, bench: Bench, resolved: list[str] | None
    ) -> None:
        if resolved is not None:
            bench.names["shop.example"] = resolved
        assert not (await failure(bench.outbound().get("https://shop.example/"))).sent

    async def test_the_next_address_is_tried_when_one_takes_no_connection(
        self, bench: Bench, shop: ssl.SSLContext
    ) -> None:
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server)
            bench.names["shop.example"] = ["::1", "::1", LOOPBACK]
            assert (await outbound.post_form(base, {})).status == 200
            bench.names["shop.example"].insert(0, "::1")
            assert not (await failure(outbound.post_form(base, {}))).sent

    async def test_nothing_is_posted_twice(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(raw_then_reset(b""), GOOD, tls=shop) as server:
            outbound, base = bench.to(server)
            bench.names["shop.example"] = [LOOPBACK, LOOPBACK]
            assert (await failure(outbound.post_form(base, {}))).sent
        assert len(server.requests) == 1

    def test_a_bad_entry_in_the_list_is_refused_at_once(self, bench: Bench) -> None:
        with pytest.raises(ValueError, match="is not an address"):
            bench.outbound("shop.example")


class TestTls:
    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("shop.example", id="plain"),
            pytest.param("xn--strae-oqa.example", id="read-differently-by-idna-2003-and-2008"),
            pytest.param("xn--0.example", id="no-punycode"),
            pytest.param("ab--cd.example", id="hyphens-that-idna-reserves"),
        ],
    )
    async def test_the_host_name_is_asked_for_as_it_is_written(self, bench: Bench, ca: ThrowawayCa, name: str) -> None:
        asked: list[str | None] = []
        context = ca.server(name)
        context.sni_callback = lambda _tls, name, _context: asked.append(name)
        async with serving(GOOD, tls=context) as server:
            outbound, base = bench.to(server, name)
            await outbound.get(base)
        assert asked == [name]

    @pytest.mark.parametrize("name", ["other.example", LOOPBACK])
    async def test_H10_a_certificate_for_another_name_is_refused(
        self, bench: Bench, ca: ThrowawayCa, name: str
    ) -> None:
        async with serving(GOOD, tls=ca.server(name)) as server:
            outbound, base = bench.to(server, "shop.example")
            error = await failure(outbound.post_form(base, {"logout_token": "a"}))
        assert (str(error), error.sent) == ("shop.example: no connection (ConnectError)", False)
        assert server.requests == []

    async def test_an_address_is_verified_as_an_address(self, bench: Bench, ca: ThrowawayCa) -> None:
        async with serving(GOOD, tls=ca.server(LOOPBACK)) as server:
            response = await bench.outbound(f"127.0.0.1:{server.port}").get(f"https://127.0.0.1:{server.port}/")
        assert response.status == 200

    async def test_H10_two_hosts_at_one_address_share_no_connection(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(GOOD, tls=shop) as server:
            bench.names |= {"shop.example": [LOOPBACK], "other.example": [LOOPBACK]}
            outbound = bench.outbound(f"shop.example:{server.port}", f"other.example:{server.port}")
            await outbound.get(f"https://shop.example:{server.port}/")
            assert not (await failure(outbound.get(f"https://other.example:{server.port}/"))).sent
        assert len(server.requests) == 1

    async def test_an_unknown_authority_is_refused(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server, extra_ca=None)
            assert not (await failure(outbound.get(base))).sent
        assert server.requests == []

    async def test_an_authority_that_the_environment_names_is_not_trusted(
        self, bench: Bench, ca: ThrowawayCa, shop: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))
        async with serving(GOOD, tls=shop) as server:
            outbound, base = bench.to(server, extra_ca=None)
            assert not (await failure(outbound.get(base))).sent

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "not-pem"])
    async def test_G15_an_extra_ca_file_that_cannot_be_read_is_an_outbound_error(
        self, bench: Bench, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_bytes(content)
        bench.names["shop.example"] = [PUBLIC]
        error = await failure(bench.outbound(extra_ca=file).get("https://shop.example/"))
        assert (str(error), error.sent) == ("shop.example: the extra CA file cannot be read", False)


class TestAnswer:
    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 Always"])
    async def test_K6_a_redirect_is_never_followed(self, bench: Bench, shop: ssl.SSLContext, status: str) -> None:
        async with serving(GOOD) as inside:
            redirect = answer(status, b"", f"Location: {inside.base}/secret")
            async with serving(redirect, tls=shop) as server:
                outbound, base = bench.to(server)
                responses = [await outbound.get(base), await outbound.post_form(base, {})]
        assert [response.status for response in responses] == [int(status[:3])] * 2
        assert (inside.connections, len(server.requests)) == (0, 2)

    @pytest.mark.parametrize("status", ["404 Not Found", "429 Slow Down", "500 Down"])
    async def test_any_status_is_an_answer(self, bench: Bench, shop: ssl.SSLContext, status: str) -> None:
        async with serving(answer(status), tls=shop) as server:
            outbound, base = bench.to(server)
            assert (await outbound.get(base)).status == int(status[:3])

    async def test_a_body_may_be_as_large_as_the_caller_allows(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(answer("200 OK", b"x" * 70_000), tls=shop) as server:
            outbound, base = bench.to(server)
            assert len((await outbound.get(base, max_body=70_000)).body) == 70_000
            assert (await failure(outbound.get(base, max_body=69_999))).sent
            assert (await failure(outbound.get(base))).sent

    async def test_the_answer_to_a_form_is_small(self, bench: Bench, shop: ssl.SSLContext) -> None:
        async with serving(answer("200 OK", b"x" * 4096), answer("200 OK", b"x" * 4097), tls=shop) as server:
            outbound, base = bench.to(server)
            assert (await outbound.post_form(base, {})).status == 200
            assert (await failure(outbound.post_form(base, {}))).sent

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(endless, id="endless-body"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n" + b"x" * 70_000), id="1-GB"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), id="endless-head"),
            pytest.param(answer("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), id="encoded"),
            pytest.param(raw_then_hangup(b""), id="closed-before-the-answer"),
            pytest.param(raw_then_hangup(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), id="closed-mid-body"),
            pytest.param(raw_then_reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"), id="reset-mid-body"),
            pytest.param(raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), id="not-http"),
        ],
    )
    async def test_G15_a_broken_answer_is_an_outbound_error(
        self, bench: Bench, shop: ssl.SSLContext, fault: Fault
    ) -> None:
        async with serving(fault, tls=shop) as server:
            outbound, base = bench.to(server)
            assert (await failure(outbound.get(base))).sent

    @pytest.mark.parametrize(
        "flood",
        [
            pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000 + b"HTTP/1.1 200 OK\r\n\r\n", id="interim-answers"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n",
                id="tiny-chunks",
            ),
        ],
    )
    async def test_G15_an_answer_that_only_keeps_us_busy_is_an_outbound_error(
        self, bench: Bench, shop: ssl.SSLContext, flood: bytes
    ) -> None:
        async with serving(raw_then_hangup(flood), tls=shop) as server:
            outbound, base = bench.to(server)
            assert (await failure(outbound.get(base))).sent

    async def test_G15_a_closed_port_is_an_outbound_error(self, bench: Bench) -> None:
        async with serving(GOOD) as server:
            outbound, base = bench.to(server)
        assert not (await failure(outbound.get(base))).sent


class TestTime:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(black_hole, id="no-answer"),
            pytest.param(dripping(0.01), id="dripping-body"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-"), id="half-a-head"),
        ],
    )
    async def test_G14_no_whole_answer_in_time(self, bench: Bench, shop: ssl.SSLContext, fault: Fault) -> None:
        async with serving(GOOD, fault, tls=shop) as server:
            outbound, base = bench.to(server)
            await outbound.get(base)
            outbound._total = 0.3
            error = await failure(outbound.get(base))
        assert (str(error), error.sent) == ("shop.example: no answer in time", True)

    async def test_G14_a_connection_that_is_never_ready(self, bench: Bench) -> None:
        """The server has no TLS and waits for a request, we wait for its certificate."""
        async with serving(GOOD) as server:
            outbound, base = bench.to(server, connect=0.1)
            error = await failure(outbound.get(base))
        assert (str(error), error.sent) == ("shop.example: no connection (ConnectTimeout)", False)

    async def test_G14_the_time_is_over_in_the_tls_handshake(self, bench: Bench) -> None:
        """Nothing was sent then, and the connection is closed although httpcore forgot it."""
        closed = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            closed.set()
            writer.close()

        async with serving(GOOD) as warm, await asyncio.start_server(silent, LOOPBACK, 0) as server:
            port = server.sockets[0].getsockname()[1]
            outbound = bench.outbound(f"127.0.0.1:{warm.port}", f"127.0.0.1:{port}")
            await outbound.get(warm.base)
            outbound._total = 0.2
            error = await failure(outbound.get(f"https://127.0.0.1:{port}/"))
            async with asyncio.timeout(20):
                await closed.wait()
        assert (str(error), error.sent) == ("127.0.0.1: no answer in time", False)

    async def test_G14_a_name_server_that_never_answers(self, bench: Bench) -> None:
        async def never(_host: str) -> Sequence[Address]:
            await asyncio.Event().wait()
            return []

        error = await failure(bench.outbound(resolve=never, total=0.05).get("https://shop.example/"))
        assert (str(error), error.sent) == ("shop.example: no answer in time", False)

    def test_G14_the_defaults_are_5_and_10_seconds(self) -> None:
        outbound = GuardedOutbound()
        assert (outbound._connect, outbound._total) == (5, 10)


class TestPlaces:
    async def test_one_slow_target_does_not_hold_the_others(self, bench: Bench) -> None:
        async with serving(black_hole) as slow, serving(GOOD) as fast:
            outbound = bench.outbound(
                f"slow.example:{slow.port}", f"fast.example:{fast.port}", max_in_flight=3, per_host=2
            )
            bench.names |= {"slow.example": [LOOPBACK], "fast.example": [LOOPBACK]}
            hanging = [asyncio.create_task(outbound.get(f"http://slow.example:{slow.port}/")) for _ in range(10)]
            await slow.arrived(2)
            outbound._total = 5
            assert (await outbound.get(f"http://fast.example:{fast.port}/")).status == 200
            assert len(slow.requests) == 2
            await cancelled(hanging)

    async def test_no_more_calls_than_places_run_at_once(self, bench: Bench) -> None:
        async with serving(black_hole) as slow, serving(GOOD) as fast:
            outbound = bench.outbound(f"127.0.0.1:{slow.port}", f"fast.example:{fast.port}", max_in_flight=1)
            bench.names["fast.example"] = [LOOPBACK]
            hanging = [asyncio.create_task(outbound.get(slow.base))]
            await slow.arrived(1)
            outbound._total = 0.1
            error = await failure(outbound.get(f"http://fast.example:{fast.port}/"))
            assert (str(error), error.sent) == ("fast.example: no answer in time", False)
            assert fast.connections == 0
            await cancelled(hanging)

    async def test_every_place_is_given_back(self, bench: Bench) -> None:
        async with serving(raw_then_reset(b""), GOOD) as server:
            outbound = bench.outbound(f"127.0.0.1:{server.port}", max_in_flight=1, per_host=1)
            await failure(outbound.get(server.base))
            await failure(outbound.get("https://nowhere.example/"))
            responses = await asyncio.gather(*[outbound.get(server.base) for _ in range(5)])
        assert [response.status for response in responses] == [200] * 5

    async def test_hosts_that_are_no_longer_called_are_forgotten(self, bench: Bench) -> None:
        outbound = bench.outbound()
        for number in range(5):
            await failure(outbound.get(f"https://host{number}.example/"))
        assert list(outbound._hosts) == []


async def cancelled(tasks: list[asyncio.Task[OutboundResponse]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


SECRET = "s3cr3t-0f-a-pl4yer"
Ask = Callable[[GuardedOutbound, str], Awaitable[OutboundResponse]]


async def ask_get(outbound: GuardedOutbound, base: str) -> OutboundResponse:
    return await outbound.get(f"{base}/{SECRET}?key={SECRET}", headers={"Authorization": SECRET})


async def ask_post(outbound: GuardedOutbound, base: str) -> OutboundResponse:
    return await outbound.post_form(f"{base}/{SECRET}?key={SECRET}", {"logout_token": SECRET})


@pytest.mark.parametrize("ask", [ask_get, ask_post])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answer("200 OK", SECRET.encode(), f"Set-Cookie: {SECRET}"), id="good"),
        pytest.param(raw_then_reset(b""), id="reset"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + SECRET.encode() + b"\r\n\r\n"), id="bad-header"),
        pytest.param(raw(SECRET.encode() + b"\r\n\r\n"), id="not-http"),
        pytest.param(answer("200 OK", SECRET.encode() * 4000), id="oversized"),
    ],
)
async def test_I02_no_log_record_and_no_error_holds_a_secret(
    bench: Bench, shop: ssl.SSLContext, caplog: pytest.LogCaptureFixture, fault: Fault, ask: Ask
) -> None:
    async with serving(GOOD, fault, tls=shop) as server:
        outbound, base = bench.to(server)
        await outbound.get(base)
        for name in ("", "httpcore", "httpcore.connection", "httpcore.http11"):
            caplog.set_level(logging.DEBUG, logger=name)
        written = await outcome(ask(outbound, base))
    assert SECRET not in written + "".join(f"{r.getMessage()} {r.args!r} {r.exc_info!r}" for r in caplog.records)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "base", ["https://nowhere.example", "http://shop.example", f"https://{SECRET}@shop.example", f"https://{SECRET}#"]
)
@pytest.mark.parametrize("ask", [ask_get, ask_post])
async def test_I02_a_refusal_does_not_repeat_the_url(bench: Bench, ask: Ask, base: str) -> None:
    assert SECRET not in await outcome(ask(bench.outbound(), base))


async def outcome(call: Awaitable[OutboundResponse]) -> str:
    """Everything that an error might show."""
    try:
        await call
    except OutboundError as error:
        return repr(error) + "".join(traceback.format_exception(error)) + repr(error.__context__)
    return ""


async def test_closing_twice_is_safe_and_needs_no_call() -> None:
    outbound = GuardedOutbound()
    await outbound.aclose()
    await outbound.aclose()


async def test_closing_cancels_a_call_that_waits_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = threading.Event(), threading.Event()

    def look_up(*_args: object, **_more: object) -> list[object]:
        asked.set()
        release.wait(20)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    outbound = GuardedOutbound(total=20)
    call = asyncio.create_task(outbound.get("https://shop.example/"))
    assert await asyncio.to_thread(asked.wait, 20)
    await outbound.aclose()
    with pytest.raises(asyncio.CancelledError):
        await call
    release.set()


async def test_names_are_resolved_by_the_system_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_more: [(2, 1, 6, "", ("10.0.0.1", 0))])
    outbound = GuardedOutbound()
    error = await failure(outbound.get("https://shop.example/"))
    assert str(error) == "shop.example: refused: the name leads to an address that is not on the public Internet"
    await outbound.aclose()
