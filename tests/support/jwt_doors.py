"""Every door of the server that takes a JWT of its own, and a player who has tokens for all of them.

A new door is one line of `DOORS`: its name, the kind of token it takes, how to present one, how to read the answer,
and what the answer to a token that is none must be.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from authsrv.models import TOKEN_EXCHANGE, SigningAlgorithm
from authsrv.oauth.keys import KeyRing
from tests.support.browser import SHOP_CALLBACK, Browser
from tests.support.connecting import CONNECT, CONTINUE, connect
from tests.support.exchange import ACCESS_TOKEN
from tests.support.jwt_attacks import Kind
from tests.support.jwt_forging import Good, Json, Key
from tests.support.listening import Listener, connections, over_sockets
from tests.support.refusals import clients, demo, tables, told_at
from tests.support.registration import Edit, Registered, bearer, registered, registering
from tests.support.residents import resident
from tests.support.server import CHALLENGE, Server, running

USERINFO, AUTHORIZE, LOGOUT, REGISTER = "/oauth2/userinfo", "/oauth2/authorize", "/oauth2/logout", "/oauth2/register"
SHOP = {"client_id": "shop", "client_secret": "shop-secret"}
BACKEND = {"client_id": "backend", "client_secret": "backend-secret"}


@dataclass
class Stage:
    """A server with a player in a browser, who is signed in at the demo shop, and a client that registered itself."""

    server: Server
    browser: Browser
    registered: Registered
    ring: KeyRing
    tokens: dict[str, Any]
    listener: Listener
    connected: list[object]
    csrf: str
    """Of the form that asks whether to sign out."""

    def good(self, kind: Kind, alg: SigningAlgorithm) -> Good:
        """The player's token of this kind, as the ring's key of this algorithm signs it or will sign it."""
        key, text = self.key(alg), self.tokens[f"{kind}_token"]
        if kind == "continuation":
            secret = self.ring.derive(b"authsrv continuation tokens v1")
            # Its public half is that of another key: there is none, and attacks by one must not open anything either.
            own = Key("continuation", "HS256", secret, key.public, key.jwk)
            return Good(own, dict(jwt.get_unverified_header(text)), self.server.claims(text))
        header = {**jwt.get_unverified_header(text), "alg": key.alg, "kid": key.kid}
        return Good(key, header, self.server.claims(text))

    def key(self, alg: SigningAlgorithm) -> Key:
        """The first published key of this algorithm."""
        kid = next(jwk["kid"] for jwk in self.ring.jwks()["keys"] if jwk["alg"] == alg)
        found = self.ring.known(kid)
        assert found
        return Key(kid, alg, found.private, found.public, found.jwk)

    def traces(self) -> object:
        """All that a request could leave behind: rows, calls to the platform, notices to clients, connections."""
        calls = [len(outbound.requests) for outbound in self.server.outbounds.values()]
        elsewhere = [address for address in self.connected if address != self.listener.address]
        return tables(self.server).copy(), calls, len(self.server.notified.got), elsewhere


@asynccontextmanager
async def staged(edit: Edit | None = None) -> AsyncIterator[Stage]:
    """A stage whose HTTP goes through a socket. `edit` may change the configuration's dict."""
    async with running(edit=_edited(edit)) as server, over_sockets(server.app) as listener:
        server.http = listener.http
        browser = Browser(server)
        others = {"own_token": await own_token(server), "xsolla_token": await xsolla_token(server)}
        tokens = await browser.tokens(scope="openid profile offline account") | others | await questioned(server)
        ring = server.app.desk.keys.ring
        with connections() as connected:
            asked = (await browser.open(LOGOUT)).forms[0].fields
            own = await registered(server)
            yield Stage(server, browser, own, ring, tokens, listener, connected, asked["csrf"])


async def own_token(server: Server) -> str:
    """The access token that the game server has for itself."""
    found: str = (await server.token(grant_type="client_credentials", **BACKEND)).json()["access_token"]
    return found


