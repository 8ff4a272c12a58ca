"""A game on an Xsolla Login SDK at a server: what it sends below /api, and what it reads of the answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey
from authsrv.storage.changes import Change
from tests.support.browser import Browser
from tests.support.server import Server

BLANK = "http://127.0.0.1/blank"
STATE = "xsollatest"
UNITY_ERRORS = (("statusCode", "errorCode", "errorMessage"), ("error", "code", "description"))
"""Unity's SDK takes any body that holds all words of one set for an error, whatever the status."""
_CODE = re.compile(r"[0-9]+(-[0-9]+)*")

Refusal = tuple[int, str, Mapping[str, str]]


@dataclass
class Game:
    """One client of the Xsolla profile; the demo's, until `client_id` names another."""

    server: Server
    client_id: str = "40"
    redirect_uri: str = BLANK

    async def code(self, provider: str = "steam", player: str = "amber", **changes: str | None) -> str:
        """A code by a silent login."""
        asked: dict[str, str | None] = {
            "client_id": self.client_id,
            "response_type": "code",
            "state": STATE,
            "redirect_uri": self.redirect_uri,
            "scope": "offline",
            **self.server.mint(provider, player).parameters,
            "is_redirect": "false",
        }
        answer = await self.get(f"/api/oauth2/social/{provider}/cross_auth", **(asked | changes))
        assert answer.status_code == 200, answer.text
        return httpx.URL(answer.json()["login_url"]).params["code"]

    async def redeem(self, code: str, **changes: str | None) -> httpx.Response:
        return await self.token(grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri, **changes)

    async def refresh(self, refresh_token: str, **changes: str | None) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def token(self, **sent: str | None) -> httpx.Response:
        return await self.server.http.post("/api/oauth2/token", data=_given({"client_id": self.client_id} | sent))

    async def tokens(self, provider: str = "steam", player: str = "amber", **changes: str | None) -> dict[str, Any]:
        """What the token endpoint answers after a silent login."""
        return redeemed(await self.redeem(await self.code(provider, player, **changes)))

    async def access_token(self, provider: str = "steam", player: str = "amber", **changes: str | None) -> str:
        token: str = (await self.tokens(provider, player, **changes))["access_token"]
        return token

    async def get(self, path: str, access_token: str = "", /, **parameters: str | None) -> httpx.Response:
        """A GET, with the token in the header if there is one."""
        return await self.server.http.get(path, params=_given(parameters) or None, headers=_bearer(access_token))

    async def browser_tokens(self, browser: Browser, player: str = "amber", **changes: str | None) -> dict[str, Any]:
        """What the token endpoint answers after a sign-in in a browser."""
        asked: dict[str, str | None] = {
            "client_id": self.client_id,
            "response_type": "code",
            "state": STATE,
            "redirect_uri": self.redirect_uri,
            "scope": "offline",
        }
        there = await browser.open("/api/oauth2/social/steam/login_redirect", **(asked | changes))
        landed = await browser.press(there, player, case="good")
        assert "code" in landed.query, (landed.url, landed.html)
        return redeemed(await self.redeem(landed.query["code"]))

    async def logout(self, access_token: str, sessions: str | None = None) -> httpx.Response:
        return await self.get("/api/oauth2/logout", access_token, sessions=sessions)

    async def me(self, access_token: str) -> httpx.Response:
        return await self.get("/api/users/me", access_token)

    async def validate(self, body: object) -> httpx.Response:
        return await self.server.http.post("/api/token/validate", json=body)


def redeemed(answer: httpx.Response) -> dict[str, Any]:
    """The tokens of a good answer of the token endpoint."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusal(answer: httpx.Response) -> Refusal:
    """Status, code and details; whatever else the SDKs rely on is checked on the way."""
    assert answer.headers["content-type"] == "application/json"
    (member,) = answer.json().items()
    name, error = member
    assert name == "error"
    assert error.keys() == {"code", "description", "details"}
    assert _CODE.fullmatch(error["code"])
    assert error["description"].isascii()
    assert error["description"].isprintable()
    details = {key: value for key, value in error["details"].items() if key != "reference"}
    return answer.status_code, error["code"], details


def is_error_to_unity(body: str) -> bool:
    """Unity's own test of a body, which it makes whatever the status."""
    return any(all(word in body for word in words) for words in UNITY_ERRORS)


async def change_player(server: Server, *changes: Change) -> None:
    """Write what no endpoint writes."""
    await server.app.storage.apply(changes)


async def player_id(server: Server, player: str = "amber") -> int:
    """The row of a player who came by Steam."""
    found = await server.app.storage.load_player(IdentityKey("demo", "steam", "", PLAYERS[player].steam_id))
    assert found
    return found.id


def _given(parameters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}


def _bearer(access_token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {access_token}"} if access_token else {}
