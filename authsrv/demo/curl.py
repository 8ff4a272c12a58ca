"""The commands a visitor pastes: a silent login for a platform or as a guest, and the exchange of its code.

Pure text; calls nobody.
"""

import json
import shlex
from collections.abc import Mapping

from authsrv.demo.pkce import Pkce
from authsrv.emulator.client import Credential
from authsrv.records import dataclass

CLIENT = "launcher"
REDIRECT_URI = "http://127.0.0.1/callback"
CODE = "PASTE_THE_CODE"
SECRET = "PASTE_THE_SECRET"
PROGRAM = ".venv/bin/authsrv"
PLAYER = "amber"


@dataclass(frozen=True, slots=True)
class Door:
    """A platform as the visitor meets it: `name` at the emulator's command line, `provider` in the URL."""

    name: str
    provider: str
    title: str


DOORS = (Door("steam", "steam", "Steam"), Door("xbox", "xbox", "Xbox"), Door("epic", "epicgames", "Epic Games"))


def silent_login(issuer: str, provider: str, proof: Credential, pkce: Pkce, state: str) -> str:
    """The command that answers `{"login_url": "...?code=...&state=...&iss=..."}`."""
    parameters = {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid offline",
        "state": state,
        "is_redirect": "false",
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        **proof.parameters,
    }
    return _curl(f"{issuer}/oauth2/social/{provider}/cross_auth", parameters, proof.headers)


def guest_secret(issuer: str) -> str:
    """The command that answers `{"credential": {"type", "value"}}`: what a device asks for at its first start."""
    body = shlex.quote(json.dumps({"client_id": CLIENT}))
    return f"curl -sS {shlex.quote(f'{issuer}/v1/guests')} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"


def guest_login(issuer: str, pkce: Pkce, state: str, secret: str = SECRET) -> str:
    """The silent login of the device that keeps the secret."""
    return silent_login(issuer, "guest", Credential(secret, {"session_ticket": secret}, {}), pkce, state)


def exchange(issuer: str, pkce: Pkce, code: str = CODE) -> str:
    """The command that turns the code of `silent_login` into tokens."""
    parameters = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": pkce.verifier,
        "code": code,
    }
    return _curl(f"{issuer}/oauth2/token", parameters, {})


def mint(door: Door) -> str:
    """The command that prints another credential."""
    return f"{PROGRAM} emulator ticket {door.name} --player {PLAYER}"


def _curl(url: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> str:
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    options += [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in parameters.items()]
    return " \\\n  ".join([f"curl -sS {shlex.quote(url)}", *options])