async def xsolla_token(server: Server) -> str:
    """The access token of a player at a game of Xsolla's."""
    http, minted = server.http, server.mint("steam", "cedar").parameters
    asked = {"client_id": "40", "response_type": "code", "state": "12345678", "is_redirect": "false", **minted}
    answer = await http.get("/api/oauth2/social/steam/cross_auth", params=asked)
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    redemption = {"client_id": "40", "code": code, "redirect_uri": "http://127.0.0.1/blank"}
    tokens = await http.post("/api/oauth2/token", data={"grant_type": "authorization_code", **redemption})
    found: str = tokens.json()["access_token"]
    return found


async def questioned(server: Server) -> dict[str, str]:
    """What a player has who is asked about another one's account: the session's token, and that of the question."""
    session = await resident(server, "steam", "birch")
    await resident(server, "steam", "cedar")
    conflict = await connect(server, "steam", "cedar", session)
    assert conflict.status_code == 409, conflict.text
    token: str = conflict.json()["continuation_token"]
    return {"session_token": session.tokens["access_token"], "continuation_token": token}


def _edited(edit: Edit | None) -> Edit:
    def edit_all(block: Json) -> None:
        registering()(block)
        block["limits"] = {"multiplier": 1000}
        grants = ["client_credentials", TOKEN_EXCHANGE]
        may = {"grants": grants, "scopes": ["openid", "profile"], "exchange_from": ["shop"], "introspect": True}
        clients(block)["backend"] |= may
        games = ["authorization_code", TOKEN_EXCHANGE]
        clients(block)["40"] |= {"grants": games, "exchange_from": ["shop"]}
        shop = clients(block)["shop"]
        shop |= {"backchannel_logout_uri": "https://shop.example/backchannel", "scopes": [*shop["scopes"], "account"]}
        platforms = demo(block)["platforms"]
        # The key lists of the others are fetched in the background, at any moment.
        demo(block)["platforms"] = {"steam": platforms["steam"]}
        if edit:
            edit(block)

    return edit_all


# --- how a token is presented ---

Present = Callable[[Stage, str], Awaitable[httpx.Response]]


