"""What prompt=none and odd cookies give away, and what they cost the player."""

import json
from typing import Any

import pytest

from tests.support.browser import COOKIE, SHOP_CALLBACK, Browser
from tests.support.refusals import clients, tables
from tests.support.server import running


def with_partner(block: dict[str, Any]) -> None:
    clients(block)["partner"] = {**clients(block)["shop"], "name": "Partner", "first_party": False}


def naming(sub: str) -> str:
    return json.dumps({"id_token": {"sub": {"value": sub}}})


async def test_A25_a_client_without_consent_does_not_learn_who_is_signed_in() -> None:
    async with running(edit=with_partner) as server:
        browser = Browser(server)
        sub = server.claims((await browser.tokens())["id_token"])["sub"]
        browser.sent_by("partner", SHOP_CALLBACK, "shop-secret")
        told = [(await browser.authorize(prompt="none", claims=naming(name))).query for name in (sub, "0" * 36)]
        assert told[0] == told[1]
        assert told[0]["error"] == "login_required"
        assert (await browser.authorize(prompt="none")).query["error"] == "consent_required"


@pytest.mark.parametrize("state", ["a\nbbbbbbb", "a\r\nbbbbbb", "a\tbbbbbbb"])
async def test_A22_a_state_that_a_form_would_change_is_refused_rather_than_changed(state: str) -> None:
    async with running() as server:
        posted = await Browser(server).authorize(response_mode="form_post", prompt="none", state=state)
        assert posted.answer["error"] == "invalid_request"
        assert "state" not in posted.answer
        by_query = await Browser(server).authorize(prompt="none", state=state)
        assert (by_query.answer["error"], by_query.answer["state"]) == ("login_required", state)


async def test_E02_a_request_that_still_has_the_old_cookie_does_not_cost_the_new_session() -> None:
    async with running() as server:
        browser = Browser(server)
        page = await browser.authorize()
        old = browser.cookies[COOKIE]
        await browser.prove(page)
        new = browser.cookies[COOKIE]
        browser.cookies[COOKIE] = old
        late = await browser.get("/oauth2/authorize", **{k: v for k, v in browser.request.items() if v})
        assert "set-cookie" not in late.headers
        browser.cookies[COOKIE] = new
        assert "code" in (await browser.follow(late)).query


async def test_E02_an_old_cookie_alone_ends_at_the_sign_in_page() -> None:
    async with running() as server:
        browser = Browser(server)
        page = await browser.authorize()
        old = browser.cookies[COOKIE]
        await browser.prove(page)
        thief = Browser(server)
        thief.cookies[COOKIE] = old
        assert "sign-in-steam" in (await thief.authorize()).html
        assert thief.cookies[COOKIE] != old
        assert len(tables(server).browsers) == 2
