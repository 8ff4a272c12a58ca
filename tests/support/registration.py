"""Clients that register themselves at a server, and manage what they registered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from authsrv.config import Config
from tests.support.browser import Browser
from tests.support.server import ISSUER, Server

Edit = Callable[[dict[str, Any]], None]

INITIAL_TOKEN = "partner-token"
CALLBACK = "https://page.example/callback"
METADATA: dict[str, Any] = {
    "redirect_uris": [CALLBACK],
    "client_name": "Amber's page",
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
}


def registering(**settings: Any) -> Edit:
    """The demo, which lets clients register by a token and manage themselves unless `settings` say otherwise."""

    def edit(block: dict[str, Any]) -> None:
        usual = {"mode": "token", "management": True, "initial_tokens": {"partner": INITIAL_TOKEN}}
        block["projects"]["demo"]["registration"] = usual | settings

    return edit


def reregistering(config: Config, **settings: Any) -> Config:
    """A configuration whose demo registers clients by other settings."""
    demo = config.projects["demo"]
    changed = demo.model_copy(update={"registration": demo.registration.model_copy(update=settings)})
    return config.model_copy(update={"projects": {**config.projects, "demo": changed}})


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


async def register(server: Server, *, token: str = INITIAL_TOKEN, **changes: Any) -> httpx.Response:
    """One registration; a member changed to None is left out."""
    sent = {name: value for name, value in (METADATA | changes).items() if value is not None}
    return await server.http.post("/oauth2/register", json=sent, headers=bearer(token))


@dataclass
class Registered:
    """A client that registered itself, and what it was told then."""

    server: Server
    told: dict[str, Any]

    @property
    def client_id(self) -> str:
        found: str = self.told["client_id"]
        return found

    @property
    def secret(self) -> str | None:
        return self.told.get("client_secret")

    @property
    def token(self) -> str:
        found: str = self.told["registration_access_token"]
        return found

    @property
    def path(self) -> str:
        found: str = self.told["registration_client_uri"]
        return found.removeprefix(ISSUER)

    async def read(self, token: str | None = None) -> httpx.Response:
        return await self.server.http.get(self.path, headers=bearer(self.token if token is None else token))

    async def update(self, *, token: str | None = None, **changes: Any) -> httpx.Response:
        """Replace what is registered by the usual metadata with changes; a member changed to None is left out."""
        sent = {"client_id": self.client_id, **METADATA} | changes
        sent = {name: value for name, value in sent.items() if value is not None}
        headers = bearer(self.token if token is None else token)
        return await self.server.http.put(self.path, json=sent, headers=headers)

    async def delete(self, token: str | None = None) -> httpx.Response:
        return await self.server.http.delete(self.path, headers=bearer(self.token if token is None else token))

    def browser(self, redirect_uri: str = CALLBACK) -> Browser:
        """A browser that this client sends."""
        return Browser(self.server).sent_by(self.client_id, redirect_uri, self.secret)


async def registered(server: Server, **changes: Any) -> Registered:
    """A client that has registered."""
    answer = await register(server, **changes)
    assert answer.status_code == 201, answer.text
    return Registered(server, answer.json())


def audited(server: Server, *kinds: str) -> list[dict[str, Any]]:
    """The audit events of these kinds, with their facts alone."""
    found = [event for event in server.events if event["event"] in kinds]
    noise = {"time", "logger", "level", "request_id", "address"}
    return [{name: value for name, value in event.items() if name not in noise} for event in found]


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and parameter of a refusal."""
    found = answer.json()
    return answer.status_code, found["error"], found.get("parameter", "")
