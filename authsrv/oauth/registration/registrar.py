"""Registration of clients at run time (RFC 7591): who may register, what is written, and what goes unused.

Owns the order check -> apply of the registration endpoint. Knows no HTTP framework; what metadata may hold is decided
in `metadata.py` and by the rules of the file's clients.
"""

from collections.abc import Callable, Mapping
from typing import Any

from authsrv.audit import AuditEvent
from authsrv.client_metadata import to_json
from authsrv.errors import AccessDenied, InvalidToken
from authsrv.limits import Rule
from authsrv.models import RegisteredClient, RegistrationPolicy
from authsrv.oauth.opaque import digest
from authsrv.oauth.registration.office import RegistrationOffice
from authsrv.oauth.request import Sender
from authsrv.records import dataclass
from authsrv.storage.base import Conflict
from authsrv.storage.changes import ExpireClient, RegisterClient


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may register: into which project, and by which initial access token; empty for anybody."""

    policy: RegistrationPolicy
    registered_with: str
    sender: Sender


class Registrar:
    """Lets clients register, and removes those to which nobody has signed in."""

    def __init__(self, office: RegistrationOffice, random: Callable[[int], bytes]) -> None:
        self._office = office
        self._server = office.server
        self._clients = office.clients
        self._random = random

    @property
    def is_open(self) -> bool:
        """Whether some project lets clients register, with or without a token."""
        return any(policy.mode != "off" for policy in self._clients.policies.values())

    def admit(self, token: str, sender: Sender) -> Admission:
        """Into which project somebody may register, by an initial access token or without one. Raises `InvalidToken`.

        A token that is wrong is refused also where nobody needs one: its holder means another project.
        """
        self._server.limits.check(Rule.ADDRESS_REGISTRATIONS, sender.address)
        found = self._named_by(token, sender) if token else self._open_to_all(sender)
        if found is None:
            reason = "initial_token_unknown" if token else "no_token"
            self._office.note_refusal(sender, reason)
            raise InvalidToken("Send an initial access token of this server.", reason=reason)
        return found

    def _named_by(self, token: str, sender: Sender) -> Admission | None:
        presented = digest(token)
        for policy in self._clients.policies.values():
            if policy.mode != "off" and presented in policy.initial_tokens:
                return Admission(policy, policy.initial_tokens[presented], sender)
        return None

    def _open_to_all(self, sender: Sender) -> Admission | None:
        """The configuration has one such project at most."""
        open_ones = (policy for policy in self._clients.policies.values() if policy.mode == "open")
        return next((Admission(policy, "", sender) for policy in open_ones), None)

    async def register(self, admission: Admission, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """The client information response (section 3.2.1). Raises `AuthsrvError`."""
        policy = admission.policy
        metadata = self._office.checked(sent, policy)
        id_, now = self._server.storage.next_id(), self._server.now()
        secret = self._office.new_secret(id_, metadata)
        token = self._server.opaque.new("registration", id_).text if policy.management else ""
        row = RegisteredClient(
            id=id_,
            client_id=f"c_{self._random(16).hex()}",
            project=policy.project.key,
            metadata=to_json(metadata),
            secret_hash=digest(secret) if secret else None,
            token_hash=digest(token) if token else None,
            registered_with=admission.registered_with,
            created_at=now,
            expires_at=now + policy.unused_seconds,
        )
        await self._add(row, admission)
        return self._office.information(row, metadata, secret, token)

    async def _add(self, row: RegisteredClient, admission: Admission) -> None:
        try:
            await self._server.apply([RegisterClient(row, admission.policy.most_clients)])
        except Conflict:
            self._office.note_refusal(admission.sender, "registrations_full", project=row.project)
            text = "The project has as many registered clients as it takes."
            raise AccessDenied(text, reason="registrations_full") from None
        self._clients.add(row)
        self._office.note("client.registered", row, admission.sender)
        await self._office.spread()

    async def expire(self) -> int:
        """Remove clients to which nobody has signed in in their time; how many. Raises `StorageError`."""
        now = self._server.now()
        return sum([await self._expire(row, now) for row in self._clients.expired(now)])

    async def _expire(self, row: RegisteredClient, now: int) -> int:
        try:
            await self._server.storage.apply([ExpireClient(row.client_id, now)])
        except Conflict:
            self._clients.used(row.client_id)  # somebody signed in; or it is gone, and then this changes nothing
            return 0
        self._clients.remove(row.client_id)
        self._server.audit.record(AuditEvent("client.expired", project=row.project, client_id=row.client_id))
        return 1
