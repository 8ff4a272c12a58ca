import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

from authsrv.outbound.guarded_addresses import SystemResolver, is_public
from authsrv.outbound.guarded_urls import MAX_LENGTH, check_allowed, problem_with


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("8.8.8.8", id="ipv4"),
        pytest.param("192.0.1.1", id="just-beyond-a-special-network"),
        pytest.param("2606:4700:4700::1111", id="ipv6"),
        pytest.param("::ffff:8.8.8.8", id="mapped"),
        pytest.param("64:ff9b::8.8.8.8", id="nat64"),
        pytest.param("2002:808:808::1", id="6to4"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="loopback-network"),
        pytest.param("0.0.0.0", id="this-host"),  # noqa: S104 - refused, not bound
        pytest.param("10.0.0.1", id="rfc1918-10"),
        pytest.param("172.16.0.1", id="rfc1918-172"),
        pytest.param("192.168.0.1", id="rfc1918-192"),
        pytest.param("100.64.0.1", id="carrier-grade-nat"),
        pytest.param("100.100.100.200", id="metadata-in-carrier-grade-nat"),
        pytest.param("169.254.169.254", id="metadata-link-local"),
        pytest.param("192.0.0.192", id="metadata-protocol-assignments"),
        pytest.param("168.63.129.16", id="host-agent-with-a-public-number"),
        pytest.param("192.0.2.1", id="documentation"),
        pytest.param("192.88.99.1", id="6to4-relay"),
        pytest.param("198.18.0.1", id="benchmarks"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::1", id="ipv6-loopback"),
        pytest.param("::", id="ipv6-unspecified"),
        pytest.param("fe80::1", id="ipv6-link-local"),
        pytest.param("fe80::1%eth0", id="ipv6-link-local-with-zone"),
        pytest.param("fec0::1", id="ipv6-site-local"),
        pytest.param("fd00:ec2::254", id="ipv6-metadata-unique-local"),
        pytest.param("ff0e::1", id="ipv6-multicast"),
        pytest.param("2001:db8::1", id="ipv6-documentation"),
        pytest.param("3fff::1", id="ipv6-documentation-2024"),
        pytest.param("5f00::1", id="ipv6-segment-routing"),
        pytest.param("100::1", id="ipv6-discard"),
        pytest.param("4000::1", id="ipv6-unassigned"),
        pytest.param("::ffff:127.0.0.1", id="mapped-loopback"),
        pytest.param("::ffff:169.254.169.254", id="mapped-metadata"),
        pytest.param("::ffff:224.0.0.1", id="mapped-multicast"),
        pytest.param("::127.0.0.1", id="compatible-loopback"),
        pytest.param("::8.8.8.8", id="compatible-public"),
        pytest.param("::ffff:0:127.0.0.1", id="translated-loopback"),
        pytest.param("64:ff9b::127.0.0.1", id="nat64-loopback"),
        pytest.param("64:ff9b::10.0.0.1", id="nat64-private"),
        pytest.param("64:ff9b:1::8.8.8.8", id="nat64-of-the-local-network"),
        pytest.param("2002:7f00:1::1", id="6to4-loopback"),
        pytest.param("2002:a00:1::1", id="6to4-private"),
        pytest.param("2001:0:808:808::80ff:fffe", id="teredo-loopback"),
        pytest.param("2001:0:808:808::f7f7:f7f7", id="teredo-public"),
    ],
)
def test_H10_an_address_that_leads_elsewhere_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


ALLOW = ["127.0.0.1:8080", "[::1]:8443", "shop.internal:443", "localhost:80"]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example",
        "https://shop.example/",
        "https://shop.example?a=b",
        "https://shop.example:443/jwks.json?x=%2F@:",
        "https://shop.example:1/",
        "https://shop.example:65535/logo%20of%20ours.png",
        "https://xn--bcher-kva.example/a@b",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://a-1.2b.example/",
        "https://localhost.example/",
        f"https://{'a' * 63}.example/",
        "http://127.0.0.1:8080/back",
        "https://127.0.0.1:8080/back",
        "https://[::1]:8443/",
        "https://shop.internal/",
        "http://localhost/",
    ],
)
def test_an_address_that_may_be_called_has_no_problem(url: str) -> None:
    assert problem_with(url, allow=ALLOW) == ""


