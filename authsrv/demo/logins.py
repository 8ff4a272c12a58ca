"""Login commands with credentials made this moment, for the terminal and for the page."""

import secrets

from authsrv.demo import curl
from authsrv.demo.pkce import Pkce
from authsrv.emulator import client as emulator
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class Login:
    """A platform and the command that logs the demo's player in through it, once."""

    door: curl.Door
    command: str


def fresh_logins(issuer: str, emulator_port: int, pkce: Pkce) -> list[Login]:
    """One login for every platform. Raises `EmulatorError` when the emulator does not mint."""
    return [Login(door, _command(issuer, door, emulator_port, pkce)) for door in curl.DOORS]


def guest_commands(issuer: str, pkce: Pkce) -> tuple[str, str]:
    """What a device sends that knows no platform: once for its secret, and with it at every login."""
    return curl.guest_secret(issuer), curl.guest_login(issuer, pkce, _state())


def _command(issuer: str, door: curl.Door, emulator_port: int, pkce: Pkce) -> str:
    proof = emulator.mint(emulator_port, door.name, curl.PLAYER)
    return curl.silent_login(issuer, door.provider, proof, pkce, _state())


def _state() -> str:
    return f"demo-{secrets.token_urlsafe(9)}"
