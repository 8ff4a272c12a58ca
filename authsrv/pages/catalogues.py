"""The translations: gettext catalogues read from `templates/locales/<locale>/LC_MESSAGES/authsrv.po`, kept once read.

Like `times`, imports Babel, which takes a tenth of a start to load: `render` imports this module with the first page.
"""

from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from authsrv.pages.localization import LOCALES


class Catalogues:
    """One catalogue per locale of LOCALES. English needs none: the texts in the sources are English."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, NullTranslations] = {LOCALES[0]: NullTranslations()}

    def __getitem__(self, locale: str) -> NullTranslations:
        """Raises KeyError for a locale that is not one of LOCALES."""
        if locale not in LOCALES:
            raise KeyError(locale)
        if locale not in self._read:
            self._read[locale] = _read(self._directory / locale / "LC_MESSAGES" / "authsrv.po")
        return self._read[locale]


def _read(path: Path) -> NullTranslations:
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file))
    compiled.seek(0)
    return Translations(compiled)
