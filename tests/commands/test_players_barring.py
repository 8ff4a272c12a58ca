"""`authsrv players ban`, `unban` and `restrict`, upon a database that nobody serves."""

import json

import pytest

from authsrv.models import NEVER
from authsrv.storage.account_changes import MergePlayers
from tests.support.player_commands import STRANGER, Office, steam_id, sub
from tests.support.storage import NOW

WHY = ("--reason", "aimbot", "--as", "eve")
WEEK = NOW + 7 * 86400
IDENTITIES = [{"platform": "steam", "kind": "steam", "environment": "", "account": steam_id(1)}]
NAMING = [
    pytest.param((sub(1),), id="sub"),
    pytest.param(("--platform", "steam", "--account", steam_id(1)), id="platform account"),
]
KINDS = [("ban", "banned"), ("restrict", "restricted")]


@pytest.mark.parametrize("naming", NAMING)
@pytest.mark.parametrize(("command", "kind"), KINDS)
def test_a_player_is_kept_out_and_the_journal_knows_by_whom_and_why(
    desk: Office, command: str, kind: str, naming: tuple[str, ...]
) -> None:
    told = desk.told(command, *naming, *WHY, "--for", "7d")
    event = told.pop("event")
    assert told == {
        "outcome": kind,
        "sub": sub(1),
        "alias": None,
        "project": "skyforge",
        "display_name": "Ann",
        "barred": {"as": kind, "until": WEEK},
        "identities": IDENTITIES,
    }
    account, (recorded,) = desk.account(1), desk.events(1)
    assert (account.player.barred_until, account.player.barred_as) == (WEEK, kind)
    assert [(ban.kind, ban.reason, ban.decided_by) for ban in account.bans] == [(kind, "aimbot", "eve")]
    assert (recorded.kind, recorded.actor, recorded.actor_name) == (kind, "admin", "eve")
    assert desk.told("show", sub(1))["events"][0]["event"] == event


@pytest.mark.parametrize(("command", "kind"), KINDS)
def test_without_an_end_it_is_for_good(desk: Office, command: str, kind: str) -> None:
    shown = desk.run(command, sub(1), *WHY).stdout.splitlines()
    assert shown[0] == f"Ann {sub(1)} of project skyforge is {kind} for good."
    assert shown[1].startswith("Codes, tokens and sign-ins that the player had are void, here at once")
    assert desk.account(1).player.barred_until == NEVER


DRY = [
    pytest.param(("ban", sub(1), *WHY), "Ann {sub} of project skyforge would be banned for good.", id="ban"),
    pytest.param(
        ("restrict", sub(1), *WHY, "--for", "12h"),
        "Ann {sub} of project skyforge would be restricted until 2027-01-15 20:00 UTC.",
        id="restrict",
    ),
]


@pytest.mark.parametrize(("command", "text"), DRY)
def test_a_dry_run_says_what_would_be_and_changes_nothing(desk: Office, command: tuple[str, ...], text: str) -> None:
    before = desk.content()
    told = desk.told(*command, "--dry-run")
    assert (told["outcome"], told["event"]) == (f"would_{command[0]}", None)
    shown = desk.run(*command, "--dry-run").stdout.splitlines()
    assert (shown[0], shown[-1]) == (text.format(sub=sub(1)), "Nothing was changed.")
    assert desk.content() == before


def test_a_ban_is_lifted_and_a_dry_run_of_that_lifts_nothing(desk: Office) -> None:
    desk.run("ban", sub(1), *WHY)
    dry = desk.told("unban", sub(1), "--as", "eve", "--dry-run")
    assert (dry["outcome"], dry["barred"]) == ("would_unban", None)
    assert desk.account(1).player.barred_until == NEVER
    shown = desk.run("unban", sub(1), "--as", "frank").stdout
    assert shown.splitlines()[0] == f"Ann {sub(1)} of project skyforge is let in again."
    assert desk.account(1).player.barred_until == 0
    assert [(event.kind, event.actor_name) for event in desk.events(1)] == [("unbanned", "frank"), ("banned", "eve")]


def test_a_restriction_is_lifted_by_itself_and_not_with_a_ban(desk: Office) -> None:
    for command in ("ban", "restrict"):
        desk.run(command, sub(1), *WHY)
    shown = desk.run("unban", sub(1)).stdout
    assert shown.startswith(f"Ann {sub(1)} of project skyforge is still restricted for good.\n")
    assert desk.told("restrict", sub(1), "--lift")["barred"] is None
    assert desk.account(1).player.barred_until == 0


def test_what_is_lifted_twice_is_said_to_be_nothing(desk: Office) -> None:
    for command in (("unban", sub(1)), ("restrict", sub(1), "--lift")):
        assert desk.told(*command)["outcome"] == "unchanged"
        done = desk.run(*command)
        expected = f"There is nothing to lift from Ann {sub(1)} of project skyforge.\n"
        assert (done.exit_code, done.stdout) == (0, expected)
    assert desk.events(1) == ()


def test_of_two_bans_the_longer_counts(desk: Office) -> None:
    desk.run("ban", sub(1), *WHY)
    told = desk.told("ban", sub(1), *WHY, "--for", "7d")
    assert told["barred"] == {"as": "banned", "until": None}
    assert len(desk.account(1).bans) == 2


def test_an_alias_stands_for_the_player_who_remains(desk: Office) -> None:
    desk.filled(MergePlayers(2, 1))
    told = desk.told("ban", sub(2), *WHY)
    assert (told["sub"], told["alias"]) == (sub(1), sub(2))
    assert desk.run("unban", sub(2)).stdout.startswith(
        f"Ann {sub(1)} of project skyforge, into whom {sub(2)} was merged, is let in again."
    )


