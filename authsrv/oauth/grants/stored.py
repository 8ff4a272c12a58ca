"""What code and refresh token have in common: both name a stored grant, which says what their tokens tell.

Owns how the grant is read, its facts for the token issuer, and how long a refresh token lives. Judges no credential.
"""

from dataclasses import replace
from typing import ClassVar

from authsrv import ages
from authsrv.account_models import GUEST
from authsrv.errors import InvalidGrant
from authsrv.models import Client, Grant, LoadedGrant, Player
from authsrv.oauth import audiences, claims, scopes
from authsrv.oauth.grants.base import LoadingGrant
from authsrv.oauth.opaque import Opaque, OpaqueKind
from authsrv.oauth.standing import belongs_to, is_void
from authsrv.oauth.tokens import TokenFacts
from authsrv.players import barred
from authsrv.storage.base import Storage


class StoredGrant(LoadingGrant):
    """Base of the grants whose credential is an opaque token of ours. The subclass judges what was loaded."""

    KIND: ClassVar[OpaqueKind]
    CREDENTIAL: ClassVar[str]
    """The parameter that carries the opaque token."""

    _presented: Opaque | None = None
    _loaded: LoadedGrant | None = None

    async def load(self, storage: Storage) -> None:
        """Read the grant that the presented token names."""
        self._presented = self.server.opaque.read(self.KIND, self.request.form.get(self.CREDENTIAL, ""))
        if self._presented is not None:
            self._loaded = await storage.load_grant(self._presented.row_id)

    def player(self) -> Player | None:
        """Whose grant it is."""
        return self._loaded.player if self._loaded else None

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the grant recorded, for the audiences that this request narrows it to."""
        self.require_welcome()
        facts = facts_of(self.loaded, self.registered, scope, self.gid, self.sid, nonce=self.nonce())
        issuer = self.server.tokens.issuer
        audience = audiences.narrowed(self.registered, facts.audience, self.request.form, issuer)
        return facts if audience == facts.audience else replace(facts, audience=audience)

    def nonce(self) -> str:
        """The nonce that the id_token repeats; empty without one."""
        return ""

    def candidate(self) -> LoadedGrant | None:
        """The grant that the token names, if it is this client's and nothing ended it for everybody.

        A ban did, but it is told by `require_welcome`, to nobody but who has the genuine token.
        """
        loaded = self._loaded
        if loaded is None or not belongs_to(loaded.grant, self.registered):
            return None
        return None if is_void(loaded) and not self._is_barred(loaded) else loaded

    def require_welcome(self) -> None:
        """Refuse a player who is kept out, whose token is good otherwise.

        Raises `AccessDenied` for a ban, and for an age at which nobody comes in any more; `InvalidGrant` for a
        restriction, which nobody learns of.
        """
        if not self._is_barred(self.loaded):
            grant, rules = self.found, self.registered.project.accounts
            ages.require(rules, self.loaded.player.age_group, guest=grant.idp == GUEST)
            return
        if self.loaded.player.barred_as == "banned":
            raise barred(self.loaded.player)
        raise InvalidGrant(detail="the player is restricted")

    def _is_barred(self, loaded: LoadedGrant) -> bool:
        return loaded.player.is_barred(self.request.now)

    def scope_due(self) -> tuple[str, ...]:
        """What was asked for, if the request names a scope, else what was granted."""
        asked = self.request.form.get("scope", "") if "scope" in self.PARAMETERS else ""
        return scopes.listed(asked) if asked else self.found.scope

    @property
    def presented(self) -> Opaque:
        """The token that came. Only asked for once it was found good."""
        if self._presented is None:
            raise LookupError("no opaque token was presented")
        return self._presented

    @property
    def loaded(self) -> LoadedGrant:
        """What it names. Only asked for once it was found good."""
        if self._loaded is None:
            raise LookupError("no grant was loaded")
        return self._loaded

    @property
    def found(self) -> Grant:
        """The grant itself. Only asked for once the token was found good."""
        return self.loaded.grant

    @property
    def gid(self) -> str:
        """The grant's public id."""
        return self.server.opaque.public_id("gid", self.found.id)

    @property
    def sid(self) -> str:
        """The public id of the browser session that the grant came from; empty without one."""
        session_id = self.found.session_id
        return self.server.opaque.public_id("sid", session_id) if session_id else ""


def facts_of(
    loaded: LoadedGrant, client: Client, scope: tuple[str, ...], gid: str, sid: str, *, nonce: str = ""
) -> TokenFacts:
    """The facts of a grant, for tokens of this scope, less what the client may no longer have.

    Raises `InvalidTarget` when none of the audiences is left.
    """
    loaded = ages.discreet_grant(client.project.accounts, loaded)
    grant, player = loaded.grant, loaded.player
    promised = scope if client.profile_in_id_token else ()
    return TokenFacts(
        client=client,
        sub=player.sub,
        scope=scopes.remaining(client, scope),
        audience=audiences.remaining(client, grant.audience),
        gid=gid,
        platform=grant.platform,
        idp=grant.idp,
        idp_subject=grant.idp_subject,
        display_name=player.display_name,
        auth_time=grant.auth_time,
        nonce=nonce,
        sid=sid,
        by_browser=bool(grant.session_id),
        acr=claims.ACR if "id_token:acr" in grant.claims else "",
        profile=claims.told(player, loaded.profile, promised, grant.claims, "id_token"),
    )


def refresh_expiry(grant: Grant, client: Client, now: int) -> int:
    """When a refresh token issued now ends: idle lifetime, cut by the family's absolute one."""
    return min(now + client.lifetimes.refresh_idle, grant.absolute_expires_at)
