"""The clients that registered themselves, in memory: their rows, and which client each makes under present settings.

Owns what a reload means to them: a project that is gone takes its clients with it at once, and brings them back.
Does no I/O; the storage is written first.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from authsrv.models import Client, RegisteredClient, RegistrationPolicy

MakeClient = Callable[[RegisteredClient, RegistrationPolicy], Client]


class RegisteredClients:
    """What the storage holds of them, kept up to date by whoever writes there."""

    def __init__(self, make: MakeClient) -> None:
        self._make = make
        self._rows: dict[str, RegisteredClient] = {}
        self._clients: dict[str, Client] = {}
        self.policies: Mapping[str, RegistrationPolicy] = {}
        """What each project lets clients register, by its key."""
        self.shut_out: Mapping[str, int] = {}
        """When each client that is registered and may not be used was found to be so, at the latest by this start."""
        self.edits = 0
        """How often this has changed, so that what was read before a change here does not undo it."""

    @property
    def clients(self) -> Mapping[str, Client]:
        """Those that may be used, by client_id. Always the same mapping; it changes."""
        return self._clients

    def load(self, rows: Iterable[RegisteredClient]) -> None:
        """Take what the storage holds. They may be used once `configure` was called."""
        self.edits += 1
        self._rows = {row.client_id: row for row in rows}

    def exchange(self, rows: Iterable[RegisteredClient], edits: int) -> bool:
        """Take over what the storage held when there were so many `edits`; False if there are more by now.

        Only what differs is made anew: this happens whenever another node registers a client.
        """
        if edits != self.edits:
            return False
        held = {row.client_id: row for row in rows}
        for client_id in self._rows.keys() - held.keys():
            self.remove(client_id)
        for row in held.values():
            if row != self._rows.get(row.client_id):
                self.add(row)
        return True

    def configure(self, policies: Mapping[str, RegistrationPolicy], now: int) -> None:
        """Take the settings of a reload."""
        self.policies = policies
        out = [row.client_id for row in self._rows.values() if not self._has(row)]
        self.shut_out = {client_id: self.shut_out.get(client_id, now) for client_id in out}
        made = {row.client_id: self._make(row, policies[row.project]) for row in self._rows.values() if self._has(row)}
        self._clients.clear()
        self._clients.update(made)

    def add(self, row: RegisteredClient) -> None:
        """A client has registered."""
        self.edits += 1
        self._rows[row.client_id] = row
        if self._has(row):
            self._clients[row.client_id] = self._make(row, self.policies[row.project])

    def update(self, row: RegisteredClient) -> None:
        """A client has changed its registration. A removal or a later update that was noted before stands."""
        known = self._rows.get(row.client_id)
        if known is not None and known.version < row.version:
            self.add(replace(row, expires_at=known.expires_at))

    def remove(self, client_id: str) -> None:
        """A client is gone."""
        self.edits += 1
        self._rows.pop(client_id, None)
        self._clients.pop(client_id, None)

    def used(self, client_id: str) -> None:
        """A player has signed in to a client, so that it expires no more."""
        known = self._rows.get(client_id)
        if known is not None:
            self._rows[client_id] = replace(known, expires_at=None)

    def expired(self, now: int) -> tuple[RegisteredClient, ...]:
        """Those whose time is over, unless somebody has signed in of whom this does not know."""
        return tuple(row for row in self._rows.values() if row.expires_at is not None and row.expires_at < now)

    def _has(self, row: RegisteredClient) -> bool:
        policy = self.policies.get(row.project)
        return policy is not None and row.client_id not in policy.blocked
