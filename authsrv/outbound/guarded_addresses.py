"""Which network addresses others may send us to, and how a host name becomes some.

Owns the line between the public Internet and everything behind it. Knows no URL and no HTTP.
"""

import asyncio
import concurrent.futures
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Resolve = Callable[[str], Awaitable[Sequence[Address]]]
"""All addresses of a host name, the best first. Raises OSError when there are none."""

_IPV6_INTERNET = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = (
    # The standard library of Python 3.11 takes these for global.
    IPv4Network("192.0.0.0/24"),  # RFC 6890; a cloud's metadata service lives here
    IPv4Network("192.88.99.0/24"),  # RFC 7526, relays of 6to4
    IPv6Network("3fff::/20"),  # RFC 9637, documentation
    # Global by its number, but answered inside each machine of Azure: its host agent.
    IPv4Network("168.63.129.16/32"),
)
_THREADS = 8


def is_public(address: Address) -> bool:
    """Whether the address lies on the public Internet, for one host, and leads nowhere else.

    An IPv4 address inside an IPv6 one is judged as itself: mapped (RFC 4291 section 2.5.5.2), NAT64 (RFC 6052) and 6to4
    (RFC 3056). IPv4-compatible and Teredo addresses are never public, whatever they hold: nobody serves at one today.
    """
    if any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    inner = _ipv4_in(address)
    if inner is not None:
        return is_public(inner)
    return address in _IPV6_INTERNET and address.is_global


def _ipv4_in(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def literal(host: str) -> Address | None:
    """The address that a URL's host spells out, or None for a name.

    Raises ValueError for a notation that programs read differently (`127.1`, `0x7f000001`, `017700000001`): whatever
    ends in a number is an IPv4 address to some (WHATWG URL section 3.5).
    """
    if host.startswith("["):
        return IPv6Address(host[1:-1])
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        return IPv4Address(host)
    return None


class SystemResolver:
    """The system's own resolver, in threads of its own and one for each name.

    A name server that never answers can so hold up neither the platforms' names nor, alone, all that are asked here.
    """

    def __init__(self) -> None:
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        self._asked: dict[str, asyncio.Future[list[Address]]] = {}

    async def __call__(self, host: str) -> Sequence[Address]:
        """See `Resolve`. Giving up does not end the question; whoever asks for the name next waits for its answer."""
        if host not in self._asked:
            self._asked[host] = self._ask(host)
        return await asyncio.shield(self._asked[host])

    def close(self) -> None:
        """Let the threads go and cancel who still waits for one. Safe to call twice; a later question starts anew."""
        for asked in self._asked.values():
            asked.cancel()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def _ask(self, host: str) -> asyncio.Future[list[Address]]:
        if self._threads is None:
            self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="guarded-names")
        asked = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
        asked.add_done_callback(lambda _: self._asked.pop(host))
        return asked


def _look_up(host: str) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(sockaddr[0]) for *_, sockaddr in found]
