"""How a listener ends without a connection that was made and never answered.

A load balancer that only learns of a closed port by knocking goes on until it is closed. What the kernel had taken in
by then and the server had not would be reset, perhaps after a request was sent that must not be sent twice. Owns the
filter that keeps new connections out meanwhile. Knows no protocol above TCP.
"""

import asyncio
import os
import socket
import struct
import sys
from array import array
from collections.abc import Iterable
from contextlib import suppress

SETTLE_SECONDS = 0.2
"""Longer than a handshake under way takes, and than the server takes to accept what is queued."""

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, which Python's socket module does not name
# Classic BPF upon the TCP header: drop what has the flag SYN, keep everything else whole.
_NO_SYN = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
)


async def take_the_last(listening: Iterable[int]) -> None:
    """Let nobody new in through the sockets with these descriptors, and everybody who is half in already.

    Whoever knocks meanwhile hears nothing, tries again after a second, and then finds the port closed. Where the system
    knows no such filter this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    for descriptor in listening:
        _keep_out(descriptor)
    await asyncio.sleep(SETTLE_SECONDS)


def _keep_out(descriptor: int) -> None:
    program = array("B", _NO_SYN)
    address, size = program.buffer_info()
    described = struct.pack("HP", size // 8, address)
    with socket.socket(fileno=os.dup(descriptor)) as listener, suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, described)
