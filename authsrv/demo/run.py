"""Runs the demo: prepares its directory, keeps the emulator running beside the server, and says what to try.

Owns processes and files of the demo. The server itself is handed in.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from authsrv.config import Config
from authsrv.demo import configuration, curl, players
from authsrv.demo.logins import fresh_logins, guest_commands
from authsrv.demo.pkce import Pkce
from authsrv.emulator import client, host, server
from authsrv.storage.base import StorageError

START_SECONDS = 20.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.05
LAST_PORT = 65535


class DemoError(Exception):
    """The demo cannot start; the text says why and what to do."""


def prepare(port: int, emulator_port: int, state: Path) -> Path:
    """Make the state directory, the emulator's keys and the configuration file; return the file's path.

    Raises `DemoError`.
    """
    if port == emulator_port:
        raise DemoError("PORT and EMULATOR_PORT are the same; choose two ports")
    _require_free(port, emulator_port)
    try:
        return _write(port, emulator_port, state)
    except (OSError, host.UnreadableKeys) as error:
        raise DemoError(str(error)) from error


def _require_free(port: int, emulator_port: int) -> None:
    try:
        for each in (port, emulator_port):
            server.listen("127.0.0.1", each).close()
    except server.PortTaken as error:
        raise DemoError(f"{error}; choose another port: {_advice(port, emulator_port)}") from error


def _advice(port: int, emulator_port: int) -> str:
    """The command with both ports, so that one advice is enough whichever of them is taken."""
    free = _free_from(port, emulator_port)
    return f"make run PORT={free} EMULATOR_PORT={_free_from(emulator_port, free)}"


def _free_from(port: int, other: int) -> int:
    candidates = chain(range(port, LAST_PORT + 1), range(configuration.USUAL_PORT, port))
    return next(one for one in candidates if one != other and server.is_free("127.0.0.1", one))


def _write(port: int, emulator_port: int, state: Path) -> Path:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.chmod(0o700)
    emulators = host.load_or_generate(keys_directory(state))
    base_url = f"http://127.0.0.1:{emulator_port}"
    platforms = host.platform_settings(emulators, base_url)
    services = host.service_settings(host.services(), base_url)
    config = state / "authsrv.toml"
    host.write_private(config, configuration.text(port, state, platforms, services))
    host.write_private(state / client.STATE_FILE.name, json.dumps({"port": port, "emulator_port": emulator_port}))
    return config


def seed(config: Config) -> None:
    """Put the demo's known player into its migrated database. Raises `DemoError`."""
    try:
        players.seed(config)
    except StorageError as error:
        raise DemoError(str(error)) from error


def keys_directory(state: Path) -> Path:
    """Where the emulator's keys are kept."""
    return state / "emulator"


@contextmanager
def emulator_running(port: int, state: Path) -> Iterator[None]:
    """The emulator as a child process, for as long as the block runs.

    The child leaves the terminal's signals to us and ends when its standard input does, so that it never outlives this
    process, however that ends. Raises `DemoError` when it does not start.
    """
    arguments = ["emulator", "run", "--port", str(port), "--keys", str(keys_directory(state)), "--until-stdin-closes"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "authsrv", *arguments], stdin=subprocess.PIPE, start_new_session=True
    ) as child:
        try:
            _await_health(child, port)
            os.environ["EMULATOR_PORT"] = str(port)
            yield
        finally:
            _end(child)


def _await_health(child: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not client.healthy(port):
        if child.poll() is not None or time.monotonic() > deadline:
            raise DemoError("the emulator did not start; what it said stands above")
        time.sleep(POLL_SECONDS)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def announcer(issuer: str, emulator_port: int, say: Callable[[str], None]) -> Callable[[str, int], None]:
    """What to call once the server listens: says what to try, from a thread of its own."""

    def announce() -> None:
        try:
            say(announcement(issuer, emulator_port))
        except client.EmulatorError as error:
            say(f"authsrv: {error}")

    return lambda _host, _port: threading.Thread(target=announce, daemon=True).start()


def announcement(issuer: str, emulator_port: int) -> str:
    """What the terminal shows: where everything is, and commands to paste. Raises `EmulatorError`."""
    pkce = Pkce.fresh()
    logins = fresh_logins(issuer, emulator_port, pkce)
    secret, guest_login = guest_commands(issuer, pkce)
    parts = [
        f"\nThe authsrv demo runs; Ctrl-C stops it. Sign in with a browser at {issuer}/demo",
        *(f"Log in with {login.door.title}, as a game launcher does:\n\n{login.command}" for login in logins),
        f"Exchange the code of login_url for tokens:\n\n{curl.exchange(issuer, pkce)}",
        f"Without a platform, as a guest: the device asks once for a secret,\n\n{secret}",
        f"keeps it, and logs in with it whenever it likes:\n\n{guest_login}",
        "A platform's credential works once and expires soon. Another one:\n\n" + "\n".join(map(curl.mint, curl.DOORS)),
        f"Page: {issuer}/demo",
    ]
    return "\n\n".join(parts) + "\n"
