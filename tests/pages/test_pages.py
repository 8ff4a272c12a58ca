"""Every page in every language and state: escaped, self-contained, usable without scripts, readable by machines."""

import re

import pytest

from authsrv.pages.localization import LOCALES
from authsrv.pages.render import Pages
from authsrv.pages.views import (
    ClientCard,
    DonePage,
    FormPostPage,
    LoggedOutPage,
    LogoutPage,
    Page,
    PlayerCard,
)
from tests.pages.documents import Document, read
from tests.pages.samples import (
    FORM,
    FRIENDLY,
    HOSTILE,
    LONG,
    LOOK,
    RIGHT_TO_LEFT,
    Words,
    look,
    samples,
)

PAGES = Pages()
OUTSIDE = {"hostile": HOSTILE, "long": LONG, "right to left": RIGHT_TO_LEFT}
NAMED = dict(samples())
CARD = ClientCard("Skyforge Launcher")


def draw(page: Page, words: Words = FRIENDLY, locale: str = "en") -> Document:
    return read(PAGES.render(page, look(words), locale))


every_page = pytest.mark.parametrize("page", NAMED.values(), ids=NAMED)
every_locale = pytest.mark.parametrize("locale", LOCALES)


@every_locale
@pytest.mark.parametrize("kind", OUTSIDE)
def test_A35_E11_texts_from_outside_change_no_element_and_no_attribute(kind: str, locale: str) -> None:
    for name, page in samples(OUTSIDE[kind]):
        assert draw(page, OUTSIDE[kind], locale).outline == draw(NAMED[name], FRIENDLY, locale).outline, name


@every_locale
def test_A35_hostile_texts_are_shown_as_they_are(locale: str) -> None:
    for name, page in samples(HOSTILE):
        shown = draw(page, HOSTILE, locale)
        assert shown.attributes_of("img")[0]["alt"] == HOSTILE.project, name
        if name in ("login", "choose", "consent", "done", "logout"):
            assert HOSTILE.client in shown.text, name
    assert HOSTILE.player in draw(dict(samples(HOSTILE))["account"], locale=locale).text


@every_locale
def test_names_do_not_turn_the_writing_direction_of_the_words_around_them(locale: str) -> None:
    text = bytes(PAGES.render(dict(samples(RIGHT_TO_LEFT))["choose"], LOOK, locale).body).decode()
    outside = re.sub(r"<bdi[^>]*>[^<]*</bdi>", "", text)
    assert RIGHT_TO_LEFT.player in text
    assert RIGHT_TO_LEFT.player not in outside


@every_page
def test_A35_there_is_no_inline_style_and_no_event_attribute(page: Page) -> None:
    attributes = [name for _, names in draw(page).outline for name in names]
    assert [name for name in attributes if name == "style" or name.startswith("on")] == []


@every_page
def test_A34_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    shown = draw(page)
    loaded = [
        each for tag in ("img", "script", "link", "object", "embed", "video") for each in shown.attributes_of(tag)
    ]
    frames = page.frames if isinstance(page, LoggedOutPage) else ()
    assert {each.get("src", "/") for each in loaded} <= {
        "/",
        "/assets/skyforge/logo",
        "/assets/skyforge/client/launcher",
    }
    assert tuple(each["src"] for each in shown.attributes_of("iframe")) == frames
    assert shown.attributes_of("link") == shown.attributes_of("base") == []


@every_page
def test_only_the_form_post_page_has_a_script(page: Page) -> None:
    assert len(draw(page).attributes_of("script")) == isinstance(page, FormPostPage)


@every_page
def test_G13_a_page_has_one_heading_a_title_landmarks_and_names_for_everything(page: Page) -> None:
    shown = draw(page)
    tags = [tag for tag, _ in shown.elements]
    assert [tags.count(tag) for tag in ("title", "header", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert shown.attributes_of("html") == [{"lang": "en"}]
    assert all("alt" in each for each in shown.attributes_of("img"))
    assert all(each["title"] for each in shown.attributes_of("iframe"))
    fields = [each for each in shown.attributes_of("input") if each["type"] != "hidden"]
    labels = [each.get("for", "around it") for each in shown.attributes_of("label")]
    assert labels == [each["id"] if each["type"] == "text" else "around it" for each in fields]
    ids = shown.values("id")
    assert len(ids) == len(set(ids))


@every_page
def test_no_element_is_taken_out_of_the_order_of_the_page(page: Page) -> None:
    assert draw(page).values("tabindex", "accesskey", "autofocus") == []


@every_page
def test_E15_no_answer_is_cached_and_each_says_its_language(page: Page) -> None:
    response = PAGES.render(page, LOOK, "pt-BR", status=403)
    assert response.status_code == 403
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-language"] == "pt-BR"
    assert response.headers["vary"] == "Accept-Language, Cookie"
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert read(response).attributes_of("html") == [{"lang": "pt-BR"}]


def test_half_a_surrogate_pair_in_a_name_is_no_fault_of_ours() -> None:
    page = LogoutPage(FORM, None, PlayerCard("Am\ud800ber", "Steam"))
    assert "Am?ber" in draw(page).text


def test_a_locale_without_a_catalogue_is_refused() -> None:
    with pytest.raises(KeyError):
        PAGES.render(DonePage(CARD), LOOK, "../de")
