"""One demo and one Chromium for all tests here; every test has browsers of its own."""

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.visitor import Visitor, Visitors
from tests.support.client_site import ClientSite, client_site
from tests.support.demo import Demo, demo_running

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It runs as whoever runs the tests, root in a container, and talks to nobody but the demo."""


@pytest.fixture(scope="session")
def site() -> Iterator[ClientSite]:
    """The site of clients that are not the studio's own."""
    with client_site() as found:
        yield found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, site: ClientSite) -> Iterator[Demo]:
    """The demo, with a forum of fans as a third party's client. What one file links, no other sees."""
    with demo_running(tmp_path_factory.mktemp("browser")) as running:
        running.reload_with(
            {
                "forum": {
                    "name": "Fan forum",
                    "secret": "forum-secret",
                    "first_party": False,
                    "redirect_uris": [f"{site.url}/callback"],
                    "response_modes": ["query", "fragment", "form_post"],
                    "post_logout_redirect_uris": [f"{site.url}/signed-out"],
                    "frontchannel_logout_uri": f"{site.url}/frontchannel",
                    "policy_uri": f"{site.url}/privacy",
                    "scopes": ["openid", "profile", "email", "offline"],
                    "extra_scopes": ["inventory:read"],
                },
                "fan-app": {
                    "name": "Fan app",
                    "type": "public",
                    "redirect_uris": [f"{site.url}/app"],
                    "post_logout_redirect_uris": [f"{site.url}/app"],
                    "cors_origins": [site.url],
                },
            }
        )
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, driven by Playwright."""
    program = next(filter(None, map(shutil.which, NAMES)))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(chromium: Browser, demo: Demo, site: ClientSite) -> AsyncIterator[Visitors]:
    """Makes browsers that know nothing of each other; whatever they complain of fails the test."""
    found = Visitors(chromium, demo, site)
    yield found
    await found.leave()
    assert found.complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(visitors: Visitors) -> Visitor:
    """A browser on a desktop."""
    return await visitors.come()
