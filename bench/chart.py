"""The results as a picture: requests per second of one core, a group of bars for each kind of request.

Owns an SVG without scripts and fonts of its own that can be read on a light and on a dark page.
"""

from collections.abc import Iterator, Sequence
from html import escape

from bench.plan import CONNECTIONS
from bench.table import Results, Row

WIDTH, LEFT, RIGHT = 900, 220, 110
BAR, GAP, GROUP_GAP, TOP = 13, 3, 22, 104
LEGEND = 5
"""Names in one line."""
COLOURS = ("#2f6fde", "#7aa5f0", "#8a8f98", "#d9822b", "#b8589c", "#4c9a6a", "#a98b2d", "#c25450")
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .small { fill: #9da7b3; } }
"""


def chart(results: Results) -> str:
    """The whole document."""
    rows = [row for row in results.rows if row.connections == CONNECTIONS and row.measured]
    colours = dict(zip(results.systems, COLOURS * 2, strict=False))
    height = TOP + sum(_height(row) for row in rows) + 10
    parts = [*_heading(results, colours), *_groups(rows, colours)]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Requests per second of one core">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def _heading(results: Results, colours: dict[str, str]) -> Iterator[str]:
    about = f"{results.date[:10]}, {results.machine.get('processor', '')}, {CONNECTIONS} connections"
    yield '<text class="title" x="10" y="22">Requests per second of one core</text>'
    yield f'<text class="small" x="10" y="40">{escape(about)}</text>'
    for number, (key, colour) in enumerate(colours.items()):
        x, y = 10 + number % LEGEND * (WIDTH - 20) // LEGEND, 54 + number // LEGEND * 17
        yield f'<rect x="{x}" y="{y}" width="11" height="11" rx="2" fill="{colour}"/>'
        yield f'<text class="small" x="{x + 15}" y="{y + 10}">{escape(key)}</text>'


def _groups(rows: Sequence[Row], colours: dict[str, str]) -> Iterator[str]:
    y = TOP
    for row in rows:
        yield f'<text x="10" y="{y + 11}">{escape(row.name)}</text>'
        yield from _bars(row, y, colours)
        y += _height(row)


def _bars(row: Row, y: int, colours: dict[str, str]) -> Iterator[str]:
    most = max(one.rate for one in row.measured) or 1.0
    for number, one in enumerate(row.measured):
        top, width = y + number * (BAR + GAP), one.rate / most * (WIDTH - LEFT - RIGHT)
        yield (
            f'<rect x="{LEFT}" y="{top}" width="{max(1.0, width):.1f}" height="{BAR}" rx="2" '
            f'fill="{colours[one.system]}"><title>{escape(one.system)}</title></rect>'
        )
        label = f"{one.rate:,.0f}" + (" (some wrong)" if one.failures else "")
        yield f'<text class="small" x="{LEFT + width + 6:.1f}" y="{top + 11}">{label}</text>'


def _height(row: Row) -> int:
    return len(row.measured) * (BAR + GAP) + GROUP_GAP
