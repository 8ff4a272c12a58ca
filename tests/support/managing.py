"""A game server that manages players, at a server whose backend may."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.refusals import clients, demo
from tests.support.residents import Resident
from tests.support.server import Server

BACKEND = ("backend", "backend-secret")


def may_manage(block: dict[str, Any], **rules: object) -> None:
    """Let the backend manage players, ask about tokens and exchange them; the project's accounts have these rules."""
    clients(block)["backend"] |= {"manage_players": True, "introspect": True}
    demo(block)["accounts"] = {**demo(block).get("accounts", {}), **rules}


@dataclass(frozen=True)
class Manager:
    """The backend."""

    server: Server

    async def show(self, sub: str) -> httpx.Response:
        return await self.server.http.get(f"/v1/users/{sub}", auth=BACKEND)

    async def post(self, path: str, **sent: object) -> httpx.Response:
        return await self.server.http.post(path, json=sent, auth=BACKEND)

    async def merge(self, loser: Resident, survivor: Resident, **sent: object) -> httpx.Response:
        return await self.post(f"/v1/users/{loser.sub}/merge", into=survivor.sub, **sent)

    async def transfer(
        self, giver: Resident, taker: Resident, provider: str, subject: str, **sent: object
    ) -> httpx.Response:
        asked = {"to": taker.sub, "provider": provider, "subject": subject, **sent}
        return await self.post(f"/v1/users/{giver.sub}/transfer", **asked)

    async def undo(self, event: str, **sent: object) -> httpx.Response:
        return await self.post(f"/v1/events/{event}/undo", **sent)

    async def introspect(self, token: str) -> dict[str, Any]:
        asked = {"token": token, "client_id": BACKEND[0], "client_secret": BACKEND[1]}
        told: dict[str, Any] = (await self.server.http.post("/oauth2/introspect", data=asked)).json()
        return told
