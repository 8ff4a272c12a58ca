"""`authsrv clients`: a secret is shown once with what lets it in, and changed without a gap."""

import http.client
import re
import threading
import tomllib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from authsrv.cli import app
from authsrv.config import load
from authsrv.config.new_secret import entry_for
from tests.support.configuration import CLIENT, CONFIDENTIAL, WEB, set_environment, written
from tests.support.processes import free_port
from tests.support.serving import Place

RUN = CliRunner()
HASH = "f118048cfc1bd4dc9dba552464b77c512bb1f1138140662ec8bdddc316d85dee"
TOLD = re.compile(
    r"Put this into (?P<file>\S+), "
    r"(?:below \[(?P<table>.+)\], line (?P<below>\d+)|in place of the setting in line (?P<instead>\d+)):"
    r"\n\n(?P<toml>.+?)\n\nThen:\n",
    re.DOTALL,
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)


def new_secret(path: Path, client_id: str = "web", *arguments: str) -> Result:
    return RUN.invoke(app, ["clients", "secret", "new", client_id, "--config", str(path), *arguments])


def follow(path: Path, told: str) -> None:
    """Do with the file what the command said."""
    found = TOLD.search(told)
    assert found, told
    assert Path(found["file"]) == path
    lines = path.read_text().splitlines()
    if found["below"]:
        assert lines[int(found["below"]) - 1] == f"[{found['table']}]"
        lines.insert(int(found["below"]), found["toml"])
    else:
        assert lines[int(found["instead"]) - 1].startswith("secret_hashes = [")
        lines[int(found["instead"]) - 1] = found["toml"]
    path.write_text("\n".join(lines) + "\n")


def secrets_of(path: Path, client_id: str = "web") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(path.read_text())["projects"]["p"]["clients"][client_id][
        "secret_hashes"
    ]
    return found


READY = [
    pytest.param(CONFIDENTIAL, "web", id="one in the environment"),
    pytest.param(CONFIDENTIAL + "type = 'confidential'\n", "web", id="confidential as written"),
    pytest.param(WEB + "type = 'confidential'\n", "web", id="confidential without any"),
    pytest.param(CLIENT + "type = 'server'\n", "web", id="server without any"),
    pytest.param(WEB + f"secret_hashes = [{{ sha256 = '{HASH}' }}]\n", "web", id="one by its hash"),
    pytest.param(WEB + "type = 'confidential'\nsecret_hashes = []\n", "web", id="an empty list"),
    pytest.param(
        WEB + f"secret_hashes = [{{ sha256 = '{HASH}', expires = 2001-01-01 }}]\n", "web", id="one that has expired"
    ),
    pytest.param(
        CLIENT.replace("clients.web", 'clients."a.b"') + "type = 'server'\n", "a.b", id="an id that needs quotes"
    ),
]


@pytest.mark.parametrize(("text", "client_id"), READY)
def test_what_the_command_says_makes_the_file_sound_and_lets_the_secret_in(
    tmp_path: Path, text: str, client_id: str
) -> None:
    path = written(tmp_path, text)
    done = new_secret(path, client_id)
    assert (done.exit_code, path.read_text()) == (0, text)
    secret = done.stdout.removesuffix("\n")
    assert re.fullmatch(r"ass_[A-Za-z0-9_-]{43}", secret)
    assert secret not in done.stderr
    follow(path, done.stderr)
    assert sha256(secret.encode()).digest() in [each.digest for each in load(path).clients()[client_id].secrets]


def test_a_new_secret_is_added_to_those_that_are_there(tmp_path: Path) -> None:
    path = written(tmp_path, WEB + f"secret_hashes = [{{ sha256 = '{HASH}', expires = 2027-03-01 }}] # keep\n")
    for count in (2, 3):
        done = new_secret(path)
        found = TOLD.search(done.stderr)
        assert found
        text = path.read_text()
        start = text.index("secret_hashes")
        path.write_text(text[:start] + found["toml"] + "\n")
        assert len(secrets_of(path)) == count
    assert secrets_of(path)[0] == {"sha256": HASH, "expires": tomllib.loads("a = 2027-03-01")["a"]}


