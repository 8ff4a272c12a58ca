"""What registering a client and managing one have in common: the check of metadata, the answer, and the audit.

Owns the shape of the client information response (RFC 7591 section 3.2.1, RFC 7592 section 3). Knows no HTTP framework.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from authsrv.audit import AuditEvent, AuditKind
from authsrv.client_metadata import ClientMetadata, MetadataFault, to_json
from authsrv.errors import InvalidClientMetadata, InvalidRedirectUri
from authsrv.models import RegisteredClient, RegistrationPolicy
from authsrv.oauth.registration import metadata as registration
from authsrv.oauth.registration.clients import RegisteredClients
from authsrv.oauth.request import Sender
from authsrv.oauth.server import TokenServer

FindFaults = Callable[[ClientMetadata, RegistrationPolicy], Iterator[MetadataFault]]
"""The rules of the file's clients, put to what a client registers."""

Spread = Callable[[], Awaitable[None]]
"""Waits until every node knows what was written: who is answered may ask any of them next."""

MOST_STORED = 16 * 1024
"""Characters of one client's metadata in the database; all of them are in memory."""
NEVER = 0
"""`client_secret_expires_at` of a secret that does not expire (RFC 7591 section 3.2.1)."""


async def _at_once() -> None:
    """There is no other node."""


class RegistrationOffice:
    """Where registrations are checked, answered and noted."""

    def __init__(
        self, server: TokenServer, clients: RegisteredClients, find_faults: FindFaults, spread: Spread = _at_once
    ) -> None:
        self.server = server
        self.clients = clients
        self.spread = spread
        self._find_faults = find_faults

    def checked(self, sent: Mapping[str, Any], policy: RegistrationPolicy) -> ClientMetadata:
        """The metadata that may be registered. Raises `InvalidRedirectUri`, `InvalidClientMetadata` and the like."""
        metadata = registration.read(sent, policy)
        for fault in self._find_faults(metadata, policy):
            kind = InvalidRedirectUri if fault.member == "redirect_uris" else InvalidClientMetadata
            raise kind(f"{fault.what[0].upper()}{fault.what[1:]}.", parameter=fault.member)
        if len(to_json(metadata)) > MOST_STORED:
            raise InvalidClientMetadata("The metadata is longer than this server keeps.")
        return metadata

    def new_secret(self, row_id: int, metadata: ClientMetadata) -> str:
        """A secret for a client that authenticates, or nothing for one that does not."""
        is_public = metadata.token_endpoint_auth_method == "none"
        return "" if is_public else self.server.opaque.new("client_secret", row_id).text

    def information(
        self, row: RegisteredClient, metadata: ClientMetadata, secret: str, token: str
    ) -> Mapping[str, Any]:
        """The answer. A secret is told once, when it is made; only its digest is kept."""
        found: dict[str, Any] = {"client_id": row.client_id, "client_id_issued_at": row.created_at}
        if secret:
            found |= {"client_secret": secret, "client_secret_expires_at": NEVER}
        if token:
            address = f"{self.server.tokens.issuer}/oauth2/register/{row.client_id}"
            found |= {"registration_access_token": token, "registration_client_uri": address}
        return found | metadata.members()

    def note(self, kind: AuditKind, row: RegisteredClient, sender: Sender) -> None:
        """Record what happened to a client."""
        event = AuditEvent(kind, project=row.project, client_id=row.client_id, registered_with=row.registered_with)
        self.server.note(event, sender)

    def note_refusal(self, sender: Sender, reason: str, *, project: str = "", client_id: str = "") -> None:
        """Record that somebody was turned away."""
        event = AuditEvent("registration.refused", project=project, client_id=client_id, reason=reason)
        self.server.note(event, sender)
