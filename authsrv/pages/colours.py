"""A readable palette from one accent colour: text and links always reach 4.5:1 (WCAG 2.2, success criterion 1.4.3).

Arithmetic only; knows no page.
"""

import re
from collections.abc import Callable
from typing import Final

from authsrv.records import dataclass

TEXT_CONTRAST: Final = 4.5
SHAPE_CONTRAST: Final = 3.0  # success criterion 1.4.11
_STEPS: Final = 64
_HEX: Final = re.compile("#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Colour:
    """sRGB, 0 to 255 each."""

    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str) -> "Colour":
        """From `#rrggbb`. Raises ValueError for anything else."""
        if not _HEX.fullmatch(text):
            raise ValueError("write a colour as #rrggbb")
        return cls(*bytes.fromhex(text[1:]))

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    @property
    def luminance(self) -> float:
        """Relative luminance, 0 for black to 1 for white (WCAG 2.2)."""
        return 0.2126 * _linear(self.red) + 0.7152 * _linear(self.green) + 0.0722 * _linear(self.blue)

    def towards(self, other: "Colour", share: float) -> "Colour":
        """Mixed with `share` (0 to 1) of another colour."""
        return Colour(
            round(self.red + (other.red - self.red) * share),
            round(self.green + (other.green - self.green) * share),
            round(self.blue + (other.blue - self.blue) * share),
        )


WHITE: Final = Colour(255, 255, 255)
BLACK: Final = Colour(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Palette:
    """Of one colour scheme: a filled button, the text on it, and links and rings on the page's surface."""

    accent: Colour
    on_accent: Colour
    link: Colour


def contrast(one: Colour, other: Colour) -> float:
    """1 to 21."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def palette(accent: Colour, surface: Colour) -> Palette:
    """The accent, changed no more than needed to be seen on the surface and read on.

    White text is kept where a slightly darker accent carries it, because that is how brands draw their buttons.
    """
    away = BLACK if surface.luminance > 0.18 else WHITE
    shape = accent if away is BLACK else _moved(accent, away, lambda c: contrast(c, surface) >= SHAPE_CONTRAST)
    link = _moved(accent, away, lambda c: contrast(c, surface) >= TEXT_CONTRAST)
    if contrast(shape, WHITE) < SHAPE_CONTRAST:
        return Palette(shape, BLACK, link)
    return Palette(_moved(shape, BLACK, lambda c: contrast(c, WHITE) >= TEXT_CONTRAST), WHITE, link)


def _moved(colour: Colour, goal: Colour, enough: Callable[[Colour], bool]) -> Colour:
    """The first colour on the way to `goal` that is `enough`; the goal itself always is."""
    way = (colour.towards(goal, step / _STEPS) for step in range(_STEPS))
    return next(filter(enough, way), goal)


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)
