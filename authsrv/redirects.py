"""Redirect URIs as exact strings: which one a client may use, which one may be registered, how an answer is appended.

Owns RFC 8252 section 7 (loopback ports, private schemes) and the refusals of RFC 9700 section 4.1. Pure: knows no HTTP
framework, resolves nothing, and never normalises a URI before it compares.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

from authsrv.models import Client
from authsrv.records import dataclass

MAX_LENGTH = 2048

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 2
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*:")
_HOST = r"(?:[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
_WEB = re.compile(rf"https?://(?P<host>{_HOST})(?::(?P<port>[0-9]+))?(?:[/?].*)?")
_LOOPBACK = re.compile(r"http://(?P<host>127\.0\.0\.1|\[::1\]|localhost)(?::(?P<port>[0-9]+))?(?P<rest>[/?].*)?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?=[/?]|\Z)", re.IGNORECASE)
_SCRIPT_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"})
_ANSWER_PARAMETERS = frozenset({"code", "state", "iss", "error", "response"})
_XSOLLA_DEEP_LINK = "app://xlogin."
"""The mobile SDKs of the Xsolla profile have this address built in, although its scheme has no dot."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a redirect URI may not be registered, and what to write instead. Never repeats the URI."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class _Loopback:
    host: str
    rest: str


def matches(client: Client, uri: str) -> bool:
    """Whether the client may be answered at `uri`: a registered string, byte for byte (OAuth 2.1, RFC 9700 4.1.3).

    Only the port of a loopback literal may differ, for native clients (RFC 8252 section 7.3), and that of
    `http://localhost` for clients of the Xsolla profile.
    """
    if uri in client.redirect_uris:
        return True
    asked = _any_port_loopback(client, uri)
    return asked is not None and any(_any_port_loopback(client, known) == asked for known in client.redirect_uris)


def registered_default(client: Client) -> str | None:
    """The client's only redirect URI, for requests that may leave it out; None with none or several."""
    return client.redirect_uris[0] if len(client.redirect_uris) == 1 else None


def registration_problem(uri: str, *, native: bool, xsolla: bool) -> Refusal | None:
    """Why this URI may not be registered as a redirect URI, or None. Linear in the length of `uri`."""
    refusal = next((refusal for broken, refusal in _NEVER if broken(uri)), None)
    if refusal:
        return refusal
    scheme = uri.partition(":")[0]
    if scheme in {"http", "https"}:
        return _web_problem(uri, xsolla=xsolla)
    return _private_scheme_problem(uri, scheme, native=native, xsolla=xsolla)


def append_query(uri: str, params: Sequence[tuple[str, str]]) -> str:
    """`uri` with the parameters appended in order, everything but RFC 3986's unreserved characters percent-encoded."""
    if not params:
        return uri
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)
    return f"{uri}{_joint(uri)}{query}"


def append_fragment(uri: str, params: Sequence[tuple[str, str]]) -> str:
    """`uri`, which has no fragment, with the parameters in one (OAuth 2.0 Multiple Response Types section 2.1)."""
    return append_query(uri + "#?", params).replace("#?", "#", 1)


def _joint(uri: str) -> str:
    if "?" not in uri:
        return "?"
    return "" if uri.endswith(("?", "&")) else "&"


def _any_port_loopback(client: Client, uri: str) -> _Loopback | None:
    """The URI without its port, if the client may vary the port of it."""
    found = _LOOPBACK.fullmatch(uri)
    if not found or not _is_port(found["port"]):
        return None
    allowed = client.profile == "xsolla" if found["host"] == "localhost" else client.native
    return _Loopback(found["host"], found["rest"] or "") if allowed else None


def _is_port(text: str | None) -> bool:
    return text is None or (_PORT.fullmatch(text) is not None and int(text) < 65536)


def _query_names(uri: str) -> list[str]:
    _, _, query = uri.partition("?")
    return [unquote(pair.partition("=")[0]).lower() for pair in query.split("&")]


def _web_problem(uri: str, *, xsolla: bool) -> Refusal | None:
    authority = re.split("[/?]", uri.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        return Refusal("the redirect URI has a user name before its host", "remove it, and the @")
    web = _WEB.fullmatch(uri)
    if not web or not _is_port(web["port"]):
        return Refusal("the redirect URI has no valid host and port", "write https://host/path, the host in lower case")
    if uri.startswith("https:"):
        return None
    return _http_problem(web["host"], xsolla=xsolla)


def _http_problem(host: str, *, xsolla: bool) -> Refusal | None:
    if host in {"127.0.0.1", "[::1]"}:
        return None
    if host != "localhost":
        return Refusal(
            "plain http would show the authorization code on the network",
            "use https, or http://127.0.0.1 for an application on the player's own machine",
        )
    if not xsolla:
        return Refusal(
            "the name localhost may be resolved to another machine",
            'write http://127.0.0.1 (only clients with compat = "xsolla" may register localhost)',
        )
    return None


def _private_scheme_problem(uri: str, scheme: str, *, native: bool, xsolla: bool) -> Refusal | None:
    if not native:
        return Refusal(
            f"the scheme {scheme}: is for applications on the player's machine",
            "use https, or set native = true for a launcher or a mobile game",
        )
    if "." in scheme or (xsolla and uri.startswith(_XSOLLA_DEEP_LINK)):
        return None
    return Refusal(
        f"any application could claim the scheme {scheme}:",
        "name it after a domain of yours, in reverse: com.example.game:/callback (RFC 8252 section 7.1)",
    )


_NEVER: tuple[tuple[Callable[[str], bool], Refusal], ...] = (
    (
        lambda uri: len(uri) > MAX_LENGTH or not _CHARACTERS.fullmatch(uri),
        Refusal(
            f"the redirect URI is empty, longer than {MAX_LENGTH} characters or has characters no URI may have",
            "write it in ASCII and percent-encoded, an international host name in its xn-- form",
        ),
    ),
    (
        lambda uri: "*" in uri,
        Refusal("the redirect URI has a wildcard", "list every address by itself; they are compared exactly"),
    ),
    (
        lambda uri: not _SCHEME.match(uri),
        Refusal("the redirect URI has no scheme in lower case", "write a whole address: https://host/path"),
    ),
    (
        lambda uri: uri.partition(":")[0] in _SCRIPT_SCHEMES,
        Refusal("a redirect to this scheme could run code or open a file in the browser", "use https://host/path"),
    ),
    (
        lambda uri: "#" in uri,
        Refusal("the redirect URI has a fragment", "remove the # and what follows it"),
    ),
    (
        lambda uri: not _ANSWER_PARAMETERS.isdisjoint(_query_names(uri)),
        Refusal(
            "the redirect URI has a query parameter named code, state, iss, error or response",
            "rename it; the answer brings its own parameters of these names",
        ),
    ),
    (
        lambda uri: _DOT_SEGMENT.search(uri.partition("?")[0]) is not None,
        Refusal("the path of the redirect URI has a . or .. segment", "write the path that results from it"),
    ),
)
"""What no redirect URI may be, in order; the first that applies is reported."""
