"""Addresses of web pages in the configuration: whole, https, and plain http on loopback in development only.

Owns the words of the refusals, which never repeat the address. Knows no setting; redirect URIs have their own rules.
"""

import re
from collections.abc import Callable

from authsrv.config.problems import Finding
from authsrv.records import dataclass

MAX_LENGTH = 2048
HOST = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\]"
"""A regular expression for the host of an address, in lower case."""

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 2
_PAGE = re.compile(rf"(?P<scheme>https?)://(?P<host>{HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?(?:[/?#].*)?")
_LOOPBACK = re.compile(r"127\.[0-9.]+|\[::1\]|localhost|[a-z0-9.-]+\.localhost")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an address (RFC 6454 section 4), the port also where the address leaves it out."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin | None:
    """The origin of a web page; None for what is no address of one."""
    found = _PAGE.fullmatch(url)
    if not found:
        return None
    port = int(found["port"] or _DEFAULT_PORTS[found["scheme"]])
    return Origin(found["scheme"], found["host"], port) if port < 65536 else None


def is_loopback(host: str) -> bool:
    """Whether a host is the machine itself, by its text."""
    return _LOOPBACK.fullmatch(host) is not None


def page_problem(url: str, *, dev: bool, fragment: bool = True) -> Finding | None:
    """Why this cannot be the address of a web page, with an empty path, or None. `fragment` allows one."""
    problem = next((found for broken, found in _NEVER if broken(url)), None)
    if problem:
        return problem
    if not fragment and "#" in url:
        return Finding((), "the address has a fragment", "remove the # and what follows it")
    origin = origin_of(url)
    if not origin:
        return Finding((), "this is no address of a web page", "write https://host/path, the host in lower case")
    if origin.scheme == "http" and not (dev and is_loopback(origin.host)):
        return Finding((), "the address is on plain http", "use https; http works on loopback with dev = true only")
    return None


def _has_user(url: str) -> bool:
    return "@" in re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]


_NEVER: tuple[tuple[Callable[[str], bool], Finding], ...] = (
    (
        lambda url: len(url) > MAX_LENGTH or not _CHARACTERS.fullmatch(url),
        Finding(
            (),
            f"the address is longer than {MAX_LENGTH} characters or has characters no address may have",
            "write it in ASCII and percent-encoded, an international host name in its xn-- form",
        ),
    ),
    (_has_user, Finding((), "the address has a user name before its host", "remove it, and the @")),
)
"""What no address may be, in order; the first that applies is reported."""
