"""The real program, killed and started again: what was acknowledged holds, and players stay who they are."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import jwt
import pytest

from authsrv.storage.changes import AddKeys
from authsrv.storage.sqlite.storage import SqliteStorage
from tests.node.packages import DIRECTORY, install
from tests.support import launcher
from tests.support.oauth import stored_keys
from tests.support.serving import Place, emulator_running
from tests.support.storage import migrated_file

LAUNCHER = Path(launcher.__file__)
PROVIDERS = ("steam", "xbox", "epicgames")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The emulator's port and the directory of its keys."""
    keys = tmp_path_factory.mktemp("emulator")
    with emulator_running(keys) as port:
        yield port, keys


@pytest.fixture
def place(emulator: tuple[int, Path], tmp_path: Path) -> Place:
    """A configured server with a migrated database, not yet started."""
    migrated_file(tmp_path)
    return Place(tmp_path, *emulator)


def launch(**order: str) -> dict[str, Any]:
    """Run the launcher as a program that sees no library but Python's own."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def verified(place: Place, token: str, typ: str, audience: str) -> dict[str, Any]:
    """The claims of a token, checked by a library of others with nothing but the published keys."""
    keys = jwt.PyJWKSet.from_dict(launcher.get(launcher.endpoint(place.issuer, "jwks_uri")))
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    claims: dict[str, Any] = jwt.decode(
        token,
        keys[header["kid"]],
        algorithms=["ES256", "RS256"],
        audience=audience,
        issuer=place.issuer,
        options={"require": ["exp", "iat", "sub"], "strict_aud": True},
    )
    return claims


def test_R01_players_log_in_everywhere_and_stay_signed_in_over_a_kill(
    emulator: tuple[int, Path], tmp_path: Path
) -> None:
    place = Place(tmp_path, *emulator)
    assert place.run("migrate").returncode == 0
    with place.serving() as program:
        tokens = {
            provider: launch(
                action="login", issuer=place.issuer, emulator=place.emulator, provider=provider, player="amber"
            )
            for provider in PROVIDERS
        }
        before = {
            provider: verified(place, each["access_token"], "at+jwt", place.issuer) for provider, each in tokens.items()
        }
        for provider, each in tokens.items():
            assert verified(place, each["id_token"], "JWT", "launcher")["sub"] == before[provider]["sub"]
        assert len({claims["sub"] for claims in before.values()}) == 3
        program.kill()
    with place.serving():
        for provider, each in tokens.items():
            verified(place, each["access_token"], "at+jwt", place.issuer)
            refreshed = launch(action="refresh", issuer=place.issuer, refresh_token=each["refresh_token"])
            after = verified(place, refreshed["access_token"], "at+jwt", place.issuer)
            assert (after["sub"], after["gid"]) == (before[provider]["sub"], before[provider]["gid"])
            again = launcher.login(place.issuer, place.emulator, provider, "amber")
            assert verified(place, again["access_token"], "at+jwt", place.issuer)["sub"] == before[provider]["sub"]


@dataclass
class Session:
    """A player's launcher: the last refresh token that was acknowledged, and how many refreshes were."""

    sub: str
    refresh_token: str
    refreshes: int = 0
    faults: list[str] = field(default_factory=list)

    def keep_refreshing(self, place: Place, busy: threading.Semaphore) -> None:
        """Until the server is gone. Only a broken connection may end it."""
        while True:
            try:
                answer = launcher.refresh(place.issuer, self.refresh_token)
            except (URLError, HTTPException, ConnectionError, TimeoutError):
                return
            except launcher.Refused as refused:
                self.faults.append(str(refused))
                return
            finally:
                busy.release()
            self.refresh_token = answer["refresh_token"]
            self.refreshes += 1


def sub_of(tokens: dict[str, Any]) -> str:
    return str(jwt.decode(tokens["access_token"], options={"verify_signature": False})["sub"])


def test_R01_what_was_acknowledged_before_a_kill_under_load_works_after_it(place: Place) -> None:
    sessions: list[Session] = []
    for refreshes_before_the_kill in (20, 45, 70):
        with place.serving() as program:
            for session in sessions:  # what the last kill may have cut off is asked for once more
                answer = launcher.refresh(place.issuer, session.refresh_token)
                session.refresh_token = answer["refresh_token"]
                assert sub_of(answer) == session.sub
            for player in ("amber", "birch"):
                for provider in PROVIDERS[:2]:
                    tokens = launcher.login(place.issuer, place.emulator, provider, player)
                    sessions.append(Session(sub_of(tokens), tokens["refresh_token"]))
            kill_under_load(place, program.kill, sessions, refreshes_before_the_kill)
        assert [session.faults for session in sessions if session.faults] == []
        assert integrity(place.database) == "ok"
    with place.serving():
        for session in sessions:
            assert sub_of(launcher.refresh(place.issuer, session.refresh_token)) == session.sub
    assert len({session.sub for session in sessions}) == 4


