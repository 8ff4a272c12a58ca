"""As many players as a load wants, with credentials of four platforms, made here: the emulator only shows its keys.

Their ids lie in ranges that no real account has. Knows no server.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from authsrv.emulator import host
from authsrv.emulator.base import MintedCredential, PlatformEmulator, TestPlayer

_STEAM, _XUID = 76561202254000000, 2814600000000000
_EMULATED: Mapping[str, tuple[str, str]] = {
    "steam": ("steam", "encrypted_app_ticket"),
    "epicgames": ("epic", "id_token"),
    "xbox": ("xbox", "xsts_token"),
}
PLATFORMS = ("steam", "epicgames", "xbox", "guest")


@dataclass(frozen=True, slots=True)
class Identity:
    """A platform account. `subject` is as the identity API names it, but for guests, whose it makes of their secret."""

    provider: str
    number: int
    subject: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.subject}"


class People:
    """Numbers that nobody had before, and the credentials of whoever has one."""

    def __init__(self, keys: Path) -> None:
        self._emulators: dict[str, PlatformEmulator] = {each.name: each for each in host.load_or_generate(keys)}
        self._numbers = count(1)
        self._secrets: dict[int, str] = {}

    def newcomer(self, provider: str) -> Identity:
        """A platform account that no server has seen."""
        number = next(self._numbers)
        return Identity(provider, number, _subject(provider, _player(number)))

    def credential(self, identity: Identity) -> dict[str, str]:
        """A fresh credential, as parameters of a silent login."""
        if identity.provider == "guest":
            secret = self._secrets.setdefault(identity.number, f"authsrv_guest_{secrets.token_urlsafe(32)}")
            return {"session_ticket": secret}
        name, kind = _EMULATED[identity.provider]
        minted: MintedCredential = self._emulators[name].mint(_player(identity.number), kind=kind)
        return dict(minted.parameters)


def as_object(parameters: Mapping[str, str]) -> dict[str, str]:
    """The same credential as the identity API takes it."""
    names = {"session_ticket": "value", "credential_type": "type"}
    return {names.get(name, name): value for name, value in parameters.items()}


def platform_blocks(keys: Path, emulator: str) -> dict[str, dict[str, Any]]:
    """The platforms of a project, so set that a credential is checked without asking anybody."""
    blocks = host.platform_settings(host.load_or_generate(keys), emulator)
    blocks["steam"] |= {"reject_vac": False, "require_ownership": False, "fetch_profile": False}
    return {**blocks, "guest": {}}


def _player(number: int) -> TestPlayer:
    return TestPlayer(
        name=f"p{number}",
        steam_id=str(_STEAM + number),
        partner_xuid=f"A11CE{number:035}",
        xuid=str(_XUID + number),
        epic_account_id=f"a11ce{number:027}",
        product_user_id=f"0002a11ce{number:023}",
        display_name=f"Player {number}",
    )


def _subject(provider: str, player: TestPlayer) -> str:
    found = {"steam": player.steam_id, "epicgames": player.epic_account_id, "xbox": player.partner_xuid}
    return found.get(provider, player.name)
