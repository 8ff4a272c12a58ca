"""What stands on each page: the fields, buttons, links and words that clients, players and other tools rely on."""

from typing import get_args

import pytest

from authsrv.pages.localization import LOCALES
from authsrv.pages.problems import EXPLANATIONS, Problem
from authsrv.pages.render import Pages
from authsrv.pages.views import (
    ClientCard,
    ConsentPage,
    DonePage,
    ErrorPage,
    Form,
    FormPostPage,
    Link,
    LoggedOutPage,
    LoginPage,
    Page,
    PlayerCard,
)
from tests.pages.documents import Document, read
from tests.pages.samples import (
    FORM,
    FRIENDLY,
    LOOK,
    PLATFORMS,
    look,
    samples,
)

PAGES = Pages()
NAMED = dict(samples())
CARD = ClientCard("Skyforge Launcher")


def draw(page: Page, locale: str = "en") -> Document:
    return read(PAGES.render(page, look(FRIENDLY), locale))


def names_of_inputs(document: Document) -> list[tuple[str, str]]:
    return [(each["name"], each["value"]) for each in document.attributes_of("input")]


@pytest.mark.parametrize("name", ["login", "choose", "consent", "logout"])
def test_G13_a_form_posts_its_hidden_fields(name: str) -> None:
    shown = draw(NAMED[name])
    assert shown.attributes_of("form") == [{"method": "post", "action": "/login"}]
    assert names_of_inputs(shown) == [("request", "request-1"), ("csrf", "csrf-1")]


def test_a_form_names_the_session_that_it_speaks_of() -> None:
    form = Form("/consent", "request-1", "csrf-1", session="session-1")
    shown = draw(ConsentPage(form, CARD, PlayerCard("Amber", "Steam"), ("openid",), "", native=False))
    assert names_of_inputs(shown) == [("request", "request-1"), ("csrf", "csrf-1"), ("session", "session-1")]


def test_a_form_without_a_request_sends_none() -> None:
    shown = draw(LoginPage(Form("/login", "", "csrf-1"), CARD, PLATFORMS))
    assert names_of_inputs(shown) == [("csrf", "csrf-1")]


@pytest.mark.parametrize(
    ("name", "decisions"),
    [
        ("login", ["cancel"]),
        ("login-again", []),
        ("choose", ["continue", "cancel"]),
        ("choose-unnamed", ["continue", "switch", "cancel"]),
        ("consent", ["allow", "deny", "switch"]),
        ("logout", ["yes", "no"]),
    ],
)
def test_G13_decisions_are_buttons_with_stable_names_values_and_ids(name: str, decisions: list[str]) -> None:
    buttons = [each for each in draw(NAMED[name]).attributes_of("button") if "name" in each]
    assert [(each["name"], each["value"], each["id"]) for each in buttons] == [("decision", d, d) for d in decisions]


@pytest.mark.parametrize("name", ["login", "choose"])
def test_G13_each_platform_is_a_button_that_posts_the_form_to_its_own_action(name: str) -> None:
    buttons = [each for each in draw(NAMED[name]).attributes_of("button") if "formaction" in each]
    assert [(each["id"], each["formaction"]) for each in buttons] == [
        ("sign-in-steam", "/login/steam"),
        ("sign-in-xbox", "/login/xbox"),
        ("sign-in-epicgames", "/login/epicgames"),
    ]


@pytest.mark.parametrize("name", ["login-again", "choose-unnamed", "consent-native"])
def test_G13_client_name_logo_policy_and_terms_are_shown(name: str) -> None:
    shown = draw(NAMED[name])
    assert "Skyforge Launcher" in shown.text
    assert shown.of_id("client-logo")["src"] == "/assets/skyforge/client/launcher"
    assert shown.of_id("client-page")["href"] == "https://game.example/?state=a&session=1"
    assert shown.of_id("client-policy")["href"] == "https://game.example/privacy?state=a&session=1"
    assert shown.of_id("client-terms")["href"] == "https://game.example/terms?state=a&session=1"


