"""Every text has a translation in every language, with the same placeholders, and no catalogue carries leftovers."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.catalog import Catalog, Message

from authsrv.pages.problems import EXPLANATIONS
from tests.pages.catalogues import TRANSLATED, catalogue, path_of, sources

PLACEHOLDER = re.compile(r"%\(\w+\)s")
SOURCES = sources()

every_catalogue = pytest.mark.parametrize("locale", TRANSLATED)


def forms(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    """The text, or the forms of a plural."""
    return [text] if isinstance(text, str) else list(text or ())


def messages(found: Catalog) -> Iterator[Message]:
    return (message for message in found if message.id)


def ids(found: Catalog) -> set[str | tuple[str, ...]]:
    return {message.id if isinstance(message.id, str) else tuple(message.id) for message in messages(found)}


def test_texts_are_found_in_templates_and_sources() -> None:
    found = ids(SOURCES)
    assert {text for each in EXPLANATIONS.values() for text in (each.title, each.happened, each.advice)} <= found
    assert "Choose how you want to continue to %(client)s." in found
    assert ("You can try again in %(seconds)s second.", "You can try again in %(seconds)s seconds.") in found


@every_catalogue
def test_no_text_is_missing_and_none_is_left_over(locale: str) -> None:
    assert ids(catalogue(locale)) == ids(SOURCES)
    assert catalogue(locale).obsolete == {}


@every_catalogue
def test_no_translation_is_empty_or_unchecked(locale: str) -> None:
    found = catalogue(locale)
    assert [each.id for each in messages(found) if each.fuzzy] == []
    assert [each.id for each in messages(found) if not all(text.strip() for text in forms(each.string))] == []
    assert [each.id for each in messages(found) if len(forms(each.string)) not in (1, found.num_plurals)] == []


@every_catalogue
def test_placeholders_are_those_of_the_text(locale: str) -> None:
    for each in messages(catalogue(locale)):
        expected = sorted(PLACEHOLDER.findall(forms(each.id)[0]))
        for text in forms(each.string):
            assert sorted(PLACEHOLDER.findall(text)) == expected, text
            assert "%" not in PLACEHOLDER.sub("", text), text


@every_catalogue
def test_translations_hold_no_markup(locale: str) -> None:
    assert [each.id for each in messages(catalogue(locale)) if re.search("[<>&]", "".join(forms(each.string)))] == []


@every_catalogue
def test_sentences_stay_sentences(locale: str) -> None:
    for each in messages(catalogue(locale)):
        if forms(each.id)[0].endswith("."):
            assert all(text.endswith((".", "。")) for text in forms(each.string)), each.id


@every_catalogue
def test_a_catalogue_names_its_language(locale: str) -> None:
    text = path_of(locale).read_text(encoding="utf-8")
    assert f'"Language: {locale.replace("-", "_")}\\n"' in text
