"""The texts to translate, as Babel finds them, and the catalogues in `templates/locales`.

`python -m tests.pages.catalogues` brings the catalogues up to date: new texts come in empty, changed ones as fuzzy.
"""

import tomllib
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from authsrv.pages.localization import LOCALES

ROOT = Path(__file__).parents[2]
TRANSLATED = LOCALES[1:]


def sources() -> Catalog:
    """Every text of the sources and templates that `pyproject.toml` names."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["babel"]["mappings"]
    methods = [(each["pattern"], each["method"]) for each in mappings]
    options = {each["pattern"]: each for each in mappings}
    found = Catalog(project="authsrv", charset="utf-8")
    for path, _, text, _, context in extract_from_dir(ROOT, methods, options):
        found.add(text, locations=[(path, 0)], context=context)
    return found


def path_of(locale: str) -> Path:
    return ROOT / "templates" / "locales" / locale / "LC_MESSAGES" / "authsrv.po"


def catalogue(locale: str) -> Catalog:
    with path_of(locale).open("rb") as file:
        return read_po(file)


def update(locale: str) -> None:
    """Write the catalogue anew. Its dates stay, so that nothing changes where no text did."""
    template, present = sources(), catalogue(locale)
    template.creation_date = present.creation_date
    present.update(template)
    with path_of(locale).open("wb") as file:
        write_po(file, present, width=120, ignore_obsolete=True, include_lineno=False)


if __name__ == "__main__":
    for each in TRANSLATED:
        update(each)
