"""The way to every page that a player can get to see."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from playwright.async_api import Page, Route

from tests.browser.visitor import EVERY_SCOPE, Visitor

RESIDENT = ("epicgames", "birch")
"""By which platform and as whom the account page is looked at; nobody else comes so, and leaves sessions behind."""
Way = Callable[[Visitor], Awaitable[None]]


def at(path: str) -> Way:
    """A page with an address of its own."""

    async def go(visitor: Visitor) -> None:
        await visitor.open(path)

    return go


def asked(path: str = "/callback", client_id: str = "forum", **changes: str) -> Way:
    """The first page that a client's player sees."""

    async def go(visitor: Visitor) -> None:
        await visitor.ask(client_id, path, **changes)

    return go


async def _refused(visitor: Visitor) -> None:
    await visitor.open("/demo/shop/login")
    await visitor.press("#sign-in-steam")
    await visitor.page.select_option("#case", "openid-forged")
    await visitor.press("button[value=amber]")


async def _done(visitor: Visitor) -> None:
    await visitor.open("/demo/shop/login")
    sign_in = visitor.page.url
    await visitor.prove()
    await visitor.is_at("/demo/shop")
    await visitor.page.goto(sign_in)


async def _application(visitor: Visitor) -> None:
    await visitor.open("/demo/spa")
    await visitor.press("#sign-in")
    await visitor.prove()
    await visitor.press("#allow")
    await visitor.page.wait_for_selector("#signed-in:not([hidden])")


async def _form(visitor: Visitor) -> None:
    await _stays(visitor.page, f"{visitor.site.url}/callback")
    await visitor.ask(response_mode="form_post", prompt="consent")
    await visitor.prove()
    await visitor.press("#allow")
    await visitor.is_titled("One moment")


async def _account(visitor: Visitor) -> None:
    await visitor.sign_in(*RESIDENT)
    await visitor.page.context.clear_cookies()
    await visitor.open("/account")
    await visitor.prove(*RESIDENT)
    await visitor.forum_allowed()
    await visitor.open("/account")


async def _link_check(visitor: Visitor) -> None:
    await visitor.open("/link")
    await visitor.page.fill("#code", await visitor.link_code())
    await visitor.press("#continue")


async def _link_confirm(visitor: Visitor) -> None:
    await _link_check(visitor)
    await visitor.prove("xbox", "cedar")


async def _linked(visitor: Visitor) -> None:
    await _link_confirm(visitor)
    await visitor.press("#link")
    await visitor.is_titled("The platform account is linked")


async def _of_another(visitor: Visitor) -> None:
    await visitor.sign_in("xbox", "cedar")
    await visitor.page.context.clear_cookies()
    await visitor.open("/account")
    await visitor.prove(*RESIDENT)
    await visitor.press("#link-xbox")
    await visitor.press("button[value=cedar]")
    await visitor.is_titled("This platform account belongs to another player")


async def _deletion(visitor: Visitor) -> None:
    await visitor.sign_in(*RESIDENT)
    await visitor.open("/account/delete")


async def _signed_out(visitor: Visitor) -> None:
    await visitor.sign_in()
    await visitor.open("/login")
    await visitor.press("#sign-out")


async def _signed_out_with_frames(visitor: Visitor) -> None:
    back = f"{visitor.site.url}/signed-out"
    await _stays(visitor.page, f"{back}**")
    query = urlencode({"id_token_hint": await visitor.forum_token(), "post_logout_redirect_uri": back})
    await visitor.open(f"/oauth2/logout?{query}")


async def _stays(page: Page, address: str) -> None:
    """Answer an address so that the browser does not leave the page it is on (RFC 9110 section 15.3.5)."""

    async def nothing(route: Route) -> None:
        await route.fulfill(status=204)

    await page.route(address, nothing)


PLACES: Mapping[str, Way] = {
    "demo": at("/demo"),
    "demo-privacy": at("/demo/privacy"),
    "demo-terms": at("/demo/terms"),
    "shop": at("/demo/shop"),
    "shop-failed": at("/demo/callback"),
    "application": at("/demo/spa"),
    "application-signed-in": _application,
    "sign-in": at("/demo/shop/login"),
    "sign-in-german": asked(ui_locales="de"),
    "home": at("/login"),
    "account-sign-in": at("/account"),
    "account": _account,
    "link-code": at("/link?code=BCDF-GHJK"),
    "link-check": _link_check,
    "link-confirm": _link_confirm,
    "linked": _linked,
    "account-of-another": _of_another,
    "account-delete": _deletion,
    "done": _done,
    "form-post": _form,
    "signed-out": _signed_out,
    "signed-out-frames": _signed_out_with_frames,
    "error-unknown-client": asked(client_id="nobody"),
    "error-bad-redirect": asked("/elsewhere"),
    "error-refused": _refused,
    "error-method": at("/login/steam"),
    "error-mistyped": at("/acount"),
}
"""What anybody may see, by the name of the page. None depends on what was shown before."""

PLACES_OF_A_PLAYER: Mapping[str, Way] = {
    "shop-signed-in": at("/demo/shop"),
    "sign-in-again": asked(prompt="login"),
    "choose-account": asked(prompt="select_account"),
    "consent": asked(prompt="consent", scope=EVERY_SCOPE),
    "consent-native": asked(client_id="launcher"),
    "sign-out": at("/oauth2/logout?client_id=forum"),
}
"""What a player sees who is signed in to the shop, and stays so."""
