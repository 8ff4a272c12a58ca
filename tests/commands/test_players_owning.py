"""`authsrv players link`, `unlink`, `transfer`, `merge` and `undo`, upon a database that nobody serves."""

from typing import Any

import pytest

from authsrv.models import IdentityKey
from authsrv.storage.changes import AddPlayer, LinkIdentity
from tests.support.player_commands import STRANGER, YESTERDAY, Office, player, steam, steam_id, sub
from tests.support.storage import NOW

STEAM_3 = ("--platform", "steam", "--account", steam_id(3))
EPIC = IdentityKey("skyforge", "epic", "", "0123456789abcdef0123456789abcdef")
EPIC_OPTIONS = ("--platform", "epic", "--account", EPIC.subject)
XBOX = IdentityKey("skyforge", "xbox", "https://rp.example/|RETAIL", "ptx-1")
XBOX_OPTIONS = ("--platform", "xbox", "--account", "ptx-1", "--environment", XBOX.environment)
AS = ("--as", "eve")
ANN = f"Ann {sub(1)} of project skyforge"
BOB = f"Bob {sub(2)} of project skyforge"
TWO_WEEKS = "2027-01-29 08:00 UTC"
MERGE = ("merge", sub(2), "--into", sub(1), "--reason", "one person", *AS)


def told_identity(key: IdentityKey) -> dict[str, str]:
    platform = {"epic": "epicgames"}.get(key.kind, key.kind)
    return {"platform": platform, "kind": key.kind, "environment": key.environment, "account": key.subject}


def keys(desk: Office, number: int) -> list[IdentityKey]:
    return [linked.key for linked in desk.account(number).identities]


def answer(outcome: str, number: int, **members: Any) -> dict[str, Any]:
    name = {1: "Ann", 2: "Bob"}[number]
    told = {"outcome": outcome, "sub": sub(number), "alias": None, "project": "skyforge", "display_name": name}
    rest: dict[str, Any] = {"other": None, "moved": [], "detached": [], "reversible_until": NOW + 14 * 86400}
    return {**told, **rest, **members}


@pytest.fixture
def two(desk: Office) -> Office:
    """Ann has an Epic account besides, and Bob one at Xbox; what they did is long ago."""
    desk.filled(LinkIdentity(EPIC, 1, YESTERDAY + 1), LinkIdentity(XBOX, 2, YESTERDAY + 1))
    return desk


# --- link ---


def test_a_platform_account_is_given_to_a_player_without_a_proof(desk: Office) -> None:
    told = desk.told("link", sub(1), *EPIC_OPTIONS, *AS, "--reason", "lost access")
    assert told.pop("event")
    assert told == answer("linked", 1, moved=[told_identity(EPIC)])
    assert keys(desk, 1) == [steam(1), EPIC]
    (event,) = desk.events(1)
    assert (event.kind, event.actor, event.actor_name, event.reason) == ("linked", "admin", "eve", "lost access")


def test_a_link_is_told_with_how_to_take_it_back(desk: Office) -> None:
    first, second = desk.run("link", sub(1), *XBOX_OPTIONS, *AS).stdout.splitlines()
    assert first == f"xbox ptx-1 in {XBOX.environment} is linked to {ANN}."
    assert second.startswith(f"It can be taken back until {TWO_WEEKS}: authsrv players undo ")
    assert keys(desk, 1) == [steam(1), XBOX]
    desk.run("undo", second.split()[-1])
    assert keys(desk, 1) == [steam(1)]


def test_what_the_player_has_need_not_be_given(desk: Office) -> None:
    mine = ("link", sub(1), "--platform", "steam", "--account", steam_id(1))
    told = desk.told(*mine)
    assert told == answer("unchanged", 1, event=None, reversible_until=None)
    assert desk.run(*mine).stdout == f"There is nothing to do: it is so with {ANN}.\n"


def test_an_account_of_somebody_else_is_refused_with_whose_it_is(desk: Office) -> None:
    done = desk.run("link", sub(1), "--platform", "steam", "--account", steam_id(2))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"authsrv: another player has this platform account: {sub(2)}; authsrv players transfer gives it to this one\n"
    )


