"""The emulated sign-in pages: one look for all platforms, plain HTML without scripts.

Owns the document and its escaping. Knows no platform and no request; what a button leads to is the platform's.
"""

from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType

from authsrv.emulator.base import PLAYERS

PAGE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # No form-action: browsers apply it to the redirect after the form, too, which leads back to the caller.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        " frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
)
"""For the answer that carries one of these documents."""

_STYLE = """
:root { color-scheme: light dark; background: Canvas; color: CanvasText; --line: #8885; --well: #8882; }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
button, select { width: 100%; margin: 0.25rem 0; padding: 0.6rem 0.75rem; font: inherit; border-radius: 6px; }
label { display: block; margin-top: 1.5rem; font-weight: 600; }
select { margin-bottom: 1.5rem; }
.note { padding: 0.6rem 0.75rem; background: var(--well); border: 1px solid var(--line); border-radius: 6px; }
.cancel { margin-top: 1.5rem; }
"""


def page(platform: str, action: str, hidden: Mapping[str, str], cases: Mapping[str, str]) -> str:
    """The page on which a visitor chooses whom to be: a document with one form, posted to `action`.

    It sends `hidden`, `case` (a name of `cases`, whose values say what happens; the first is chosen), and either
    `player` (a name of `PLAYERS`) or `cancel=1`. `platform` is its name for people.
    """
    return _document(
        f"Sign in with the emulated {platform}",
        f'<p class="note">This is the emulator of authsrv, <strong>not {escape(platform)}</strong>. The players are'
        " invented, and no password is asked for.</p>",
        f'<form method="post" action="{escape(action)}">',
        *(f'<input type="hidden" name="{escape(name)}" value="{escape(text)}">' for name, text in hidden.items()),
        '<label for="case">Case to try</label>',
        '<select id="case" name="case">',
        *(f'<option value="{escape(name)}">{escape(f"{name}: {text}")}</option>' for name, text in cases.items()),
        "</select>",
        *(
            f'<button name="player" value="{escape(player.name)}">Sign in as {escape(player.display_name)}</button>'
            for player in PLAYERS.values()
        ),
        '<button class="cancel" name="cancel" value="1">Cancel and go back</button>',
        "</form>",
    )


def problem_page(platform: str, text: str) -> str:
    """The page for a request that the platform would not answer by going back to the caller; `text` says why."""
    return _document(
        f"The emulated {platform} cannot go on",
        f'<p class="note">{escape(text)}</p>',
        "<p>This is the emulator of authsrv. Go back, and begin the sign-in again.</p>",
    )


def _document(title: str, *content: str) -> str:
    return "\n".join(_lines(escape(title), content))


def _lines(title: str, content: Iterable[str]) -> Iterable[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>"
    yield f"<style>{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<main>"
    yield f"<h1>{title}</h1>"
    yield from content
    yield "</main>"
    yield "</body>"
    yield "</html>"
    yield ""