@pytest.mark.parametrize("command", [("ban", *WHY), ("unban",), ("restrict", *WHY), ("restrict", "--lift")])
@pytest.mark.parametrize("how", [(), ("--json",), ("--dry-run",)])
def test_an_unknown_player_is_status_3(desk: Office, command: tuple[str, ...], how: tuple[str, ...]) -> None:
    done = desk.run(*command, STRANGER, *how)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "authsrv: there is no such player\n")


WRONG = [
    pytest.param(("ban", sub(1)), "Missing option '--reason'", id="no reason"),
    pytest.param(("restrict", sub(1)), "write either --reason or --lift", id="restriction without a reason"),
    pytest.param(("restrict", sub(1), "--lift", *WHY), "write either --reason or --lift", id="both"),
    pytest.param(("restrict", sub(1), "--lift", "--for", "1d"), "write either --reason or --lift", id="end of the end"),
    pytest.param(("ban", sub(1), *WHY, "--for", "soon"), "write a number of days or hours", id="no duration"),
    pytest.param(("ban", *WHY), "name the player by the sub, or by --platform and --account", id="nobody"),
    pytest.param(("ban", sub(1), "--from", "x", *WHY), "--from names the players, and nothing else can", id="two ways"),
]


@pytest.mark.parametrize(("command", "text"), WRONG)
def test_a_wrong_command_line_does_nothing(desk: Office, command: tuple[str, ...], text: str) -> None:
    done = desk.run(*command)
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr
    assert desk.events(1) == ()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        pytest.param(("--reason", " "), "reason", id="blank reason"),
        pytest.param(("--reason", "a\nb"), "reason", id="two lines"),
        pytest.param(("--reason", "x" * 501), "reason", id="long reason"),
        pytest.param(("--reason", "x", "--as", ""), "operator", id="no name"),
        pytest.param(("--reason", "x", "--as", "e\x1bve"), "operator", id="control character"),
    ],
)
def test_who_and_why_are_texts_that_can_be_shown(desk: Office, arguments: tuple[str, ...], name: str) -> None:
    done = desk.run("ban", sub(1), *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"authsrv: {name} is a text of at most ")


def test_the_help_says_whose_name_stands_in_the_journal(desk: Office) -> None:
    assert "[default: (who is logged in)]" in " ".join(desk.run("ban", "--help").stdout.split())


@pytest.mark.parametrize(
    ("environment", "name"),
    [({"SUDO_USER": "eve", "LOGNAME": "root"}, "eve"), ({"SUDO_USER": "", "LOGNAME": "ann"}, "ann")],
)
def test_the_operator_is_who_is_logged_in(
    desk: Office, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    desk.run("ban", sub(1), "--reason", "x")
    assert desk.events(1)[0].actor_name == name


def test_a_user_without_a_name_is_a_number(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("authsrv.commands.players.options.getpass.getuser", nameless)
    desk.run("ban", sub(1), "--reason", "x")
    assert desk.events(1)[0].actor_name.startswith("uid ")


# --- many ---


@pytest.fixture
def listed(desk: Office) -> str:
    """A file with both players, twice the one, and somebody unknown."""
    path = desk.config.parent / "list"
    path.write_text(f"# cheaters\n{sub(1)}\n\n  {STRANGER}\n{sub(2)}\n{sub(1)}\n")
    return str(path)


def test_every_player_of_a_file_is_banned_and_who_is_not_there_is_told(desk: Office, listed: str) -> None:
    done = desk.run("ban", "--from", listed, *WHY)
    assert (done.exit_code, done.stdout) == (3, "banned: 3\n")
    assert done.stderr.splitlines()[-1] == f"authsrv: {STRANGER}: there is no such player"
    assert [desk.account(number).player.barred_until for number in (1, 2)] == [NEVER, NEVER]


def test_of_many_each_is_a_line_of_json(desk: Office, listed: str) -> None:
    done = desk.run("ban", "--from", listed, *WHY, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["sub"], line.get("outcome"), line.get("status")) for line in lines] == [
        (sub(1), "banned", None),
        (STRANGER, None, 3),
        (sub(2), "banned", None),
        (sub(1), "banned", None),
    ]
    assert lines[1]["error"] == "there is no such player"
    assert done.exit_code == 3


def test_many_can_be_tried_dry_and_come_from_standard_input(desk: Office) -> None:
    before = desk.content()
    done = desk.run("ban", "--from", "-", *WHY, "--dry-run", typed=f"{sub(1)}\n{sub(2)}\n")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "would ban: 2\n", "")
    assert desk.content() == before


def test_many_are_let_in_again_and_who_was_not_kept_out_is_counted_apart(desk: Office) -> None:
    desk.run("ban", sub(1), *WHY)
    done = desk.run("unban", "--from", "-", typed=f"{sub(1)}\n{sub(2)}\n")
    assert (done.exit_code, done.stdout) == (0, "unbanned: 1\nunchanged: 1\n")


def test_an_empty_list_is_nobody(desk: Office) -> None:
    assert desk.run("ban", "--from", "-", *WHY, typed="# none\n").exit_code == 0


def test_a_file_that_cannot_be_read_is_told(desk: Office) -> None:
    done = desk.run("ban", "--from", str(desk.config.parent / "absent"), *WHY)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "absent cannot be read: " in done.stderr


def test_what_is_wrong_with_the_order_ends_the_list_at_once(desk: Office, listed: str) -> None:
    done = desk.run("ban", "--from", listed, "--reason", "x" * 501)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "authsrv: ended at line 1 of 4; the same command can be given again"
    assert "at line 1" in done.stderr
    assert desk.events(1) == ()
