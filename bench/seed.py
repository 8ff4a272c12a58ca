"""What authsrv and the floor find when they start: configuration, migrated database, players, codes, refresh tokens.

Codes and refresh tokens are put in through the storage's own changes, each in a row of its own exactly as a silent
login leaves it, so that no second is spent on logins that are not measured.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from authsrv.audit import Audit
from authsrv.config.clients import CODE_GRANTS
from authsrv.database_url import Database
from authsrv.emulator import host
from authsrv.emulator.toml import to_toml
from authsrv.models import TOKEN_EXCHANGE, Digest, Grant, KeyRules, Player
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.key_material import Vault
from authsrv.oauth.opaque import Opaque, OpaqueTokens
from authsrv.storage import open_storage
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddGrant, AddPlayer, Change
from bench.servers import free_ports
from bench.site import BACKENDS, CHALLENGE, GAMES, REDIRECT_URI, SECRET
from bench.systems.base import Wanted

ISSUER = "https://login.studio.example"
HOST = "login.studio.example"
HOUR, MONTH = 3600, 30 * 86400
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Site:
    """The temporary directory with everything in it, and the ports."""

    directory: Path
    port: int
    emulator_port: int
    database: str
    """Its URL."""

    @classmethod
    def on_free_ports(cls, directory: Path, database: str) -> Self:
        """With ports that nobody listens on."""
        port, emulator_port = free_ports(2)
        return cls(directory, port, emulator_port, database)

    @property
    def config(self) -> Path:
        return self.directory / "authsrv.toml"

    @property
    def emulator_keys(self) -> Path:
        return self.directory / "emulator"


@dataclass(frozen=True, slots=True)
class Seeds:
    """Codes and refresh tokens by the client that they were made for."""

    codes: Mapping[str, list[Opaque]]
    refresh_tokens: Mapping[str, list[Opaque]]

    def in_clear(self) -> "Seeds":
        """The same for the floor, which finds the row's id in front of the secret."""
        return Seeds(_all_in_clear(self.codes), _all_in_clear(self.refresh_tokens))


def _all_in_clear(tokens: Mapping[str, list[Opaque]]) -> Mapping[str, list[Opaque]]:
    return {client: [_in_clear(token) for token in each] for client, each in tokens.items()}


def _in_clear(token: Opaque) -> Opaque:
    return replace(token, text=f"{token.row_id:026d}{token.text}")


def write_config(site: Site) -> None:
    """One project on the three emulated platforms, two games that differ in their id_token's algorithm, two
    backends that differ in their access token's.
    """
    game = {
        "type": "public",
        "native": True,
        "redirect_uris": [REDIRECT_URI],
        "grants": [*CODE_GRANTS, TOKEN_EXCHANGE],
    }
    clients: dict[str, dict[str, Any]] = {name: {**game, "id_token_alg": alg} for alg, name in GAMES.items()}
    backend = {"type": "server", "secret": SECRET, "scopes": ["profile"], "introspect": True}
    clients |= {name: {**backend, "access_token_alg": alg} for alg, name in BACKENDS.items()}
    site.config.write_text(
        to_toml(
            {
                "issuer": ISSUER,
                "dev": True,
                "server": {"port": site.port, "drain_seconds": 0, "graceful_seconds": 2},
                "database": {"url": site.database},
                "limits": {"multiplier": 1000},
                "projects": {"bench": {"platforms": _platforms(site), "clients": clients}},
            }
        )
    )


def _platforms(site: Site) -> dict[str, dict[str, Any]]:
    """All three. A login asks Steam about its ticket and nothing else, so that the cost of one call can be told; an
    id_token of Epic may be sent again, so that none has to be made for each request.
    """
    emulators = host.load_or_generate(site.emulator_keys)
    platforms = host.platform_settings(emulators, f"http://127.0.0.1:{site.emulator_port}")
    platforms["steam"] |= {"require_ownership": False, "fetch_profile": False}
    platforms["epicgames"] |= {"id_token_reuse": True}
    return platforms


def migrate(site: Site) -> None:
    command = [sys.executable, "-m", "authsrv", "migrate", "--config", str(site.config)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


async def fill(site: Site, wanted: Wanted) -> Seeds:
    """Make the server's keys and all rows."""
    async with opened(site) as (storage, opaque):
        return await _Filler(storage, opaque, int(time.time())).fill(wanted)


@asynccontextmanager
async def opened(site: Site) -> AsyncIterator[tuple[Storage, OpaqueTokens]]:
    """The storage while nobody serves it, and what makes its tokens; the server's keys are made if need be."""
    storage = open_storage(Database(site.database))
    await storage.open()
    try:
        keeper = KeyKeeper(storage, KeyRules(), Vault("", os.urandom), time.time, Audit(lambda _: None))
        ring = await keeper.open()
        yield storage, OpaqueTokens(ring.derive(b"authsrv opaque tokens v1"), os.urandom)
    finally:
        await storage.close()


class _Filler:
    def __init__(self, storage: Storage, opaque: OpaqueTokens, now: int) -> None:
        self._storage = storage
        self._opaque = opaque
        self._now = now
        self._players: list[Player] = []

    async def fill(self, wanted: Wanted) -> Seeds:
        self._players = [self._player() for _ in range(wanted.players)]
        await self._apply([AddPlayer(player) for player in self._players])
        codes = {game: await self._codes(game, wanted.codes) for game in GAMES.values()}
        refresh = {game: await self._refresh_tokens(game, wanted.refresh_tokens) for game in GAMES.values()}
        return Seeds(codes, refresh)

    async def _codes(self, game: str, count: int) -> list[Opaque]:
        made = list(self._grants(game, count))
        await self._apply([change for _, change in made])
        return [code for code, _ in made]

    async def _refresh_tokens(self, game: str, count: int) -> list[Opaque]:
        made = [self._redeemed(change.grant) for _, change in self._grants(game, count)]
        await self._apply([change for _, change in made])
        return [token for token, _ in made]

    async def _apply(self, changes: Sequence[Change]) -> None:
        for start in range(0, len(changes), _AT_ONCE):
            await self._storage.apply(changes[start : start + _AT_ONCE])

    def _player(self) -> Player:
        return Player(self._storage.next_id(), str(uuid.uuid4()), "bench", "Amber", self._now, self._now)

    def _grants(self, client: str, count: int) -> Iterator[tuple[Opaque, AddGrant]]:
        for number in range(count):
            grant_id = self._storage.next_id()
            code = self._opaque.new("code", grant_id)
            yield code, AddGrant(self._grant(grant_id, client, self._players[number % len(self._players)], code.digest))

    def _grant(self, grant_id: int, client: str, player: Player, code_hash: Digest) -> Grant:
        return Grant(
            id=grant_id,
            project="bench",
            client_id=client,
            player_id=player.id,
            scope=("openid", "profile", "offline"),
            audience=(),
            platform="steam",
            idp="steam",
            idp_subject="76561197960287930",
            auth_time=self._now,
            created_at=self._now,
            expires_at=self._now + HOUR,
            absolute_expires_at=self._now + 6 * MONTH,
            redirect_uri=REDIRECT_URI,
            delivered_as_json=True,
            code_hash=code_hash,
            code_expires_at=self._now + HOUR,
            code_challenge=CHALLENGE,
        )

    def _redeemed(self, grant: Grant) -> tuple[Opaque, AddGrant]:
        token = self._opaque.new("refresh", grant.id, 1)
        redeemed = replace(
            grant,
            code_used_at=self._now,
            expires_at=self._now + MONTH,
            refresh_hash=token.digest,
            refresh_generation=1,
        )
        return token, AddGrant(redeemed)