def kill_under_load(place: Place, kill: Any, sessions: list[Session], after: int) -> None:
    """Let every session refresh without pause, and kill the server in the middle of it."""
    busy = threading.Semaphore(0)
    with ThreadPoolExecutor(len(sessions)) as pool:
        futures = [pool.submit(session.keep_refreshing, place, busy) for session in sessions]
        for _ in range(after):
            assert busy.acquire(timeout=60)
        kill()
        for future in futures:
            future.result(timeout=60)
    assert sum(session.refreshes for session in sessions) > 0


def integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        (found,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    return str(found)


def test_R20_sigterm_lets_requests_in_flight_finish(place: Place) -> None:
    with place.serving() as program:
        tokens = launcher.login(place.issuer, place.emulator, "xbox", "amber")
        body = f"grant_type=refresh_token&client_id=launcher&refresh_token={tokens['refresh_token']}".encode()
        head = (
            f"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:{place.port}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", place.port), timeout=30) as connection:
            connection.sendall(head.encode())
            assert connection.recv(64).startswith(b"HTTP/1.1 100 ")  # the request is being served
            program.signal(signal.SIGTERM)
            connection.sendall(body)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 ")
        acknowledged = json.loads(answer.partition(b"\r\n\r\n")[2])["refresh_token"]
        assert program.ended() == 0
        assert '"event": "server.stopped"' in program.output
    assert not place.database.with_name("authsrv.db-wal").exists()
    with place.serving():
        assert sub_of(launcher.refresh(place.issuer, acknowledged)) == sub_of(tokens)


def test_a_second_server_on_the_same_database_is_refused_and_says_why(place: Place) -> None:
    with place.serving():
        second = place.start()
        assert second.ended() == 3
        assert "another authsrv process uses" in second.output
        assert "stop it first" in second.output
        assert "access_token" in launcher.login(place.issuer, place.emulator, "steam", "amber")


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [({}, "set keys.passphrase"), ({"passphrase": "w" * 32}, "keys.passphrase is not the one")],
    ids=["missing", "wrong"],
)
async def test_G03_a_passphrase_that_is_missing_or_wrong_ends_the_start_and_says_so(
    place: Place, keys: dict[str, str], remedy: str
) -> None:
    passphrase = "a-passphrase-of-32-characters-0123"
    storage = SqliteStorage(place.database)
    await storage.open()
    await storage.apply([AddKeys(stored_keys(passphrase))])
    await storage.close()
    place.write({**place.block, "keys": keys})
    refused = place.start()
    assert refused.ended() == 3
    assert remedy in refused.output
    assert "Traceback" not in refused.output
    assert passphrase not in refused.output


def test_a_database_that_was_not_migrated_is_refused_and_says_what_to_do(place: Place) -> None:
    place.database.unlink()
    refused = place.start()
    assert refused.ended() == 3
    assert "authsrv migrate" in refused.output
    assert "Traceback" not in refused.output


def test_H07_a_reload_takes_a_good_file_at_once_and_keeps_serving_through_a_bad_one(place: Place) -> None:
    project = place.block["projects"]["demo"]
    others = {client_id: block for client_id, block in project["clients"].items() if client_id != "launcher"}
    others["backend"] = {name: value for name, value in others["backend"].items() if name != "exchange_from"}
    with place.serving() as program:
        tokens = launcher.login(place.issuer, place.emulator, "steam", "amber")
        place.config.write_text("issuer = [")
        program.signal(signal.SIGHUP)
        program.wait_for("reload failed; the running configuration stays")
        tokens = launcher.refresh(place.issuer, tokens["refresh_token"])
        place.write({**place.block, "projects": {"demo": {**project, "clients": others}}})
        program.signal(signal.SIGHUP)
        program.wait_for('"event": "config.reloaded"')
        with pytest.raises(launcher.Refused) as refused:
            launcher.refresh(place.issuer, tokens["refresh_token"])
        assert (refused.value.status, refused.value.answer["error"]) == (401, "invalid_client")
        place.write(place.block)
        assert place.run("reload").returncode == 0
        assert sub_of(launcher.refresh(place.issuer, tokens["refresh_token"])) == sub_of(tokens)


def test_the_launcher_uses_nothing_of_authsrv() -> None:
    source = LAUNCHER.read_text(encoding="utf-8")
    assert "import authsrv" not in source
    assert "from authsrv" not in source
    assert "from tests" not in source


@pytest.fixture(scope="module")
def verifier() -> Path:
    """The directory of the JavaScript verifier with its pinned library installed."""
    install()
    return DIRECTORY


@pytest.mark.node
def test_a_javascript_service_verifies_our_tokens_with_a_library_of_its_own(place: Place, verifier: Path) -> None:
    with place.serving():
        tokens = launcher.login(place.issuer, place.emulator, "steam", "amber")
        forged = tokens["access_token"][:-8] + "AAAAAAAA"
        order = {"issuer": place.issuer, "tokens": {**tokens, "forged": forged}}
        done = subprocess.run(
            [shutil.which("node") or "node", "verify.mjs"],
            cwd=verifier,
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["access"]["sub"] == answer["id"]["sub"] == sub_of(tokens)
    assert answer["access"]["client_id"] == "launcher"
    assert answer["refused"] == ["ERR_JWS_SIGNATURE_VERIFICATION_FAILED", "ERR_JWT_CLAIM_VALIDATION_FAILED"]
