"""authsrv on a SQLite database that has grown: the codes that are redeemed are new, as in life, and what is refreshed
or shown lies anywhere between the other rows.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from authsrv.oauth.opaque import Opaque, OpaqueTokens
from authsrv.storage.base import Storage
from authsrv.storage.changes import RotateRefreshToken
from bench.asking import answers
from bench.filling import Grown, kept
from bench.forms import introspect, refresh
from bench.orders import Expected, Request, Requests
from bench.seed import HOST, MONTH, Site, fill, migrate, opened, write_config
from bench.servers import ROOT, ServerProcess
from bench.site import BACKENDS, GAMES
from bench.stock import Stock
from bench.systems.authsrv import Authsrv
from bench.systems.base import Cores, Running, Wanted
from bench.systems.token_requests import TOKEN, Asked, player_tokens, token_requests
from bench.workloads import INTROSPECTION, REFRESH, USERINFO, Algorithm, Workload

CACHE = ROOT / "var" / "bench" / "growth"
REFRESH_ANYWHERE = Workload("refresh of any token")
"""Each request another family's, unlike `REFRESH`, where each connection has one."""
SHOWN = 500
"""How many access tokens are shown by turns."""
_AT_ONCE = 200


class GrownAuthsrv(Authsrv):
    """One `serve` on a copy of a database of this size, without platforms."""

    def __init__(self, grown: Grown) -> None:
        self.name = f"{grown.grants:,} tokens"
        self._grown = grown

    @property
    def file(self) -> Path:
        """The database."""
        return self.site.directory / "authsrv.db"

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`. The first time for a size takes up to some minutes."""
        self.site = Site.on_free_ports(directory, f"sqlite:///{directory / 'authsrv.db'}")
        write_config(self.site)
        _copy(kept(CACHE, self._grown, self._migrate), self.file)
        anywhere = self._grown.live_ids(wanted.refresh_tokens + SHOWN)
        appended = replace(wanted, refresh_tokens=wanted.refresh_tokens + SHOWN - len(anywhere))
        seeds = asyncio.run(fill(self.site, appended))
        tokens = [*asyncio.run(_renewed(self.site, anywhere)), *seeds.refresh_tokens[GAMES["ES256"]]]
        shown = _Shown(self.site, tokens[:: len(tokens) // SHOWN][:SHOWN])
        self._asked = {**token_requests(seeds), **_refresh(_except(tokens, shown.tokens)), **shown.asked()}

    def _migrate(self, file: Path) -> None:
        elsewhere = replace(self.site, database=f"sqlite:///{file}")
        write_config(elsewhere)
        migrate(elsewhere)
        write_config(self.site)

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`. Its sweeper works when it is told to."""
        command = [sys.executable, "-m", "bench.switched_sweeper", "serve", "--config", str(self.site.config)]
        log = self.site.directory / "authsrv.log"
        with ServerProcess(command, self.site.port, log, cores.server) as server:
            yield Running(server, self.site.port, HOST)


def prepared(directory: Path, grown: Grown, wanted: Wanted) -> GrownAuthsrv:
    """One with its database in this new directory."""
    CACHE.mkdir(parents=True, exist_ok=True)
    directory.mkdir()
    system = GrownAuthsrv(grown)
    system.prepare(directory, wanted)
    return system


class _Shown:
    """Access tokens that are introspected and taken to UserInfo, got by refreshing."""

    def __init__(self, site: Site, tokens: Sequence[Opaque]) -> None:
        self._site = site
        self._access_tokens: Sequence[str] = ()
        self.tokens = tokens

    def asked(self) -> Asked:
        return {INTROSPECTION: self._introspection, USERINFO: self._userinfo}

    def _introspection(self, _: Algorithm, _count: int) -> Requests:
        forms = [introspect(BACKENDS["ES256"], token) for token in self._got()]
        expected = Expected(values={"active": True}, present=("sub", "client_id", "exp"))
        return Requests(tuple(Request("/oauth2/introspect", form) for form in forms), expected)

    def _userinfo(self, _: Algorithm, _count: int) -> Requests:
        bearers = [{"Authorization": f"Bearer {token}"} for token in self._got()]
        each = tuple(Request("/oauth2/userinfo", headers=bearer, method="GET") for bearer in bearers)
        return Requests(each, Expected(present=("sub",)))

    def _got(self) -> Sequence[str]:
        if not self._access_tokens:
            got = answers(self._site.port, HOST, map(_request, self.tokens))
            self._access_tokens = [answer["access_token"] for answer in got]
        return self._access_tokens


def _refresh(tokens: Sequence[Opaque]) -> Asked:
    stock = Stock(tokens)

    def once(algorithm: Algorithm, count: int) -> Requests:
        return Requests(tuple(map(_request, stock.take(count))), player_tokens(algorithm), once=True)

    def chained(algorithm: Algorithm, count: int) -> Requests:
        return replace(once(algorithm, count), once=False, chained=True)

    return {REFRESH_ANYWHERE: once, REFRESH: chained}


def _request(token: Opaque) -> Request:
    return Request(TOKEN, refresh(GAMES["ES256"], token.text))


def _except(tokens: Sequence[Opaque], others: Sequence[Opaque]) -> Sequence[Opaque]:
    """In another order than that of the rows, and always the same one."""
    shown = {token.row_id for token in others}
    left = [token for token in tokens if token.row_id not in shown]
    return sorted(left, key=lambda token: token.row_id * 2_654_435_761 % 2**32)


async def _renewed(site: Site, grant_ids: Sequence[int]) -> list[Opaque]:
    """New refresh tokens of these grants."""
    async with opened(site) as (storage, opaque):
        found: list[Opaque] = []
        for start in range(0, len(grant_ids), _AT_ONCE):
            some = grant_ids[start : start + _AT_ONCE]
            found += await asyncio.gather(*(_renew(storage, opaque, one) for one in some))
        return found


async def _renew(storage: Storage, opaque: OpaqueTokens, grant_id: int) -> Opaque:
    loaded, now = await storage.load_grant(grant_id), int(time.time())
    assert loaded is not None
    assert loaded.grant.refresh_hash is not None
    token = opaque.new("refresh", grant_id, loaded.grant.refresh_generation + 1)
    change = RotateRefreshToken(grant_id, loaded.grant.refresh_hash, token.digest, os.urandom(97), now, now + MONTH)
    await storage.apply([change])
    return token


def _copy(file: Path, to: Path) -> None:
    """A copy that is on the disk: nobody shall wait for it when others are written."""
    shutil.copy(file, to)
    with closing(to.open("rb+")) as written:
        os.fsync(written.fileno())
