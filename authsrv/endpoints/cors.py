"""Cross-origin rules by class of path: open documents, browser clients' own origins, everything else closed.

Pure functions over headers; `authsrv.endpoints.hygiene` applies them. Credentials mode is never allowed (H13), so an
origin's permission is worth nothing without a token. Knows no client; it is given their origins.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

PathClass = Literal["open", "clients", "closed"]
Header = tuple[bytes, bytes]
Origins = Callable[[], frozenset[str]]
"""The origins that public browser clients registered, as browsers write them: scheme, host and port, lower case."""

_OPEN: Final = frozenset(
    {
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/oauth2/jwks",
        "/oauth2/revocations",
    }
)
_CLIENTS: Final = frozenset({"/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke"})
_COMPATIBLE: Final = "/api/"

_PLAIN_HEADERS: Final = b"Authorization, Content-Type"
_COMPATIBLE_HEADERS: Final = (
    b"Authorization, Content-Type, X-SERVER-AUTHORIZATION, X-ENGINE, X-ENGINE-V, X-SDK, X-SDK-V, X-BUILD-PLATFORM, "
    b"X-REF, X-REF-V"
)
_READABLE: Final = b"WWW-Authenticate, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy"
_VARY: Final[Header] = (b"vary", b"Origin")
_EXPOSED: Final[Header] = (b"access-control-expose-headers", _READABLE)
_OPEN_HEADERS: Final[Sequence[Header]] = ((b"access-control-allow-origin", b"*"), _EXPOSED)


def path_class(path: str) -> PathClass:
    """Which rule holds for a path. A path that this table does not know is closed (A32)."""
    if path in _OPEN:
        return "open"
    if path in _CLIENTS:
        return "clients"
    if not path.startswith(_COMPATIBLE) or path.endswith("/login_redirect"):
        return "closed"
    return "open" if path.startswith("/api/projects/") and path.endswith("/keys") else "clients"


def answer_headers(rule: PathClass, sent: Sequence[Header], allowed_origins: Origins) -> Sequence[Header]:
    """What to add to an answer under this rule to a request with these headers."""
    if rule != "clients":
        return _OPEN_HEADERS if rule == "open" else ()
    origin = next(iter([value for name, value in sent if name == b"origin"]), None)
    if not _allowed(origin, allowed_origins):
        return (_VARY,)
    return (_VARY, (b"access-control-allow-origin", origin or b""), _EXPOSED)


def preflight_headers(path: str, origin: bytes, allowed_origins: Origins) -> list[Header] | None:
    """The headers of the 204 that answers a preflight; without any permission if denied. None where none is offered."""
    rule = path_class(path)
    if rule == "closed":
        return None
    if rule == "open":
        return [(b"access-control-allow-origin", b"*"), *_permissions(path)]
    if not _allowed(origin, allowed_origins):
        return [_VARY]
    return [_VARY, (b"access-control-allow-origin", origin), *_permissions(path)]


def _permissions(path: str) -> list[Header]:
    compatible = path.startswith(_COMPATIBLE)
    return [
        (b"access-control-allow-methods", b"GET, POST, DELETE" if compatible else b"GET, POST"),
        (b"access-control-allow-headers", _COMPATIBLE_HEADERS if compatible else _PLAIN_HEADERS),
        (b"access-control-max-age", b"600"),
    ]


def _allowed(origin: bytes | None, allowed_origins: Origins) -> bool:
    return origin is not None and origin.decode("latin-1") in allowed_origins()
