"""Keeps the key ring: makes keys when they are due, lets others go, and takes over what other nodes did.

Owns when the database is read and written, and the audit of it. What is due stands in `key_schedule.py`.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from authsrv.audit import Audit, AuditEvent, AuditKind
from authsrv.models import KeyRules, StoredKey
from authsrv.oauth.key_material import Vault, public_der
from authsrv.oauth.key_schedule import Plan, Wanted, hastened, plan, without
from authsrv.oauth.keys import KeyRing
from authsrv.platforms.base import Clock
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import AddKeys, Change, EraseKey, RevokeKey, SealKey

ATTEMPTS = 3
"""How often something is decided anew because another node was first."""

Decide = Callable[[Sequence[StoredKey], int], Plan]
"""Takes the keys and the time."""


class NotRevoked(Exception):
    """The key was not revoked. The text says why."""


class KeyKeeper:
    """The one who writes to the ring. Calls come one after the other; what another node does is no error."""

    def __init__(self, storage: Storage, rules: KeyRules, vault: Vault, clock: Clock, audit: Audit) -> None:
        self._storage = storage
        self._rules = rules
        self._vault = vault
        self._clock = clock
        self._audit = audit
        self._turn = asyncio.Lock()

    async def open(self) -> KeyRing:
        """The ring, made at the very first start; two nodes that start at once end with the same one.

        Keys that rest in clear are sealed if there is a passphrase now. Raises `KeyRingError`, `StorageError`.
        """
        stored = await self._storage.load_keys()
        if not stored:
            await self._begin()
            stored = await self._storage.load_keys()
        await self._seal(stored)
        self.ring = await asyncio.to_thread(KeyRing, await self._storage.load_keys(), self._vault, self._clock)
        await self.round()
        return self.ring

    async def round(self) -> None:
        """Do what is due, and use the keys that the database has now. Raises `KeyRingError`, `StorageError`."""
        await self._carry_out(lambda keys, now: plan(keys, self._rules, now))

    async def refresh(self) -> bool:
        """Use the keys that the database has now. Raises `KeyRingError`, `StorageError`."""
        async with self._turn:
            await self._take()
        return True

    async def rotate(self) -> None:
        """Bring the next change of every key as near as all verifiers can follow."""
        await self._carry_out(lambda keys, now: hastened(keys, self._rules, now))

    async def revoke(self, kid: str) -> None:
        """Give a key up at once. Raises `NotRevoked`, as for one that was revoked before."""
        async with self._turn:
            for _ in range(ATTEMPTS):
                await self._take()
                with suppress(Conflict):
                    return await self._revoke(kid)
            raise NotRevoked(f"the key {kid} is not revoked: somebody else changes the keys just now; try again")

    async def _begin(self) -> None:
        now = self._now()
        keys = await asyncio.to_thread(first_keys, self._rules, self._vault, now)
        with suppress(Conflict):  # another node was first; its keys are the ring
            await self._storage.apply([AddKeys(keys)])
            self._note("keys.created", *(key.kid for key in keys if key.use == "sig"))

    async def _seal(self, stored: Sequence[StoredKey]) -> None:
        in_clear = [key for key in stored if not key.sealed and key.erased_at is None]
        if not in_clear or not self._vault.passphrase:
            return
        sealed = await asyncio.to_thread(lambda: [self._vault.sealed(key) for key in in_clear])
        with suppress(Conflict):  # another node has sealed or erased one of them; the rest is done at the next start
            await self._storage.apply([SealKey(key.kid, key.material) for key in sealed])
            self._note("keys.sealed", *(key.kid for key in sealed if key.use == "sig"))

    async def _carry_out(self, decide: Decide) -> None:
        async with self._turn:
            for _ in range(ATTEMPTS):
                await self._take()
                todo = decide(self.ring.stored, self._now())
                if not todo:
                    return
                with suppress(Conflict):
                    await self._apply(todo)
                    return

    async def _revoke(self, kid: str) -> None:
        now = self._now()
        key = next((key for key in self.ring.stored if key.kid == kid and key.use == "sig"), None)
        if key is None or key.revoked_at is not None:
            raise NotRevoked(f"there is no signing key {kid}" if key is None else f"the key {kid} was revoked before")
        todo = without(self.ring.stored, key, self._rules, now)
        await self._apply(todo, RevokeKey(kid, self._public(kid), now))
        self._note("keys.revoked", kid)

    async def _apply(self, todo: Plan, *first: Change) -> None:
        now = self._now()
        made = [await asyncio.to_thread(self._make, wanted, now) for wanted in todo.wanted]
        erased = [EraseKey(key.kid, self._public(key.kid), now) for key in todo.spent]
        added = [AddKeys(tuple(made))] if made else []
        await self._storage.apply([*first, *added, *todo.moves, *erased])
        await self._take()
        self._note("keys.created", *(key.kid for key in made if key.signs_from <= now))
        self._note("keys.announced", *(key.kid for key in made if key.signs_from > now))
        self._note("keys.erased", *(key.kid for key in todo.spent))

    def _make(self, wanted: Wanted, now: int) -> StoredKey:
        return self._vault.new_key(wanted.alg, wanted.follows, wanted.signs_from, now)

    def _public(self, kid: str) -> bytes:
        key = self.ring.known(kid)
        return public_der(key) if key else b""

    async def _take(self) -> None:
        stored = await self._storage.load_keys()
        if stored != self.ring.stored:
            await asyncio.to_thread(self.ring.take, stored)

    def _note(self, kind: AuditKind, *kids: str) -> None:
        for kid in kids:
            self._audit.record(AuditEvent(kind, kid=kid))

    def _now(self) -> int:
        return int(self._clock())


def first_keys(rules: KeyRules, vault: Vault, now: int) -> tuple[StoredKey, ...]:
    """One key for each algorithm and the secret for internal keys. They sign at once: nobody can have cached a set."""
    return (*(vault.new_key(alg, alg, now, now) for alg in rules.algorithms), vault.new_secret(now))