def test_E11_an_address_that_is_no_web_page_becomes_no_link() -> None:
    card = ClientCard("A", policy_uri="javascript:alert(1)", tos_uri="data:text/html,x", client_uri="JAVASCRIPT:x")
    for page in (LoginPage(FORM, card, PLATFORMS), DonePage(card)):
        assert read(PAGES.render(page, LOOK, "en")).attributes_of("a") == []


def test_a_project_without_links_has_no_empty_footer() -> None:
    assert read(PAGES.render(DonePage(CARD), LOOK, "en")).attributes_of("footer") == []


def test_a_notice_is_announced() -> None:
    assert draw(NAMED["login-cancelled"]).of_id("notice") == {"class": "notice", "id": "notice", "role": "alert"}


def test_a_player_without_a_name_is_their_platform_account() -> None:
    assert "Your Steam account" in draw(NAMED["choose-unnamed"]).text
    assert "Continue with your Steam account" in draw(NAMED["choose-unnamed"]).text


def test_consent_says_in_words_what_the_client_gets() -> None:
    scopes = ("openid", "profile", "email", "address", "phone", "offline_access", "inventory:read")
    text = draw(ConsentPage(FORM, CARD, PlayerCard("Amber", "Steam"), scopes, "game.example", native=False)).text
    assert "Skyforge Launcher asks for access to your account." in text
    for words in (
        "Recognise you by a player ID that stays the same",
        "See your profile, such as your player name",
        "See your e-mail address",
        "See your postal address",
        "See your phone number",
        "Keep this access while you are away",
        "Use the permission inventory:read",
        "After this you go on to game.example.",
    ):
        assert words in text


@pytest.mark.parametrize("scopes", [("offline", "offline_access"), ("offline_access",), ("offline",)])
def test_consent_names_offline_access_once(scopes: tuple[str, ...]) -> None:
    page = ConsentPage(FORM, CARD, PlayerCard("Amber", "Steam"), scopes, "", native=False)
    assert draw(page).text.count("Keep this access") == 1


@pytest.mark.parametrize("native", [True, False])
def test_consent_for_a_native_client_warns_of_an_application_that_the_player_did_not_start(native: bool) -> None:
    page = ConsentPage(FORM, CARD, PlayerCard("Amber", "Steam"), ("openid",), "game.example", native)
    assert ("Only go on if you have just started it yourself." in draw(page).text) == native
    assert ("game.example" in draw(page).text) != native


@pytest.mark.parametrize("problem", get_args(Problem))
@pytest.mark.parametrize("locale", LOCALES)
def test_an_error_says_what_happened_and_what_to_do(problem: Problem, locale: str) -> None:
    shown = draw(ErrorPage(problem, "9f86d081884c7d65"), locale=locale)
    words = EXPLANATIONS[problem]
    assert [each["role"] for _, each in shown.elements if "role" in each] == ["alert"]
    assert shown.of_id("reference") == {"id": "reference"}
    assert "9f86d081884c7d65" in shown.text
    assert all((text in shown.text) == (locale == "en") for text in (words.title, words.happened, words.advice))


def test_an_error_shows_the_faulty_parameter_the_platform_and_the_ways_on() -> None:
    page = ErrorPage(
        "bad_request",
        "r",
        Link("Skyforge", "https://game.example/"),
        "/login?request=a",
        "nonce",
        "Steam",
        "https://steam.example/",
    )
    shown = draw(page)
    assert "Platform Steam Parameter nonce Reference r" in shown.text
    assert shown.of_id("again")["href"] == "/login?request=a"
    assert shown.of_id("return")["href"] == "https://game.example/"
    assert shown.of_id("platform-page")["href"] == "https://steam.example/"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "Wait a little before you try again."),
        (1, "You can try again in 1 second."),
        (90, "You can try again in 90 seconds."),
        (91, "You can try again in 2 minutes."),
        (600, "You can try again in 10 minutes."),
    ],
)
def test_too_many_attempts_says_how_long_to_wait(seconds: int | None, words: str) -> None:
    assert words in draw(ErrorPage("rate_limited", "r", retry_after=seconds)).text


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", "End of the ban: November 26, 2026, 12:00:00 AM UTC"),
        ("de", "Ende der Sperre: 26. November 2026, 00:00:00 UTC"),
        ("es", "Fin de la expulsión: 26 de noviembre de 2026, 0:00:00 UTC"),
    ],
)
def test_a_ban_says_when_it_ends_in_the_players_language(locale: str, words: str) -> None:
    shown = draw(ErrorPage("banned", "r", until=1_795_651_200), locale=locale)
    assert words in " ".join(shown.text.split())
    assert shown.attributes_of("time") == [{"datetime": "2026-11-26T00:00:00+00:00"}]
    assert draw(ErrorPage("banned", "r")).attributes_of("time") == []


def test_H4_the_logged_out_page_goes_on_without_a_script_and_without_waiting_for_frames() -> None:
    shown = draw(NAMED["logged-out-frames"])
    (refresh,) = [each for each in shown.attributes_of("meta") if each.get("http-equiv") == "refresh"]
    assert refresh["content"] == "3; url=https://game.example/end?state=a&session=1"
    assert shown.of_id("continue")["href"] == "https://game.example/end?state=a&session=1"


def test_H2_each_frame_is_loaded_out_of_sight_with_a_title() -> None:
    assert draw(NAMED["logged-out-frames"]).attributes_of("iframe") == [
        {
            "hidden": "",
            "src": source,
            "title": "Signing out of another game or app",
            "sandbox": "allow-scripts allow-same-origin",
        }
        for source in ("https://game.example/out?state=a&session=1", "https://shop.example:8443/out?sid=1")
    ]


def test_without_a_way_on_the_logged_out_page_stays() -> None:
    shown = draw(LoggedOutPage())
    assert [each for each in shown.attributes_of("meta") if "http-equiv" in each] == []
    assert "You can close this page." in shown.text
    assert [each for each in shown.attributes_of("a") if "class" in each] == []


def test_the_logged_out_page_offers_one_way_on_if_there_is_any() -> None:
    back, account = Link("Tavern", "https://tavern.example/"), "/account"
    led = draw(LoggedOutPage(return_to=back, account=account))
    assert (led.of_id("return")["href"], "Back to Tavern" in led.text) == (back.url, True)
    assert "Your account" not in led.text
    assert draw(LoggedOutPage(account=account)).of_id("account")["href"] == account


def test_the_logged_out_page_that_goes_on_has_no_other_way() -> None:
    end, back = "https://tavern.example/bye", Link("Tavern", "https://tavern.example/")
    shown = draw(LoggedOutPage(continue_to=end, return_to=back, account="/account"))
    assert [each["href"] for each in shown.attributes_of("a") if "class" in each] == [end]


def test_F2_F3_the_answer_is_one_form_with_a_button_and_exactly_the_fields() -> None:
    fields = (("code", 'a"<&'), ("state", "line\none"), ("iss", "https://login.example"), ("submit", "x"))
    shown = draw(FormPostPage("https://game.example/cb?a=1&b=2", fields, ("https:",)))
    assert shown.attributes_of("form") == [
        {
            "method": "post",
            "action": "https://game.example/cb?a=1&b=2",
            "enctype": "application/x-www-form-urlencoded",
        }
    ]
    assert names_of_inputs(shown) == list(fields)
    assert shown.of_id("continue") == {"type": "submit", "id": "continue", "class": "primary"}


def test_F3_a_field_named_submit_does_not_stop_the_script() -> None:
    body = bytes(PAGES.render(NAMED["form-post"], LOOK, "en").body).decode()
    assert "HTMLFormElement.prototype.submit.call(form)" in body