FRAGMENT = "the URL has a fragment; remove the # and what follows it"
CHARACTERS = (
    "the URL is empty, longer than 2048 characters or has characters no URL may have; write it in ASCII, "
    "percent-encoded, an international host name in its xn-- form"
)
USER = "the URL has a user name before its host; remove it, and the @"
SHAPE = "the URL has no valid scheme, host and port; write https://host/path, the host in lower case"
NOTATION = "the host is an address in a notation that programs read differently; write a name"
HTTP = "plain http can be read and changed on its way; use https"
LOCALHOST = "localhost is this server itself; use a host on the public Internet"
PRIVATE = "the address is not on the public Internet; use a public host"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("https://shop.example/#a", FRAGMENT, id="fragment"),
        pytest.param("https://shop.example/#", FRAGMENT, id="empty-fragment"),
        pytest.param("https://shop.example#@127.0.0.1/", FRAGMENT, id="fragment-that-hides-a-host"),
        pytest.param("", CHARACTERS, id="empty"),
        pytest.param("https://shop.example/" + "a" * MAX_LENGTH, CHARACTERS, id="long"),
        pytest.param("https://shop.example/a b", CHARACTERS, id="space"),
        pytest.param(" https://shop.example/", CHARACTERS, id="space-before"),
        pytest.param("https://shop.example/\r\nHost: a", CHARACTERS, id="line-break"),
        pytest.param("https://shop.example/\n", CHARACTERS, id="line-break-at-the-end"),
        pytest.param("https://shop.example\\@127.0.0.1/", CHARACTERS, id="backslash"),
        pytest.param("https://b\u00fccher.example/", CHARACTERS, id="not-ascii"),
        pytest.param("https://127\u30020.0.1/", CHARACTERS, id="dot-of-another-script"),
        pytest.param("https://\u2460\u2461\u2466.0.0.1/", CHARACTERS, id="digits-of-another-script"),
        pytest.param("https://shop.example/%zz", CHARACTERS, id="broken-percent-encoding"),
        pytest.param("https://[fe80::1%eth0]/", CHARACTERS, id="zone"),
        pytest.param("https://user:pw@shop.example/", USER, id="user-and-password"),
        pytest.param("https://user@shop.example/", USER, id="user"),
        pytest.param("https://@shop.example/", USER, id="empty-user"),
        pytest.param("https://shop.example:443@127.0.0.1/", USER, id="host-as-user"),
        pytest.param("//shop.example/", SHAPE, id="no-scheme"),
        pytest.param("shop.example", SHAPE, id="no-scheme-nor-slashes"),
        pytest.param("HTTPS://shop.example/", SHAPE, id="upper-case-scheme"),
        pytest.param("https:/shop.example/", SHAPE, id="one-slash"),
        pytest.param("https:///shop.example/", SHAPE, id="no-host"),
        pytest.param("file:///etc/passwd", SHAPE, id="file"),
        pytest.param("gopher://shop.example/", SHAPE, id="gopher"),
        pytest.param("data:application/json,{}", CHARACTERS, id="data"),
        pytest.param("https://Shop.example/", SHAPE, id="upper-case-host"),
        pytest.param("https://shop.example./", SHAPE, id="dot-at-the-end"),
        pytest.param("https://shop..example/", SHAPE, id="empty-label"),
        pytest.param("https://-shop.example/", SHAPE, id="hyphen-first"),
        pytest.param("https://sh_op.example/", SHAPE, id="underscore"),
        pytest.param("https://%31%32%37.0.0.1/", SHAPE, id="percent-encoded-host"),
        pytest.param(f"https://{'a' * 64}.example/", SHAPE, id="long-label"),
        pytest.param(f"https://{'a.' * 124}example/", SHAPE, id="long-host"),
        pytest.param("https://shop.example:/", SHAPE, id="empty-port"),
        pytest.param("https://shop.example:0/", SHAPE, id="port-0"),
        pytest.param("https://shop.example:0443/", SHAPE, id="port-with-leading-zero"),
        pytest.param("https://shop.example:65536/", SHAPE, id="port-65536"),
        pytest.param("https://shop.example:443:443/", SHAPE, id="two-ports"),
        pytest.param("https://[::1]x/", SHAPE, id="after-the-bracket"),
        pytest.param("https://::1/", SHAPE, id="no-brackets"),
        pytest.param("https://2130706433/", NOTATION, id="decimal"),
        pytest.param("https://127.1/", NOTATION, id="short"),
        pytest.param("https://127.0.1/", NOTATION, id="short-by-one"),
        pytest.param("https://0177.0.0.1/", NOTATION, id="octal"),
        pytest.param("https://017700000001/", NOTATION, id="octal-whole"),
        pytest.param("https://127.0.0.01/", NOTATION, id="leading-zero"),
        pytest.param("https://0x7f000001/", NOTATION, id="hex-whole"),
        pytest.param("https://0x7f.0.0.1/", NOTATION, id="hex-first"),
        pytest.param("https://127.0.0.0x1/", NOTATION, id="hex-last"),
        pytest.param("https://127.0.0.0x/", NOTATION, id="hex-nothing"),
        pytest.param("https://256.0.0.1/", NOTATION, id="overflow"),
        pytest.param("https://1.2.3.4.5/", NOTATION, id="five-parts"),
        pytest.param("https://0/", NOTATION, id="zero"),
        pytest.param("https://shop.1/", NOTATION, id="name-that-ends-in-a-number"),
        pytest.param("https://[1::2::3]/", NOTATION, id="broken-ipv6"),
        pytest.param("https://[127.0.0.1]/", NOTATION, id="ipv4-in-brackets"),
        pytest.param("http://shop.example/", HTTP, id="http"),
        pytest.param("http://8.8.8.8/", HTTP, id="http-address"),
        pytest.param("http://127.0.0.1/", HTTP, id="http-other-port-than-listed"),
        pytest.param("http://shop.internal/", HTTP, id="http-port-80-of-a-host-listed-with-443"),
        pytest.param("https://localhost/", LOCALHOST, id="localhost"),
        pytest.param("https://a.localhost/", LOCALHOST, id="below-localhost"),
        pytest.param("https://127.0.0.1/", PRIVATE, id="loopback"),
        pytest.param("https://169.254.169.254/latest/meta-data", PRIVATE, id="metadata"),
        pytest.param("https://10.0.0.1:8443/", PRIVATE, id="private"),
        pytest.param("https://[::1]/", PRIVATE, id="ipv6-loopback"),
        pytest.param("https://[0:0:0:0:0:0:0:1]/", PRIVATE, id="ipv6-loopback-written-out"),
        pytest.param("https://[::ffff:127.0.0.1]/", PRIVATE, id="mapped"),
        pytest.param("https://[::ffff:7f00:1]/", PRIVATE, id="mapped-hex"),
        pytest.param("https://[::127.0.0.1]/", PRIVATE, id="compatible"),
        pytest.param("https://[64:ff9b::7f00:1]/", PRIVATE, id="nat64"),
        pytest.param("https://[2002:7f00:1::]/", PRIVATE, id="6to4"),
    ],
)
def test_H10_an_address_that_can_never_be_called_is_told_so(url: str, problem: str) -> None:
    assert problem_with(url, allow=ALLOW) == problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://localhost:80/", "https://[::1]:8443/"])
