"""What the changes about registered clients become: guarded statements with their values, registered with `base.py`.

Owns their order inside a change. Knows no driver and no transaction.
"""

from collections.abc import Iterator

from authsrv.storage.changes import ExpireClient, RegisterClient, RemoveClient, UpdateClient, UseClient
from authsrv.storage.rows.base import checked, optional_digest, required
from authsrv.storage.rows.clients import registered_client_values
from authsrv.storage.statements import clients as sql
from authsrv.storage.steps.base import Step, steps_of

CLIENT_REMOVED = "client_removed"
"""`revoked_reason` of a grant whose client was removed."""


@steps_of.register
def _(change: RegisterClient) -> Iterator[Step]:
    values = {**registered_client_values(change.client), **checked(most=change.most)}
    yield Step(sql.INSERT_REGISTERED_CLIENT, values)


@steps_of.register
def _(change: UpdateClient) -> Iterator[Step]:
    yield Step(
        sql.UPDATE_REGISTERED_CLIENT,
        checked(
            client_id=change.client_id,
            version=change.version,
            metadata=required("metadata", change.metadata),
            secret_hash=optional_digest("secret_hash", change.secret_hash),
        ),
    )
    if change.ask_again:
        yield Step(sql.DELETE_CONSENTS_OF_REGISTERED_CLIENT, checked(client_id=change.client_id), guarded=False)


@steps_of.register
def _(change: UseClient) -> Iterator[Step]:
    yield Step(sql.USE_REGISTERED_CLIENT, checked(client_id=change.client_id))


@steps_of.register
def _(change: RemoveClient) -> Iterator[Step]:
    values = checked(client_id=change.client_id, now=change.now, reason=CLIENT_REMOVED)
    yield Step(sql.DELETE_REGISTERED_CLIENT, values)
    yield Step(sql.REVOKE_OF_REGISTERED_CLIENT, values, guarded=False)
    yield Step(sql.DELETE_CONSENTS_OF_REGISTERED_CLIENT, values, guarded=False)


@steps_of.register
def _(change: ExpireClient) -> Iterator[Step]:
    yield Step(sql.DELETE_UNUSED_CLIENT, checked(client_id=change.client_id, now=change.now))
