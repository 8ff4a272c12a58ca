"""What an access token costs that is shown for the first time, beside one that was shown before.

The rows of userinfo and introspection show some two hundred tokens by turns, whose signatures authsrv has verified
before; a backend that asks about each token once pays for the signature too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.asking import answers
from bench.findings import Finding
from bench.forms import introspect
from bench.orders import Expected, Order, Request, Requests
from bench.plan import CONNECTIONS
from bench.rounds import LoadProcess, Target
from bench.site import BACKENDS
from bench.stock import Stock
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Wanted
from bench.tails import right
from bench.workloads import CODE_EXCHANGE

SECONDS = 30.0
"""At most, for one round."""


def _userinfo(token: str) -> Request:
    return Request("/oauth2/userinfo", headers={"Authorization": f"Bearer {token}"}, method="GET")


def _introspection(token: str) -> Request:
    return Request("/oauth2/introspect", introspect(BACKENDS["ES256"], token))


ASKED: dict[str, tuple[Callable[[str], Request], Expected]] = {
    "userinfo": (_userinfo, Expected(present=("sub",))),
    "introspection": (_introspection, Expected(values={"active": True}, present=("sub", "client_id", "exp"))),
}


class FirstSight:
    """The same requests twice: every token for the first time, and the same ones again."""

    name = "first sight"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        repetitions, at_once = (2, 200) if quick else (5, 400)
        system, needed = Authsrv(), len(ASKED) * repetitions * at_once
        system.prepare(directory, Wanted(codes=needed, refresh_tokens=0))
        with closing(LoadProcess(cores.load)) as load, system.serve(cores) as running:
            target = Target(system, running, load)
            tokens = Stock(_access_tokens(target, needed))
            rounds = {name: [_twice(target, name, tokens.take(at_once)) for _ in range(repetitions)] for name in ASKED}
        return [finding for name, found in rounds.items() for finding in _findings(name, found)]


def _access_tokens(target: Target, count: int) -> list[str]:
    exchanges = target.system.requests(CODE_EXCHANGE, "ES256", count)
    assert exchanges is not None
    return [answer["access_token"] for answer in answers(target.running.port, target.running.host, exchanges.each)]


def _twice(target: Target, name: str, tokens: Sequence[str]) -> tuple[float, float]:
    """Microseconds of CPU for each request, the first time and the second."""
    make, expected = ASKED[name]
    requests = Requests(tuple(make(token) for token in tokens), expected, once=True)
    order = Order(target.running.port, target.running.host, requests, CONNECTIONS, len(tokens), SECONDS)
    return right(target.measure(order)).cpu_us, right(target.measure(order)).cpu_us


def _findings(name: str, found: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    yield Finding(f"{name}, each token for the first time", [first for first, _ in found], "us")
    remark = "the rows show tokens that were shown before"
    yield Finding(
        f"{name}: CPU of the first time beside the second", [first / again for first, again in found], "x", None, remark
    )
