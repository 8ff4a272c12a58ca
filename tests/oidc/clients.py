"""The demo with clients for the tests of an OpenID provider, and a player of whom everything is known."""

import json
from collections.abc import Callable
from typing import Any

from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey, Player
from authsrv.storage.changes import SetProfile
from tests.support.browser import Browser
from tests.support.server import Server

Edit = Callable[[dict[str, Any]], None]

MODES = ("query", "form_post", "fragment")
SCOPES = ["openid", "profile", "email", "address", "phone", "offline"]
OLDER = "https://older.example/callback"
PARTNER = "https://partner.example/callback"
PROFILE: dict[str, Any] = {
    "name": "Amber Ochre",
    "family_name": "Ochre",
    "given_name": "Amber",
    "middle_name": "Sienna",
    "nickname": "Ambs",
    "preferred_username": "amber",
    "profile": "https://players.example/amber",
    "picture": "https://players.example/amber.png",
    "website": "https://amber.players.example/",
    "gender": "female",
    "birthdate": "1999-12-31",
    "zoneinfo": "Europe/Paris",
    "locale": "fr-FR",
    "updated_at": 1_780_000_000,
    "email": "amber@players.example",
    "email_verified": True,
    "address": {"formatted": "1 Rue de l'Ambre\n75000 Paris", "locality": "Paris", "country": "France"},
    "phone_number": "+33 1 23 45 67 89",
    "phone_number_verified": False,
}


def clients_of(block: dict[str, Any]) -> dict[str, Any]:
    """The clients of a configuration."""
    found: dict[str, Any] = block["projects"]["demo"]["clients"]
    return found


def provider(block: dict[str, Any]) -> None:
    """Let the demo shop do everything, and add an older web site without PKCE and one of somebody else's."""
    clients = clients_of(block)
    clients["shop"] |= {"response_modes": MODES, "scopes": SCOPES}
    clients["older"] = {
        "name": "Older web site",
        "secret": "older-secret",
        "redirect_uris": [OLDER],
        "pkce": "optional",
        "response_modes": MODES,
    }
    clients["partner"] = {
        "name": "Partner web site",
        "secret": "partner-secret",
        "redirect_uris": [PARTNER],
        "first_party": False,
        "scopes": SCOPES,
        "response_modes": MODES,
        "client_uri": "https://partner.example/",
        "policy_uri": "https://partner.example/policy",
        "tos_uri": "https://partner.example/terms",
    }


def changed(client_id: str, **settings: object) -> Edit:
    """The provider's configuration with other settings of one client."""

    def edit(block: dict[str, Any]) -> None:
        provider(block)
        clients_of(block)[client_id] |= settings

    return edit


def from_older(browser: Browser) -> Browser:
    """The browser, sent by the older web site, which knows neither PKCE nor nonces."""
    browser.request |= {"nonce": None, "code_challenge": None, "code_challenge_method": None}
    return browser.sent_by("older", OLDER, "older-secret")


def from_partner(browser: Browser) -> Browser:
    """The browser, sent by the web site of somebody else."""
    return browser.sent_by("partner", PARTNER, "partner-secret")


async def player_of(server: Server, name: str = "amber") -> Player:
    """The player that somebody became by signing in at Steam."""
    player = await server.app.storage.load_player(IdentityKey("demo", "steam", "", PLAYERS[name].steam_id))
    assert player is not None
    return player


async def tell_everything_of(server: Server, name: str = "amber") -> None:
    """Give a player who has signed in before a full profile."""
    player = await player_of(server, name)
    await server.app.storage.apply([SetProfile(player.id, json.dumps(PROFILE))])
