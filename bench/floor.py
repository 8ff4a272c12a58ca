"""The floor: the least that a Starlette endpoint can do for the same answers, to hold authsrv against.

It reads the form, makes the same claims, signs them with prepared keys and commits the same change through the same
group commit; no look-up, no check, no limit, no log. Run as `python -m bench.floor DATABASE PORT ISSUER`.
"""

import asyncio
import hashlib
import os
import secrets
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authsrv.endpoints.forms import parse_form
from authsrv.models import Digest
from authsrv.oauth.key_material import Vault
from authsrv.oauth.keys import KeyRing, SigningKey
from authsrv.storage.changes import RedeemCode, RotateRefreshToken
from authsrv.storage.sqlite.storage import SqliteStorage
from bench.servers import DISCOVERY

NAMES = frozenset(
    {"grant_type", "client_id", "client_secret", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"}
)
SUB = "0d9f7b0e-5f5e-4c0e-9f6e-3f1f6f2f9b11"
PLATFORM = {"idp": "steam", "idp_sub": "76561197960287930"}
SCOPE = "openid profile offline"
MONTH = 30 * 86400


class Floor:
    """The endpoint, once its storage is open and its keys are loaded."""

    def __init__(self, storage: SqliteStorage, issuer: str) -> None:
        self._storage = storage
        self._issuer = issuer
        self._keys: dict[str, SigningKey] = {}

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self._storage.open()
        ring = KeyRing(await self._storage.load_keys(), Vault("", os.urandom), time.time)
        self._keys = {alg: ring.signer(alg) for alg in ("ES256", "RS256")}
        yield
        await self._storage.close()

    async def discovery(self, _: Request) -> JSONResponse:
        """Only to see that it runs."""
        return JSONResponse({"issuer": self._issuer})

    async def token(self, request: Request) -> JSONResponse:
        form = parse_form(await request.body()).take(NAMES)
        now = int(time.time())
        if form["grant_type"] == "authorization_code":
            return await self._redeem(form, now)
        if form["grant_type"] == "refresh_token":
            return await self._rotate(form, now)
        return JSONResponse(self._answer(form, now, form["client_id"], ""))

    async def _redeem(self, form: Mapping[str, str], now: int) -> JSONResponse:
        grant_id, _ = _read(form["code"])
        refresh = _fresh(grant_id)
        reply = self._answer(form, now, SUB, SCOPE) | {"refresh_token": refresh}
        await self._storage.apply([RedeemCode(grant_id, now, _digest(refresh), now + MONTH)])
        return JSONResponse(reply)

    async def _rotate(self, form: Mapping[str, str], now: int) -> JSONResponse:
        grant_id, current = _read(form["refresh_token"])
        refresh = _fresh(grant_id)
        reply = self._answer(form, now, SUB, SCOPE) | {"refresh_token": refresh}
        change = RotateRefreshToken(grant_id, current, _digest(refresh), os.urandom(97), now, now + MONTH)
        await self._storage.apply([change])
        return JSONResponse(reply)

    def _answer(self, form: Mapping[str, str], now: int, sub: str, scope: str) -> dict[str, Any]:
        common = {"iss": self._issuer, "sub": sub, "exp": now + 900, "iat": now}
        client = form["client_id"]
        access: dict[str, Any] = common | {
            "aud": self._issuer,
            "jti": urlsafe_b64encode(os.urandom(18)).decode(),
            "client_id": client,
            "scope": scope or "profile",
        }
        if not scope:
            return _reply(self._sign(access, _algorithm(client), "at+jwt"), access["scope"])
        access |= {**PLATFORM, "gid": secrets.token_urlsafe(16), "auth_time": now}
        reply = _reply(self._sign(access, "ES256", "at+jwt"), scope)
        at_hash = urlsafe_b64encode(hashlib.sha256(reply["access_token"].encode()).digest()[:16]).rstrip(b"=").decode()
        id_claims = {"aud": client, "auth_time": now, "amr": ["steam"], "at_hash": at_hash, **PLATFORM}
        id_token = self._sign(common | id_claims, _algorithm(client), "JWT")
        return reply | {"id_token": id_token}

    def _sign(self, claims: dict[str, Any], alg: str, typ: str) -> str:
        key = self._keys[alg]
        return jwt.encode(claims, key.private, algorithm=alg, headers={"typ": typ, "kid": key.kid})


def _algorithm(client: str) -> str:
    return "ES256" if client.endswith("es256") else "RS256"


def _reply(access_token: str, scope: str) -> dict[str, Any]:
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": 900, "scope": scope}


def _fresh(grant_id: int) -> str:
    """As long as authsrv's refresh tokens are, with the row's id in front."""
    return f"{grant_id:026d}{secrets.token_urlsafe(32)}"


def _read(token: str) -> tuple[int, Digest]:
    return int(token[:26]), _digest(token)


def _digest(token: str) -> Digest:
    """Of the secret behind the row's id."""
    return Digest(hashlib.sha256(token[26:].encode()).digest())


def main() -> None:
    database, port, issuer = sys.argv[1:]
    floor = Floor(SqliteStorage(Path(database)), issuer)
    routes = [Route("/oauth2/token", floor.token, methods=["POST"]), Route(DISCOVERY, floor.discovery)]
    app = Starlette(routes=routes, lifespan=floor.lifespan)
    config = uvicorn.Config(
        app,
        port=int(port),
        http="httptools",
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
    )
    asyncio.Runner(loop_factory=config.get_loop_factory()).run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
