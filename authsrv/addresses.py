"""Where a request comes from: the client's address behind known proxies, and the forms in which it may be used.

Owns which forwarding headers are believed. Knows no rate limit and no log.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from authsrv.records import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ForwardingHeader = Literal["x-forwarded-for", "forwarded"]

_FORWARDED_FOR = re.compile(r"""(?:^|[;,\s])for=(?:"([^"]*)"|([^;,\s"]*))""", re.IGNORECASE)
_WITH_PORT = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """A client's address. `address` is for security decisions and never logged.

    `bucket` is what rate limits count by (the address, or an IPv6 /64), `cut` what logs may hold (/24 and /48).
    All are empty when the address is unknown.
    """

    address: str = ""
    bucket: str = ""
    cut: str = ""


UNKNOWN = ClientAddress()


def parse_address(text: str) -> Address | None:
    """An address, with or without brackets and port; None if it is none. An IPv4 address inside IPv6 becomes IPv4."""
    match = _WITH_PORT.fullmatch(text.strip())
    if match:
        text = match[1] or match[2]
    try:
        found = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def client_address(address: Address | None) -> ClientAddress:
    """The three forms of an address."""
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return ClientAddress(str(address), str(address), str(ipaddress.IPv4Network((address, 24), strict=False)))
    bucket, cut = (str(ipaddress.IPv6Network((address, length), strict=False)) for length in (64, 48))
    return ClientAddress(str(address), bucket, cut)


@dataclass(frozen=True, slots=True)
class _Hop:
    client: ClientAddress
    trusted: bool


class AddressResolver:
    """Finds the client behind the studio's own proxies.

    `trusted` are the proxies' networks. `header` is the one they write; the other is never read, because a proxy that
    does not know it passes on what the client wrote. Recent addresses are remembered, since reading one is slow.
    """

    _REMEMBERED = 4096
    _MAX_HOPS = 20

    def __init__(self, trusted: Iterable[Network] = (), *, header: ForwardingHeader = "x-forwarded-for") -> None:
        self._trusted = tuple(trusted)
        self._header = header.encode()
        self._hops: dict[str, _Hop | None] = {}

    def resolve(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> ClientAddress:
        """The rightmost address that is not one of our proxies; the last proxy's own if its header cannot be read.

        `peer` is the other end of the connection, `headers` are the request's, with names in lower case.
        """
        hop = self._hop(peer)
        if hop is None:
            return UNKNOWN
        if not hop.trusted:
            return hop.client
        for text in self._forwarded(headers):
            earlier = self._hop(text)
            if earlier is None:
                break
            hop = earlier
            if not hop.trusted:
                break
        return hop.client

    def _forwarded(self, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
        """What the header says, nearest hop first."""
        line = b",".join(value for name, value in headers if name == self._header).decode("latin-1")
        if self._header == b"forwarded":
            found = [match[1] or match[2] or "" for match in _FORWARDED_FOR.finditer(line)]
        else:
            found = line.split(",") if line else []
        return reversed(found[-self._MAX_HOPS :])

    def _hop(self, text: str) -> _Hop | None:
        if text not in self._hops:
            if len(self._hops) >= self._REMEMBERED:
                self._hops.clear()
            self._hops[text] = self._read(text)
        return self._hops[text]

    def _read(self, text: str) -> _Hop | None:
        address = parse_address(text)
        if address is None:
            return None
        return _Hop(client_address(address), any(address in network for network in self._trusted))
