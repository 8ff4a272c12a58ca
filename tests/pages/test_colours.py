"""Whatever accent a studio chooses, text on it and links beside it can be read; so can everything in page.css."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.pages.colours import BLACK, WHITE, Colour, contrast, palette
from authsrv.pages.render import DARK_SURFACE, LIGHT_SURFACE, Pages
from authsrv.pages.views import ClientCard, DonePage, Look

CSS = (Path(__file__).parents[2] / "templates" / "pages" / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    {name: Colour.parse(value) for name, value in re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)}
    for block in CSS.split("@media (prefers-color-scheme: dark)")
)
SCHEMES = pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])

channels = st.integers(0, 255)
colours = st.builds(Colour, channels, channels, channels)
surfaces = st.sampled_from([LIGHT_SURFACE, DARK_SURFACE])


@given(colours, surfaces)
def test_text_on_the_accent_and_links_on_the_surface_reach_4_5(accent: Colour, surface: Colour) -> None:
    found = palette(accent, surface)
    assert contrast(found.accent, found.on_accent) >= 4.5
    assert contrast(found.link, surface) >= 4.5


@given(colours)
def test_a_button_is_seen_on_the_dark_surface(accent: Colour) -> None:
    assert contrast(palette(accent, DARK_SURFACE).accent, DARK_SURFACE) >= 3


@pytest.mark.parametrize(
    ("accent", "surface", "expected"),
    [
        ("#2f5bd3", LIGHT_SURFACE, ("#2f5bd3", "#ffffff", "#2f5bd3")),
        ("#ffdd00", LIGHT_SURFACE, ("#ffdd00", "#000000", "#877500")),
        ("#1e88e5", LIGHT_SURFACE, ("#1b79cc", "#ffffff", "#1b79cc")),
        ("#000000", LIGHT_SURFACE, ("#000000", "#ffffff", "#000000")),
        ("#ffffff", LIGHT_SURFACE, ("#ffffff", "#000000", "#747474")),
        ("#000000", DARK_SURFACE, ("#6c6c6c", "#ffffff", "#878787")),
        ("#ffffff", DARK_SURFACE, ("#ffffff", "#000000", "#ffffff")),
    ],
)
def test_an_accent_is_changed_no_more_than_needed(accent: str, surface: Colour, expected: tuple[str, str, str]) -> None:
    found = palette(Colour.parse(accent), surface)
    assert (str(found.accent), str(found.on_accent), str(found.link)) == expected


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(BLACK, WHITE) == contrast(WHITE, BLACK) == pytest.approx(21)
    assert contrast(Colour.parse("#767676"), WHITE) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "#+12345", "#12 456", "#123456;}"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="#rrggbb"):
        Colour.parse(text)


def test_the_surfaces_are_those_of_the_style_sheet() -> None:
    assert (LIGHT["surface"], DARK["surface"]) == (LIGHT_SURFACE, DARK_SURFACE)


@SCHEMES
def test_every_text_colour_of_the_style_sheet_reaches_4_5(scheme: dict[str, Colour]) -> None:
    for text, grounds in {"text": ("surface", "page", "well", "warm"), "muted": ("surface", "page", "well")}.items():
        assert [ground for ground in grounds if contrast(scheme[text], scheme[ground]) < 4.5] == []


@SCHEMES
def test_the_edge_of_a_button_reaches_3(scheme: dict[str, Colour]) -> None:
    assert contrast(scheme["edge"], scheme["surface"]) >= 3


def test_the_style_sheet_loads_nothing_and_moves_nothing() -> None:
    assert re.findall(r"url\(|@import|@font-face|animation|transition|expression", CSS) == []


@pytest.mark.parametrize(
    ("look", "light", "dark"),
    [
        (
            Look("A", accent="#ffdd00"),
            "--accent: #ffdd00; --on-accent: #000000",
            "--accent: #ffdd00; --on-accent: #000000",
        ),
        (
            Look("A", accent="#003366", accent_dark="#66ccff"),
            "--accent: #003366; --on-accent: #ffffff",
            "--accent: #66ccff; --on-accent: #000000",
        ),
    ],
)
def test_the_accents_of_the_look_reach_their_schemes(look: Look, light: str, dark: str) -> None:
    body = bytes(Pages().render(DonePage(ClientCard("A")), look, "en").body).decode()
    before, after = body.split("@media (prefers-color-scheme: dark)")
    assert light in before
    assert dark in after
