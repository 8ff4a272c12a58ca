"""How large a database gets: bytes for each token that is kept, counted out for a million.

Owns filling and weighing. Each refresh token is a row of its own grant; access tokens are not kept.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.findings import Finding
from bench.seed import Site, fill, migrate, write_config
from bench.site import GAMES
from bench.systems.authsrv_postgres import cluster
from bench.systems.base import Cores, Wanted
from tests.support.postgres import MIGRATED, chosen, execute

TOKENS = 100_000
PER = 1_000_000


class Sizes:
    """SQLite's file and PostgreSQL's database, after everything in it was written out."""

    name = "sizes"

    def find(self, directory: Path, cores: Cores, *, quick: bool) -> Sequence[Finding]:
        """Of `Probe`."""
        tokens = TOKENS // 10 if quick else TOKENS
        remark = f"counted out from {tokens:,} grants with a refresh token each"
        found = {"SQLite": _sqlite(directory / "sqlite", tokens)}
        if chosen():
            found["PostgreSQL"] = _postgres(directory / "postgres", tokens)
        return [Finding(f"{name}: a million tokens", [size / 1e6], "MB", remark=remark) for name, size in found.items()]


def _sqlite(directory: Path, tokens: int) -> float:
    directory.mkdir()
    file = directory / "authsrv.db"
    return _weighed(Site.on_free_ports(directory, f"sqlite:///{file}"), tokens, lambda: file.stat().st_size)


def _postgres(directory: Path, tokens: int) -> float:
    directory.mkdir()
    with cluster() as running:
        url = running.url(MIGRATED)

        def size() -> int:
            ((found,),) = execute(url, "CHECKPOINT", "SELECT pg_database_size(current_database())")
            assert isinstance(found, int)
            return found

        return _weighed(Site.on_free_ports(directory, url), tokens, size)


def _weighed(site: Site, tokens: int, size: Callable[[], int]) -> float:
    """Bytes that a million tokens add, given what these add."""
    write_config(site)
    migrate(site)
    asyncio.run(fill(site, Wanted(0, 0)))
    before = size()
    asyncio.run(fill(site, Wanted(0, tokens // len(GAMES), players=1)))
    return (size() - before) / tokens * PER
