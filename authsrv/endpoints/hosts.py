"""Which Host header this server answers for. Nothing else is ever derived from it (A39, H15)."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from authsrv.errors import InvalidRequest

_HOST = re.compile(rb"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_HEALTH: Final = frozenset({"/health/live", "/health/ready"})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class MisdirectedRequest(InvalidRequest):
    """The request names another host (RFC 9110 section 15.5.20)."""

    status = 421
    text = "This server does not answer for the host that the request names."


class HostCheck:
    """Answers for the issuer's host, for `extra` ones (`host` or `host:port`), and in `dev` for every loopback name.

    Health paths are probed by address, without a name or with any.
    """

    def __init__(self, issuer: str, extra: Sequence[str] = (), *, dev: bool = False) -> None:
        self._accepted = frozenset(host.lower().encode() for host in (*_authorities(issuer), *extra))
        self._dev = dev

    def require(self, scope: Scope) -> None:
        """Raises `InvalidRequest` without exactly one readable Host, `MisdirectedRequest` for a foreign one."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if (len(hosts) == 1 and hosts[0] in self._accepted) or scope["path"] in _HEALTH:
            return
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            raise InvalidRequest("The request must name one host in its Host header.")
        if not self._answers_for(hosts[0].lower()):
            raise MisdirectedRequest

    def _answers_for(self, host: bytes) -> bool:
        return host in self._accepted or (self._dev and _without_port(host) in _LOOPBACK)


def _authorities(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = _DEFAULT_PORTS[parts.scheme]
    port = parts.port or default
    return [f"{name}:{port}", name] if port == default else [f"{name}:{port}"]


def _without_port(host: bytes) -> bytes:
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0]
