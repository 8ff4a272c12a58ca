"""What ends tokens and tells of it, over HTTP: revocation, introspection and the revocation feed of a server."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from jwt.types import Options

from authsrv.config import Config
from authsrv.models import TOKEN_EXCHANGE, NotBeforeKind
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.changes import SetNotBefore
from tests.support.refusals import clients
from tests.support.server import ISSUER, Server

FEED = "/oauth2/revocations"
REVOKE = "/oauth2/revoke"
INTROSPECT = "/oauth2/introspect"
INACTIVE = {"active": False}
LIFETIME = 900
"""Of an access token, unless a test says otherwise."""

_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

Block = dict[str, Any]


def with_everybody(block: Block) -> None:
    """The demo with another launcher, a backend that may introspect, one that may not, and a second project."""
    found = clients(block)
    found["other"] = {**found["launcher"], "name": "Other launcher"}
    found["backend"] |= {
        "introspect": True,
        "grants": ["client_credentials", TOKEN_EXCHANGE],
        "scopes": ["openid"],
        "exchange_from": ["launcher"],
    }
    found["plain"] = {"name": "Plain server", "type": "server", "secret": "plain-secret"}
    shared = {name: block["projects"]["demo"][name] for name in ("look", "platforms")}
    block["projects"]["ironkeep"] = {
        "name": "Ironkeep",
        **deepcopy(shared),
        "clients": {
            "keep": {**found["launcher"], "name": "Ironkeep launcher"},
            "keeper": {"name": "Ironkeep server", "type": "server", "secret": "keeper-secret", "introspect": True},
        },
    }


@dataclass
class Kept:
    """Edits the configuration that a server begins with, and keeps it to be reloaded, as it was or changed."""

    edit: Callable[[Block], object] = with_everybody
    block: Block = field(default_factory=dict)

    def __call__(self, block: Block) -> None:
        self.edit(block)
        self.block = deepcopy(block)

    def changed(self, change: Callable[[Block], object]) -> Block:
        """The same configuration with a change."""
        block = deepcopy(self.block)
        change(block)
        return block


async def revoke(server: Server, token: str, **changes: str | None) -> httpx.Response:
    """One revocation by the demo launcher, or by whom the changes say; a parameter that is None is left out."""
    sent: dict[str, str | None] = {"client_id": "launcher", "token": token, **changes}
    return await server.http.post(REVOKE, data={k: v for k, v in sent.items() if v is not None})


async def introspect(server: Server, token: str, client_id: str = "backend", **changes: str | None) -> httpx.Response:
    """One question of the demo's game server, or of another one."""
    sent: dict[str, str | None] = {"client_id": client_id, "client_secret": f"{client_id}-secret", "token": token}
    sent |= changes
    return await server.http.post(INTROSPECT, data={k: v for k, v in sent.items() if v is not None})


async def told(server: Server, token: str, client_id: str = "backend") -> dict[str, Any]:
    """What introspection says."""
    answer = await introspect(server, token, client_id)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def is_active(server: Server, token: str) -> bool:
    """Whether introspection says that the token is in force; of one that is not it must tell nothing else."""
    found = await told(server, token)
    assert found["active"] is True or found == INACTIVE
    return bool(found["active"])


async def own_token(server: Server, client_id: str = "backend") -> str:
    """An access token of a server about itself."""
    secret = f"{client_id}-secret"
    answer = await server.token(grant_type="client_credentials", client_id=client_id, client_secret=secret)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


async def made_of(
    server: Server, access_token: str, *, actor_token: str | None = None, client_secret: str = "backend-secret"
) -> httpx.Response:
    """The demo's game server exchanges an access token for one of its own."""
    return await server.token(
        actor_token=actor_token,
        actor_token_type=_ACCESS_TOKEN if actor_token else None,
        grant_type=TOKEN_EXCHANGE,
        client_id="backend",
        client_secret=client_secret,
        subject_token=access_token,
        subject_token_type=_ACCESS_TOKEN,
    )


async def verified(server: Server, feed: str) -> dict[str, Any]:
    """What a feed says to a verifier that checks everything: signature, type, issuer and times."""
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/oauth2/jwks")).json())
    header = jwt.get_unverified_header(feed)
    assert (header["typ"], header["alg"]) == ("revocations+jwt", "RS256")
    # The clock is the test's; and RFC 7519 knows `jti` as one text, which stock libraries insist on.
    unchecked: Options = {"verify_exp": False, "verify_iat": False, "verify_jti": False}
    found: dict[str, Any] = jwt.decode(feed, keys[header["kid"]].key, algorithms=["RS256"], options=unchecked)
    assert found["iss"] == ISSUER
    assert found["iat"] <= server.clock.now < found["exp"] == found["iat"] + 600
    return found


async def feed(server: Server) -> dict[str, Any]:
    """What the feed says now."""
    answer = await server.http.get(FEED)
    assert answer.status_code == 200, answer.text
    return await verified(server, answer.text)


async def refused_offline(server: Server, token: str) -> bool:
    """Whether a game server that knows nothing but the feed refuses the token."""
    listed, claims = await feed(server), server.claims(token)
    clients_involved = (claims["client_id"], claims.get("origin_client_id", ""))
    return (
        not {claims["jti"], claims.get("origin_jti")}.isdisjoint(listed["jti"])
        or claims.get("gid") in listed["gid"]
        or jwt.get_unverified_header(token)["kid"] in listed["kid"]
        or claims["iat"] < listed["not_before"].get(claims["sub"], 0)
        or claims["iat"] < max(listed["clients"].get(each, 0) for each in clients_involved)
    )


async def void_before(server: Server, kind: NotBeforeKind, subject: str, seconds: int = 1) -> None:
    """Everything that was issued to them until so many seconds from now is void."""
    await server.app.storage.apply([SetNotBefore(kind, subject, int(server.clock.now) + seconds)])


async def reload(server: Server, block: Block) -> None:
    await server.app.reload(Config.model_validate(block))


async def down(*_: object, **__: object) -> None:
    """A storage that cannot."""
    raise StorageUnavailable("the database did not do it (SQLITE_FULL)")
