"""`authsrv players export` and `erase`, upon a database that nobody serves."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from authsrv.storage.account_changes import MergePlayers
from authsrv.storage.changes import AddBrowser, AddPlayer, GiveConsent, SetProfile, StartSession
from tests.support.player_commands import STRANGER, Office, born, player, steam_id, sub
from tests.support.storage import NOW
from tests.support.storage_browsers import PROFILE, browser, session

AS = ("--as", "eve")
WHY = ("--reason", "letter of 2026-11-20", *AS)
ANN = f"Ann {sub(1)} of project skyforge"
BY_ACCOUNT = ("--platform", "steam", "--account", steam_id(1))
STATES = [
    pytest.param((), id="as usual"),
    pytest.param(("ban", sub(1), *WHY), id="banned"),
    pytest.param(("restrict", sub(1), *WHY), id="restricted"),
]


@pytest.fixture
def place(desk: Office) -> Path:
    """A directory to write to."""
    path = desk.config.parent / "out"
    path.mkdir()
    return path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


# --- export ---


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("naming", [(sub(1),), BY_ACCOUNT])
def test_everything_is_written_to_a_file_of_the_operators_alone(
    desk: Office, place: Path, naming: tuple[str, ...], state: tuple[str, ...]
) -> None:
    desk.filled(SetProfile(1, PROFILE))
    if state:
        desk.run(*state)
    path = place / "ann.json"
    told = desk.told("export", *naming, "--output", str(path), *AS)
    assert told == {
        "outcome": "exported",
        "sub": sub(1),
        "alias": None,
        "project": "skyforge",
        "display_name": "Ann",
        "file": str(path),
    }
    assert mode(path) == 0o600
    found = content(path)
    assert (found["format"], found["account"]["sub"]) == ("authsrv-player", sub(1))
    assert [one["subject"] for one in found["identities"]] == [steam_id(1)]
    assert found["profile"] == json.loads(PROFILE)
    assert [ban["reason"] for ban in found["bans"]] == ([WHY[1]] if state else [])
    assert list(place.iterdir()) == [path]


def test_an_export_is_told_without_its_content(desk: Office, place: Path) -> None:
    done = desk.run("export", sub(1), "--output", str(place / "a"), "--reason", "ticket", *AS)
    assert done.stdout == f"Everything that is stored about {ANN} is in {place / 'a'}.\n"
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert {name: line[name] for name in ("event", "sub", "operator", "reason")} == {
        "event": "player.exported",
        "sub": sub(1),
        "operator": "eve",
        "reason": "ticket",
    }


def test_only_if_it_is_asked_for_an_export_goes_to_standard_output_and_alone(desk: Office) -> None:
    assert desk.run("export", sub(1)).exit_code == 2
    done = desk.run("export", sub(1), "--output", "-")
    assert json.loads(done.stdout)["account"]["sub"] == sub(1)


def test_a_file_that_is_there_stays_unless_force_is_used(desk: Office, place: Path) -> None:
    path = place / "ann.json"
    path.write_text("kept")
    path.chmod(0o644)
    done = desk.run("export", sub(1), "--output", str(path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"authsrv: {path} is there already; --force overwrites it\n"
    assert path.read_text() == "kept"
    assert desk.run("export", sub(1), "--output", str(path), "--force").exit_code == 0
    assert (content(path)["account"]["sub"], mode(path)) == (sub(1), 0o600)


def test_a_link_is_not_followed(desk: Office, place: Path) -> None:
    (place / "target").write_text("kept")
    link = place / "link"
    link.symlink_to(place / "target")
    assert desk.run("export", sub(1), "--output", str(link)).exit_code == 1
    assert desk.run("export", sub(1), "--output", str(link), "--force").exit_code == 0
    assert (place / "target").read_text() == "kept"
    assert not link.is_symlink()


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_where_nothing_can_be_written_it_is_told(desk: Office, place: Path, force: tuple[str, ...]) -> None:
    done = desk.run("export", sub(1), "--output", str(place / "no" / "a"), *force)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "cannot be written: No such file or directory" in done.stderr
    assert desk.run("export", sub(1), "--output", str(place), "--force").stderr.endswith("and no file\n")


@pytest.mark.parametrize("output", ["file", "-"])
def test_the_export_of_nobody_is_status_3_and_no_file(desk: Office, place: Path, output: str) -> None:
    done = desk.run("export", STRANGER, "--output", str(place / "a") if output == "file" else "-")
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "authsrv: there is no such player\n")
    assert list(place.iterdir()) == []


def test_an_alias_is_exported_as_the_whole_account(desk: Office, place: Path) -> None:
    desk.filled(MergePlayers(2, 1))
    told = desk.told("export", sub(2), "--output", str(place / "a"))
    assert (told["sub"], told["alias"]) == (sub(1), sub(2))
    assert [one["sub"] for one in content(place / "a")["aliases"]] == [sub(2)]


def test_many_are_written_to_a_directory_of_their_own(desk: Office, place: Path) -> None:
    output = place / "exports"
    listed = f"{sub(1)}\n{STRANGER}\n{sub(2)}\n{sub(1)}\n"
    done = desk.run("export", "--from", "-", "--output", str(output), typed=listed)
    assert (done.exit_code, done.stdout) == (3, "exported: 3\n")
    assert sorted(path.name for path in output.iterdir()) == [f"{sub(1)}.json", f"{sub(2)}.json"]
    assert [mode(output), *map(mode, output.iterdir())] == [0o700, 0o600, 0o600]
    again = desk.run("export", "--from", "-", "--output", str(output), typed=listed)
    assert again.exit_code == 1
    assert f"{sub(1)}.json is there already; --force overwrites it" in again.stderr
    lines = desk.run("export", "--from", "-", "--output", str(output), "--force", "--json", typed=f"{sub(2)}\n").stdout
    assert json.loads(lines)["file"] == str(output / f"{sub(2)}.json")


def test_many_go_to_no_file_and_not_to_standard_output(desk: Office, place: Path) -> None:
    (place / "file").write_text("")
    done = desk.run("export", "--from", "-", "--output", str(place / "file"), typed=sub(1))
    assert (done.exit_code, done.stderr) == (1, f"authsrv: {place / 'file'} cannot be a directory: File exists\n")
    assert desk.run("export", "--from", "-", "--output", "-", typed=sub(1)).exit_code == 2


# --- erase ---


@pytest.fixture
def full(desk: Office) -> Office:
    """Ann has something of everything, and Bob was merged into her."""
    desk.filled(
        SetProfile(1, PROFILE),
        AddBrowser(browser()),
        StartSession(session()),
        GiveConsent(1, "shop", ("openid",), NOW),
        *born(3, "Cy"),
    )
    desk.run("merge", sub(2), "--into", sub(1), "--drop-duplicates", "--yes", *WHY)
    return desk


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("naming", [(sub(1),), BY_ACCOUNT, (sub(2),)])
def test_a_player_is_erased_with_every_account_that_is_theirs(
    full: Office, naming: tuple[str, ...], state: tuple[str, ...]
) -> None:
    if state:
        full.run(*state)
    told = full.told("erase", *naming, "--yes", *WHY)
    assert told.pop("counts")["accounts"] == 2
    assert told == {
        "outcome": "erased",
        "sub": sub(1),
        "alias": sub(2) if naming == (sub(2),) else None,
        "project": "skyforge",
        "display_name": "Ann",
        "erased": [sub(1), sub(2)],
        "erased_at": NOW,
    }
    for gone in (sub(1), sub(2)):
        assert full.run("show", gone).exit_code == 3
    left = full.content()
    assert not [mark for mark in (steam_id(1), steam_id(2), "Ann", "Bob", WHY[1]) if mark in left]
    assert full.told("show", sub(3))["display_name"] == "Cy"


def test_an_erasure_is_told_and_audited_with_who_ordered_it_and_why(full: Office) -> None:
    done = full.run("erase", sub(1), "--yes", *WHY)
    counts = "1 platform account, 1 consent, 1 sign-in in a browser, 0 logins of clients, 1 event"
    assert done.stdout == f"{ANN} is erased for good, with {counts}.\nErased with it: {sub(2)}\n"
    line = json.loads(done.stderr.splitlines()[-1])
    assert (line["event"], line["operator"], line["reason"]) == ("player.erased", "eve", WHY[1])


def test_a_dry_run_counts_what_would_go_and_changes_nothing(full: Office) -> None:
    before = full.content()
    told = full.told("erase", sub(1), *WHY, "--dry-run")
    assert (told["outcome"], told["erased"], told["erased_at"]) == ("would_erase", [sub(1), sub(2)], None)
    assert told["counts"] == {
        "accounts": 2,
        "identities": 1,
        "consents": 1,
        "sessions": 1,
        "grants": 0,
        "events": 1,
    }
    lines = full.run("erase", sub(2), *WHY, "--dry-run").stdout.splitlines()
    assert lines[0].startswith(f"{ANN}, into whom {sub(2)} was merged, would be erased for good, with ")
    assert lines[-1] == "Nothing was changed."
    assert full.content() == before


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authsrv.commands.confirming.at_terminal", lambda: True)


def test_the_sub_of_the_whole_account_must_be_typed(full: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    at_terminal(monkeypatch)
    before = full.content()
    for typed in ("", "yes", sub(2)):
        done = full.run("erase", sub(2), *WHY, typed=f"{typed}\n")
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"{ANN}, into whom {sub(2)} was merged, would be erased for good" in done.stderr
        assert f"Type {sub(1)} to go on: " in done.stderr
    assert full.content() == before
    assert full.run("erase", sub(2), *WHY, typed=f"{sub(1)}\n").exit_code == 0
    assert full.run("show", sub(1)).exit_code == 3


def test_where_nobody_can_be_asked_an_erasure_needs_a_yes(desk: Office) -> None:
    before = desk.content()
    done = desk.run("erase", sub(1), *WHY)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("there is no terminal; add --yes\n")
    assert desk.content() == before


def test_an_erasure_needs_a_reason(desk: Office) -> None:
    done = desk.run("erase", sub(1), "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Missing option '--reason'" in done.stderr


def test_whoever_was_erased_is_not_erased_twice_and_an_export_says_so(desk: Office, place: Path) -> None:
    desk.run("erase", sub(1), "--yes", *WHY)
    told = desk.told("erase", sub(1), "--yes", *WHY)
    assert (told["outcome"], told["erased_at"]) == ("unchanged", NOW)
    for how in ((), ("--dry-run",), ("--yes",)):
        done = desk.run("erase", sub(1), *WHY, *how)
        assert done.exit_code == 0
        assert done.stdout == f"The player {sub(1)} was erased before, at 2027-01-15 08:00 UTC.\n"
    exported = desk.run("export", sub(1), "--output", str(place / "a"))
    assert (exported.exit_code, exported.stdout) == (3, "")
    assert exported.stderr == "authsrv: the player was erased, at 2027-01-15 08:00 UTC\n"
    assert desk.run("erase", *BY_ACCOUNT, "--yes", *WHY).exit_code == 3


@pytest.mark.parametrize("how", [("--yes",), ("--dry-run",), ("--yes", "--json"), ()])
def test_the_erasure_of_nobody_is_status_3(desk: Office, how: tuple[str, ...]) -> None:
    done = desk.run("erase", STRANGER, *WHY, *how)
    if not how:
        assert (done.exit_code, done.stdout) == (3, "")
        return
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "authsrv: there is no such player\n")


def test_many_are_erased_once_their_number_was_typed(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    at_terminal(monkeypatch)
    path = desk.config.parent / "list"
    path.write_text(f"{sub(1)}\n{STRANGER}\n{sub(2)}\n{sub(1)}\n")
    dry = desk.run("erase", "--from", str(path), *WHY, "--dry-run")
    assert (dry.exit_code, dry.stdout) == (3, "would erase: 3\n")
    assert desk.run("erase", "--from", str(path), *WHY, typed="yes\n").exit_code == 1
    assert desk.run("show", sub(1)).exit_code == 0
    done = desk.run("erase", "--from", str(path), *WHY, typed="4 players\n")
    assert (done.exit_code, done.stdout) == (3, "erased: 2\nunchanged: 1\n")
    assert [desk.run("show", sub(number)).exit_code for number in (1, 2)] == [3, 3]


def test_a_player_of_a_project_that_left_the_configuration_can_have_and_lose_their_data(
    desk: Office, place: Path
) -> None:
    desk.filled(AddPlayer(player(9, "Zoe", "gone")))
    assert desk.run("export", sub(9), "--output", str(place / "a")).exit_code == 0
    assert desk.told("erase", sub(9), "--yes", *WHY)["outcome"] == "erased"
