"""Stock libraries for JavaScript, unmodified: the whole way from discovery to the address for signing out."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.presser import Presser
from tests.node.packages import DIRECTORY, install
from tests.support.demo import Demo

pytestmark = [pytest.mark.node, pytest.mark.timeout(120)]

SIGN_IN = ("sign-in-epicgames", "amber")


class Program:
    """A program that speaks and listens, one JSON value a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, value: object) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return json.loads(line)


@contextmanager
def running(script: str) -> Iterator[Program]:
    install()
    command = [shutil.which("node") or "node", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=DIRECTORY, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Program(process)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Stock:
    """A library, the client it plays, and what the player presses for that client."""

    script: str
    client: dict[str, str]
    page: str
    buttons: tuple[str, ...]


STOCK = (
    Stock("openid_client.mjs", {"id": "shop", "secret": "shop-secret"}, "callback", SIGN_IN),
    Stock("oauth4webapi.mjs", {"id": "spa"}, "spa", (*SIGN_IN, "allow")),
)


@pytest.mark.parametrize("stock", STOCK, ids=lambda stock: stock.script)
def test_a_stock_library_signs_in_refreshes_and_signs_out(demo: Demo, presser: Presser, stock: Stock) -> None:
    name = stock.client["id"]
    redirect_uri, back = f"{demo.issuer}/demo/{stock.page}", f"{demo.issuer}/demo/{name}"
    with running(stock.script) as program:
        program.say({"issuer": demo.issuer, "redirectUri": redirect_uri, "back": back, **stock.client})
        program.say(presser.go(program.hear(), *stock.buttons, until=redirect_uri))
        told = program.hear()
    assert told["refused"]["iss"].startswith('unexpected "iss"')
    assert told["refused"]["state"].startswith('unexpected "state"')
    assert (told["claims"]["iss"], told["claims"]["aud"], told["claims"]["amr"]) == (demo.issuer, name, ["epicgames"])
    assert (told["userinfo"]["name"], told["userinfo"]["email"]) == ("Amber Vale", "amber@players.example")
    assert told["userinfo"]["sub"] == told["claims"]["sub"] == told["refreshed"]["sub"]
    assert presser.go(told["out"], until=back) == f"{back}?state=signed-out"
