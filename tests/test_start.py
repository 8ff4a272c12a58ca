"""What a start loads and what waits until it is needed. No clock is asked, so that a busy machine changes nothing."""

import json
import subprocess
import sys

import pytest

from tests.support.processes import free_port
from tests.support.xbox import Xbox

CONFIG = """
issuer = "https://login.studio.example"
[server]
port = {port}
drain_seconds = 0
[database]
url = "sqlite:///{directory}/authsrv.db"
[projects.skyforge.clients.launcher]
native = true
redirect_uris = ["http://127.0.0.1/callback"]
"""
ELSEWHERE = (
    "alembic",
    "authsrv.cli",
    "authsrv.commands.players",
    "authsrv.demo",
    "authsrv.emulator.app",
    "authsrv.storage.memory.storage",
    "authsrv.storage.migrate",
    "authsrv.storage.postgres.storage",
    "httpx",
    "psycopg",
    "sqlalchemy",
    "typer",
)
"""What a server on SQLite has no use for."""
LATER = {
    "babel": "a page",
    "httpcore": "a call to a platform",
    "jinja2": "a page",
    "joserfc": "an Xbox token",
    "limits": "a store of counts",
    "prometheus_client": "a scrape",
    "segno": "a page with a code to scan",
}
"""What a server loads when it first needs it, and what for."""
SERVE = """
import json, os, signal, socket, sys, threading, time
PORT = int(sys.argv[2])
DISCOVERY = b"GET /.well-known/openid-configuration HTTP/1.1\\r\\nHost: login.studio.example\\r\\n\\r\\n"

def answered():
    try:
        with socket.create_connection(("127.0.0.1", PORT)) as connection:
            connection.sendall(DISCOVERY)
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False

def look():
    while not answered():
        time.sleep(0.01)
    print(json.dumps(sorted(sys.modules)), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look, daemon=True).start()
from authsrv.__main__ import main
sys.argv[1:] = ["serve", "--config", sys.argv[1]]
main()
"""
CALL = "import json, sys, authsrv.outbound.connections; print(json.dumps(sorted(sys.modules)))"


def modules_of(program: str, *arguments: str) -> frozenset[str]:
    """What the program prints: the names of the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=120
    )
    return frozenset(json.loads(done.stdout))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The modules of a server that has answered its first request."""
    directory, port = tmp_path_factory.mktemp("start"), free_port()
    config = directory / "authsrv.toml"
    config.write_text(CONFIG.format(directory=directory, port=port))
    subprocess.run([sys.executable, "-m", "authsrv", "migrate", "--config", str(config)], check=True, timeout=120)
    return modules_of(SERVE, str(config), str(port))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", ELSEWHERE)
def test_a_server_never_loads_what_others_are_for(loaded: frozenset[str], module: str) -> None:
    assert "authsrv.storage.sqlite.storage" in loaded
    assert module not in loaded


@pytest.mark.parametrize("module", LATER)
def test_the_first_answer_does_not_wait_for_what_it_does_without(loaded: frozenset[str], module: str) -> None:
    assert module not in loaded


def test_a_call_to_a_platform_loads_no_client() -> None:
    """httpx is for those who verify tokens; its command line takes rich along, which is there beside typer."""
    loaded = modules_of(CALL)
    assert "httpcore" in loaded
    assert {"httpx", "rich", "pygments", "click"} & loaded == frozenset()


async def test_what_opens_an_xbox_token_is_there_before_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a moment to load, and no player is to wait for that."""
    monkeypatch.delitem(sys.modules, "authsrv.platforms.xbox.envelope", raising=False)
    platform = Xbox().platform
    await platform.start()
    try:
        assert "authsrv.platforms.xbox.envelope" in sys.modules
    finally:
        await platform.stop()
