"""What a person does with a browser at the demo: open, press, and look where that leads."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from authsrv.emulator import client as emulator
from tests.support.client_site import ClientSite
from tests.support.demo import Demo
from tests.support.server import CALLBACK, CHALLENGE, VERIFIER

MARKS = [pytest.mark.browser, pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="session")]
"""Of every test with a browser; the first of a run also starts the demo and Chromium."""
PHONE, DESKTOP, HEIGHT = 390, 1280, 900
MOST_STOPS = 40
EVERY_SCOPE = "openid profile email offline inventory:read"
_STATUS = "Failed to load resource: the server responded with a status of"
"""What Chromium says of every page that is not 200, and of the icon that nobody has."""
PLATFORMS = {"steam": "Steam", "xbox": "Xbox", "epicgames": "Epic Games"}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a browser. `page` is the tab they look at."""

    page: Page
    demo: Demo
    site: ClientSite

    async def open(self, path: str) -> None:
        """Go to an address of the demo."""
        await self.page.goto(self.demo.issuer + path)

    async def press(self, selector: str) -> None:
        """Press a button or follow a link."""
        await self.page.click(selector)

    async def ask(self, client_id: str = "forum", path: str = "/callback", **changes: str) -> None:
        """Be sent to the sign-in by a client of the test's own site."""
        await self.page.goto(self.demo.authorize(client_id, self.site.url + path, **changes))

    async def prove(self, platform: str = "steam", player: str = "amber") -> None:
        """From the sign-in page to the platform and back."""
        await self.press(f"#sign-in-{platform}")
        await self.press(f"button[value={player}]")

    async def sign_in(self, platform: str = "steam", player: str = "amber") -> None:
        """Sign in to the demo's shop."""
        await self.open("/demo/shop/login")
        await self.prove(platform, player)
        await self.is_at("/demo/shop")

    async def forum_allowed(self) -> None:
        """Let the forum have what it asks for, as who is signed in."""
        await self.ask(prompt="consent", scope=EVERY_SCOPE)
        await self.press("#allow")
        await self.is_back()

    async def forum_token(self) -> str:
        """Sign in to the forum; its id_token."""
        await self.ask(prompt="consent")
        await self.prove()
        await self.press("#allow")
        form = {
            "grant_type": "authorization_code",
            "code": (await self.is_back())["code"],
            "redirect_uri": f"{self.site.url}/callback",
            "code_verifier": VERIFIER,
        }
        async with httpx.AsyncClient(auth=("forum", "forum-secret")) as forum:
            answer = await forum.post(f"{self.demo.issuer}/oauth2/token", data=form)
        found: str = answer.json()["id_token"]
        return found

    async def link_code(self, player: str = "cedar") -> str:
        """A link code of somebody who came to the launcher by Steam."""
        request = {
            "client_id": "launcher",
            "response_type": "code",
            "state": "af0ifjsldkj",
            "redirect_uri": CALLBACK,
            "scope": "account",
            "is_redirect": "false",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **emulator.mint(self.demo.emulator_port, "steam", player).parameters,
        }
        async with httpx.AsyncClient(base_url=self.demo.issuer) as launcher:
            found = (await launcher.post("/oauth2/social/steam/cross_auth", data=request)).json()["login_url"]
            form = {"grant_type": "authorization_code", "client_id": "launcher", "redirect_uri": CALLBACK}
            form |= {"code": httpx.URL(found).params["code"], "code_verifier": VERIFIER}
            tokens = (await launcher.post("/oauth2/token", data=form)).json()
            bearer = {"authorization": f"Bearer {tokens['access_token']}"}
            code: str = (await launcher.post("/v1/me/links/code", headers=bearer)).json()["code"]
        return code

    async def new_tab(self) -> "Visitor":
        """Another tab of the same browser."""
        return Visitor(await self.page.context.new_page(), self.demo, self.site)

    async def is_at(self, path: str) -> None:
        """Wait until the tab shows a page of the demo, whatever its query."""
        await self.page.wait_for_url(lambda url: url.partition("?")[0] == self.demo.issuer + path)

    async def is_back(self, path: str = "/callback") -> dict[str, str]:
        """Wait until the tab shows the client's page; the query that it came with."""
        await self.page.wait_for_url(lambda url: url.startswith(self.site.url + path))
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    async def reads(self, text: str) -> None:
        """Wait until the page says so."""
        await expect(self.page.locator("body")).to_contain_text(text)

    async def is_titled(self, heading: str) -> None:
        """Wait until the page has this heading."""
        await expect(self.page.locator("h1")).to_have_text(heading)

    async def tab_to(self, selector: str) -> None:
        """Go there with the Tab key; the focus must be seen."""
        for _ in range(MOST_STOPS):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                break
        focused = (
            f"document.activeElement.matches('{selector}') ? getComputedStyle(document.activeElement).outlineStyle : ''"
        )
        assert await self.page.evaluate(focused) not in {"", "none"}

    async def fits(self) -> bool:
        """Whether nothing of the page is wider than the window."""
        wide: int = await self.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        return wide <= 0

    async def facts(self) -> dict[str, str]:
        """What the shop tells about the player."""
        names = await self.page.locator(".who dt").all_inner_texts()
        return dict(zip(names, await self.page.locator(".who dd").all_inner_texts(), strict=True))


class Visitors:
    """The browsers of one test, which know nothing of each other."""

    def __init__(self, chromium: Browser, demo: Demo, site: ClientSite) -> None:
        self._chromium = chromium
        self._demo = demo
        self._site = site
        self._here: list[Visitor] = []
        self.complaints: list[str] = []
        """What the browsers found wrong: a refused style or frame, a failed script."""

    async def come(self, width: int = DESKTOP, **options: Any) -> Visitor:
        """A browser of this width, with options of Playwright's `new_context`."""
        context = await self._chromium.new_context(viewport={"width": width, "height": HEIGHT}, **options)
        context.set_default_timeout(20_000)
        context.on("console", self._listen)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        visitor = Visitor(await context.new_page(), self._demo, self._site)
        self._here.append(visitor)
        return visitor

    async def leave(self) -> None:
        """Close them all."""
        for visitor in self._here:
            await visitor.page.context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_STATUS):
            self.complaints.append(message.text)
