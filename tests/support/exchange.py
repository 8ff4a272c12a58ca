"""Token exchange in tests: a launcher and a game server that may exchange, and what they send."""

from typing import Any

import httpx

from authsrv.emulator.base import MintedCredential
from authsrv.models import TOKEN_EXCHANGE
from tests.support.refusals import clients
from tests.support.server import Server

PLATFORM = "urn:authsrv:params:oauth:token-type:"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
SECRET = "secret-of-the-game-server-in-a-test"
MATCH, MOD_IO = "https://match.example", "https://mod.io"
KINDS = {"steam": "session_ticket", "xbox": "xsts_token", "epicgames": "exchange_code", "guest": "device_secret"}


def exchanging(block: dict[str, Any]) -> None:
    """The demo's launcher may exchange, and so may a game server, also what is the launcher's."""
    launcher = clients(block)["launcher"]
    launcher |= {
        "grants": ["authorization_code", "refresh_token", TOKEN_EXCHANGE],
        "audiences": [MATCH],
        "id_token_audiences": [MOD_IO],
    }
    clients(block)["match"] = match_server("launcher")
    clients(block)["stranger"] = match_server()


def match_server(*exchange_from: str) -> dict[str, Any]:
    """The block of a game server."""
    return {
        "type": "server",
        "secret": SECRET,
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid", "profile", "match:join"],
        "audiences": [MATCH, "https://shop.example"],
        "exchange_from": list(exchange_from),
        "introspect": True,
    }


def ticket(server: Server, provider: str = "steam", **how: str) -> str:
    """A fresh credential as its text."""
    return dict(server.mint(provider, **how).parameters)["session_ticket"]


def submitted(provider: str, minted: MintedCredential) -> dict[str, str]:
    """A credential as the parameters of an exchange, with what goes along with it."""
    sent = dict(minted.parameters)
    # The exchange has no door for an XSTS token in a header of its own, whose Signature it could check.
    value = sent.pop("session_ticket", "") or minted.headers["Authorization"]
    kind = sent.pop("credential_type", "") or KINDS[provider]
    return {"subject_token": value, "subject_token_type": f"{PLATFORM}{provider}:{kind}", **sent}


async def exchange(server: Server, credential: str = "", /, **changes: str | None) -> httpx.Response:
    """The launcher shows a credential of Steam, a fresh one if none is given."""
    return await exchange_of(server, "steam", credential, **changes)


async def exchange_of(server: Server, provider: str, credential: str = "", /, **changes: str | None) -> httpx.Response:
    """The same with any platform."""
    request: dict[str, str | None] = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "launcher",
        "subject_token": credential or ticket(server, provider),
        "subject_token_type": f"{PLATFORM}{provider}:{KINDS[provider]}",
        "scope": "openid offline",
    }
    return await server.token(**(request | changes))


async def narrow(server: Server, access_token: str, **changes: str | None) -> httpx.Response:
    """The game server shows the launcher's access token."""
    request: dict[str, str | None] = {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": "match",
        "client_secret": SECRET,
        "subject_token": access_token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": MATCH,
    }
    return await server.token(**(request | changes))


async def own_token(server: Server, client_id: str = "match") -> str:
    """A game server's own access token, to act with."""
    answer = await server.token(
        grant_type="client_credentials", client_id=client_id, client_secret=SECRET, scope="match:join"
    )
    token: str = answer.json()["access_token"]
    return token
