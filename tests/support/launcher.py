"""A game launcher: logs in with a platform's credential and keeps itself signed in, by the documented HTTP alone.

Standard library only and nothing of authsrv, as a studio would write it. Run as a program it reads one JSON object
from standard input (`action`, and the arguments of the function of that name) and prints the answer as JSON.
"""

import base64
import hashlib
import json
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

CLIENT_ID = "launcher"
REDIRECT_URI = "http://127.0.0.1/callback"
EMULATORS = {"steam": "steam", "xbox": "xbox", "epicgames": "epic"}
TIMEOUT = 30.0


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        self.status = status
        self.answer = answer
        super().__init__(f"{status} {answer}")


def credential(emulator: str, provider: str, player: str) -> dict[str, str]:
    """What the platform gives a game that runs on the player's machine: the parameters to send with the login."""
    order = {"platform": EMULATORS[provider], "player": player}
    minted = _call(f"{emulator}/emulator/ticket", json.dumps(order).encode(), "application/json")
    parameters: dict[str, str] = minted["parameters"]
    return parameters


def login(issuer: str, emulator: str, provider: str, player: str) -> dict[str, Any]:
    """Silent login and code exchange with PKCE (RFC 7636); the token answer."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    state = secrets.token_urlsafe(12)
    answer = _post(
        f"{issuer}/oauth2/social/{provider}/cross_auth",
        client_id=CLIENT_ID,
        response_type="code",
        redirect_uri=REDIRECT_URI,
        scope="openid offline",
        state=state,
        is_redirect="false",
        code_challenge=challenge,
        code_challenge_method="S256",
        **credential(emulator, provider, player),
    )
    came_back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer["login_url"]).query, strict_parsing=True))
    if came_back["state"] != state or came_back["iss"] != issuer:
        raise ValueError("the answer belongs to another request or another server")
    return _post(
        endpoint(issuer, "token_endpoint"),
        grant_type="authorization_code",
        client_id=CLIENT_ID,
        redirect_uri=REDIRECT_URI,
        code=came_back["code"],
        code_verifier=verifier,
    )


def refresh(issuer: str, refresh_token: str) -> dict[str, Any]:
    """New tokens for a refresh token. A repeat after a lost answer is allowed."""
    return _post(f"{issuer}/oauth2/token", grant_type="refresh_token", client_id=CLIENT_ID, refresh_token=refresh_token)


def endpoint(issuer: str, name: str) -> str:
    """An address from the discovery document."""
    return str(get(f"{issuer}/.well-known/openid-configuration")[name])


def get(url: str) -> dict[str, Any]:
    """A JSON document."""
    return _call(url)


def _post(url: str, **parameters: str) -> dict[str, Any]:
    return _call(url, urllib.parse.urlencode(parameters).encode(), "application/x-www-form-urlencoded")


def _call(url: str, body: bytes | None = None, content_type: str = "") -> dict[str, Any]:
    headers = {"Content-Type": content_type} if content_type else {}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the caller's own server
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - as above
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(error.code, json.load(error)) from None
    return answer


def main() -> None:
    """One order in, one answer out."""
    order = json.load(sys.stdin)
    actions: dict[str, Callable[..., dict[str, Any]]] = {"login": login, "refresh": refresh}
    json.dump(actions[order.pop("action")](**order), sys.stdout)


if __name__ == "__main__":
    main()
