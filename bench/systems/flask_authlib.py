"""A server that Authlib's documentation teaches to build, in Flask, under gunicorn with one worker.

Of gunicorn's workers gthread with four threads answered most: sync closes every connection, more or fewer threads
cost more CPU for the same. The sqlite3 module takes less than half the CPU of SQLAlchemy's models here.

It knows no tokens of game platforms and no login without a page, so there is neither token exchange nor silent login.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.orders import Requests
from bench.seed import HOST
from bench.servers import ServerProcess, free_ports
from bench.systems.base import Cores, Running, Wanted
from bench.systems.environment import Environment
from bench.systems.held import Held, Paths, PeerRequests
from bench.systems.peer_site import write_peer_site
from bench.workloads import Algorithm, Workload

PARTS = Path(__file__).with_suffix("")
PATHS = Paths("/oauth/token", "/oauth/introspect", "/oauth/userinfo", "/oauth/jwks")


class FlaskAuthlib:
    """One gunicorn worker on SQLite."""

    name = "Flask + Authlib"
    durability = "SQLite, WAL, synchronous=FULL"

    _python: Environment
    _directory: Path
    _requests: PeerRequests

    def install(self, cache: Path) -> str:
        """Of `System`."""
        self._python = Environment(cache, PARTS / "requirements.txt")
        self._python.install()
        version = self._python.version
        return (
            f"Authlib {version('authlib')}, Flask {version('flask')}, gunicorn {version('gunicorn')} with gthread;"
            " introspection and userinfo verify JWTs without asking whether they were revoked"
        )

    def prepare(self, directory: Path, wanted: Wanted) -> None:
        """Of `System`."""
        self._directory = directory
        write_peer_site(directory / "site.json")
        counts = [str(count) for count in (wanted.codes, wanted.refresh_tokens, wanted.players)]
        seeded = self._python.run(PARTS / "seed.py", " ".join(counts), self._environment(), directory / "seed.log")
        self._requests = PeerRequests(PATHS, Held.from_json(seeded))

    @contextmanager
    def serve(self, cores: Cores) -> Iterator[Running]:
        """Of `System`."""
        (port,) = free_ports(1)
        command = [self._python.program("gunicorn"), "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
        command += ["--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "75"]
        command += ["server:application"]
        log = self._directory / "gunicorn.log"
        with ServerProcess(command, port, log, cores.server, environment=self._environment()) as server:
            yield Running(server, port, HOST)

    def requests(self, workload: Workload, algorithm: Algorithm, count: int) -> Requests | None:
        """Of `System`."""
        return self._requests(workload, algorithm, count)

    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(PARTS),
            "BENCH_SITE": str(self._directory / "site.json"),
            "BENCH_DATABASE": str(self._directory / "flask.db"),
        }
