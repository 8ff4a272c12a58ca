"""oidc-client-ts, unmodified, in a page of another origin than the server's."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.browser.visitor import MARKS, Visitor
from tests.node.packages import install

pytestmark = [*MARKS, pytest.mark.node]

PAGE = Path(__file__).with_name("fan_app.html")


async def told(visitor: Visitor, about: str) -> Any:
    """What the page shows, once that is what it tells about."""
    return json.loads(await visitor.page.locator("#told", has_text=about).inner_text())


async def test_a_page_of_another_origin_signs_in_renews_and_signs_out(visitor: Visitor) -> None:
    library = install() / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
    visitor.site.files["/app"] = ("text/html; charset=utf-8", PAGE.read_bytes())
    visitor.site.files["/oidc-client-ts.min.js"] = ("text/javascript", library.read_bytes())
    await visitor.page.goto(f"{visitor.site.url}/app?{urlencode({'authority': visitor.demo.issuer})}")
    await visitor.press("#sign-in")
    await visitor.prove("xbox", "birch")
    await visitor.press("#allow")
    profile = await told(visitor, "sub")
    assert (profile["iss"], profile["name"]) == (visitor.demo.issuer, "Birch")
    await visitor.press("#renew")
    assert await told(visitor, "renewed") == {"renewed": profile["sub"]}
    await visitor.press("#sign-out")
    assert await told(visitor, "signed out") == "signed out"
    await visitor.open("/login")
    await visitor.is_titled("Sign in from your game")