def test_H10_without_a_list_nothing_is_an_exception(url: str) -> None:
    assert problem_with(url) != ""


@pytest.mark.parametrize("entry", ["shop.internal:443", "127.0.0.1:8080", "[::1]:8443", "localhost:1", "a.b:65535"])
def test_an_entry_of_the_list_is_host_and_port(entry: str) -> None:
    check_allowed([entry])


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "shop.internal",
        "shop.internal:",
        "shop.internal:0",
        "shop.internal:65536",
        "Shop.internal:443",
        "https://shop.internal:443",
        "shop.internal:443/",
        "shop.internal/:443",
        "shop.internal?:443",
        "user@shop.internal:443",
        "*.internal:443",
        "127.1:443",
        "::1:443",
        "[::1]",
        "10.0.0.0/8:443",
    ],
)
def test_any_other_entry_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address; write host:port, in lower case") as caught:
        check_allowed(["good.example:443", entry])
    assert str(caught.value).startswith(repr(entry))


@dataclass
class NameServer:
    """Stands in for the system's look-up: `stuck` names wait until `release`."""

    stuck: set[str] = field(default_factory=set)
    release: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def look_up(self, host: str, _port: None, **more: Any) -> list[Any]:
        self.asked.append((host, threading.current_thread().name.partition("_")[0]))
        if host in self.stuck:
            assert self.release.wait(20)
        if host == "nowhere.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, more["type"], 6, "", ("8.8.8.8", 0)), (10, 1, 6, "", ("2606:4700::1", 0, 0, 0))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", server.look_up)
    yield server
    server.release.set()


@pytest.fixture
async def resolver(names: NameServer) -> AsyncIterator[SystemResolver]:
    resolver = SystemResolver()
    yield resolver
    names.release.set()
    resolver.close()


async def test_a_name_becomes_all_its_addresses(resolver: SystemResolver) -> None:
    assert await resolver("shop.example") == [ip_address("8.8.8.8"), ip_address("2606:4700::1")]


async def test_a_name_without_addresses_is_an_oserror(resolver: SystemResolver) -> None:
    with pytest.raises(OSError, match="unknown"):
        await resolver("nowhere.example")


async def test_a_silent_name_server_holds_one_thread_and_none_of_the_platforms(
    names: NameServer, resolver: SystemResolver
) -> None:
    names.stuck.add("slow.example")
    waiting = [asyncio.create_task(resolver("slow.example")) for _ in range(20)]
    await resolver("fast.example")
    for task in waiting[1:]:
        task.cancel()
    assert not waiting[0].done()
    names.release.set()
    assert len(await waiting[0]) == 2
    await asyncio.gather(*waiting, return_exceptions=True)
    assert sorted(names.asked) == [("fast.example", "guarded-names"), ("slow.example", "guarded-names")]


async def test_an_answer_serves_those_who_waited_for_it_and_nobody_later(
    names: NameServer, resolver: SystemResolver
) -> None:
    await resolver("shop.example")
    await resolver("shop.example")
    assert len(names.asked) == 2


async def test_closing_ends_the_wait_and_a_later_question_starts_anew(
    names: NameServer, resolver: SystemResolver
) -> None:
    names.stuck.add("slow.example")
    waiting = asyncio.create_task(resolver("slow.example"))
    await resolver("fast.example")
    resolver.close()
    resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(await resolver("fast.example")) == 2
