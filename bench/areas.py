"""Which part of the server a moment belongs to, by the innermost frame of the stack that is known.

Owns the parts that a profile tells apart. What is called and not named here, such as the standard library, belongs to
its caller.
"""

from types import FrameType

LOOP = "event loop"
PARTS = (
    ("signatures: PyJWT, OpenSSL", ("/jwt/", "/cryptography/", "authsrv/oauth/keys.py")),
    ("platforms: tickets and answers", ("authsrv/platforms/",)),
    ("the call: httpcore, h11, anyio", ("/httpcore/", "/h11/", "/anyio/", "authsrv/outbound/")),
    ("HTTP/1.1: uvicorn and its guard", ("/uvicorn/", "authsrv/serving/")),
    ("Starlette", ("/starlette/",)),
    ("Authlib", ("/authlib/",)),
    ("forms", ("authsrv/endpoints/forms.py",)),
    ("headers, routes, answers", ("authsrv/endpoints/", "authsrv/app.py", "authsrv/addresses.py")),
    (
        "client authentication, rate limits",
        ("authsrv/oauth/clients.py", "authsrv/limits.py", "authsrv/rate_windows.py"),
    ),
    ("claims, scopes, audiences", ("oauth/tokens.py", "oauth/claims.py", "oauth/scopes.py", "oauth/audiences.py")),
    ("opaque tokens", ("authsrv/oauth/opaque.py",)),
    ("storage, on the loop", ("authsrv/storage/", "/aiosqlite/")),
    ("log, audit, metrics, on the loop", ("authsrv/log.py", "authsrv/audit.py", "authsrv/metrics/")),
    ("grants and their driver", ("authsrv/",)),
)
"""Each part with what its files have in their paths; the first that fits counts."""
AREAS = (*(name for name, _ in PARTS), LOOP)
_AROUND_THE_LOOP = ("authsrv/serving/process.py", "authsrv/serving/serve.py", "authsrv/__main__.py")
_COMMANDS = "authsrv/commands/"
"""What runs the loop: such a frame is at the bottom of every stack."""

_known: dict[str, str] = {}


def area_of(frame: FrameType | None) -> str:
    """The part of the server that a stack is in."""
    while frame is not None:
        found = _part_of(frame.f_code.co_filename)
        if found:
            return found
        frame = frame.f_back
    return LOOP


def _part_of(path: str) -> str:
    if path not in _known:
        fits = (name for name, places in PARTS if any(place in path for place in places))
        is_around = path.endswith(_AROUND_THE_LOOP) or _COMMANDS in path
        _known[path] = "" if is_around else next(fits, "")
    return _known[path]
