"""The way back from a platform, held in the hand: the address that a browser was sent to, before anybody opens it."""

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlencode, urljoin

from tests.support.browser import Browser, Page

Pairs = Sequence[tuple[str, str]]


async def way_back(
    browser: Browser, begun: Page, platform: str = "steam", player: str = "amber", case: str = "good"
) -> str:
    """Path and query of the callback that a platform answers the sign-in with; the browser has not gone there."""
    away = await browser.press(begun, f"sign-in-{platform}")
    form, pressed = away.find(player)
    data = {**form.fields, pressed.name: pressed.value, "case": case}
    answer = await browser._platforms.post(urljoin(away.url, pressed.action or form.action), data=data)
    assert answer.has_redirect_location, answer.text
    return answer.headers["location"].removeprefix(browser.issuer)


def pairs_of(callback: str) -> list[tuple[str, str]]:
    """What a callback carries, in order."""
    return parse_qsl(callback.partition("?")[2], keep_blank_values=True)


def altered(callback: str, change: Callable[[Pairs], Pairs]) -> str:
    """The callback with other parameters."""
    return f"{callback.partition('?')[0]}?{urlencode(change(pairs_of(callback)))}"


def with_value(name: str, value: str) -> Callable[[Pairs], Pairs]:
    """One parameter replaced in its place."""
    return lambda pairs: [(key, value if key == name else text) for key, text in pairs]


def without(name: str) -> Callable[[Pairs], Pairs]:
    """One parameter left out."""
    return lambda pairs: [(key, text) for key, text in pairs if key != name]


def state_of(callback: str) -> str:
    return dict(pairs_of(callback))["state"]
