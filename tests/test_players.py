import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.errors import UserNotFound
from authsrv.models import IdentityKey, Player
from authsrv.players import NewPlayer, clean_display_name, sign_in
from authsrv.storage.changes import AddPlayer, LinkIdentity, RecordLogin

KEY = IdentityKey("p", "steam", "", "76561202255232001")
NEW = NewPlayer(7, "0d0c2c1e-5b8e-4a57-9d0e-6a0f0f3b1c11")
KNOWN = Player(3, "9a41c1de-5b8e-4a57-9d0e-6a0f0f3b1c11", "p", "Ann", 1, 2)


def test_an_unknown_identity_becomes_a_new_player() -> None:
    decided = sign_in(KEY, None, display_name="Ann", may_create=True, new=NEW, now=100)
    player = Player(7, NEW.sub, "p", "Ann", 100, 100)
    assert decided.changes == (AddPlayer(player), LinkIdentity(KEY, 7, 100))
    assert decided.created


def test_a_known_identity_signs_its_player_in() -> None:
    decided = sign_in(KEY, KNOWN, display_name="Annie", may_create=False, new=NEW, now=100)
    assert decided.player is KNOWN
    assert decided.changes == (RecordLogin(KEY, 3, "Annie", 100),)
    assert not decided.created


def test_D53_an_unknown_identity_that_may_not_be_created_is_refused() -> None:
    with pytest.raises(UserNotFound):
        sign_in(KEY, None, display_name="", may_create=False, new=NEW, now=100)


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
