"""How a browser session begins, goes on and ends, and what its end takes with it.

Owns who is told of a logout; delivery is the business of `authsrv/jobs/`. Decides nothing about a request.
"""

from collections.abc import Sequence

from authsrv.models import Client, LogoutNotice, Player, Project, Session, SessionRules, SignedIn, Visit
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.server import TokenServer
from authsrv.platforms.base import PlatformIdentity
from authsrv.records import dataclass
from authsrv.signin import is_in_time, is_usable
from authsrv.storage.changes import AddNotice, Change, EndSession, RenewSession, StartSession

REPLACED = "replaced"
"""`ended_reason` of a session whose browser another player signed in in."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A player who has just signed in by a platform, at `now`."""

    player: Player
    identity: PlatformIdentity
    now: int


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a session: who took part in it, and everything to be written, the notices to them included."""

    clients: Sequence[Client]
    changes: Sequence[Change]


class BrowserSessions:
    """Begins, renews and ends sessions."""

    def __init__(self, server: TokenServer, rules: SessionRules) -> None:
        self._server = server
        self._rules = rules

    async def signed_in(self, visit: Visit, project: Project, proof: Proof) -> Sequence[Change]:
        """The same player renews the session that is there; anybody else ends it and begins another."""
        before = visit.signed_in
        if before is None:
            return [self._start(visit, project, proof)]
        in_force = is_usable(before, project, proof.now)
        if in_force and before.player.id == proof.player.id:
            return [self._renew(before, proof)]
        reason = REPLACED if in_force else "expired"
        ended = await self.ended(before, reason, proof.now, tell=in_force)
        return [*ended.changes, self._start(visit, project, proof)]

    async def _clients(self, signed_in: SignedIn) -> Sequence[Client]:
        with outages_answered():
            ids = await self._server.storage.load_session_clients(signed_in.session.id)
        found = (self._server.registry.get(client_id) for client_id in ids)
        return [client for client in found if client is not None]

    async def ended(self, signed_in: SignedIn, reason: str, now: int, *, tell: bool = True, spared: str = "") -> Ending:
        """What the end of a session comes to. Only clients that are still there take part.

        What the client `spared` was given stays.
        """
        clients = await self._clients(signed_in)
        bound = tuple(client.client_id for client in clients if client.logout.session_bound)
        notices = self._notices(clients, signed_in, now) if tell else []
        return Ending(clients, [EndSession(signed_in.session.id, now, reason, bound, spared), *notices])

    async def notices(self, signed_in: SignedIn, now: int) -> Sequence[Change]:
        """What tells clients of the end of a session that is ended by other means; nothing once it was out of time."""
        if not is_in_time(signed_in.session, now):
            return []
        return self._notices(await self._clients(signed_in), signed_in, now)

    def _notices(self, clients: Sequence[Client], signed_in: SignedIn, now: int) -> list[Change]:
        told = (client for client in clients if client.logout.backchannel_logout_uri)
        return [self._notice(client, signed_in, now) for client in told]

    def _renew(self, before: SignedIn, proof: Proof) -> Change:
        identity, ends = proof.identity, proof.now + self._rules.idle
        ends = min(ends, before.session.absolute_expires_at)
        return RenewSession(
            before.session.id, identity.platform, identity.kind, identity.subject, proof.now, expires_at=ends
        )

    def _start(self, visit: Visit, project: Project, proof: Proof) -> Change:
        identity, now = proof.identity, proof.now
        session = Session(
            id=self._server.storage.next_id(),
            browser_id=visit.browser.id,
            project=project.key,
            player_id=proof.player.id,
            platform=identity.platform,
            idp=identity.kind,
            idp_subject=identity.subject,
            auth_time=now,
            created_at=now,
            expires_at=now + self._rules.idle,
            absolute_expires_at=now + self._rules.absolute,
            used_at=now,
        )
        return StartSession(session)

    def _notice(self, client: Client, signed_in: SignedIn, now: int) -> Change:
        notice = LogoutNotice(
            id=self._server.storage.next_id(),
            client_id=client.client_id,
            session_id=signed_in.session.id,
            sub=signed_in.player.sub,
            created_at=now,
            next_attempt_at=now,
        )
        return AddNotice(notice)