REFUSED_LINKS = [
    pytest.param(STEAM_3, "has as many accounts of this platform", id="one more of the platform"),
    pytest.param(
        ("--platform", "epicgames", "--account", "x"),
        "several kinds; say which in its place: epic, eos_puid",
        id="kind",
    ),
    pytest.param(("--platform", "xbox", "--account", "x"), "needs its environment", id="no environment"),
    pytest.param((*EPIC_OPTIONS, "--environment", "x"), "epic has no environments", id="environment of none"),
    pytest.param(("--platform", "psn", "--account", "x"), "there is no platform psn", id="platform"),
    pytest.param(("--platform", "epic", "--account", "a b"), "this is no id of a platform account", id="two words"),
    pytest.param(("--platform", "epic", "--account", ""), "this is no id of a platform account", id="empty"),
]


@pytest.mark.parametrize(("identity", "text"), REFUSED_LINKS)
def test_what_cannot_be_linked_is_refused_in_words(desk: Office, identity: tuple[str, ...], text: str) -> None:
    before = desk.content()
    done = desk.run("link", sub(1), *identity)
    assert (done.exit_code, done.stdout) == (1, "")
    assert text in done.stderr
    assert desk.content() == before


def test_a_banned_account_is_given_to_nobody(two: Office) -> None:
    two.filled(AddPlayer(player(3, "Cy")))
    two.run("ban", sub(2), "--reason", "aimbot")
    two.run(*DROP, "--yes")
    done = two.run("link", sub(3), "--platform", "steam", "--account", steam_id(2))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("authsrv: This platform account is banned, whoever has it; lift the ban first.")


def test_what_a_banned_player_gets_is_banned_too(desk: Office) -> None:
    desk.run("ban", sub(1), "--reason", "aimbot")
    assert desk.content().count('INSERT INTO "identity_bans"') == 1
    desk.run("link", sub(1), *EPIC_OPTIONS)
    assert desk.content().count('INSERT INTO "identity_bans"') == 2


# --- unlink ---


@pytest.mark.parametrize("naming", [(), (sub(1),)])
def test_a_platform_account_is_taken_from_whoever_has_it(two: Office, naming: tuple[str, ...]) -> None:
    told = two.told("unlink", *naming, *EPIC_OPTIONS, *AS)
    assert told.pop("event")
    assert told == answer("unlinked", 1, detached=[told_identity(EPIC)])
    assert keys(two, 1) == [steam(1)]


def test_an_unlink_is_told(two: Office) -> None:
    first, *_ = two.run("unlink", *XBOX_OPTIONS).stdout.splitlines()
    assert first == f"xbox ptx-1 in {XBOX.environment} is taken from {BOB}, and nobody's."


def test_the_only_way_in_stays(desk: Office) -> None:
    done = desk.run("unlink", "--platform", "steam", "--account", steam_id(1))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "only way to sign in" in done.stderr
    assert keys(desk, 1) == [steam(1)]


def test_an_account_that_the_named_player_does_not_have_is_not_taken_from_another(two: Office) -> None:
    done = two.run("unlink", sub(2), *EPIC_OPTIONS)
    assert (done.exit_code, done.stderr) == (1, "authsrv: the player does not have this platform account\n")
    assert keys(two, 1) == [steam(1), EPIC]


def test_of_two_environments_one_is_named(two: Office) -> None:
    other = IdentityKey("skyforge", "xbox", "https://rp.example/|DEV", "ptx-1")
    two.filled(LinkIdentity(other, 2, YESTERDAY + 2))
    done = two.run("unlink", sub(2), "--platform", "xbox", "--account", "ptx-1")
    assert "say in which environment: https://rp.example/|RETAIL, https://rp.example/|DEV" in done.stderr
    assert two.told("unlink", sub(2), *XBOX_OPTIONS)["detached"] == [told_identity(XBOX)]
    assert keys(two, 2) == [steam(2), other]


# --- transfer ---


def test_a_platform_account_goes_to_another_player(two: Office) -> None:
    told = two.told("transfer", *EPIC_OPTIONS, "--to", sub(2), *AS)
    assert told.pop("event")
    assert told == answer("transferred", 2, other=sub(1), moved=[told_identity(EPIC)])
    assert (keys(two, 1), keys(two, 2)) == ([steam(1)], [steam(2), XBOX, EPIC])


def test_a_transfer_is_told_and_taken_back(two: Office) -> None:
    first, second = two.run("transfer", sub(1), *EPIC_OPTIONS, "--to", sub(2)).stdout.splitlines()
    assert first == f"epic {EPIC.subject} is taken from {sub(1)} and given to {BOB}."
    undone = two.told("undo", second.split()[-1], *AS)
    assert undone.pop("event")
    assert undone.pop("reversible_until")
    assert undone["outcome"] == "undone"
    assert undone["moved"] == [told_identity(EPIC)]
    assert keys(two, 1) == [steam(1), EPIC]


