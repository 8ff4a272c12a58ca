"""The command line: quick help, exit statuses, and texts that say what to do."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from authsrv import __version__
from authsrv.cli import app
from authsrv.emulator import client
from tests.support.processes import free_port, listens, running

RUN = CliRunner()
COMMANDS = (
    ["serve"],
    ["check"],
    ["migrate"],
    ["backup"],
    ["restore"],
    ["restored"],
    ["reload"],
    ["demo"],
    ["keys"],
    ["keys", "list"],
    ["keys", "rotate"],
    ["keys", "revoke"],
    ["players"],
    ["players", "find"],
    ["players", "show"],
    ["players", "ban"],
    ["players", "unban"],
    ["players", "restrict"],
    ["players", "link"],
    ["players", "unlink"],
    ["players", "transfer"],
    ["players", "merge"],
    ["players", "undo"],
    ["players", "export"],
    ["players", "erase"],
    ["clients"],
    ["clients", "secret"],
    ["clients", "secret", "new"],
    ["emulator"],
    ["emulator", "run"],
    ["emulator", "ticket"],
    ["emulator", "case"],
    ["emulator", "fault"],
    ["emulator", "settings"],
)
ENDED = re.compile(
    r"[a-z0-9-]+ +(?:accepted|cancelled|misconfiguration|unavailable|nothing|foreign_state|"
    r"(?:account|age|credential|signature)_[a-z_]+)(?: [^:]+)?: \S"
)
"""A case of the emulator with what a login with it ends in, and then what it is."""
HEAVY = ("authlib", "cryptography", "httpx", "pydantic", "rich", "sqlalchemy", "starlette", "uvicorn")
GOOD = """
issuer = "https://login.studio.example"
[database]
url = "sqlite:///{directory}/authsrv.db"
[projects.skyforge.clients.launcher]
native = true
redirect_uris = ["http://127.0.0.1/callback"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "authsrv.toml"
    path.write_text(GOOD.format(directory=tmp_path))
    return path


@pytest.fixture(scope="session")
def emulator_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An emulator as a process of its own."""
    port = free_port()
    keys = tmp_path_factory.mktemp("emulator")
    with running("emulator", "run", "--port", str(port), "--keys", str(keys), "--until-stdin-closes") as process:
        while not client.healthy(port):
            assert process.poll() is None, "the emulator ended"
        yield port


@pytest.fixture
def emulator(emulator_port: int, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("EMULATOR_PORT", str(emulator_port))
    return emulator_port


def test_help_loads_nothing_that_takes_time() -> None:
    code = f"import sys, authsrv.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["--nothing"], ["--config"]], ids=" ".join)
def test_serve_speaks_as_it_does_among_the_other_commands(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "authsrv", "serve", *arguments]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    among = RUN.invoke(app, ["serve", *arguments], prog_name="authsrv")
    assert (alone.returncode, alone.stdout, alone.stderr) == (among.exit_code, among.stdout, among.stderr)


def test_the_program_tells_its_version() -> None:
    code = (
        "import sys, authsrv.cli\n"
        "try: authsrv.cli.app(['--version'])\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"authsrv {__version__}\n[]\n", "")


def test_the_program_lists_its_commands() -> None:
    listed = RUN.invoke(app, ["--help"]).output
    assert [line.split()[0] for line in listed.partition("Commands:\n")[2].splitlines()] == [
        "serve",
        "check",
        "migrate",
        "migrate-data",
        "backup",
        "restore",
        "restored",
        "reload",
        "nodes",
        "demo",
        "keys",
        "clients",
        "tokens",
        "players",
        "privacy",
        "emulator",
    ]
    assert "..." not in listed.partition("Commands:\n")[2]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    done = RUN.invoke(app, [*command, "--help"])
    assert done.exit_code == 0
    assert done.output.startswith(f"Usage: root {' '.join(command)}")


def test_check_accepts_a_sound_file(config: Path) -> None:
    done = RUN.invoke(app, ["check", "--config", str(config)])
    assert (done.exit_code, done.output.splitlines()[-1][:11]) == (0, "no problems")


def test_check_reports_every_mistake_and_fails(config: Path) -> None:
    config.write_text(config.read_text().replace("native = true", 'native = "yes"\nnative_apps = true'))
    done = RUN.invoke(app, ["check", "--config", str(config)])
    assert done.exit_code == 1
    assert "launcher.native\n" in done.output
    assert "launcher.native_apps\n" in done.output


def test_check_tells_how_each_client_stands_against_the_profiles(config: Path) -> None:
    told = RUN.invoke(app, ["check", "--conformance", "--config", str(config)])
    assert told.exit_code == 0
    assert "\n  OAuth 2.1: conforms\n  FAPI 2.0:  no; " in told.output


def test_check_prints_the_json_schema() -> None:
    done = RUN.invoke(app, ["check", "--schema"])
    assert json.loads(done.output)["title"] == "authsrv.toml"


@pytest.mark.parametrize("named", ["none.toml", "none/authsrv.toml", "directory.toml"])
@pytest.mark.parametrize(
    "command",
    ["serve", "check", "migrate", "reload", "nodes", "privacy report", "keys list", "tokens revoke --client web"],
)
def test_a_configuration_that_cannot_be_used_ends_the_command_with_its_mistakes(
    command: str, named: str, tmp_path: Path
) -> None:
    (tmp_path / "directory.toml").mkdir()
    done = RUN.invoke(app, [*command.split(), "--config", str(tmp_path / named)])
    assert done.exit_code == 1
    assert f"{Path(named).name}\n  problem: the file cannot be read" in done.output


@pytest.mark.parametrize("named", ["", "--player a --client b", "--client b --project c", "--player="])
def test_tokens_are_revoked_of_one_alone(named: str, config: Path) -> None:
    done = RUN.invoke(app, ["tokens", "revoke", *named.split(), "--config", str(config)])
    assert done.exit_code == 2
    assert "name one: --player, --client or --project" in done.output


def test_migrate_prepares_the_database_and_may_be_repeated(config: Path) -> None:
    for _ in range(2):
        done = RUN.invoke(app, ["migrate", "--config", str(config)])
        assert (done.exit_code, done.output) == (0, "The database has the schema of this version.\n")
    assert (config.parent / "authsrv.db").stat().st_mode & 0o077 == 0


def test_migrate_says_what_is_wrong_with_a_foreign_file(config: Path) -> None:
    (config.parent / "authsrv.db").write_text("not a database at all, but a text of some length " * 20)
    done = RUN.invoke(app, ["migrate", "--config", str(config)])
    assert done.exit_code == 1
    assert done.stderr.startswith("authsrv: ")
    assert "Traceback" not in done.output


@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", ["serve", "migrate", "keys list"])
def test_without_the_driver_of_the_database_the_command_says_what_to_install(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (
        "psycopg",
        "psycopg_pool",
        "authsrv.storage.postgres.storage",
        "authsrv.storage.postgres.connection",
    ):
        monkeypatch.setitem(sys.modules, module, None)
    config = tmp_path / "authsrv.toml"
    config.write_text(GOOD.replace("sqlite:///{directory}/authsrv.db", "postgresql://localhost/authsrv"))
    done = RUN.invoke(app, [*command.split(), "--config", str(config)])
    assert done.exit_code != 0
    assert "pip install 'authsrv[postgres]'" in done.stderr


def test_a_server_migrates_serves_reloads_and_stops(config: Path) -> None:
    port = free_port()
    config.write_text(f"{config.read_text()}\n[server]\nport = {port}\ndrain_seconds = 0\n")
    with running("serve", "--migrate", "--config", str(config)) as process:
        while not listens(port):
            assert process.poll() is None, "the server ended"
        assert _get(port, "/health/ready") == 200
        sound = config.read_text()
        config.write_text(sound + "[projects.skyforge.clients.shop]\n")
        broken = RUN.invoke(app, ["reload", "--config", str(config)])
        assert (broken.exit_code, broken.output.count("problem:")) == (1, 1)
        config.write_text(sound.replace("drain_seconds = 0", "drain_seconds = 1"))
        refused = RUN.invoke(app, ["reload", "--config", str(config)])
        assert (refused.exit_code, "change only by a restart: server" in refused.output) == (1, True)
        config.write_text(sound + "[projects.skyforge.clients.shop]\nredirect_uris = ['https://shop.example/back']\n")
        accepted = RUN.invoke(app, ["reload", "--config", str(config)])
        assert (accepted.exit_code, accepted.output.splitlines()[-1]) == (
            0,
            "The server has taken over the configuration.",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    gone = RUN.invoke(app, ["reload", "--config", str(config)])
    assert (gone.exit_code, "start one with authsrv serve" in gone.output) == (1, True)


@pytest.mark.parametrize(
    "command", [["ticket", "steam"], ["fault", "steam", "--mode", "down"], ["case", "playfab", "good"]], ids=" ".join
)
def test_without_an_emulator_the_command_says_how_to_start_one(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("EMULATOR_PORT", str(port))
    done = RUN.invoke(app, ["emulator", *command])
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"no emulator answers at 127.0.0.1:{port}; start the demo with `make run`" in done.stderr


@pytest.mark.parametrize("platform", ["steam", "xbox", "epic"])
@pytest.mark.usefixtures("emulator")
def test_a_ticket_is_one_line_and_nothing_else(platform: str) -> None:
    done = RUN.invoke(app, ["emulator", "ticket", platform, "--player", "birch"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("\n")
    assert len(done.stdout.splitlines()) == 1
    assert len(done.stdout) > 30


@pytest.mark.usefixtures("emulator")
def test_epic_has_the_name_of_the_servers_addresses_too() -> None:
    cases = [RUN.invoke(app, ["emulator", "ticket", name, "--case", "list"]).stdout for name in ("epic", "epicgames")]
    assert cases[0] == cases[1] != ""


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (["ticket", "psn"], "steam, xbox, epic"),
        (["fault", "psn", "--mode", "down"], "steam, xbox, epic, playfab"),
        (["fault", "steam", "--mode", "up"], "down, slow, garbage, throttle, none"),
        (["case", "steam", "good"], "playfab"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(arguments: list[str], choices: str) -> None:
    done = RUN.invoke(app, ["emulator", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f": choose one of: {choices}\n" in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize("platform", ["steam", "xbox", "epic"])
@pytest.mark.usefixtures("emulator")
def test_json_adds_how_a_ticket_is_sent(platform: str) -> None:
    minted = json.loads(RUN.invoke(app, ["emulator", "ticket", platform, "--json"]).stdout)
    assert set(minted) == {"credential", "parameters", "headers"}
    assert minted["credential"] in minted["parameters"].values()


@pytest.mark.parametrize("platform", ["steam", "xbox", "epic"])
@pytest.mark.usefixtures("emulator")
def test_the_cases_are_listed_with_what_they_stand_for(platform: str) -> None:
    lines = RUN.invoke(app, ["emulator", "ticket", platform, "--case", "list"]).stdout.splitlines()
    assert lines[0].startswith("good ")
    assert [line for line in lines if not ENDED.match(line)] == []


@pytest.mark.usefixtures("emulator")
def test_an_unknown_case_is_refused_with_those_there_are() -> None:
    done = RUN.invoke(app, ["emulator", "ticket", "steam", "--case", "lost"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "good" in done.stderr


def test_a_platform_that_is_down_drops_connections_until_the_fault_ends(emulator: int) -> None:
    begun = RUN.invoke(app, ["emulator", "fault", "xbox", "--mode", "down", "--for", "600"])
    assert begun.output == "xbox: down for 600 s\n"
    with pytest.raises(http.client.RemoteDisconnected):
        _get(emulator, "/xbox/anything")
    assert RUN.invoke(app, ["emulator", "fault", "xbox", "--mode", "none"]).output == "xbox: none\n"
    assert _get(emulator, "/xbox/anything") == 404


def test_a_service_answers_as_it_is_told_until_it_is_told_otherwise(emulator: int) -> None:
    assert RUN.invoke(app, ["emulator", "case", "playfab", "account-banned"]).output == "playfab: account-banned\n"
    refused = RUN.invoke(app, ["emulator", "case", "playfab", "lost"])
    assert (refused.exit_code, refused.stdout, "good" in refused.stderr) == (1, "", True)
    assert RUN.invoke(app, ["emulator", "case", "playfab", "good"]).output == "playfab: good\n"
    lines = RUN.invoke(app, ["emulator", "case", "playfab", "list"]).stdout.splitlines()
    assert lines[0].startswith("good ")
    assert len(client.cases(emulator, "playfab")) == len(lines)


def test_a_taken_port_is_named_with_the_way_out(emulator: int, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["emulator", "run", "--port", str(emulator), "--keys", str(tmp_path)])
    assert done.exit_code == 1
    assert f"127.0.0.1:{emulator} is taken by another program; choose another port with --port" in done.stderr


def test_damaged_keys_are_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "steam.json").write_text("{}")
    done = RUN.invoke(app, ["emulator", "settings", "--keys", str(tmp_path)])
    assert done.exit_code == 1
    assert "steam.json does not hold the emulator's keys; delete it" in done.stderr


def test_an_emulator_ends_with_its_parent_and_keeps_its_keys(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("emulator", "run", "--port", str(port), "--keys", str(tmp_path), "--until-stdin-closes")
    kept: list[bytes] = []
    for _ in range(2):
        with running(*arguments) as process:
            while not client.healthy(port):
                assert process.poll() is None, "the emulator ended"
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=20) == 0
        assert not listens(port)
        kept.append((tmp_path / "xbox.json").read_bytes())
    assert kept[0] == kept[1]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def _get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
