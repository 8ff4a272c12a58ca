from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.account_models import Ban, Doer, JournalEvent, Ownership
from authsrv.errors import AccessDenied, UserNotFound
from authsrv.models import NEVER, AccountRules, BarKind, ConnectFlags, Digest, IdentityKey, Player
from authsrv.players import NewPlayer, Presence, clean_display_name, decide, sign_in
from authsrv.storage.account_changes import RecordEvent
from authsrv.storage.changes import AddPlayer, LinkIdentity, RecordLogin

KEY = IdentityKey("p", "steam", "", "76561202255232001")
NEW = NewPlayer(7, "0d0c2c1e-5b8e-4a57-9d0e-6a0f0f3b1c11", 8)
KNOWN = Player(3, "9a41c1de-5b8e-4a57-9d0e-6a0f0f3b1c11", "p", "Ann", 1, 2, version=5)
DOER = Doer("player", "", "launcher", "203.0.113.0")
MARK = Digest(b"m" * 32)
OFTEN = [False, True]


def coming(name: str = "Ann", age_group: str = "") -> Presence:
    return Presence(KEY, name, age_group, DOER, 100, MARK, AccountRules())


def test_an_unknown_identity_becomes_a_new_player_and_the_journal_says_so() -> None:
    decided = sign_in(coming(age_group="teen"), Ownership(), may_create=True, new=NEW)
    player = Player(7, NEW.sub, "p", "Ann", 100, 100, age_group="teen", name_from="steam")
    event = JournalEvent(8, "p", "created", 100, 7, 0, KEY, client_id="launcher", address="203.0.113.0", rule="1")
    assert decided.changes == (AddPlayer(player), LinkIdentity(KEY, 7, 100, MARK), RecordEvent(event))
    assert decided.created


def test_a_player_without_a_name_follows_the_first_platform_that_has_one() -> None:
    assert sign_in(coming(""), Ownership(), may_create=True, new=NEW).player.name_from == ""


def test_a_known_identity_signs_its_player_in() -> None:
    decided = sign_in(coming("Annie"), Ownership(KNOWN), may_create=False, new=NEW)
    assert decided.player is KNOWN
    assert decided.changes == (RecordLogin(KEY, 3, 5, "Annie", 100),)
    assert not decided.created


def test_a_login_under_the_name_that_the_player_has_writes_no_name() -> None:
    decided = sign_in(coming(KNOWN.display_name), Ownership(KNOWN), may_create=False, new=NEW)
    assert decided.changes == (RecordLogin(KEY, 3, 5, "", 100),)


def test_D53_an_unknown_identity_that_may_not_be_created_is_refused() -> None:
    with pytest.raises(UserNotFound):
        sign_in(coming(), Ownership(), may_create=False, new=NEW)


def ban(kind: BarKind = "banned", until: int = NEVER) -> Ban:
    return Ban(1, "p", 3, kind, "cheating", "operator", 50, until)


@pytest.mark.parametrize(
    ("found", "reason", "facts"),
    [
        (Ownership(replace(KNOWN, barred_until=NEVER, barred_as="banned")), "banned", {}),
        (Ownership(replace(KNOWN, barred_until=101, barred_as="banned")), "banned", {"until": 101}),
        (Ownership(replace(KNOWN, barred_until=NEVER, barred_as="restricted")), "", {}),
        (Ownership(None, ban()), "banned", {}),
        (Ownership(KNOWN, ban(until=101)), "banned", {"until": 101}),
        (Ownership(None, ban("restricted")), "", {}),
    ],
)
def test_who_is_banned_neither_signs_in_nor_becomes_a_new_player(
    found: Ownership, reason: str, facts: dict[str, int]
) -> None:
    with pytest.raises(AccessDenied) as refused:
        sign_in(coming(), found, may_create=True, new=NEW)
    assert (refused.value.reason, refused.value.facts) == (reason, facts)


def test_a_ban_that_has_ended_keeps_nobody_out() -> None:
    ended = Ownership(replace(KNOWN, barred_until=100, barred_as="banned"))
    assert sign_in(coming(), ended, may_create=False, new=NEW).player is ended.player


P, Q = 1, 2
FLAGS = [
    ConnectFlags(no_link, error, switch, no_create)
    for no_link, error, switch, no_create in product(OFTEN, OFTEN, OFTEN, OFTEN)
]


def row(session: int | None, owner: int | None, has_other: bool, flags: ConnectFlags) -> tuple[str, str]:
    """The decision table read line by line: the outcome and the row, or rows that hold."""
    no_link, error, switch = flags.do_not_link_to_current_player, flags.error_on_switch, flags.switch_if_possible
    made = "not_found" if flags.do_not_create_new_player else "create"
    table: list[tuple[str, bool, str]] = [
        ("1", session is None and owner is None, made),
        ("2", session is None and owner is not None, "sign_in"),
        ("3", session == P and owner is None and not has_other and not no_link, "link"),
        ("4", session == P and owner is None and not has_other and no_link, made),
        ("5", session == P and owner == P, "unchanged"),
        ("6", session == P and owner == Q and not has_other and not error, "switch"),
        ("7", session == P and owner == Q and not has_other and error, "conflict"),
        ("8", session == P and owner is None and has_other and not no_link and not switch, "already_linked"),
        ("9", session == P and owner == Q and has_other and not error and not switch, "already_linked"),
        ("9b", session == P and owner == Q and has_other and error and not switch, "already_linked"),
        ("10", session == P and owner == Q and has_other and not error and switch, "switch"),
        ("11", session == P and owner is None and has_other and not no_link and switch, "already_linked"),
        ("12", session == P and owner == Q and has_other and error and switch, "conflict"),
        ("13", session == P and owner is None and has_other and no_link, made),
    ]
    ((rule, _, outcome),) = [line for line in table if line[1]]
    return rule, "create_and_switch" if session == P and outcome == "create" else outcome


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("has_other", OFTEN)
@pytest.mark.parametrize("owner", [None, P, Q])
@pytest.mark.parametrize("session", [None, P])
def test_every_case_of_the_decision_table_has_one_row_and_its_outcome(
    session: int | None, owner: int | None, has_other: bool, flags: ConnectFlags
) -> None:
    decision = decide(session, owner, has_other=has_other, flags=flags)
    assert (decision.rule, decision.outcome) == row(session, owner, has_other, flags)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        pytest.param("Ann", "Ann", id="a plain name stays"),
        pytest.param("  Ann\t\n Lee ", "Ann Lee", id="white space folds"),
        pytest.param("A\u0301nn", "\u00c1nn", id="composed to NFC"),
        pytest.param("Ann\u202egnp.exe", "Anngnp.exe", id="right-to-left override goes"),
        pytest.param("A\x00n\x1b[31mn", "An[31mn", id="NUL and escape go"),
        pytest.param("\u200bAnn\ufeff", "Ann", id="invisible characters go"),
        pytest.param("x" * 10_240, "x" * 32, id="cut to 32"),
        pytest.param("", "", id="empty stays empty"),
        pytest.param("<b>Ann</b>", "<b>Ann</b>", id="markup is text; pages escape it"),
    ],
)
def test_D54_a_platforms_name_is_made_harmless(raw: str, clean: str) -> None:
    assert clean_display_name(raw) == clean


@given(st.text(max_size=200))
def test_D54_no_text_survives_as_more_than_32_harmless_characters(raw: str) -> None:
    clean = clean_display_name(raw)
    assert len(clean) <= 32
    assert clean.isprintable()
    assert clean == clean.strip()
    assert clean_display_name(clean) == clean
