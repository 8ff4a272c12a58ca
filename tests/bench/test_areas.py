"""A moment of a profile belongs to the innermost part that is known."""

from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import cast

import pytest

from bench.areas import LOOP, PARTS, area_of
from bench.servers import ROOT

LIBRARIES = (
    "/jwt/",
    "/cryptography/",
    "/uvicorn/",
    "/starlette/",
    "/authlib/",
    "/aiosqlite/",
    "/httpcore/",
    "/h11/",
    "/anyio/",
)


def stack(*paths: str) -> FrameType:
    """The innermost of frames in functions of these files, each called by the one before."""
    frame = None
    for path in ("/x/authsrv/commands/serving.py", "/x/authsrv/serving/process.py", *paths):
        frame = SimpleNamespace(f_code=SimpleNamespace(co_filename=path), f_back=frame)
    return cast("FrameType", frame)


@pytest.mark.parametrize(
    ("paths", "area"),
    [
        (
            ["/x/uvicorn/protocol.py", "/x/authsrv/endpoints/token.py", "/lib/json/encoder.py"],
            "headers, routes, answers",
        ),
        (
            ["/x/authsrv/oauth/server.py", "/x/authlib/grants.py", "/x/authsrv/oauth/keys.py"],
            "signatures: PyJWT, OpenSSL",
        ),
        (["/x/authsrv/oauth/server.py", "/x/authlib/grants.py"], "Authlib"),
        (["/x/authsrv/oauth/server.py"], "grants and their driver"),
        (["/lib/asyncio/runners.py"], LOOP),
    ],
)
def test_the_innermost_known_file_names_the_part(paths: list[str], area: str) -> None:
    assert area_of(stack(*paths)) == area


def test_every_file_of_ours_that_is_named_is_there() -> None:
    sources = ["/" + str(path.relative_to(ROOT)) for path in Path(ROOT / "authsrv").rglob("*.py")]
    named = [place for _, places in PARTS for place in places if place not in LIBRARIES]
    assert [place for place in named if not any(place in source for source in sources)] == []