async def in_the_header(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get(USERINFO, headers=bearer(token))


async def in_the_form(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post(USERINFO, data={"access_token": token})


async def as_a_silent_hint(stage: Stage, token: str) -> httpx.Response:
    return await by_query(stage, AUTHORIZE, **stage.browser.request, id_token_hint=token, prompt="none")


async def as_a_hint(stage: Stage, token: str) -> httpx.Response:
    return await by_query(stage, AUTHORIZE, **stage.browser.request, id_token_hint=token)


async def as_a_posted_hint(stage: Stage, token: str) -> httpx.Response:
    sent = {name: value for name, value in stage.browser.request.items() if value}
    return await stage.browser.post(AUTHORIZE, {**sent, "id_token_hint": token})


async def at_logout(stage: Stage, token: str) -> httpx.Response:
    return await by_query(stage, LOGOUT, id_token_hint=token, client_id="shop")


async def at_a_confirmed_logout(stage: Stage, token: str) -> httpx.Response:
    sent = {"csrf": stage.csrf, "request": urlencode({"id_token_hint": token, "client_id": "shop"}), "decision": "yes"}
    return await stage.browser.post(f"{LOGOUT}/confirm", sent)


async def to_introspect(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post("/oauth2/introspect", data={**BACKEND, "token": token})


async def to_revoke(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post("/oauth2/revoke", data={**SHOP, "token": token})


async def as_subject(stage: Stage, token: str) -> httpx.Response:
    return await exchanged(stage, token)


async def as_actor(stage: Stage, token: str) -> httpx.Response:
    return await exchanged(stage, stage.tokens["access_token"], actor_token=token, actor_token_type=ACCESS_TOKEN)


async def as_assertion(stage: Stage, token: str) -> httpx.Response:
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    said = {"client_id": "backend", "client_assertion": token, "client_assertion_type": kind}
    return await stage.server.http.post("/oauth2/token", data={**said, "grant_type": "client_credentials"})


async def as_subject_of_xsollas(stage: Stage, token: str) -> httpx.Response:
    asked = {"grant_type": TOKEN_EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return await stage.server.http.post("/api/oauth2/token", data={"client_id": "40", **asked})


async def to_xsollas_user(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/api/users/me", headers=bearer(token))


async def to_xsollas_validation(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post("/api/token/validate", json={"token": token})


async def to_xsollas_providers(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/api/users/me/social_providers", headers=bearer(token))


async def to_xsollas_link_url(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/api/users/me/social_providers/steam/login_url", headers=bearer(token))


async def to_xsollas_unlink(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.delete("/api/users/me/social_providers/xbox", headers=bearer(token))


async def to_xsollas_logout(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/api/oauth2/logout", headers=bearer(token))


async def to_the_account(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/v1/me", headers=bearer(token))


async def to_an_undo(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post("/v1/events/evt_AAAAAAAAAAAAAAAAAAAAAA/undo", headers=bearer(token))


async def to_the_export(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.get("/v1/me/export", headers=bearer(token))


async def to_the_erasure(stage: Stage, token: str) -> httpx.Response:
    """Without the confirmation: a good token is told that it is missing."""
    return await stage.server.http.delete("/v1/me", headers=bearer(token))


async def exchanged(stage: Stage, subject: str, **actor: str) -> httpx.Response:
    asked = {"grant_type": TOKEN_EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN, **actor}
    return await stage.server.http.post("/oauth2/token", data={**BACKEND, **asked})


async def by_query(stage: Stage, path: str, **parameters: str | None) -> httpx.Response:
    """A GET by the player's browser, with an address of any length."""
    target = f"{path}?{urlencode({name: value for name, value in parameters.items() if value})}"
    cookies = "; ".join(f"{name}={value}" for name, value in stage.browser.cookies.items())
    return await stage.server.http.get(path, headers={"cookie": cookies}, extensions={"target": target.encode()})


async def to_register(stage: Stage, token: str) -> httpx.Response:
    return await stage.server.http.post(REGISTER, json={"redirect_uris": [SHOP_CALLBACK]}, headers=bearer(token))


async def to_manage(stage: Stage, token: str) -> httpx.Response:
    return await stage.registered.read(token)


async def to_continue(stage: Stage, token: str) -> httpx.Response:
    sent = {"client_id": "launcher", "continuation_token": token, "choice": "cancel"}
    return await stage.server.http.post(CONTINUE, json=sent, headers=bearer(stage.tokens["session_token"]))


async def to_connect(stage: Stage, token: str) -> httpx.Response:
    minted = stage.server.mint("steam")
    sent = {"provider": "steam", "credential": {"value": minted.text, "app_id": minted.parameters["app_id"]}, **SHOP}
    proof = {"code_challenge": CHALLENGE, "code_challenge_method": "S256", "redirect_uri": SHOP_CALLBACK}
    return await stage.server.http.post(CONNECT, json={**sent, **proof}, headers=bearer(token))


# --- what an answer says ---

Told = tuple[object, ...]


def by_a_resource(answer: httpx.Response) -> Told:
    """Status, error and challenge (RFC 6750 section 3.1)."""
    said = answer.json().get("error", "") if answer.status_code >= 400 else ""
    return answer.status_code, said, answer.headers.get("www-authenticate", "")


def at_the_client(answer: httpx.Response) -> Told:
    """What the client is told by a redirect, or the status of a page."""
    place, told = told_at(answer.headers.get("location", ""))
    return ("client", told.get("error", "code")) if place == SHOP_CALLBACK else ("page", answer.status_code)


def by_an_endpoint(answer: httpx.Response) -> Told:
    """Status, and the error or whether a token is active."""
    said = answer.json() if answer.content else {}
    return answer.status_code, said.get("error", said.get("active", ""))


def by_xsollas(answer: httpx.Response) -> Told:
    """Status and code of the other surface."""
    said = answer.json() if answer.status_code >= 400 else {}
    return answer.status_code, said.get("error", {}).get("code", "")


def on_a_page(answer: httpx.Response) -> Told:
    """The status of a page, and whether it leads anywhere."""
    return answer.status_code, "location" in answer.headers


CONTINUED: Told = (400, "invalid_grant")
INVALID_TOKEN: Told = (401, "invalid_token", 'Bearer realm="authsrv", error="invalid_token"')


@dataclass(frozen=True, slots=True)
class Door:
    """A place where tokens are taken. `opened` is the answer to a good one; `writes`, whether that leaves a trace."""

    name: str
    kind: Kind
    present: Present
    read: Callable[[httpx.Response], Told]
    refusal: Told
    opened: Told
    writes: bool = False
    also: tuple[Kind, ...] = ()
    """Other kinds that it takes, or answers otherwise than what is none."""
    is_exact: bool = False
    """Whether a token says just what we write, so that no time of it can be another one."""


DOORS = (
    Door("userinfo", "access", in_the_header, by_a_resource, INVALID_TOKEN, (200, "", "")),
    Door("userinfo-form", "access", in_the_form, by_a_resource, INVALID_TOKEN, (200, "", "")),
    Door("account", "access", to_the_account, by_a_resource, INVALID_TOKEN, (200, "", "")),
    Door("undo", "access", to_an_undo, by_a_resource, INVALID_TOKEN, (404, "not_found", "")),
    Door("export", "access", to_the_export, by_a_resource, INVALID_TOKEN, (200, "", "")),
    Door("erasure", "access", to_the_erasure, by_a_resource, INVALID_TOKEN, (400, "invalid_request", "")),
    Door("introspection", "access", to_introspect, by_an_endpoint, (200, False), (200, True), also=("xsolla",)),
    Door("introspection-xsolla", "xsolla", to_introspect, by_an_endpoint, (200, False), (200, True), also=("access",)),
    Door("revocation", "access", to_revoke, by_an_endpoint, (200, ""), (200, ""), writes=True, also=("xsolla",)),
    Door("subject", "access", as_subject, by_an_endpoint, (400, "invalid_grant"), (200, "")),
    Door("subject-xsolla", "access", as_subject_of_xsollas, by_xsollas, (400, "010-023"), (200, "")),
    Door("user-xsolla", "xsolla", to_xsollas_user, by_xsollas, (401, "010-017"), (200, "")),
    Door("providers-xsolla", "xsolla", to_xsollas_providers, by_xsollas, (401, "010-017"), (200, "")),
    Door("link-url-xsolla", "xsolla", to_xsollas_link_url, by_xsollas, (401, "010-017"), (200, ""), writes=True),
    Door("unlink-xsolla", "xsolla", to_xsollas_unlink, by_xsollas, (401, "010-017"), (404, "003-061")),
    Door("logout-xsolla", "xsolla", to_xsollas_logout, by_xsollas, (401, "010-017"), (204, ""), writes=True),
    Door("validation-xsolla", "xsolla", to_xsollas_validation, by_xsollas, (422, "002-016"), (204, "")),
    Door("actor", "own", as_actor, by_an_endpoint, (400, "invalid_grant"), (200, "")),
    Door("connect", "access", to_connect, by_a_resource, INVALID_TOKEN, (200, "", ""), writes=True),
    Door("continuation", "continuation", to_continue, by_an_endpoint, CONTINUED, (200, ""), True, is_exact=True),
    Door("silent-hint", "id", as_a_silent_hint, at_the_client, ("client", "login_required"), ("client", "code"), True),
    Door("hint", "id", as_a_hint, at_the_client, ("client", "invalid_request"), ("client", "code"), True),
    Door("posted-hint", "id", as_a_posted_hint, at_the_client, ("client", "invalid_request"), ("client", "code"), True),
    Door("logout", "id", at_logout, on_a_page, (400, False), (200, False), writes=True),
    Door("confirmed-logout", "id", at_a_confirmed_logout, on_a_page, (400, False), (200, False), writes=True),
    # These take no JWT at all, so a good one is no better than a bad one.
    Door("assertion", "own", as_assertion, by_an_endpoint, (401, "invalid_client"), (401, "invalid_client")),
    Door("registration", "access", to_register, by_a_resource, INVALID_TOKEN, INVALID_TOKEN),
    Door("management", "access", to_manage, by_a_resource, INVALID_TOKEN, INVALID_TOKEN),
)