@pytest.mark.parametrize(("lifetime", "seconds"), [("90d", 90 * 86400), ("12h", 43200), ("1h", 3600)])
def test_a_lifetime_becomes_the_end_of_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lifetime: str, seconds: int
) -> None:
    monkeypatch.setattr("authsrv.commands.clients.time.time", lambda: 1_800_000_000.7)
    path = written(tmp_path, CONFIDENTIAL)
    follow(path, new_secret(path, "web", "--expires-in", lifetime).stderr)
    assert secrets_of(path)[0]["expires"].timestamp() == 1_800_000_000 + seconds


@pytest.mark.parametrize("lifetime", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "90D", "3m", "123456d", "٣d"])
def test_a_lifetime_that_is_none_is_refused_with_what_to_write(tmp_path: Path, lifetime: str) -> None:
    done = new_secret(written(tmp_path, CONFIDENTIAL), "web", f"--expires-in={lifetime}")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "write a number of days or hours: 90d, 12h" in done.stderr


SEVEN = "secret_hashes = [" + ", ".join(f"{{ sha256 = '{number:064x}' }}" for number in range(7)) + "]\n"
REFUSED = [
    pytest.param(WEB, "web", 'is a public client, and has no secret: .* write type = "confidential"', id="public"),
    pytest.param(WEB + "type = 'public'\n", "web", "is a public client", id="public as written"),
    pytest.param(WEB + "secret_hashes = []\n", "web", "is a public client", id="public with an empty list"),
    pytest.param(CONFIDENTIAL, "wep", "has no client wep; did you mean web?", id="misspelt"),
    pytest.param(CONFIDENTIAL, "launcher", "has no client launcher; it has: web", id="unknown"),
    pytest.param(CONFIDENTIAL, "", "has no client ; it has: web", id="empty id"),
    pytest.param(CONFIDENTIAL, "c_abc", "a client that registered itself changes its secret by itself", id="run time"),
    pytest.param("projects = 5", "web", "has no client web; it has: none", id="no projects"),
    pytest.param("projects.p = []", "web", "has no client web; it has: none", id="no project"),
    pytest.param("projects.p.clients = 'web'", "web", "has no client web; it has: none", id="no clients"),
    pytest.param("projects = [", "web", "this is not TOML", id="no TOML"),
    pytest.param(CONFIDENTIAL + "secret_hashes = 5\n", "web", "this is not a list", id="no list"),
    pytest.param(CONFIDENTIAL + "secret_hashes = ['x']\n", "web", "this is not a table", id="no table"),
    pytest.param(CONFIDENTIAL + "secret_hashes = [{ sha256 = 'x' }]\n", "web", "this is no SHA-256", id="no hash"),
    pytest.param(CONFIDENTIAL + "scopes = ['sub']\n", "web", "sub is the name of a claim", id="mistake in the table"),
    pytest.param(
        WEB + "secret = { env = 'NOT_SET' }\n", "web", "the environment variable NOT_SET", id="secret not there"
    ),
    pytest.param(CONFIDENTIAL + SEVEN, "web", "the client has more than 8 secrets", id="a ninth"),
]


@pytest.mark.parametrize(("text", "client_id", "told"), REFUSED)
def test_where_no_secret_can_be_let_in_none_is_shown(tmp_path: Path, text: str, client_id: str, told: str) -> None:
    path = written(tmp_path, text)
    done = new_secret(path, client_id)
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.search(told, done.stderr)
    assert "ass_" not in done.stderr
    assert "Traceback" not in done.output
    assert path.read_text() == text


def test_a_mistake_elsewhere_is_told_and_in_nobodys_way(tmp_path: Path) -> None:
    text = WEB + "type = 'confidential'\n[projects.p.clients.next]\ntype = 'server'\n[log]\nlevel = 'loud'\n"
    done = new_secret(written(tmp_path, text))
    assert done.exit_code == 0
    assert "1. mend what else is wrong in the file: authsrv check finds 2\n" in done.stderr


