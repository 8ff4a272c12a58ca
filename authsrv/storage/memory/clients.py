"""What the changes about registered clients do to the memory backend's tables, registered with `tables.py`.

Owns guards and row changes; the model that `statements/clients.py` is held against. Knows no transaction.
"""

from dataclasses import replace

from authsrv.models import RegisteredClient
from authsrv.storage.base import Conflict
from authsrv.storage.changes import ExpireClient, RegisterClient, RemoveClient, UpdateClient, UseClient
from authsrv.storage.memory.tables import Tables, guard, write
from authsrv.storage.steps.clients import CLIENT_REMOVED


@write.register
def _(change: RegisterClient, tables: Tables) -> None:
    client, known = change.client, tables.registered.values()
    guard(sum(one.project == client.project for one in known) < change.most, change)
    guard(all(client.id != one.id and client.client_id != one.client_id for one in known), change)
    tables.registered[client.client_id] = client


def _there(tables: Tables, change: UpdateClient | UseClient | RemoveClient | ExpireClient) -> RegisteredClient:
    client = tables.registered.get(change.client_id)
    if client is None:
        raise Conflict(change)
    return client


@write.register
def _(change: UpdateClient, tables: Tables) -> None:
    client = _there(tables, change)
    guard(client.version == change.version, change)
    tables.registered[client.client_id] = replace(
        client, metadata=change.metadata, secret_hash=change.secret_hash, version=client.version + 1
    )
    if change.ask_again:
        _forget_consents(tables, client.client_id)


def _forget_consents(tables: Tables, client_id: str) -> None:
    for player_id, consented in list(tables.consents):
        if consented == client_id:
            del tables.consents[player_id, consented]


@write.register
def _(change: UseClient, tables: Tables) -> None:
    tables.registered[change.client_id] = replace(_there(tables, change), expires_at=None)


@write.register
def _(change: RemoveClient, tables: Tables) -> None:
    del tables.registered[_there(tables, change).client_id]
    for grant in list(tables.grants.values()):
        if grant.client_id == change.client_id and grant.revoked_at is None:
            tables.grants[grant.id] = replace(grant, revoked_at=change.now, revoked_reason=CLIENT_REMOVED)
    _forget_consents(tables, change.client_id)


@write.register
def _(change: ExpireClient, tables: Tables) -> None:
    client = _there(tables, change)
    guard(client.expires_at is not None and client.expires_at < change.now, change)
    del tables.registered[client.client_id]
