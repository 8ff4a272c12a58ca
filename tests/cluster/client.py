"""What a game's client can ask for, each request one call that ends with an answer or with `Lost`.

Owns the requests. Knows neither what is asked when nor what should come of it.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.cluster.people import Identity, as_object
from tests.cluster.wire import Answer, Wire, basic, bearer

CLIENT_ID, CALLBACK, SCOPE = "launcher", "http://127.0.0.1/callback", "openid offline account"
BACKEND = basic("backend", "backend-secret")
OF_THE_BACKEND = {"client_id": "backend", "client_secret": "backend-secret"}


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class LoginTry:
    """A login that is repeated as it is when its answer is lost."""

    identity: Identity
    credential: Mapping[str, str]
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(12))


async def log_in(wire: Wire, tried: LoginTry) -> Answer:
    """A silent login, which answers with a code."""
    return await wire.post(
        f"/oauth2/social/{tried.identity.provider}/cross_auth",
        client_id=CLIENT_ID,
        response_type="code",
        redirect_uri=CALLBACK,
        scope=SCOPE,
        state=tried.state,
        is_redirect="false",
        code_challenge=_challenge(tried.verifier),
        code_challenge_method="S256",
        **tried.credential,
    )


def code_of(answer: Answer) -> str:
    """The code in the answer to a login."""
    found: str = parse_qs(urlsplit(answer.json["login_url"]).query)["code"][0]
    return found


async def redeem(wire: Wire, code: str, verifier: str) -> Answer:
    """Tokens for a code."""
    return await wire.post(
        "/oauth2/token",
        grant_type="authorization_code",
        client_id=CLIENT_ID,
        redirect_uri=CALLBACK,
        code=code,
        code_verifier=verifier,
    )


async def refresh(wire: Wire, token: str) -> Answer:
    """Tokens for a refresh token."""
    return await wire.post("/oauth2/token", grant_type="refresh_token", client_id=CLIENT_ID, refresh_token=token)


async def revoke(wire: Wire, token: str) -> Answer:
    """The end of a refresh token or of an access token, and of what hangs on it."""
    return await wire.post("/oauth2/revoke", client_id=CLIENT_ID, token=token)


async def user_info(wire: Wire, access_token: str) -> Answer:
    """Whether an access token is good."""
    return await wire.get("/oauth2/userinfo", bearer(access_token))


async def introspect(wire: Wire, token: str) -> Answer:
    """What the studio's server is told of any token."""
    return await wire.post("/oauth2/introspect", token=token, **OF_THE_BACKEND)


async def link(wire: Wire, access_token: str, identity: Identity, credential: Mapping[str, str]) -> Answer:
    """One more platform account for a player who is signed in."""
    sent = {
        "client_id": CLIENT_ID,
        "provider": identity.provider,
        "credential": as_object(credential),
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "code_challenge": _challenge(identity.subject),
        "code_challenge_method": "S256",
    }
    return await wire.post_json("/v1/identity/connect", sent, bearer(access_token))


async def unlink(wire: Wire, access_token: str, identity: Identity) -> Answer:
    """One less."""
    sent = {"provider": identity.provider, "subject": identity.subject}
    return await wire.post_json("/v1/me/identities/unlink", sent, bearer(access_token))


async def erase(wire: Wire, access_token: str, sub: str) -> Answer:
    """The end of a player, at their own wish."""
    return await wire.ask("DELETE", f"/v1/me?confirm={sub}", b"", bearer(access_token))


async def ban(wire: Wire, sub: str, *, seconds: int = 86400) -> Answer:
    """Keep a player out, as the studio's server does."""
    return await wire.post_json(f"/v1/users/{sub}/ban", {"seconds": seconds}, BACKEND)


async def unban(wire: Wire, sub: str) -> Answer:
    """Let them in again."""
    return await wire.post_json(f"/v1/users/{sub}/unban", {}, BACKEND)


async def show(wire: Wire, sub: str) -> Answer:
    """What the studio's server is told of a player."""
    return await wire.get(f"/v1/users/{sub}", BACKEND)
