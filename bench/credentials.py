"""Proofs of invented players, made from the emulator's keys without asking it: as many as a round needs.

Owns how they are made. Knows nothing of who checks them.
"""

import json
import struct
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from authsrv.emulator.base import PLAYERS
from authsrv.emulator.epic.emulator import EpicEmulator
from authsrv.emulator.epic.tokens import EpicKeys
from authsrv.emulator.steam.cases import APP_ID
from authsrv.emulator.steam.tickets import SteamKeys, TicketFacts, session_ticket

MADE_UP = 200
"""How many players they are of."""
_INDIVIDUALS = 0x0110000100000000
"""SteamIDs of individual accounts begin here; no account has one of the first after it."""
_STEAM_ID = 12
"""Where a ticket names its player: behind the length and the GC token."""


def steam_tickets(keys: Path, count: int) -> list[str]:
    """Session tickets in hex. Each is good once."""
    signing = SteamKeys.from_json(json.loads((keys / "steam.json").read_text()))
    now = int(time.time())
    facts = TicketFacts(0, APP_ID, issued=now - 300, expires=now + 86400, token_time=now - 300)
    players = [replace(facts, steam_id=_INDIVIDUALS + 1 + number) for number in range(MADE_UP)]
    return [session_ticket(players[number % MADE_UP], signing).hex() for number in range(count)]


def steam_player(ticket: str) -> str:
    """Whom a ticket names."""
    return str(struct.unpack_from("<Q", bytes.fromhex(ticket[: 2 * (_STEAM_ID + 8)]), _STEAM_ID)[0])


def epic_id_tokens(keys: Path) -> Sequence[str]:
    """One id_token of each player, good for two hours and, with `id_token_reuse`, as often as wanted."""
    emulator = EpicEmulator(EpicKeys.from_json(json.loads((keys / "epic.json").read_text())), time.time)
    players = [replace(PLAYERS["amber"], epic_account_id=f"be4c{number:028x}") for number in range(MADE_UP)]
    return [emulator.mint(player, kind="id_token").text for player in players]
