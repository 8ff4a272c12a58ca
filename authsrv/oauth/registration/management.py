"""Management of a registered client by itself (RFC 7592): read, replace, delete.

Owns what a registration access token opens: one client, as long as it is there and its project allows it. Knows no HTTP
framework.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from hmac import compare_digest
from typing import Any

from authsrv.client_metadata import ClientMetadata, from_json, to_json
from authsrv.errors import InvalidRequest, InvalidToken, NotFound, TemporarilyUnavailable
from authsrv.limits import Rule
from authsrv.models import RegisteredClient, RegistrationPolicy
from authsrv.oauth.opaque import digest
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.registration.office import RegistrationOffice
from authsrv.oauth.request import Sender
from authsrv.oauth.server import ATTEMPTS
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import RemoveClient, UpdateClient

_CLIENT_ID = re.compile(r"c_[0-9a-f]{32}")
_OURS_TO_TELL = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
"""What an update must not contain (section 2.2)."""


@dataclass(frozen=True, slots=True)
class ManagementCall:
    """A request about one registered client: its id in the address, and the registration access token."""

    client_id: str
    token: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class _Managed:
    row: RegisteredClient
    policy: RegistrationPolicy


class ClientManagement:
    """Lets registered clients manage what they registered."""

    def __init__(self, office: RegistrationOffice) -> None:
        self._office = office
        self._server = office.server
        self._clients = office.clients

    @property
    def is_open(self) -> bool:
        """Whether some project lets its registered clients manage themselves."""
        return any(policy.management for policy in self._clients.policies.values())

    async def read(self, call: ManagementCall) -> Mapping[str, Any]:
        """What is registered (section 2.1), without the secret: nobody here knows it."""
        self._limit(call)
        row = (await self._authorized(call)).row
        return self._office.information(row, from_json(row.metadata), "", call.token)

    async def update(self, call: ManagementCall, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace what is registered by what is sent (section 2.2). The registration access token stays the same."""
        self._limit(call)
        for _ in range(ATTEMPTS):
            managed = await self._authorized(call)
            _check_identity(managed.row, sent)
            metadata = self._office.checked(sent, managed.policy)
            secret = "" if managed.row.secret_hash else self._office.new_secret(managed.row.id, metadata)
            is_public = metadata.token_endpoint_auth_method == "none"
            kept = digest(secret) if secret else managed.row.secret_hash
            row = replace(managed.row, metadata=to_json(metadata), secret_hash=None if is_public else kept)
            if await self._replaced(row, ask_again=_looks_different(from_json(managed.row.metadata), metadata)):
                self._office.note("client.updated", row, call.sender)
                await self._office.spread()
                return self._office.information(row, metadata, secret, call.token)
        raise TemporarilyUnavailable(retry_after=1, detail="lost every race")

    async def _replaced(self, row: RegisteredClient, *, ask_again: bool) -> bool:
        """Whether nobody else was first."""
        change = UpdateClient(row.client_id, row.version, row.metadata, row.secret_hash, ask_again)
        try:
            await self._server.apply([change])
        except Conflict:
            return False
        self._clients.update(replace(row, version=row.version + 1))
        return True

    async def delete(self, call: ManagementCall) -> None:
        """Remove the client and end what it was granted (section 2.3)."""
        self._limit(call)
        row = (await self._authorized(call)).row
        try:
            await self._server.apply([RemoveClient(row.client_id, self._server.now())])
        except Conflict:
            raise InvalidToken(detail="another request removed the client") from None
        self._clients.remove(row.client_id)
        self._office.note("client.removed", row, call.sender)
        await self._office.spread()

    def _limit(self, call: ManagementCall) -> None:
        self._server.limits.check(Rule.ADDRESS_REGISTRATIONS, call.sender.address)

    async def _authorized(self, call: ManagementCall) -> _Managed:
        """The client that the token was given to. Raises `InvalidToken`, also for a client that is not there."""
        row = await self._load(call.client_id)
        policy = self._clients.policies.get(row.project) if row else None
        if row is None or policy is None or row.client_id in policy.blocked or not self._opens(call.token, row):
            reason = "registration_token_unknown" if call.token else "no_token"
            self._office.note_refusal(call.sender, reason, client_id=row.client_id if row else "")
            raise InvalidToken("Send the registration access token of this client.", reason=reason)
        if not policy.management:
            raise NotFound
        return _Managed(row, policy)

    async def _load(self, client_id: str) -> RegisteredClient | None:
        if not _CLIENT_ID.fullmatch(client_id):
            return None
        with outages_answered():
            return await self._server.storage.load_registered_client(client_id)

    def _opens(self, token: str, row: RegisteredClient) -> bool:
        presented = self._server.opaque.read("registration", token)
        if presented is None or row.token_hash is None:
            return False
        return compare_digest(presented.digest, row.token_hash)


def _looks_different(before: ClientMetadata, after: ClientMetadata) -> bool:
    """Whether players who gave their consent were shown another name, or sent to no such address."""
    return before.client_name != after.client_name or not set(after.redirect_uris) <= set(before.redirect_uris)


def _check_identity(row: RegisteredClient, sent: Mapping[str, Any]) -> None:
    """The update names its client, and nothing that only this server says (section 2.2). Raises `InvalidRequest`."""
    if sent.get("client_id") != row.client_id:
        raise InvalidRequest("An update has the client_id of its address.", parameter="client_id")
    for name in _OURS_TO_TELL:
        if name in sent:
            raise InvalidRequest(f"An update has no {name}.", parameter=name)
    secret = sent.get("client_secret")
    if secret is not None and not _is_secret(secret, row):
        raise InvalidRequest("The client_secret is not that of this client.", parameter="client_secret")


def _is_secret(secret: object, row: RegisteredClient) -> bool:
    return isinstance(secret, str) and row.secret_hash is not None and compare_digest(digest(secret), row.secret_hash)
