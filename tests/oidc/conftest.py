"""A provider with clients of every kind, and a browser whose client is answered in every response mode."""

from collections.abc import AsyncIterator

import pytest

from tests.oidc.clients import MODES, provider
from tests.support.browser import Browser
from tests.support.configuration import set_environment
from tests.support.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=provider) as started:
        yield started


@pytest.fixture(params=MODES)
def browser(server: Server, request: pytest.FixtureRequest) -> Browser:
    """A test that takes it holds in every response mode: what F1 asks of form_post, and more."""
    browser = Browser(server)
    browser.request["response_mode"] = request.param
    return browser


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration files of `tests.support.configuration` take from the environment."""
    set_environment(monkeypatch)
