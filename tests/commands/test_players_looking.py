"""`authsrv players find` and `show`, upon a database that nobody serves."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from authsrv.models import NEVER, IdentityKey
from authsrv.storage.account_changes import AddBan, BarPlayer, MergePlayers, RecordEvent, SetSegments
from authsrv.storage.changes import AddBrowser, AddPlayer, GiveConsent, LinkIdentity, StartSession
from tests.support.player_commands import FILE, STRANGER, YESTERDAY, Office, born, office, player, steam, steam_id, sub
from tests.support.storage import NOW
from tests.support.storage_accounts import ban, event
from tests.support.storage_browsers import browser, session

ANN = {
    "sub": sub(1),
    "project": "skyforge",
    "display_name": "Ann",
    "created_at": YESTERDAY,
    "last_login_at": YESTERDAY,
    "barred": None,
    "merged_into": None,
    "alias": None,
}
STATES = [
    pytest.param((), "-", id="nothing"),
    pytest.param((BarPlayer(1, NEVER, "banned"),), "banned for good", id="banned"),
    pytest.param((BarPlayer(1, NOW + 60, "restricted"),), "restricted until 2027-01-15 08:01 UTC", id="restricted"),
    pytest.param((BarPlayer(1, NOW, "banned"),), "-", id="a ban that has ended"),
]


# --- find ---


@pytest.mark.parametrize(
    "naming",
    [
        pytest.param((sub(1),), id="sub"),
        pytest.param(("--platform", "steam", "--account", steam_id(1)), id="platform account"),
        pytest.param(("--name", "aN"), id="name"),
        pytest.param(("--name", "ann", "--project", "skyforge"), id="name in a project"),
    ],
)
def test_a_player_is_found_however_they_are_named(desk: Office, naming: tuple[str, ...]) -> None:
    assert desk.told("find", *naming) == {"players": [ANN], "next": None}
    head, row = desk.run("find", *naming).stdout.splitlines()
    assert head.split() == ["SUB", "NAME", "PROJECT", "CREATED", "LAST", "LOGIN", "STATE"]
    assert row.startswith(f"{sub(1)}  Ann   skyforge  2027-01-14 08:00 UTC")


NOBODY = [
    pytest.param((STRANGER,), id="unknown sub"),
    pytest.param(("--platform", "steam", "--account", "76561190000000009"), id="unknown account"),
    pytest.param(("--platform", "epicgames", "--account", steam_id(1)), id="account of another platform"),
    pytest.param(("--platform", "steam", "--account", steam_id(1), "--project", "elsewhere"), id="of another project"),
    pytest.param((sub(1), "--project", "elsewhere"), id="sub of another project"),
]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("command", ["find", "show"])
@pytest.mark.parametrize("naming", NOBODY)
def test_an_unknown_player_has_an_exit_status_of_its_own_and_nothing_else_is_said(
    desk: Office, command: str, naming: tuple[str, ...], as_json: bool
) -> None:
    done = desk.run(command, *naming, *(["--json"] if as_json else []))
    assert (done.exit_code, done.stdout) == (3, "")
    complaint, _, hint = done.stderr.partition("\n")
    assert complaint == "authsrv: there is no such player"
    assert hint.startswith("This looked for a sub.") == (command == "find" and "--platform" not in naming)


def test_who_looks_for_a_name_as_a_sub_is_told_the_option_for_names(desk: Office) -> None:
    hint = desk.run("find", "Ann Vale").stderr.splitlines()[1]
    assert hint == "This looked for a sub. To look for a name: --name 'Ann Vale'"
    assert "name" not in desk.run("find", "--name", "Zoe").stderr


@pytest.mark.parametrize("name", ["nn", "%", "Annabel"])
def test_a_name_that_nobody_has_is_no_player(desk: Office, name: str) -> None:
    assert desk.run("find", "--name", name).exit_code == 3


@pytest.mark.parametrize(
    "naming",
    [
        (),
        (sub(1), "--platform", "steam", "--account", steam_id(1)),
        (sub(1), "--platform", "steam"),
        ("--platform", "steam"),
        ("--account", steam_id(1)),
        (sub(1), "--name", "Ann"),
        ("--platform", "steam", "--account", steam_id(1), "--name", "Ann"),
    ],
)
def test_a_player_is_named_in_one_way(desk: Office, naming: tuple[str, ...]) -> None:
    done = desk.run("find", *naming)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_platform_that_there_is_not_is_told(desk: Office) -> None:
    done = desk.run("find", "--platform", "psn", "--account", "1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "authsrv: there is no platform psn; there are: epicgames, guest, steam, xbox\n"


def test_names_come_page_by_page(desk: Office) -> None:
    desk.filled(*(AddPlayer(player(number, f"Cy {number}")) for number in range(3, 8)))
    first = desk.told("find", "--name", "cy", "--limit", "2")
    assert [one["display_name"] for one in first["players"]] == ["Cy 3", "Cy 4"]
    assert first["next"] == sub(4)
    last = desk.told("find", "--name", "cy", "--limit", "3", "--after", first["next"])
    assert [one["display_name"] for one in last["players"]] == ["Cy 5", "Cy 6", "Cy 7"]
    assert last["next"] is None
    assert desk.run("find", "--name", "cy", "--limit", "2").stdout.endswith(f"\n\nThere are more: --after {sub(4)}\n")


def test_a_page_after_somebody_who_is_gone_begins_anew(desk: Office) -> None:
    done = desk.run("find", "--name", "a", "--after", STRANGER)
    assert (done.exit_code, done.stderr) == (1, "authsrv: the player after whom the page begins is gone; begin anew\n")


def test_the_same_account_in_two_projects_is_two_players(tmp_path: Path) -> None:
    with office(tmp_path, FILE + "[projects.ironkeep]\n") as desk:
        desk.filled(*born(1, "Ann"))
        desk.filled(AddPlayer(player(2, "Ann", "ironkeep")), LinkIdentity(steam(1, "ironkeep"), 2, NOW))
        naming = ("--platform", "steam", "--account", steam_id(1))
        assert [one["project"] for one in desk.told("find", *naming)["players"]] == ["ironkeep", "skyforge"]
        assert [one["sub"] for one in desk.told("find", *naming, "--project", "ironkeep")["players"]] == [sub(2)]
        shown = desk.run("show", *naming)
        assert (shown.exit_code, shown.stdout) == (1, "")
        assert shown.stderr.endswith(
            f"several players have this platform account, so name one by the sub: {sub(1)}, {sub(2)}\n"
        )
        by_name = desk.run("find", "--name", "ann")
        assert by_name.stderr == "authsrv: say in which project to look by name: ironkeep, skyforge\n"
        assert desk.told("find", "--name", "ann", "--project", "ironkeep")["players"][0]["sub"] == sub(2)


def test_an_alias_is_found_as_the_player_who_remains_and_by_its_own_name_as_what_it_is(desk: Office) -> None:
    desk.filled(MergePlayers(2, 1))
    assert desk.told("find", sub(2))["players"] == [ANN | {"alias": sub(2)}]
    assert f"{sub(2)} was merged into it" in desk.run("find", sub(2)).stdout
    (bob,) = desk.told("find", "--name", "bob")["players"]
    assert (bob["sub"], bob["merged_into"]) == (sub(2), sub(1))
    assert f"merged into {sub(1)}" in desk.run("find", "--name", "bob").stdout


@pytest.mark.parametrize(("changes", "told"), STATES)
def test_whom_something_keeps_out_is_told(desk: Office, changes: tuple[BarPlayer, ...], told: str) -> None:
    desk.filled(*changes)
    assert desk.run("find", sub(1)).stdout.splitlines()[1].endswith(f"  {told}")
    (found,) = desk.told("find", sub(1))["players"]
    until = None if told.endswith("good") else NOW + 60
    assert found["barred"] == (None if told == "-" else {"as": told.split(maxsplit=1)[0], "until": until})


def test_a_name_cannot_move_the_cursor_and_a_wide_one_keeps_the_columns(desk: Office) -> None:
    desk.filled(AddPlayer(player(3, "\x1b[2Jz\u202ez")), AddPlayer(player(4, "\uff3a\u6f22\u5b57")))
    shown = desk.run("find", "--name", "\x1b").stdout
    assert "\ufffd[2Jz\ufffdz" in shown
    assert "\x1b" not in shown
    head, row = desk.run("find", "--name", "z\u6f22").stdout.splitlines()
    assert row.index("skyforge") == head.index("PROJECT") - 3  # three characters of two columns each


# --- show ---


def test_everything_that_support_needs_is_shown(desk: Office) -> None:
    linked = replace(
        event(11), identity=steam(1), actor="admin", actor_name="eve", reason="asked", reversible_until=NOW + 9
    )
    merged = replace(event(12, other_id=2), kind="merged", client_id="launcher", reversed_by=13)
    desk.filled(
        MergePlayers(2, 1),
        LinkIdentity(IdentityKey("skyforge", "xbox", "rp|RETAIL", "ptx"), 1, NOW),
        AddBan(ban(7)),
        BarPlayer(1, NEVER, "banned"),
        SetSegments(1, '{"tier":"beta"}'),
        AddBrowser(browser()),
        StartSession(session()),
        GiveConsent(1, "shop", ("openid", "email"), NOW),
        RecordEvent(linked),
        RecordEvent(merged),
    )
    told = desk.told("show", sub(2))
    events = [one.pop("event") for one in told["events"]]
    sessions = [one.pop("id") for one in told["sessions"]]
    undone_by = told["events"][0].pop("reversed_by")
    assert all(re.fullmatch(r"evt_[\w-]{22}", public) for public in (*events, undone_by))
    assert all(re.fullmatch(r"[\w-]{22}", public) for public in sessions)
    assert told == {
        **ANN,
        "barred": {"as": "banned", "until": None},
        "alias": sub(2),
        "age_group": "",
        "name_from": "steam",
        "merged_from": [sub(2)],
        "segments": {"tier": "beta"},
        "identities": [
            {
                "platform": "steam",
                "kind": "steam",
                "environment": "",
                "account": steam_id(1),
                "linked_at": YESTERDAY,
                "last_used_at": YESTERDAY,
            },
            {
                "platform": "xbox",
                "kind": "xbox",
                "environment": "rp|RETAIL",
                "account": "ptx",
                "linked_at": NOW,
                "last_used_at": NOW,
            },
        ],
        "bans": [
            {
                "kind": "banned",
                "reason": "cheating",
                "decided_by": "operator",
                "created_at": NOW,
                "until": None,
                "lifted_at": None,
                "in_force": True,
            }
        ],
        "sessions": [{"platform": "xbox", "auth_time": session().auth_time, "used_at": session().used_at}],
        "consents": [{"client_id": "shop", "scope": ["openid", "email"], "given_at": NOW}],
        "events": [
            {
                "kind": "merged",
                "at": NOW,
                "identity": None,
                "other": sub(2),
                "actor": "player",
                "actor_name": "",
                "client_id": "launcher",
                "address": "",
                "rule": "",
                "reason": "",
                "reversible_until": None,
            },
            {
                "kind": "linked",
                "at": NOW,
                "identity": {"platform": "steam", "kind": "steam", "environment": "", "account": steam_id(1)},
                "other": None,
                "actor": "admin",
                "actor_name": "eve",
                "client_id": "",
                "address": "",
                "rule": "",
                "reason": "asked",
                "reversible_until": NOW + 9,
                "reversed_by": None,
            },
        ],
    }
    shown = desk.run("show", sub(2)).stdout
    assert shown.startswith(f"{sub(2)} was merged into this player.\n")
    for line in (
        f"sub         {sub(1)}",
        "name        Ann (follows steam)",
        "state       banned for good",
        "segments    tier=beta",
        f"steam     {steam_id(1)}  -            2027-01-14 08:00 UTC  2027-01-14 08:00 UTC",
        "banned  2027-01-15 08:00 UTC  for good  -       operator  cheating",
        "shop    2027-01-15 08:00 UTC  openid email",
        f"2027-01-15 08:00 UTC  merged  player launcher  {sub(2)}",
        f"was undone by {undone_by}",
        f"2027-01-15 08:00 UTC  linked  admin eve        steam {steam_id(1)}, asked",
        f"{events[1]} until 2027-01-15 08:00 UTC",
    ):
        assert line in shown, shown


def test_a_player_with_little_shows_no_empty_tables(desk: Office) -> None:
    shown = desk.run("show", sub(1)).stdout
    assert "Platform accounts" in shown
    assert not [
        title for title in ("Bans", "Sign-ins", "Consents", "Events", "segments", "age group") if title in shown
    ]


def test_as_many_events_are_shown_as_are_asked_for_the_newest_first(desk: Office) -> None:
    desk.filled(*(RecordEvent(replace(event(number), at=NOW + number)) for number in range(11, 31)))
    assert [one["at"] for one in desk.told("show", sub(1), "--events", "2")["events"]] == [NOW + 30, NOW + 29]
    assert len(desk.told("show", sub(1))["events"]) == 10
    assert desk.run("show", sub(1), "--events", "0").exit_code == 2


def test_looking_changes_nothing(desk: Office) -> None:
    before = desk.content()
    desk.run("show", sub(1))
    desk.run("find", "--name", "a")
    assert desk.content() == before
