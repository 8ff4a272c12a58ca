"""Which URLs others may give us to call, judged by their text alone, and the configuration's exceptions.

Owns the words of the refusals, which never repeat the URL. Resolves nothing: what a name leads to is judged later.
"""

import re
from collections.abc import Callable, Sequence

from authsrv.outbound.guarded_addresses import Address, is_public, literal
from authsrv.records import dataclass

MAX_LENGTH = 2048

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 2
_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")
_WEB = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?\[\]:]+|\[[^/?\]]*\])(?::(?P<port>[1-9][0-9]{0,4}))?(?:[/?].*)?")
_ENTRY = re.compile(r"[^/?#@]+:[0-9]+")
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call to a URL goes. `host` is written as in the URL; `address` is what it spells out, None for a name.

    `listed` targets are exceptions of the configuration: they may be http, and lie anywhere.
    """

    scheme: str
    host: str
    address: Address | None
    listed: bool


def problem_with(url: str, *, allow: Sequence[str] = ()) -> str:
    """Why this URL can never be called, and what to write instead; empty if it can. Resolves nothing.

    `allow` is the configuration's list of exceptions, each exactly `host:port`.
    """
    try:
        target_of(url, allow)
    except ValueError as error:
        return str(error)
    return ""


def check_allowed(allow: Sequence[str]) -> None:
    """Raises ValueError for an entry that is not `host:port`, in lower case, an IPv6 address in brackets."""
    for entry in allow:
        if not _ENTRY.fullmatch(entry) or problem_with(f"https://{entry}", allow=[entry]):
            raise ValueError(f"{entry!r} is not an address; write host:port, in lower case")


def target_of(url: str, allow: Sequence[str]) -> Target:
    """Where a call to this URL goes. Raises ValueError, in the words of `problem_with`."""
    for broken, refusal in _NO_URL:
        if broken(url):
            raise ValueError(refusal)
    target = _read(url, allow)
    for forbidden, refusal in _ONLY_LISTED:
        if not target.listed and forbidden(target):
            raise ValueError(refusal)
    return target


def _read(url: str, allow: Sequence[str]) -> Target:
    found = _WEB.fullmatch(url)
    if not found or not _HOST.fullmatch(found["host"]) or int(found["port"] or 0) > 65535:
        raise ValueError("the URL has no valid scheme, host and port; write https://host/path, the host in lower case")
    scheme, host = found["scheme"], found["host"]
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    return Target(scheme, host, _address(host), f"{host}:{port}" in allow)


def _address(host: str) -> Address | None:
    try:
        return literal(host)
    except ValueError:
        raise ValueError("the host is an address in a notation that programs read differently; write a name") from None


def _has_user(url: str) -> bool:
    return "@" in re.split("[/?]", url.partition("://")[2], maxsplit=1)[0]


_NO_URL: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda url: "#" in url, "the URL has a fragment; remove the # and what follows it"),
    (
        lambda url: len(url) > MAX_LENGTH or not _CHARACTERS.fullmatch(url),
        (
            f"the URL is empty, longer than {MAX_LENGTH} characters or has characters no URL may have; "
            "write it in ASCII, percent-encoded, an international host name in its xn-- form"
        ),
    ),
    (_has_user, "the URL has a user name before its host; remove it, and the @"),
)
"""What no URL may be, in order; the first that applies is reported."""

_ONLY_LISTED: tuple[tuple[Callable[[Target], bool], str], ...] = (
    (lambda target: target.scheme != "https", "plain http can be read and changed on its way; use https"),
    (
        lambda target: target.host == "localhost" or target.host.endswith(".localhost"),  # RFC 6761 section 6.3
        "localhost is this server itself; use a host on the public Internet",
    ),
    (
        lambda target: target.address is not None and not is_public(target.address),
        "the address is not on the public Internet; use a public host",
    ),
)
"""What only a listed target may be, in order."""
