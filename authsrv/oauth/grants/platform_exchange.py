"""Token exchange of a platform's credential: proof in, tokens out, in one round trip (RFC 8693).

Owns the names of the subject token types, and who may repeat a request whose answer was lost. Knows no platform by
name.
"""

from authsrv.errors import InvalidRequest, UnauthorizedClient
from authsrv.models import Client, Digest, Grant, LoadedGrant, Player
from authsrv.oauth import audiences, scopes
from authsrv.oauth.credentials import Redeemed
from authsrv.oauth.grants.exchange import PARAMETERS, TokenExchangeGrant
from authsrv.oauth.grants.stored import facts_of
from authsrv.oauth.logins import lost_to_another_login
from authsrv.oauth.opaque import Opaque, digest
from authsrv.oauth.parameters import boolean, check_nonce
from authsrv.oauth.request import Attempt
from authsrv.oauth.tokens import TokenFacts
from authsrv.platforms.base import Submission
from authsrv.players import SignIn
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import AddGrant

PREFIX = "urn:authsrv:params:oauth:token-type:"
"""Followed by the platform's name, a colon, and the kind of the credential."""
SHORTEST_NONCE = 8
"""Characters by which a request may be known again; as many as a `state` needs at the silent login."""


class PlatformExchangeGrant(TokenExchangeGrant):
    """Gives a player's tokens for what a platform vouches for."""

    PARAMETERS = PARAMETERS | {
        "app_id",
        "deployment_id",
        "sandbox",
        "nonce",
        "encrypted_ticket_nonce",
        "no_user_creation",
    }

    _refresh: Opaque | None = None
    _profile = ""
    redeemed: Redeemed
    signed_in: SignIn

    @classmethod
    def takes(cls, subject_token_type: str) -> bool:
        """Types that name a platform and a kind; a kind that is left out is not guessed."""
        named = subject_token_type.removeprefix(PREFIX).split(":")
        return subject_token_type.startswith(PREFIX) and len(named) == 2 and all(named)

    def check(self) -> None:
        """Everything about the request that could be wrong, before a credential is used up."""
        super().check()
        sent = self.request.form
        if not self.registered.first_party:
            raise UnauthorizedClient("Only first-party clients log players in by a platform's credential.")
        if sent.get("actor_token") or sent.get("actor_token_type"):
            raise InvalidRequest("A platform's credential goes without an actor_token.", parameter="actor_token")
        self.scope = scopes.granted(self.registered, sent.get("scope", ""))
        self.require_openid()
        self.may_create = not boolean(sent, "no_user_creation", default=False)
        self.audience = () if self.asks_for_id_token else audiences.granted(self.registered, sent)
        check_nonce(sent.get("nonce", ""))
        self.server.proofs.platform(self.attempt)

    @property
    def attempt(self) -> Attempt:
        """The login that this is."""
        platform, _, _ = self._named()
        return Attempt(self.registered, platform, self.request.sender)

    async def load(self, storage: Storage) -> None:
        """Redeem the credential, once however often the request is decided, and read whose it is."""
        if self.request.redeemed is None:
            requester = requester_of(self.registered, self.request.form.get("nonce", ""), storage.next_id())
            self.request.redeemed = await self.server.proofs.redeem(
                self.attempt, self._submission(), requester, self.request.now
            )
        self.redeemed = self.request.redeemed
        self.penalties += self.redeemed.kept(self.request.now)
        self.signed_in = await self.server.proofs.player(
            self.attempt, self.redeemed, self.request.now, may_create=self.may_create
        )
        self.grant_id = storage.next_id()
        if self.registered.profile_in_id_token:
            self._profile = await storage.load_profile(self.signed_in.player.id)

    def player(self) -> Player | None:
        """Whose credential it was."""
        return self.signed_in.player

    def may_try_again(self, conflict: Conflict) -> bool:
        """Two first logins of one identity: the loser reads the winner's player."""
        return lost_to_another_login(conflict)

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the tokens say."""
        loaded = LoadedGrant(self._grant_of(scope), self.signed_in.player, self._profile)
        gid = self.server.opaque.public_id("gid", self.grant_id)
        return facts_of(loaded, self.registered, scope, gid, "", nonce=self.request.form.get("nonce", ""))

    def refresh_token_due(self) -> str:
        """The first refresh token of a family, when `offline` was granted."""
        if not scopes.OFFLINE & set(self.scope):
            return ""
        self._refresh = self.server.opaque.new("refresh", self.grant_id, 1)
        return self._refresh.text

    def collect(self) -> None:
        """The player's sign-in, the credential, and the grant that it led to."""
        super().collect()
        if self.signed_in.created:
            self.notices.append("player.created")
        if self.signed_in.has_aged:
            self.notices.append("player.age_group_changed")
        self.notices.append("login.succeeded")
        self.platform = self.redeemed.identity.platform
        self.changes += self.signed_in.changes
        self.changes += self.redeemed.settled(self.grant_id, self.request.now)
        self.changes.append(AddGrant(self._grant_of(self.scope)))

    def _grant_of(self, scope: tuple[str, ...]) -> Grant:
        now, lifetimes, identity = self.request.now, self.registered.lifetimes, self.redeemed.identity
        absolute = now + lifetimes.refresh_absolute
        refresh = self._refresh
        return Grant(
            id=self.grant_id,
            project=self.registered.project.key,
            client_id=self.registered.client_id,
            player_id=self.signed_in.player.id,
            scope=scope,
            audience=self.audience,
            platform=identity.platform,
            idp=identity.kind,
            idp_subject=identity.subject,
            auth_time=now,
            created_at=now,
            expires_at=min(now + lifetimes.refresh_idle, absolute) if refresh else now + lifetimes.access_token,
            absolute_expires_at=absolute,
            refresh_hash=refresh.digest if refresh else None,
            refresh_generation=1 if refresh else 0,
        )

    def _named(self) -> tuple[str, str, str]:
        return self.request.form.get("subject_token_type", "").removeprefix(PREFIX).partition(":")

    def _submission(self) -> Submission:
        sent, (_, _, kind) = self.request.form, self._named()
        return Submission(
            kind=kind,
            value=sent["subject_token"],
            app_id=sent.get("app_id", ""),
            deployment_id=sent.get("deployment_id", ""),
            sandbox=sent.get("sandbox", ""),
            nonce=sent.get("encrypted_ticket_nonce", ""),
        )


def requester_of(client: Client, nonce: str, number: int) -> Digest:
    """Who may repeat an exchange: the same client with the same `nonce`.

    Without one, or with one to be guessed, a request cannot be told from that of somebody who took the credential: from
    a client without a secret, or to a backend that exchanges whatever it is brought. By the `number`, which no other
    request has, nobody repeats it.
    """
    told = ("nonce", nonce) if len(nonce) >= SHORTEST_NONCE else ("number", str(number))
    return digest("\0".join((client.client_id, "exchange", *told)))
