"""Writes every page to a directory, to be looked at: `python -m tests.pages.gallery DIRECTORY [LOCALE] [ACCENT]`."""

import sys
from dataclasses import replace
from pathlib import Path

from authsrv.pages.render import Pages
from tests.pages.samples import FRIENDLY, LONG, look, samples

ASSET = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="48">'
    '<rect width="160" height="48" rx="8" fill="#8a2be2"/></svg>'
)


def write(directory: Path, locale: str, accent: str) -> None:
    """One file for each sample. The policy of the answer is not in the file, and logos are a plain rectangle."""
    pages = Pages()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "logo.svg").write_text(ASSET, encoding="utf-8")
    for kind, words in (("", FRIENDLY), ("long-", LONG)):
        for name, page in samples(words):
            text = bytes(pages.render(page, replace(look(words), accent=accent), locale).body).decode()
            text = text.replace('src="/assets/skyforge/logo"', 'src="logo.svg"')
            text = text.replace('src="/assets/skyforge/client/launcher"', 'src="logo.svg"')
            (directory / f"{kind}{name}.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    write(Path(given.get(1, "var/pages")), given.get(2, "en"), given.get(3, "#2f5bd3"))