def test_the_last_one_can_go_and_whoever_lost_it_is_kept(desk: Office) -> None:
    desk.filled(AddPlayer(player(3, "Cy")))
    assert desk.told("transfer", "--platform", "steam", "--account", steam_id(2), "--to", sub(3))["other"] == sub(2)
    assert desk.told("show", sub(2))["identities"] == []


def test_a_player_gets_no_more_of_a_platform_than_the_project_allows(desk: Office) -> None:
    done = desk.run("transfer", "--platform", "steam", "--account", steam_id(2), "--to", sub(1))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has as many accounts of this platform" in done.stderr


@pytest.mark.parametrize("to", [STRANGER, ""])
def test_a_transfer_to_nobody_is_status_3(two: Office, to: str) -> None:
    done = two.run("transfer", *EPIC_OPTIONS, "--to", to)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "authsrv: there is no such player\n")


def test_a_transfer_to_whoever_has_it_is_refused(two: Office) -> None:
    done = two.run("transfer", *EPIC_OPTIONS, "--to", sub(1))
    assert (done.exit_code, done.stderr) == (1, "authsrv: Name another player.\n")


# --- merge ---


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authsrv.commands.confirming.at_terminal", lambda: True)


DROP = (*MERGE, "--drop-duplicates")


def test_two_players_become_one(two: Office) -> None:
    told = two.told(*DROP, "--yes")
    assert told.pop("event")
    assert told == answer("merged", 1, other=sub(2), moved=[told_identity(XBOX)], detached=[told_identity(steam(2))])
    assert keys(two, 1) == [steam(1), EPIC, XBOX]
    assert two.account(2).player.merged_into == 1
    assert two.events(1)[0].reason == "one person"


def test_a_merge_is_told_with_what_moved_and_what_is_nobodys(two: Office) -> None:
    lines = two.run(*DROP, "--yes").stdout.splitlines()
    assert lines[:3] == [
        f"{sub(2)} is part of {ANN}.",
        f"Platform accounts that move: xbox ptx-1 in {XBOX.environment}",
        f"Platform accounts that are nobody's then: steam {steam_id(2)}",
    ]
    assert lines[3].startswith(f"It can be taken back until {TWO_WEEKS}: authsrv players undo ")


