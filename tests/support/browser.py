"""A browser without a screen: keeps cookies, follows redirects between server and platforms, fills in forms.

Sends what Chromium sends with a navigation: a same-origin form has `Origin: null` (our pages send no referrer), a link
or form from elsewhere no cookie unless it is a GET (SameSite=Lax).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urldefrag, urljoin, urlsplit

import httpx

from tests.support.outbound import BASE_URL
from tests.support.server import CHALLENGE, Server

SHOP_CALLBACK = "http://127.0.0.1:8080/demo/callback"
COOKIE = "authsrv_sid"
MOST_REDIRECTS = 10


@dataclass
class Button:
    id: str
    name: str
    value: str
    action: str


@dataclass
class PageForm:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(found.get("action", ""), found.get("method", "get")))
        if not self.forms:
            return
        if tag == "input" and found.get("type") == "hidden":
            self.forms[-1].fields[found["name"]] = found.get("value", "")
        if tag == "select":
            self.forms[-1].fields.setdefault(found["name"], "")
        if tag == "button":
            names = (found.get(name, "") for name in ("id", "name", "value", "formaction"))
            self.forms[-1].buttons.append(Button(*names))


@dataclass
class Page:
    """Where a browser stands: a page of ours or of a platform, or an address of the client's that it was sent to."""

    url: str
    status: int
    html: str = ""
    headers: httpx.Headers = field(default_factory=httpx.Headers)

    @property
    def forms(self) -> list[PageForm]:
        parser = _Forms()
        parser.feed(self.html)
        return parser.forms

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query, keep_blank_values=True).items()}

    @property
    def fragment(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urldefrag(self.url).fragment).items()}

    @property
    def answer(self) -> dict[str, str]:
        """What the client is told, by whichever response mode; empty on a page for the player."""
        if not self.html:
            return self.fragment or self.query
        fields = self.forms[0].fields if self.forms else {}
        return fields if fields.keys() & {"code", "error"} else {}

    @property
    def answered_at(self) -> str:
        """Where the client is told."""
        return self.forms[0].action if self.html else self.url.partition("?")[0].partition("#")[0]

    def find(self, button: str) -> tuple[PageForm, Button]:
        """A button by its id, or by its value."""
        for form in self.forms:
            for found in form.buttons:
                if button in {found.id, found.value}:
                    return form, found
        raise AssertionError(f"no button {button!r} on the page at {self.url}: {self.html}")


