"""The programs of docs/verifying-tokens.md, taken from the page and run against a login server on loopback."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.node.packages import MODULES, install
from tests.support.processes import free_port
from tests.support.token_source import (
    AUDIENCE,
    FEED,
    JWKS,
    PLAYER,
    Answer,
    Claims,
    TokenSource,
    b64,
    compact,
    public_jwk,
    serving,
)
from tests.support.verifying_page import program

PROGRAMS = Path(__file__).parent / "programs"
WAIT = 60.0
# The first Go program of a machine waits for the compiler to build Go's own library.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def altered(text: str, shown: str, instead: str) -> str:
    """A program in which one thing is not as the page shows it: what would only make a test wait."""
    assert text.count(shown) == 1
    return text.replace(shown, instead)


def hurried(text: str) -> str:
    """A Python program that looks at the feed ten times in a second that the feed names."""
    rested = altered(text, 'Verifier("', 'Verifier(sleep=hurry, issuer="')
    return f"from hurry import hurry\n\n{rested}"


def python_program(directory: Path, issuer: str) -> list[str]:
    (directory / "tokens.py").write_text(hurried(program("python", issuer)))
    for name in ("main.py", "hurry.py"):
        shutil.copy(PROGRAMS / name, directory)
    return [sys.executable, "main.py"]


def blocking_program(directory: Path, issuer: str) -> list[str]:
    (directory / "tokens.py").write_text(hurried(program("blocking", issuer)))
    for name in ("main_blocking.py", "hurry.py"):
        shutil.copy(PROGRAMS / name, directory)
    return [sys.executable, "main_blocking.py"]


def node_program(directory: Path, issuer: str) -> list[str]:
    install()
    (directory / "node_modules").symlink_to(MODULES)
    # Jose counts its pause from the last fetch of any kind, and a minute would be too long for a test.
    text = altered(program("node", issuer), "cooldownDuration: 60_000", "cooldownDuration: 0")
    (directory / "tokens.mjs").write_text(altered(text, "(feed?.poll ?? 30) * 1000", "(feed?.poll ?? 30) * 100"))
    shutil.copy(PROGRAMS / "main.mjs", directory)
    return ["node", "main.mjs"]


def go_program(directory: Path, issuer: str) -> list[str]:
    (directory / "tokens").mkdir()
    text = altered(program("go", issuer), "1), 300)) * time.Second", "1), 300)) * 100 * time.Millisecond")
    (directory / "tokens" / "tokens.go").write_text(text)
    (directory / "go.mod").write_text("module game.example/server\n\ngo 1.21\n")
    shutil.copy(PROGRAMS / "main.go", directory)
    go = shutil.which("go") or "/usr/local/go/bin/go"
    offline = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    built = subprocess.run(
        [go, "build", "-o", "server", "."],
        cwd=directory,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return [str(directory / "server")]


class Backend:
    """A program that says of each token whose it is."""

    def __init__(self, process: subprocess.Popen[str], source: TokenSource) -> None:
        self._process = process
        self._source = source

    def says(self, token: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(token + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def asks_for_the_feed(self, times: int = 1) -> None:
        """Wait until it has been given what the feed says now."""
        with self._source.heard:
            asked = self._source.asked(FEED)
            assert self._source.heard.wait_for(lambda: self._source.asked(FEED) >= asked + times, WAIT)

    def knows_the_feed(self) -> None:
        """Wait until it has taken in what the feed says now: it did before it asks again."""
        self.asks_for_the_feed(2)


Writes = Callable[[Path, str], list[str]]
"""Writes a program of the page for this issuer into a directory; the command that runs it there."""


@contextmanager
def running(writes: Writes, directory: Path, source: TokenSource) -> Iterator[Backend]:
    command = writes(directory, source.issuer)
    with subprocess.Popen(
        command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Backend(process, source)
        finally:
            process.kill()


@pytest.fixture
def source() -> Iterator[TokenSource]:
    begun = TokenSource(now=int(time.time()), poll=1, feed_key=("r1", "RS256"))
    with serving(begun, free_port()) as source:
        yield source


def hmac_signed(source: TokenSource) -> str:
    """A token whose shared secret is the public key."""
    signed = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'r1', 'typ': 'at+jwt'}).encode())}."
    signed += b64(json.dumps(source.claims()).encode())
    algorithm: Any = jwt.algorithms.get_default_algorithms()["HS256"]
    secret = json.dumps(public_jwk("r1", "RS256")).encode()
    return f"{signed}.{b64(algorithm.sign(signed.encode(), secret))}"


def bad_tokens(source: TokenSource) -> dict[str, str]:
    now = int(source.now)
    good = source.token()
    header, payload, signature = good.split(".")
    return {
        "C01 none": f"{b64(json.dumps({'alg': 'none', 'kid': 'k1', 'typ': 'at+jwt'}).encode())}.{payload}.",
        "C02 shared secret": hmac_signed(source),
        "C03 key by header": source.token("x", "ES256", {"kid": "k1", "jwk": public_jwk("x", "ES256")}),
        "C04 critical": source.token("k1", "ES256", {"crit": ["x"], "x": 1}),
        "C06 JSON": json.dumps({"protected": header, "payload": payload, "signature": signature}),
        "C13 dots": "." * 100_000,
        "C13 endless": good + "A" * 20_000,
        "C15 expired": source.token(exp=now - 120),
        "C15 not yet": source.token(iat=now + 600),
        "C15 nbf": source.token(nbf=now + 600),
        "C16 exp": source.token(exp=None),
        "C16 iat": source.token(iat=None),
        "C16 sub": source.token(sub=None),
        "C16 jti": source.token(jti=None),
        "C16 aud": source.token(aud=None),
        "C17 issuer": source.token(iss=source.issuer + "/"),
        "C17 audience": source.token(aud=AUDIENCE + "/"),
        "C17 audiences": source.token(aud=["https://chat.studio.example"]),
        "C18 id_token": source.token("k1", "ES256", {"typ": "JWT"}),
        "C18 feed": source.feed(),
        "C18 no type": source.token("k1", "ES256", {"typ": None}),
        "C19 text as time": source.token(exp=str(now + 900)),
        "C20 algorithm of another key": source.token("r1", "PS256"),
        "C20 another algorithm said": source.token("r1", "RS256", {"alg": "PS256"}),
        "C22 unknown kid": source.token("k1", "ES256", {"kid": "../k1"}),
        "C26 zeros": f"{header}.{payload}.{b64(bytes(64))}",
        "C29 number as player": source.token(sub=7),
        "C33 stranger": source.token("stranger", "ES256", {"kid": "k1"}),
        "another payload": f"{header}.{b64(json.dumps(source.claims(sub='x')).encode())}.{signature}",
        "no JSON": compact(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}', b"{", "k1", "ES256"),
        "nothing": "",
    }


LANGUAGES = [
    pytest.param(python_program, id="python"),
    pytest.param(blocking_program, id="python-blocking"),
    pytest.param(node_program, id="node", marks=pytest.mark.node),
    pytest.param(go_program, id="go", marks=pytest.mark.go),
]


@pytest.mark.parametrize("writes", LANGUAGES)
def test_a_program_of_the_page_takes_nothing_while_nobody_knows_who_was_banned(
    writes: Writes, tmp_path: Path, source: TokenSource
) -> None:
    source.answers[FEED] = Answer(404)
    with running(writes, tmp_path, source) as backend:
        assert backend.says(source.token()) == "unavailable"
        assert backend.says(source.token(exp=1)) == "refused"


@pytest.mark.parametrize("writes", LANGUAGES)
def test_a_program_of_the_page_hears_of_bans_and_new_keys(writes: Writes, tmp_path: Path, source: TokenSource) -> None:
    source.keys |= {"p1": "PS256", "e1": "EdDSA"}
    now = int(source.now)
    with running(writes, tmp_path, source) as backend:
        for kid, alg in source.keys.items():
            assert backend.says(source.token(kid, alg)) == f"player {PLAYER}"
        assert backend.says(source.token(aud=["https://chat.studio.example", AUDIENCE])) == f"player {PLAYER}"
        assert backend.says(source.token(exp=now - 30, iat=now - 900)) == f"player {PLAYER}"

        source.keys = {"k2": "ES256", "r1": "RS256"}
        assert backend.says(source.token("k2")) == f"player {PLAYER}"  # a key that nobody announced
        asked = source.asked(JWKS)
        source.keys["k1"] = "ES256"
        assert backend.says(source.token("k2")) == f"player {PLAYER}"
        assert source.asked(JWKS) == asked

        source.revoked = {
            "jti": ["one"],
            "gid": ["two"],
            "not_before": {"three": now + 1},
            "clients": {"four": now + 1},
            "kid": ["k2"],
        }
        backend.knows_the_feed()
        revoked = {
            "jti": source.token("r1", "RS256", jti="one"),
            "jti of its origin": source.token("r1", "RS256", origin_jti="one", origin_client_id="launcher"),
            "gid": source.token("r1", "RS256", gid="two"),
            "player": source.token("r1", "RS256", sub="three"),
            "client": source.token("r1", "RS256", client_id="four"),
            "client of its origin": source.token("r1", "RS256", origin_jti="other", origin_client_id="four"),
            "key": source.token("k2"),
        }
        assert {why: backend.says(token) for why, token in revoked.items()} == dict.fromkeys(revoked, "refused")
        assert backend.says(source.token("r1", "RS256")) == f"player {PLAYER}"
        exchanged = {"origin_jti": "other", "origin_client_id": "launcher"}
        assert backend.says(source.token("r1", "RS256", **exchanged)) == f"player {PLAYER}"
        assert backend.says(source.token("r1", "RS256", sub="three", iat=now + 1)) == "player three"

        ends: Claims = {"jti": [], "gid": [], "not_before": {}, "clients": {}, "kid": []}
        for false in (
            source.feed(iat=now - 100, **ends),
            source.feed({"kid": "k2"}, **ends),
            source.feed({"typ": "at+jwt"}, **ends),
            source.feed(iss="https://login.attacker.example", **ends),
            source.feed(exp=now - 120, **ends),
            source.feed(**ends | {"not_before": None}),
            source.feed(**ends | {"jti": None}),
            source.feed(kid=["r1"], jti=[], gid=[], not_before={}, clients={}),
        ):
            source.answers[FEED] = Answer(body=false.encode())
            backend.asks_for_the_feed()
        backend.knows_the_feed()
        assert {why: backend.says(token) for why, token in revoked.items()} == dict.fromkeys(revoked, "refused")


@pytest.mark.parametrize("writes", LANGUAGES)
def test_a_program_of_the_page_refuses_what_is_not_good(writes: Writes, tmp_path: Path, source: TokenSource) -> None:
    with running(writes, tmp_path, source) as backend:
        assert backend.says(source.token()) == f"player {PLAYER}"
        bad = bad_tokens(source)
        assert {why: backend.says(token) for why, token in bad.items()} == dict.fromkeys(bad, "refused")
        assert backend.says(source.token()) == f"player {PLAYER}"
