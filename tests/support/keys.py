"""Nodes of a server as far as their keys go: a keeper on a storage, with a clock and an audit of its own."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from authsrv.audit import Audit
from authsrv.log import Event
from authsrv.models import KeyRules, SigningAlgorithm, StoredKey
from authsrv.oauth.key_keeper import KeyKeeper
from authsrv.oauth.key_material import Vault
from authsrv.oauth.key_schedule import states
from authsrv.oauth.keys import KeyRing
from authsrv.platforms.base import Clock as TellTime
from authsrv.storage.base import Storage
from tests.support.oauth import Clock

DAY = 86400
EDDSA = KeyRules(("EdDSA",), rotation=90 * DAY, announcement=14 * DAY)
"""Keys that are quickly made."""


def signing(keys: Iterable[StoredKey]) -> list[StoredKey]:
    """Without the internal secret, in the order of their times."""
    return sorted((key for key in keys if key.use == "sig"), key=lambda key: (key.signs_from, key.follows != key.alg))


@dataclass
class Node:
    """A node with its keeper, its clock, and what it audited."""

    storage: Storage
    rules: KeyRules = EDDSA
    passphrase: str = ""
    clock: Clock = field(default_factory=Clock)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keeper = keeper(self.storage, self.rules, self.clock, self.events, self.passphrase)

    async def open(self) -> KeyRing:
        return await self.keeper.open()

    @property
    def ring(self) -> KeyRing:
        return self.keeper.ring

    def signer(self, alg: SigningAlgorithm = "EdDSA") -> str:
        return self.ring.signer(alg).kid

    def states(self) -> list[str]:
        found = states(self.ring.stored, int(self.clock.now))
        return [found[key.kid] for key in signing(self.ring.stored)]

    def audited(self) -> list[tuple[str, str]]:
        """Kinds and key ids since the last call."""
        found = [(event["event"], event["kid"]) for event in self.events]
        self.events.clear()
        return found

    async def at(self, moment: float) -> None:
        """A round at this time."""
        self.clock.now = moment
        await self.keeper.round()


def keeper(storage: Storage, rules: KeyRules, clock: TellTime, events: list[Event], passphrase: str = "") -> KeyKeeper:
    """A keeper whose audit goes to `events`."""
    return KeyKeeper(storage, rules, Vault(passphrase, os.urandom), clock, Audit(events.append, now=clock))