class Browser:
    """One browser at one server, sent by one client: the demo shop, until `sent_by` names another.

    `cookies` and `request`, what the client asks, may be looked at and changed.
    """

    def __init__(self, server: Server, **headers: str) -> None:
        self.server = server
        self.issuer = server.app.config.issuer
        self.headers = headers
        self.cookies: dict[str, str] = {}
        self.request = shop_request()
        self._redemption: dict[str, str | None] = {
            "client_id": "shop",
            "client_secret": "shop-secret",
            "redirect_uri": SHOP_CALLBACK,
        }
        assert server.emulator is not None
        self._platforms = httpx.AsyncClient(transport=httpx.ASGITransport(server.emulator), base_url=BASE_URL)

    def sent_by(self, client_id: str, redirect_uri: str, secret: str | None = None) -> "Browser":
        """Let another client send the player from now on."""
        self.request |= {"client_id": client_id, "redirect_uri": redirect_uri}
        self._redemption = {"client_id": client_id, "client_secret": secret, "redirect_uri": redirect_uri}
        return self

    async def get(self, url: str, **parameters: str | None) -> httpx.Response:
        """One GET to the server, with the cookie and without following."""
        sent = {name: value for name, value in parameters.items() if value is not None}
        return self._keep(await self.server.http.get(url, params=sent or None, headers=self._own()))

    async def post(self, url: str, data: Mapping[str, str], **headers: str) -> httpx.Response:
        """One POST of a form of ours, without following."""
        own = {**self._own(), "origin": "null", "sec-fetch-site": "same-origin", **headers}
        return self._keep(await self.server.http.post(url, data=dict(data), headers=own))

    async def post_from_elsewhere(self, url: str, **parameters: str | None) -> httpx.Response:
        """One POST of another site's form: without the cookie, which is SameSite=Lax."""
        sent = {name: value for name, value in parameters.items() if value is not None}
        site = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
        return self._keep(await self.server.http.post(url, data=sent, headers={**self.headers, **site}))

    async def open(self, url: str, **parameters: str | None) -> Page:
        """Go to an address, and wherever it leads."""
        return await self.follow(await self.get(url, **parameters))

    async def press(self, page: Page, button: str, **fields: str) -> Page:
        """Press a button of a page."""
        form, pressed = page.find(button)
        data = {**form.fields, **fields, **({pressed.name: pressed.value} if pressed.name else {})}
        url = urljoin(page.url, pressed.action or form.action)
        if url.startswith(self.issuer):
            return await self.follow(await self.post(url.removeprefix(self.issuer), data))
        return await self.follow(await self._platforms.post(url, data=data))

    async def follow(self, answer: httpx.Response) -> Page:
        for _ in range(MOST_REDIRECTS):
            if not answer.has_redirect_location:
                return Page(str(answer.url), answer.status_code, answer.text, answer.headers)
            url = urljoin(str(answer.url), answer.headers["location"])
            if url.startswith(BASE_URL):
                answer = await self._platforms.get(url)
            elif self._is_ours(url):
                answer = await self.get(url.removeprefix(self.issuer))
            else:
                return Page(url, answer.status_code, "", answer.headers)
        raise AssertionError("too many redirects")

    async def authorize(self, **changes: str | None) -> Page:
        """Begin a sign-in at the client; a parameter that is None is left out."""
        return await self.open("/oauth2/authorize", **(self.request | changes))

    async def sign_in(self, platform: str = "steam", player: str = "amber", **changes: str | None) -> Page:
        """Sign in for the client, wherever that ends."""
        page = await self.authorize(**changes)
        return await self.prove(page, platform, player)

    async def prove(self, page: Page, platform: str = "steam", player: str = "amber", case: str = "good") -> Page:
        """From the sign-in page to the platform and back."""
        there = await self.press(page, f"sign-in-{platform}")
        return await self.press(there, player, case=case)

    async def code(self, platform: str = "steam", player: str = "amber", **changes: str | None) -> str:
        """A code for the client."""
        landed = await self.sign_in(platform, player, **changes)
        assert "code" in landed.answer, (landed.url, landed.html)
        return landed.answer["code"]

    async def tokens(self, platform: str = "steam", player: str = "amber", **changes: str | None) -> dict[str, Any]:
        """What the client gets after a sign-in."""
        return await self.exchanged(await self.sign_in(platform, player, **changes))

    async def tokens_at_once(self, **changes: str | None) -> dict[str, Any]:
        """What the client gets for a player who is signed in and is asked nothing."""
        return await self.exchanged(await self.authorize(**changes))

    async def exchanged(self, landed: Page) -> dict[str, Any]:
        """What the client gets for the code that it was told."""
        assert "code" in landed.answer, (landed.url, landed.html)
        answer = await self.redeem(landed.answer["code"])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        return await self.server.redeem(code, **(self._redemption | changes))

    async def refresh(self, refresh_token: str, **changes: str | None) -> httpx.Response:
        own = {name: self._redemption[name] for name in ("client_id", "client_secret")}
        return await self.server.refresh(refresh_token, **(own | changes))

    async def userinfo(self, access_token: str) -> httpx.Response:
        return await self.server.userinfo(access_token)

    def _own(self) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**self.headers, **({"cookie": cookie} if cookie else {})}

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        self.server.http.cookies.clear()
        return answer

    def _is_ours(self, url: str) -> bool:
        """Whether an address is a page of the server, and not the demo client that lives beside it."""
        return url.startswith(self.issuer) and not urlsplit(url).path.startswith("/demo")


def shop_request() -> dict[str, str | None]:
    """What the demo shop sends."""
    return {
        "client_id": "shop",
        "response_type": "code",
        "redirect_uri": SHOP_CALLBACK,
        "scope": "openid profile offline",
        "state": "af0ifjsldkj",
        "nonce": "n-0S6_WzA2Mj",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
