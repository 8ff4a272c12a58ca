"""Requests to `/v1/identity`, as the demo launcher makes them, for a player who is signed in or for nobody."""

from collections.abc import Mapping
from typing import Any

import httpx

from authsrv.account_models import Account
from authsrv.emulator.base import MintedCredential
from tests.support.residents import Resident
from tests.support.server import CALLBACK, CHALLENGE, Server

CONNECT, CONTINUE = "/v1/identity/connect", "/v1/identity/continue"
_MEMBERS = {"session_ticket": "value", "credential_type": "type", "encrypted_ticket_nonce": "nonce"}
Json = dict[str, Any]


def credential(minted: MintedCredential) -> dict[str, str]:
    """A minted credential as a request carries it."""
    return {_MEMBERS.get(name, name): value for name, value in minted.parameters.items()}


def body(provider: str, minted: MintedCredential, /, **changes: Any) -> Json:
    """A connect request; what is changed to None is left out."""
    sent: Json = {
        "client_id": "launcher",
        "provider": provider,
        "credential": credential(minted),
        "redirect_uri": CALLBACK,
        "scope": "openid offline account",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (sent | changes).items() if value is not None}


async def connect(
    server: Server,
    provider: str,
    player: str = "amber",
    session: Resident | None = None,
    /,
    *,
    minted: MintedCredential | None = None,
    headers: Mapping[str, str] | None = None,
    **changes: Any,
) -> httpx.Response:
    """A connect request with the player's platform account, for the session if there is one."""
    sent = body(provider, minted or server.mint(provider, player), **changes)
    return await server.http.post(
        CONNECT, json=sent, headers={**(headers or {}), **(session.bearer if session else {})}
    )


async def proceed(session: Resident | None, server: Server, token: str, choice: str, **more: str) -> httpx.Response:
    """The answer to a conflict."""
    sent = {"client_id": "launcher", "continuation_token": token, "choice": choice, **more}
    return await server.http.post(CONTINUE, json=sent, headers=session.bearer if session else {})


async def account(server: Server, sub: str) -> Account:
    """An account as it is now."""
    found = await server.app.storage.load_subject(sub)
    assert found
    loaded = await server.app.storage.load_account(found.id)
    assert loaded
    return loaded


async def redeemed(server: Server, answer: httpx.Response) -> Resident:
    """The session that the code of an answer gives."""
    tokens = await server.redeem(answer.json()["code"])
    assert tokens.status_code == 200, tokens.text
    return Resident(server, tokens.json())