def test_duplicates_are_not_dropped_unless_it_is_said(two: Office) -> None:
    done = two.run(*MERGE, "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Both players have accounts of one platform" in done.stderr
    assert "(providers: steam)" in done.stderr


def test_a_merge_asks_for_the_sub_of_who_goes(two: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    at_terminal(monkeypatch)
    done = two.run(*DROP, typed=f"{sub(2)}\n")
    assert done.exit_code == 0
    assert f"{sub(2)} would be part of {ANN}." in done.stderr
    assert f"Type {sub(2)} to go on: " in done.stderr
    assert done.stdout.startswith(f"{sub(2)} is part of {ANN}.\n")


@pytest.mark.parametrize("typed", ["", "y", sub(1)])
def test_a_merge_that_was_not_confirmed_is_none(two: Office, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    at_terminal(monkeypatch)
    before = two.content()
    done = two.run(*DROP, typed=f"{typed}\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("authsrv: that is something else; nothing was changed\n")
    assert two.content() == before


def test_where_nobody_can_be_asked_a_merge_needs_a_yes(two: Office) -> None:
    before = two.content()
    done = two.run(*DROP)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "authsrv: this asks before it does anything, and there is no terminal; add --yes\n"
    assert two.content() == before


def test_a_merge_twice_is_nothing_the_second_time_and_asks_nothing(two: Office) -> None:
    two.run(*DROP, "--yes")
    assert two.told(*DROP)["outcome"] == "unchanged"
    turned = two.run("merge", sub(1), "--into", sub(2), "--reason", "x", "--yes")
    assert (turned.exit_code, turned.stdout) == (1, "")


def test_an_undone_merge_is_two_players_again(two: Office) -> None:
    event = two.told(*DROP, "--yes")["event"]
    told = two.told("undo", event, *AS)
    assert told["outcome"] == "undone"
    assert two.account(2).player.merged_into is None
    assert (keys(two, 1), set(keys(two, 2))) == ([steam(1), EPIC], {steam(2), XBOX})


def test_a_banned_player_can_be_merged_by_an_operator_and_the_ban_stays(two: Office) -> None:
    two.run("ban", sub(2), "--reason", "aimbot", "--for", "7d")
    two.run(*DROP, "--yes")
    assert two.account(1).player.barred_until == NOW + 7 * 86400


# --- undo ---


def test_what_was_undone_is_not_undone_twice(desk: Office) -> None:
    event = desk.told("link", sub(1), *EPIC_OPTIONS)["event"]
    by = desk.told("undo", event)["event"]
    done = desk.run("undo", event)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"authsrv: This was undone already. (events: {by})\n"


def test_what_was_changed_later_stands_in_the_way_by_name(desk: Office) -> None:
    first = desk.told("link", sub(1), *EPIC_OPTIONS)["event"]
    second = desk.told("transfer", *EPIC_OPTIONS, "--to", sub(2))["event"]
    done = desk.run("undo", first)
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"(events: {second})" in done.stderr


@pytest.mark.parametrize("event", ["nothing", "AAAAAAAAAAAAAAAAAAAAAA", ""])
def test_an_event_that_is_none_is_refused(desk: Office, event: str) -> None:
    done = desk.run("undo", event)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "authsrv: there is no such event; authsrv players show tells the ids\n"


def test_a_ban_is_lifted_and_not_undone(desk: Office) -> None:
    event = desk.told("ban", sub(1), "--reason", "aimbot")["event"]
    done = desk.run("undo", event)
    assert (done.exit_code, done.stderr) == (1, "authsrv: This cannot be undone, or not any more.\n")


# --- all of them ---


DRY = [
    pytest.param(("link", sub(1), *XBOX_OPTIONS[:3], "new", *XBOX_OPTIONS[4:]), "would_link", id="link"),
    pytest.param(("unlink", *EPIC_OPTIONS), "would_unlink", id="unlink"),
    pytest.param(("transfer", *EPIC_OPTIONS, "--to", sub(2)), "would_transfer", id="transfer"),
    pytest.param(DROP, "would_merge", id="merge"),
]


@pytest.mark.parametrize(("command", "outcome"), DRY)
def test_a_dry_run_says_what_would_be_and_changes_nothing(two: Office, command: tuple[str, ...], outcome: str) -> None:
    before = two.content()
    told = two.told(*command, "--dry-run")
    assert (told["outcome"], told["event"]) == (outcome, None)
    shown = two.run(*command, "--dry-run").stdout
    assert "would be" in shown.splitlines()[0]
    assert shown.endswith("\nNothing was changed.\n")
    assert two.content() == before


def test_a_dry_undo_changes_nothing(desk: Office) -> None:
    event = desk.told("link", sub(1), *EPIC_OPTIONS)["event"]
    before = desk.content()
    assert desk.told("undo", event, "--dry-run")["outcome"] == "would_undo"
    assert desk.run("undo", event, "--dry-run").stdout.splitlines() == [
        f"It would be taken back for {ANN}.",
        f"Platform accounts that are nobody's then: epic {EPIC.subject}",
        "Nothing was changed.",
    ]
    assert desk.content() == before


UNKNOWN = [
    pytest.param(("link", STRANGER, *EPIC_OPTIONS), id="link"),
    pytest.param(("unlink", *EPIC_OPTIONS), id="unlink"),
    pytest.param(("unlink", STRANGER, *EPIC_OPTIONS), id="unlink of somebody"),
    pytest.param(("transfer", *EPIC_OPTIONS, "--to", sub(2)), id="transfer"),
    pytest.param(("merge", STRANGER, "--into", sub(1), "--reason", "x", "--yes"), id="merge"),
    pytest.param(("merge", sub(1), "--into", STRANGER, "--reason", "x", "--yes"), id="merge into somebody"),
]


@pytest.mark.parametrize("how", [(), ("--json",), ("--dry-run",)])
@pytest.mark.parametrize("command", UNKNOWN)
def test_an_unknown_player_is_status_3(desk: Office, command: tuple[str, ...], how: tuple[str, ...]) -> None:
    done = desk.run(*command, *how)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "authsrv: there is no such player\n")


def test_an_alias_stands_for_the_player_who_remains(two: Office) -> None:
    two.run(*DROP, "--yes")
    told = two.told("link", sub(2), "--platform", "guest", "--account", "digest")
    assert (told["sub"], told["alias"]) == (sub(1), sub(2))
    assert f"{ANN}, into whom {sub(2)} was merged," in two.run("unlink", sub(2), *XBOX_OPTIONS).stdout


def test_a_project_that_left_the_configuration_is_told(desk: Office) -> None:
    desk.config.write_text(desk.config.read_text().replace("[projects.skyforge.", "[projects.other."))
    done = desk.run("link", sub(1), *EPIC_OPTIONS)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the configuration has no project skyforge" in done.stderr
