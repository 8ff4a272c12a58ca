"""What a ban writes, and what lifting one leaves, decided over loaded accounts."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from authsrv.account_models import Account, Ban, Doer, LinkedIdentity
from authsrv.accounts.banning import Sentence, ban, ban_identity, spread, unban, unban_identity
from authsrv.accounts.journal import Occasion, Planned
from authsrv.errors import InvalidRequest
from authsrv.models import NEVER, BarKind, IdentityKey, Player
from authsrv.oauth.marks import IdentityMarks
from authsrv.storage.account_changes import (
    AddBan,
    AddIdentityBan,
    AdvanceVersion,
    BarPlayer,
    LiftBan,
    MarkIdentity,
    RecordEvent,
)
from authsrv.storage.changes import Change, EndSessions, SetNotBefore
from tests.support.oauth import PROJECT

NOW = 1000
MARKS = IdentityMarks(b"a secret of this server")
OPERATOR = Doer("admin", "operator")
STEAM, XBOX = IdentityKey("skyforge", "steam", "", "1"), IdentityKey("skyforge", "xbox", "RETAIL", "2")
AMBER = Player(1, "sub-1", "skyforge", "Amber", 1, 2, version=7)
ALIAS = Player(2, "sub-2", "skyforge", "Old", 1, 2, merged_into=1)


def occasion(doer: Doer = OPERATOR) -> Occasion:
    return Occasion(PROJECT, doer, NOW, count(50).__next__)


def given(number: int, until: int = NEVER, kind: BarKind = "banned", *, player_id: int = 1) -> Ban:
    return Ban(number, "skyforge", player_id, kind, "why", "operator", 5, until)


def account(*bans: Ban, player: Player = AMBER, aliases: Sequence[Player] = ()) -> Account:
    keys = (STEAM, XBOX) if player is AMBER else ()
    return Account(player, tuple(LinkedIdentity(key, player.id, 1, 1) for key in keys), tuple(aliases), bans)


def of_kind(planned: Planned, kind: type[Change]) -> list[Change]:
    return [change for change in planned.changes if isinstance(change, kind)]


def test_a_ban_bars_the_player_marks_every_identity_and_voids_what_was_given() -> None:
    planned = ban([account()], Sentence("banned", 5000, "cheating"), occasion(), MARKS)
    decided = Ban(50, "skyforge", 1, "banned", "cheating", "operator", NOW, 5000)
    assert planned.changes == (
        AdvanceVersion(1, 7),
        AddBan(decided),
        MarkIdentity(MARKS.of(STEAM), 50),
        MarkIdentity(MARKS.of(XBOX), 50),
        BarPlayer(1, 5000, "banned"),
        SetNotBefore("player", "sub-1", NOW + 1),
        EndSessions(1, NOW, "banned"),
        RecordEvent(planned.event),
    )


def test_the_journal_tells_of_a_ban_but_never_the_operators_text() -> None:
    event = ban([account()], Sentence("banned", 5000, "cheating"), occasion(), MARKS).event
    assert (event.kind, event.player_id, event.actor, event.actor_name) == ("banned", 1, "admin", "operator")
    assert (event.facts, event.reason, event.reversible_until) == ('{"ban":50,"until":5000}', "", 0)


def test_a_ban_of_a_merged_player_voids_what_was_given_to_either() -> None:
    accounts = [account(aliases=[ALIAS]), account(player=ALIAS)]
    planned = ban(accounts, Sentence("banned"), occasion(), MARKS)
    voided = [SetNotBefore("player", sub, NOW + 1) for sub in ("sub-1", "sub-2")]
    assert of_kind(planned, SetNotBefore) == voided
    assert of_kind(planned, EndSessions) == [EndSessions(1, NOW, "banned"), EndSessions(2, NOW, "banned")]


def test_a_player_without_any_identity_is_banned_all_the_same() -> None:
    ghost = replace(account(), identities=())
    planned = ban([ghost], Sentence("banned"), occasion(), MARKS)
    assert of_kind(planned, MarkIdentity) == []
    assert of_kind(planned, BarPlayer) == [BarPlayer(1, NEVER, "banned")]


@pytest.mark.parametrize("until", [0, NOW - 1, NOW])
def test_a_ban_ends_in_the_future(until: int) -> None:
    sentence = Sentence("banned", until)
    with pytest.raises(InvalidRequest) as refused:
        ban([account()], sentence, occasion(), MARKS)
    assert refused.value.parameter == "until"
    with pytest.raises(InvalidRequest):
        ban_identity(STEAM, sentence, occasion(), MARKS)


@pytest.mark.parametrize(
    ("before", "sentence", "bar"),
    [
        pytest.param([], Sentence("banned", 2000), (2000, "banned"), id="the only one"),
        pytest.param([given(1, 3000)], Sentence("banned", 2000), (3000, "banned"), id="a shorter one changes nothing"),
        pytest.param([given(1, 1500)], Sentence("banned", 2000), (2000, "banned"), id="a longer one counts"),
        pytest.param([given(1)], Sentence("restricted"), (NEVER, "banned"), id="of two for good the older one"),
        pytest.param([given(1, 1500)], Sentence("restricted"), (NEVER, "restricted"), id="a longer restriction"),
        pytest.param([given(1, NOW)], Sentence("restricted", 2000), (2000, "restricted"), id="not one that has ended"),
        pytest.param(
            [replace(given(1), lifted_at=900)], Sentence("banned", 2000), (2000, "banned"), id="nor one that was lifted"
        ),
    ],
)
def test_the_longest_ban_bars_the_player(before: list[Ban], sentence: Sentence, bar: tuple[int, BarKind]) -> None:
    planned = ban([account(*before)], sentence, occasion(), MARKS)
    assert of_kind(planned, BarPlayer) == [BarPlayer(1, *bar)]
    assert len(of_kind(planned, AddBan)) == 1


@pytest.mark.parametrize(
    ("bans", "kind", "ban_id", "lifted", "bar"),
    [
        pytest.param([given(1), given(2, 2000)], "banned", None, [1, 2], (0, None), id="all"),
        pytest.param([given(1), given(2, 2000)], "banned", 1, [1], (2000, "banned"), id="one of two"),
        pytest.param([given(1, 2000), given(2)], "banned", 1, [1], (NEVER, "banned"), id="the shorter of two"),
        pytest.param(
            [given(1), given(2, 3000, "restricted")], "banned", None, [1], (3000, "restricted"), id="the ban alone"
        ),
        pytest.param([given(1), given(2, kind="restricted")], "restricted", None, [2], (NEVER, "banned"), id="not it"),
        pytest.param([given(1, NOW), given(2)], "banned", None, [2], (0, None), id="one that has ended is left"),
    ],
)
def test_lifting_bans_leaves_the_longest_of_the_others(
    bans: list[Ban], kind: BarKind, ban_id: int | None, lifted: list[int], bar: tuple[int, BarKind | None]
) -> None:
    planned = unban([account(*bans)], kind, occasion(), ban_id)
    assert planned
    assert of_kind(planned, LiftBan) == [LiftBan(number, NOW) for number in lifted]
    assert of_kind(planned, BarPlayer) == [BarPlayer(1, *bar)]
    assert planned.changes[0] == AdvanceVersion(1, 7)
    assert planned.changes[-1] == RecordEvent(planned.event)
    assert planned.event.kind == ("unbanned" if kind == "banned" else "unrestricted")


@pytest.mark.parametrize(
    ("bans", "kind", "ban_id"),
    [
        ([], "banned", None),
        ([given(1, NOW)], "banned", None),
        ([replace(given(1), lifted_at=9)], "banned", None),
        ([given(1)], "restricted", None),
        ([given(1)], "banned", 2),
        ([given(1)], "restricted", 1),
    ],
)
def test_there_may_be_nothing_to_lift(bans: list[Ban], kind: BarKind, ban_id: int | None) -> None:
    assert unban([account(*bans)], kind, occasion(), ban_id) is None


def test_what_was_given_before_a_ban_was_lifted_stays_void_and_what_is_given_now_is_good() -> None:
    planned = unban([account(given(1))], "banned", occasion())
    assert planned
    assert of_kind(planned, SetNotBefore) == [SetNotBefore("player", "sub-1", NOW)]
    assert of_kind(planned, EndSessions) == [EndSessions(1, NOW, "banned")]


def test_the_bans_of_a_merged_account_are_lifted_with_its_survivors() -> None:
    merged = account(given(2, player_id=2), player=ALIAS)
    planned = unban([account(aliases=[ALIAS]), merged], "banned", occasion())
    assert planned
    assert of_kind(planned, LiftBan) == [LiftBan(2, NOW)]
    assert of_kind(planned, BarPlayer) == [BarPlayer(1, 0, None), BarPlayer(2, 0, None)]


def test_the_bans_of_a_merged_account_count_for_its_survivor() -> None:
    merged = account(given(2, player_id=2), player=ALIAS)
    planned = ban([account(aliases=[ALIAS]), merged], Sentence("banned", 2000), occasion(), MARKS)
    assert of_kind(planned, BarPlayer) == [BarPlayer(1, NEVER, "banned")]


def test_a_ban_of_nobodys_identity_holds_no_readable_id() -> None:
    planned = ban_identity(STEAM, Sentence("banned", 2000, "why"), occasion(), MARKS)
    decided = Ban(50, "skyforge", 0, "banned", "why", "operator", NOW, 2000)
    assert planned.changes == (
        AddIdentityBan(decided, STEAM),
        MarkIdentity(MARKS.of(STEAM), 50),
        RecordEvent(planned.event),
    )
    assert (planned.event.player_id, planned.event.identity) == (0, None)
    assert unban_identity(decided, occasion()).changes[0] == LiftBan(50, NOW)


def test_what_is_linked_to_a_banned_player_is_banned_by_every_ban_in_force() -> None:
    banned = account(given(1), given(2, NOW), given(3, 2000), replace(given(4), lifted_at=9))
    mark = MARKS.of(XBOX)
    assert spread(banned, XBOX, MARKS, NOW) == [MarkIdentity(mark, 1), MarkIdentity(mark, 3)]
    assert spread(account(), XBOX, MARKS, NOW) == []


def test_a_server_that_bans_is_named_by_its_client_id() -> None:
    doer = Doer("client", "", "backend", "203.0.113.0")
    planned = ban([account()], Sentence("banned"), occasion(doer), MARKS)
    (added,) = of_kind(planned, AddBan)
    assert isinstance(added, AddBan)
    assert added.ban.decided_by == "backend"
