import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.addresses import UNKNOWN, AddressResolver, ClientAddress, client_address, parse_address

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


def forwarded_for(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *[(b"x-forwarded-for", line.encode("latin-1")) for line in lines]]


@pytest.mark.parametrize(
    ("address", "bucket", "cut"),
    [
        ("203.0.113.77", "203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.77", "203.0.113.0/24"),
        ("::1", "::/64", "::/48"),
    ],
)
def test_F18_limits_count_ipv6_by_64_and_logs_hold_cut_addresses(address: str, bucket: str, cut: str) -> None:
    found = AddressResolver().resolve(address, [])
    assert (found.bucket, found.cut) == (bucket, cut)


def test_F18_hopping_inside_a_64_stays_in_one_bucket() -> None:
    resolver = AddressResolver()
    assert len({resolver.resolve(f"2001:db8::{n:x}", []).bucket for n in range(50)}) == 1


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        pytest.param("198.51.100.1", ["203.0.113.9"], "198.51.100.1", id="F18 untrusted peer"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="no header"),
        pytest.param("10.0.0.1", ["203.0.113.9"], "203.0.113.9", id="one proxy"),
        pytest.param("10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9", id="F18 forged left part"),
        pytest.param("10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9", id="F18 forged earlier line"),
        pytest.param("10.0.0.1", ["203.0.113.9, 10.2.3.4"], "203.0.113.9", id="two proxies"),
        pytest.param("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9", id="only proxies"),
        pytest.param("10.0.0.1", ["1.1.1.1, unknown"], "10.0.0.1", id="unreadable nearest hop"),
        pytest.param("10.0.0.1", ["1.1.1.1, nonsense, 10.2.3.4"], "10.2.3.4", id="unreadable farther hop"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1", id="IPv6 with port"),
        pytest.param("10.0.0.1", ["203.0.113.9:5000"], "203.0.113.9", id="IPv4 with port"),
        pytest.param("fd00::1", ["2001:db8::1"], "2001:db8::1", id="IPv6 proxy"),
        pytest.param("10.0.0.1", [",".join(["10.0.0.2"] * 100_000)], "10.0.0.2", id="a long chain"),
        pytest.param("", ["203.0.113.9"], "", id="no peer"),
    ],
)
def test_A39_F18_the_rightmost_untrusted_address_counts(peer: str, lines: list[str], expected: str) -> None:
    assert AddressResolver(PROXIES).resolve(peer, forwarded_for(*lines)).address == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="[2001:db8::1]:4711";proto=https;by=10.0.0.1', "2001:db8::1"),
        ("for=1.1.1.1, for=203.0.113.9;host=evil", "203.0.113.9"),
        ('for=1.1.1.1;a=", for="[2001:db8::1]"', "2001:db8::1"),
        ('for="1.1.1.1, , for="[2001:db8::1]"', "10.0.0.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=unknown, for=10.0.0.5", "10.0.0.5"),
        ("", "10.0.0.1"),
    ],
)
def test_A39_the_forwarded_header_is_read_when_the_proxy_writes_it(value: str, expected: str) -> None:
    headers = [(b"forwarded", value.encode()), *forwarded_for("6.6.6.6")]
    assert AddressResolver(PROXIES, header="forwarded").resolve("10.0.0.1", headers).address == expected


def test_A39_the_header_that_the_proxy_does_not_write_is_never_read() -> None:
    headers = [(b"forwarded", b"for=6.6.6.6")]
    assert AddressResolver(PROXIES).resolve("10.0.0.1", headers).address == "10.0.0.1"


def test_remembered_addresses_are_bounded() -> None:
    resolver = AddressResolver(PROXIES)
    for number in range(10_000):
        resolver.resolve("10.0.0.1", forwarded_for(f"203.{number // 250}.1.{number % 250}"))
    assert len(resolver._hops) <= 4096


def test_an_unknown_address_has_no_forms() -> None:
    assert client_address(None) == UNKNOWN == ClientAddress()


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parse_address(text)
    assert found is None or ipaddress.ip_address(str(found)) == found
