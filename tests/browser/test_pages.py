"""Every page on a phone and on a desktop, in light and dark: nothing sticks out, and axe finds nothing wrong.

With SCREENSHOTS set to a directory, such as docs/screenshots, a picture of each is written there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, StorageState

from tests.browser.places import PLACES, PLACES_OF_A_PLAYER
from tests.browser.visitor import DESKTOP, HEIGHT, MARKS, PHONE, Visitor, Visitors
from tests.node.packages import install
from tests.support.client_site import ClientSite
from tests.support.demo import Demo

pytestmark = [*MARKS, pytest.mark.node]

Scheme = Literal["light", "dark"]
EVERY_RULE: Mapping[str, object] = {"resultTypes": ["violations"]}
RULES_OF_COLOUR: Mapping[str, object] = {**EVERY_RULE, "runOnly": ["color-contrast", "link-in-text-block"]}
LOOKS: Mapping[tuple[int, Scheme], Mapping[str, object]] = {
    (PHONE, "light"): EVERY_RULE,
    (PHONE, "dark"): RULES_OF_COLOUR,
    (DESKTOP, "light"): EVERY_RULE,
    (DESKTOP, "dark"): RULES_OF_COLOUR,
}
"""What axe looks for: from light to dark nothing changes but colours."""
OUT_OF_PLACE = {"signed-out-frames": ["meta-refresh"]}
"""Once the frames had time to load, the page goes on by itself and without a script. Nobody has to read it first."""


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that looks for what keeps people out."""
    return (install() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cookies(chromium: Browser, demo: Demo, site: ClientSite) -> StorageState:
    """What a browser keeps in which amber is signed in to the shop."""
    visitors = Visitors(chromium, demo, site)
    visitor = await visitors.come()
    await visitor.sign_in()
    kept = await visitor.page.context.storage_state()
    await visitors.leave()
    return kept


@pytest.mark.parametrize("name", [*PLACES, *PLACES_OF_A_PLAYER])
async def test_the_page_fits_and_is_accessible_in_every_look(
    visitors: Visitors, cookies: StorageState, axe: str, name: str
) -> None:
    visitor = await visitors.come(storage_state=cookies if name in PLACES_OF_A_PLAYER else None)
    await {**PLACES, **PLACES_OF_A_PLAYER}[name](visitor)
    await visitor.page.evaluate(axe)
    await visitor.page.evaluate(
        "rules => axe.configure({ rules })", [{"id": rule, "enabled": False} for rule in OUT_OF_PLACE.get(name, [])]
    )
    found: dict[tuple[int, Scheme], list[str]] = {}
    for (width, scheme), rules in LOOKS.items():
        await look(visitor, width, scheme)
        assert await visitor.fits(), f"wider than {width}"
        found[width, scheme] = await violations(visitor, rules)
        await keep(visitor, f"{name}-{width}-{scheme}")
    assert not any(found.values()), found


async def look(visitor: Visitor, width: int, scheme: Scheme) -> None:
    await visitor.page.set_viewport_size({"width": width, "height": HEIGHT})
    await visitor.page.emulate_media(color_scheme=scheme)


async def violations(visitor: Visitor, rules: Mapping[str, object]) -> list[str]:
    """What axe finds, of any impact: the rule and the element."""
    found: list[str] = await visitor.page.evaluate(
        """async (rules) => {
          const { violations } = await axe.run(document, rules)
          return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.html}`))
        }""",
        rules,
    )
    return found


async def keep(visitor: Visitor, name: str) -> None:
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        await visitor.page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)
