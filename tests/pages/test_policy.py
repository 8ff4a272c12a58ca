"""The content-security-policy of every page, written out: what is not on this list is forbidden."""

from dataclasses import replace

import pytest

from authsrv.pages.policy import form_target
from authsrv.pages.render import Pages
from authsrv.pages.views import (
    AccountPage,
    ChooseAccountPage,
    ChooseProjectPage,
    ClientCard,
    ConflictPage,
    ConsentPage,
    DeleteAccountPage,
    DeletedPage,
    DonePage,
    ErrorPage,
    FormPostPage,
    HomePage,
    LoggedOutPage,
    LoginPage,
    LogoutPage,
    Page,
    PlayerCard,
    PlayerSummary,
)
from tests.pages.documents import read
from tests.pages.samples import FORM, LOOK, PLATFORMS, TARGETS

NONCE = "AAAAAAAAAAAAAAAAAAAAAA"
START = f"default-src 'none'; style-src 'nonce-{NONCE}'; "
END = "base-uri 'none'; frame-ancestors 'none'; form-action "
CARD = ClientCard("Launcher")
PICTURED = ClientCard("Launcher", logo="/assets/launcher")
PLAYER = PlayerCard("Amber", "Steam")
FRAMES = (
    "https://game.example/out?sid=1",
    "https://game.example/other",
    "https://shop.example:8443/out",
    "http://[::1]:9000/out",
)

ROWS: dict[str, tuple[Page, str]] = {
    "login": (LoginPage(FORM, CARD, PLATFORMS), START + END + "'self'"),
    "login with targets": (
        LoginPage(FORM, CARD, PLATFORMS, form_targets=TARGETS),
        START + END + "'self' https: http://127.0.0.1:* com.example.game:",
    ),
    "login with a logo": (LoginPage(FORM, PICTURED, PLATFORMS), START + "img-src 'self'; " + END + "'self'"),
    "choose": (ChooseAccountPage(FORM, CARD, PLAYER, (), ("https:",)), START + END + "'self' https:"),
    "consent": (
        ConsentPage(FORM, PICTURED, PLAYER, ("openid",), "", native=True, form_targets=("http:",)),
        START + "img-src 'self'; " + END + "'self' http:",
    ),
    "error": (ErrorPage("expired", "r"), START + END + "'none'"),
    "done shows no logo": (DonePage(PICTURED), START + END + "'none'"),
    "login to the account page": (LoginPage(FORM, None, PLATFORMS), START + END + "'self'"),
    "home": (HomePage("/account"), START + END + "'none'"),
    "account": (AccountPage(PLAYER, 0, 0, FORM, FORM, "", (), ()), START + END + "'self'"),
    "account from which one can link": (
        AccountPage(PLAYER, 0, 0, FORM, FORM, "", (), (), form_targets=("https:",)),
        START + END + "'self' https:",
    ),
    "conflict": (
        ConflictPage(FORM, "", "", PlayerSummary("", 0, ()), PlayerSummary("", 0, ()), ()),
        START + END + "'self'",
    ),
    "delete": (DeleteAccountPage(FORM, PLAYER, "/account"), START + END + "'self'"),
    "deleted": (DeletedPage(), START + END + "'none'"),
    "choose a project": (ChooseProjectPage(()), START + END + "'none'"),
    "logout": (LogoutPage(FORM, CARD, PLAYER, ("https:",)), START + END + "'self' https:"),
    "logged out": (LoggedOutPage(CARD, "https://game.example/"), START + END + "'none'"),
    "H4 logged out with frames": (
        LoggedOutPage(frames=FRAMES),
        START + "frame-src https://game.example https://shop.example:8443 http:; " + END + "'none'",
    ),
    "F3 form post": (
        FormPostPage("https://game.example/cb", (), ("https:",)),
        START + f"script-src 'nonce-{NONCE}'; " + END + "https:",
    ),
}


@pytest.mark.parametrize(("page", "expected"), ROWS.values(), ids=ROWS)
def test_A30_A35_the_policy_is_exactly_this(page: Page, expected: str) -> None:
    response = Pages(random=bytes).render(page, LOOK, "en")
    assert response.headers["content-security-policy"] == expected


def test_A35_a_project_logo_allows_our_own_images_only() -> None:
    response = Pages(random=bytes).render(DonePage(CARD), replace(LOOK, logo="/assets/logo"), "en")
    assert response.headers["content-security-policy"] == START + "img-src 'self'; " + END + "'none'"


def test_A35_style_and_script_carry_the_nonce_of_the_answer_and_each_answer_has_its_own() -> None:
    page, pages = FormPostPage("https://game.example/cb", (), ("https:",)), Pages()
    first, second = pages.render(page, LOOK, "en"), pages.render(page, LOOK, "en")
    nonces = {nonce for answer in (first, second) for nonce in read(answer).values("nonce")}
    assert len(nonces) == 2
    assert len(read(first).values("nonce")) == 2
    assert all(f"'nonce-{nonce}'" in first.headers["content-security-policy"] for nonce in read(first).values("nonce"))


@pytest.mark.parametrize(
    "target",
    [
        "https:; script-src *",
        "https: *",
        "*",
        "'unsafe-inline'",
        "",
        "https://a, b",
        "https:\n",
        "https://a/path",
        "1a:",
    ],
)
def test_A35_a_form_target_that_is_no_source_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="not a source"):
        Pages().render(LoginPage(FORM, CARD, PLATFORMS, form_targets=(target,)), LOOK, "en")


@pytest.mark.parametrize("frame", ["https://a.example;x/", "https://user@a.example/", "/out", "https://a b/"])
def test_H4_a_frame_whose_origin_cannot_be_named_is_refused(frame: str) -> None:
    with pytest.raises(ValueError, match="not a source"):
        Pages().render(LoggedOutPage(frames=(frame,)), LOOK, "en")


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://game.example/cb?a=1", "https:"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:*"),
        ("http://127.0.0.1:51004/callback", "http://127.0.0.1:*"),
        ("http://localhost:3000/", "http://localhost:*"),
        ("http://[::1]:51004/callback", "http:"),
        ("http://game.example/cb", "http:"),
        ("com.example.game:/cb", "com.example.game:"),
    ],
)
def test_a_form_may_end_at_the_scheme_or_loopback_address_of_its_redirect_uri(uri: str, source: str) -> None:
    assert form_target(uri) == source
