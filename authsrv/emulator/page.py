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
:root { color-scheme: light dark; background: var(--page);
  --page: #fff; --text: #1a1d23; --line: #dfe2e8; --edge: #858c99; --well: #f3f4f7; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --page: #1b1e24; --text: #eceef2; --line: #333943; --edge: #7c8594; --well: #252932; --link: #8ab8ff; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--text); overflow-wrap: anywhere; }
main { max-width: 32rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
button, select { display: block; width: 100%; margin: 0.75rem 0 0; padding: 0.75rem 1rem; font: inherit;
  line-height: 1.4; color: var(--text); background: var(--page); border: 1px solid var(--edge); border-radius: 0.6rem; }
button { font-weight: 600; cursor: pointer; }
button:hover { background: var(--well); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
label { display: block; margin-top: 1.5rem; font-weight: 600; }
select { margin: 0.25rem 0 1.5rem; padding-inline-end: 2.75rem; appearance: none; white-space: normal;
  background: var(--page) no-repeat; background-size: 0.375rem 0.375rem;
  background-position: calc(100% - 1.375rem) 50%, calc(100% - 1rem) 50%;
  background-image: linear-gradient(45deg, #0000 50%, currentcolor 50%),
    linear-gradient(-45deg, #0000 50%, currentcolor 50%); }
.note { padding: 0.75rem 1rem; background: var(--well); border: 1px solid var(--line); border-radius: 0.6rem; }
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