def test_the_first_secret_ends_no_other(tmp_path: Path) -> None:
    first = new_secret(written(tmp_path, WEB + "type = 'confidential'\n")).stderr
    later = new_secret(written(tmp_path, CONFIDENTIAL)).stderr
    assert ("end the old secret" in first, "end the old secret" in later) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "named"), [((), ""), (("--config", "./authsrv.toml"), ""), (("-c", "a.toml"), " --config a.toml")]
)
def test_the_next_command_names_the_file_where_it_is_not_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, CONFIDENTIAL)
    (tmp_path / "a.toml").write_text(CONFIDENTIAL)
    done = RUN.invoke(app, ["clients", "secret", "new", "web", *arguments])
    assert f"\n1. authsrv reload{named}: from then on the client is let in" in done.stderr


def test_a_secret_is_new_each_time(tmp_path: Path) -> None:
    path = written(tmp_path, CONFIDENTIAL)
    assert len({new_secret(path).stdout for _ in range(5)}) == 5


def test_an_entry_keeps_nothing_but_the_hash(tmp_path: Path) -> None:
    entry = entry_for(written(tmp_path, CONFIDENTIAL), "web", "ass_canary", 1_803_859_200, 1_800_000_000)
    assert "canary" not in repr(entry)
    assert entry.toml == f'secret_hashes = [{{ sha256 = "{sha256(b"ass_canary").hexdigest()}", expires = 2027-03-01 }}]'


# A rotation, with the real program


class Backend:
    """A game server that asks for tokens again and again, with the secret that it was given last."""

    def __init__(self, port: int, secret: str) -> None:
        self.secret = secret
        self._port = port
        self._answers: list[int] = []
        self._news = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._over.wait(0.01):
            status = ask(self._port, self.secret)
            with self._news:
                self._answers.append(status)
                self._news.notify_all()

    def has_been_answered(self, times: int = 5) -> None:
        """Wait for so many answers from now on."""
        with self._news:
            enough = len(self._answers) + times
            assert self._news.wait_for(lambda: len(self._answers) >= enough, 60)

    @contextmanager
    def working(self) -> Iterator[None]:
        """From here to the end of the block; every answer must be a token."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(60)
        assert set(self._answers) == {200}


def ask(port: int, secret: str) -> int:
    """How the server answers the game server with this secret."""
    proof = b64encode(f"backend:{secret}".encode()).decode()
    headers = {"authorization": f"Basic {proof}", "content-type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/oauth2/token", "grant_type=client_credentials", headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture
def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A server whose game server has no secret yet."""
    place = Place(tmp_path, free_port(), tmp_path_factory.mktemp("emulator"))
    place.block["projects"]["demo"]["clients"]["backend"].pop("secret")
    place.write(place.block)
    return place


def made(place: Place, *arguments: str) -> str:
    """A new secret for the game server, let in as the command says."""
    done = place.run("clients", "secret", "new", "backend", *arguments)
    assert done.returncode == 0, done.stderr
    follow(place.config, done.stderr)
    return done.stdout.removesuffix("\n")


def reload(place: Place) -> str:
    done = place.run("reload")
    assert done.returncode == 0, done.stderr
    return done.stdout


def edited(place: Place, change: Callable[[str], str]) -> None:
    before = place.config.read_text()
    place.config.write_text(change(before))
    assert place.config.read_text() != before


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_secret_is_changed_without_a_gap_and_stands_nowhere(place: Place) -> None:
    old = made(place)
    assert place.run("migrate").returncode == 0
    with place.serving() as program:
        backend = Backend(place.port, old)
        with backend.working():
            backend.has_been_answered()
            new = made(place, "--expires-in", "90d")
            assert ask(place.port, new) == 401
            reload(place)
            assert (ask(place.port, old), ask(place.port, new)) == (200, 200)
            backend.has_been_answered()
            backend.secret = new
            backend.has_been_answered()
            end_of_old = sha256(old.encode()).hexdigest() + '", expires = 2026-01-01'
            edited(place, lambda text: text.replace(sha256(old.encode()).hexdigest() + '"', end_of_old))
            assert "this secret expired on 2026-01-01\n  remedy:  remove it" in reload(place)
            assert (ask(place.port, old), ask(place.port, new)) == (401, 200)
            backend.has_been_answered()
        program.wait_for('"detail": "the secret has expired"')
    kept = [path.read_bytes() for path in place.directory.rglob("*") if path.is_file()]
    assert kept
    for secret in (old.encode(), new.encode()):
        assert not any(secret in each for each in (*kept, program.output.encode()))
