"""The emulated sign-in page: what it sends, that everybody can use it, and that nothing gets out of its place."""

from html.parser import HTMLParser

import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.emulator.page import PAGE_HEADERS, page, problem_page

CASES = {"good": "accepted", "banned": "refused: <banned> & gone"}
HOSTILE = "\"><script>alert(1)</script>&amp;'"


class Reading(HTMLParser):
    """The elements of a document with their attributes, and the text that is not style."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def shown() -> Reading:
    return Reading(page("Steam", "/steam/login", {"return_to": "https://a.test/back?state=1"}, CASES))


def test_the_form_posts_the_hidden_fields_to_the_action(shown: Reading) -> None:
    assert shown.all("form") == [{"method": "post", "action": "/steam/login"}]
    assert shown.all("input") == [{"type": "hidden", "name": "return_to", "value": "https://a.test/back?state=1"}]


def test_there_is_a_button_for_each_player_and_one_to_cancel(shown: Reading) -> None:
    sent = [(button["name"], button["value"]) for button in shown.all("button")]
    assert sent == [*(("player", name) for name in PLAYERS), ("cancel", "1")]
    assert all(f"Sign in as {player.display_name}" in shown.text for player in PLAYERS.values())


def test_every_case_can_be_chosen_and_the_first_is(shown: Reading) -> None:
    assert [option["value"] for option in shown.all("option")] == ["good", "banned"]
    assert [select["name"] for select in shown.all("select")] == ["case"]
    assert "banned: refused: <banned> & gone" in shown.text


@pytest.mark.parametrize(
    "document", [page("Steam", "/", {}, CASES), problem_page("Steam", "no return_to")], ids=["page", "problem"]
)
def test_a_document_has_language_title_one_heading_and_fits_a_phone_in_light_and_dark(document: str) -> None:
    shown = Reading(document)
    assert document.startswith("<!doctype html>\n")
    assert shown.all("html") == [{"lang": "en"}]
    assert (len(shown.all("title")), len(shown.all("h1")), len(shown.all("main"))) == (1, 1, 1)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in shown.all("meta")
    assert "color-scheme: light dark" in document
    assert shown.all("script") == []


def test_the_choice_has_a_label_and_the_page_says_that_it_is_not_the_platform(shown: Reading) -> None:
    (label,), (select,) = shown.all("label"), shown.all("select")
    assert label["for"] == select["id"]
    assert "not Steam" in shown.text


def test_nothing_gets_out_of_its_place() -> None:
    shown = Reading(page(HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE}))
    assert shown.all("script") == []
    assert shown.all("form") == [{"method": "post", "action": HOSTILE}]
    assert shown.all("input") == [{"type": "hidden", "name": HOSTILE, "value": HOSTILE}]
    assert [option["value"] for option in shown.all("option")] == [HOSTILE]
    assert Reading(problem_page(HOSTILE, HOSTILE)).all("script") == []


def test_no_frame_shows_the_page_and_a_redirect_after_the_form_may_lead_anywhere() -> None:
    policy = PAGE_HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy
