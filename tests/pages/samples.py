"""One example or more of every page, with friendly texts or with those that an attacker would register."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from authsrv.pages.problems import Problem
from authsrv.pages.views import (
    AccountPage,
    ChooseAccountPage,
    ChooseProjectPage,
    ClientCard,
    ConflictChoice,
    ConflictPage,
    ConsentPage,
    ConsentRow,
    DeleteAccountPage,
    DeletedPage,
    Doing,
    Done,
    DonePage,
    ErrorPage,
    EventRow,
    Form,
    FormPostPage,
    HomePage,
    IdentityRow,
    Link,
    Linkable,
    LinkCheckPage,
    LinkCodePage,
    LinkConfirmPage,
    LinkedPage,
    LinkNotice,
    LoggedOutPage,
    LoginPage,
    LogoutPage,
    Look,
    Notice,
    OpenLink,
    Page,
    PlatformButton,
    PlayerCard,
    PlayerSummary,
    Receiver,
    SessionRow,
)


@dataclass(frozen=True, slots=True)
class Words:
    """The texts that come from outside."""

    client: str
    player: str
    scope: str
    project: str
    value: str
    query: str

    @classmethod
    def all(cls, text: str, query: str) -> "Words":
        return cls(text, text, text, text, text, query)


FRIENDLY = Words("Skyforge Launcher", "Amber", "inventory:read", "Skyforge", "r4Yc0de", "state=a&session=1")
HOSTILE_TEXT = "<script>alert(1)</script>\"'>&{{ 7*7 }}%(client)s%s"
HOSTILE = Words.all(HOSTILE_TEXT, "a=\"><script>alert(1)</script>&b='%(client)s")
LONG = Words.all("Wolfeschlegelsteinhausenbergerdorff" * 6, "Wolfeschlegelsteinhausenbergerdorff" * 6)
RIGHT_TO_LEFT = Words.all("\u202eمُقاتِل الليل\u200f (evil)", "a=1")  # noqa: RUF001

LOOK = Look("Skyforge")
NOW = 1_790_000_000
FORM = Form("/login", "request-1", "csrf-1")
OWN_FORM = Form("/account", "", "csrf-2", "session-1")
PLATFORMS = tuple(
    PlatformButton(name, title, f"/login/{name}")
    for name, title in (("steam", "Steam"), ("xbox", "Xbox"), ("epicgames", "Epic Games"))
)
TARGETS = ("https:", "http://127.0.0.1:*", "com.example.game:")


def look(words: Words) -> Look:
    return Look(
        words.project,
        logo="/assets/skyforge/logo",
        accent="#8a2be2",
        support_url=f"https://studio.example/help?{words.query}",
        privacy_url=f"https://studio.example/privacy?{words.query}",
        terms_url=f"https://studio.example/terms?{words.query}",
    )


def samples(words: Words = FRIENDLY) -> Iterator[tuple[str, Page]]:
    """Named pages: each page in every state that changes its words."""
    yield from _sign_in(words)
    yield from _errors(words)
    yield from _ends(words)
    yield from _account(words)
    yield from _link(words)


def client_card(words: Words) -> ClientCard:
    return ClientCard(
        words.client,
        logo="/assets/skyforge/client/launcher",
        policy_uri=f"https://game.example/privacy?{words.query}",
        tos_uri=f"https://game.example/terms?{words.query}",
        client_uri=f"https://game.example/?{words.query}",
    )


def _sign_in(words: Words) -> Iterator[tuple[str, Page]]:
    plain, card = ClientCard(words.client), client_card(words)
    named, unnamed = PlayerCard(words.player, "Steam"), PlayerCard("", "Steam")
    scopes = ("openid", "profile", "email", "address", "phone", "offline", "offline_access", words.scope)
    yield "login", LoginPage(FORM, plain, PLATFORMS, form_targets=TARGETS)
    yield "login-account", LoginPage(FORM, None, PLATFORMS, form_targets=TARGETS)
    for notice in get_args(Notice)[1:]:
        yield f"login-{notice}", LoginPage(FORM, card, PLATFORMS, notice, cancellable=False)
    yield "choose", ChooseAccountPage(FORM, plain, named, PLATFORMS, TARGETS)
    yield "choose-unnamed", ChooseAccountPage(FORM, card, unnamed)
    yield "consent", ConsentPage(FORM, plain, named, scopes[:2], "game.example", native=False, form_targets=TARGETS)
    yield "consent-native", ConsentPage(FORM, card, unnamed, scopes, "", native=True)


def _errors(words: Words) -> Iterator[tuple[str, Page]]:
    back = Link(words.client, f"https://game.example/?{words.query}")
    for problem in get_args(Problem):
        yield f"error-{problem}", ErrorPage(problem, "9f86d081884c7d65")
    yield (
        "error-all",
        ErrorPage("bad_request", words.value, back, "https://login.example/login?request=r", words.value, words.value),
    )
    yield "error-account", ErrorPage("link_limit", "9f86d081884c7d65", account="/account")
    yield "error-banned-until", ErrorPage("banned", "9f86d081884c7d65", until=NOW + 86400)
    action = f"https://platform.example/?{words.query}"
    yield "error-action", ErrorPage("account_action_required", "9f86d081", back, action_url=action)
    for seconds in (1, 30, 300):
        yield f"error-wait-{seconds}", ErrorPage("rate_limited", "9f86d081884c7d65", retry_after=seconds)


def _account(words: Words) -> Iterator[tuple[str, Page]]:
    here, now = SessionRow("", "Steam", NOW - 3 * 86400, NOW - 300), NOW
    named, unnamed = PlayerCard(words.player, "Steam"), PlayerCard("", "Steam")
    games = (
        OpenLink(words.client, f"https://game.example/start?{words.query}"),
        OpenLink("Shop", "https://b.example/"),
    )
    places = (OpenLink(words.project, "/account?project=a"), OpenLink("Other", "/account?project=b"))
    consents = tuple(
        ConsentRow(words.value, words.client, scopes, NOW - 86400 * 40)
        for scopes in (("openid", "profile", "offline", words.scope), ())
    )
    sessions = (here, *(SessionRow(f"session-{days}", "Xbox", NOW - days * 86400, NOW - 60) for days in (9, 20)))
    only = IdentityRow("", "Steam", "", NOW - 400 * 86400, NOW - 60)
    identities = (replace(only, ref="identity-1", mark=words.value), IdentityRow("identity-2", "Xbox", "", NOW, NOW))
    linkable = tuple(Linkable(button.name, button.title) for button in PLATFORMS)
    events = (
        *(EventRow(doing, NOW - 86400, words.client, by_others=doing == "banned") for doing in get_args(Doing)),
        EventRow("linked", NOW, words.client, undo="event-1"),
    )
    yield "account", AccountPage(named, NOW - 400 * 86400, now, OWN_FORM, FORM, "/account/delete", (only,), (here,))
    for done in get_args(Done):
        full = AccountPage(
            player=unnamed,
            since=NOW,
            now=now,
            form=OWN_FORM,
            sign_out=FORM,
            delete="/account/delete",
            identities=identities,
            sessions=sessions,
            linkable=linkable,
            consents=consents,
            events=events,
            games=games,
            elsewhere=places,
            done=done,
        )
        yield f"account-full-{done}", full
    yield "choose-project", ChooseProjectPage(places)
    summaries = (PlayerSummary(words.player, NOW, ("Steam", "Xbox")), PlayerSummary("", NOW - 86400, ("Guest",)))
    every = get_args(ConflictChoice)
    yield "conflict", ConflictPage(OWN_FORM, "item-1", "Steam", *summaries, every[:1])
    yield "conflict-full", ConflictPage(OWN_FORM, words.value, "Xbox", *summaries, every, leaves_nothing=True)
    yield "delete", DeleteAccountPage(OWN_FORM, named, "/account")
    yield "delete-unconfirmed", DeleteAccountPage(OWN_FORM, unnamed, "/account", unconfirmed=True)
    yield "deleted", DeletedPage()


def _link(words: Words) -> Iterator[tuple[str, Page]]:
    card, receiver = ClientCard(words.client), Receiver(words.player, NOW - 400 * 86400)
    nobody, other = Receiver("", NOW), PlayerCard(words.player, "Epic Games")
    for notice in get_args(LinkNotice):
        yield f"link-code-{notice}".rstrip("-"), LinkCodePage("/link", words.value, words.value, notice)
    yield "link-check", LinkCheckPage(FORM, card, receiver, "42", PLATFORMS, form_targets=TARGETS)
    yield "link-check-other", LinkCheckPage(FORM, card, nobody, "", PLATFORMS[:1], PlayerCard("", "Steam"))
    yield "link-confirm", LinkConfirmPage(FORM, "Steam", words.player, receiver, "42", form_targets=TARGETS)
    yield "link-confirm-other", LinkConfirmPage(FORM, "Xbox", words.value, nobody, "", other)
    yield "linked", LinkedPage(card, "Steam", receiver)


def _ends(words: Words) -> Iterator[tuple[str, Page]]:
    plain, card, player = ClientCard(words.client), client_card(words), PlayerCard(words.player, "Epic Games")
    target = f"https://game.example/end?{words.query}"
    frames = (f"https://game.example/out?{words.query}", "https://shop.example:8443/out?sid=1")
    yield "done", DonePage(plain)
    yield "done-link", DonePage(card)
    yield "done-account", DonePage(None, "/account")
    yield "home", HomePage("/account")
    yield "logout", LogoutPage(FORM, card, player, TARGETS)
    yield "logout-alone", LogoutPage(FORM, None, PlayerCard("", "Xbox"))
    yield "logged-out", LoggedOutPage()
    yield "logged-out-client", LoggedOutPage(card, return_to=Link(words.client, f"https://game.example/?{words.query}"))
    yield "logged-out-account", LoggedOutPage(account="/account")
    yield "logged-out-frames", LoggedOutPage(card, target, frames)
    yield "logged-out-native", LoggedOutPage(None, "com.example.game:/out", native=True)
    yield "form-post", FormPostPage(target, (("code", words.value), ("state", words.value)), ("https:",))
