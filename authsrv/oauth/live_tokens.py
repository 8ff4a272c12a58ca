"""Which tokens of ours still stand for something: genuine, in time, and ended by nobody.

Owns the one answer that UserInfo, introspection and token exchange share. Knows no HTTP framework.
"""

from authsrv import ages
from authsrv.errors import AccessDenied
from authsrv.models import Client, LoadedGrant, Player
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.opaque import OpaqueTokens
from authsrv.oauth.outages import outages_answered
from authsrv.oauth.own_tokens import AccessToken, NotOurs, OwnTokens
from authsrv.oauth.standing import belongs_to, is_void, judge, may_refresh
from authsrv.platforms.base import Clock
from authsrv.players import barred
from authsrv.records import dataclass
from authsrv.storage.base import Storage


class Ended(NotOurs):
    """The token was in force once, and somebody ended it before its time."""


@dataclass(frozen=True, slots=True)
class LiveAccess:
    """An access token in force, for the client it was made for. `loaded` is None for a client's own token."""

    token: AccessToken
    client: Client
    loaded: LoadedGrant | None

    @property
    def is_firsthand(self) -> bool:
        """Whether the client was given it for its player, and it was not made of another one to be sent to somebody."""
        return self.token.origin is None and "act" not in self.token.claims


@dataclass(frozen=True, slots=True)
class LiveFamily:
    """What a refresh token names, as long as it is in force. `is_present` tells the last token from a replaced one."""

    client: Client
    loaded: LoadedGrant
    is_present: bool


class Barred(Ended):
    """A token is genuine, in time and revoked by nobody, but its player is kept out."""

    def __init__(self, player: Player) -> None:
        super().__init__("the player is kept out")
        self.player = player


def ban_of(error: NotOurs) -> AccessDenied | None:
    """How to refuse whoever shows a token of a banned player. None for any other token, and for a restricted player's,
    which looks like one that has ended.
    """
    if isinstance(error, Barred) and error.player.barred_as == "banned":
        return barred(error.player)
    return None


class LiveTokens:
    """Looks tokens up. Each look is one read; a database that cannot is an outage to the caller."""

    def __init__(
        self,
        *,
        storage: Storage,
        registry: ClientRegistry,
        opaque: OpaqueTokens,
        own_tokens: OwnTokens,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._opaque = opaque
        self._own_tokens = own_tokens
        self._clock = clock

    async def access(self, text: str, *, either_profile: bool = False) -> LiveAccess:
        """The access token (RFC 9068), with `either_profile` one in the Xsolla profile as well.

        Raises `NotOurs` unless it is in force.
        """
        return await self.look_up(
            self._own_tokens.access_token(text, int(self._clock()), either_profile=either_profile)
        )

    async def look_up(self, token: AccessToken) -> LiveAccess:
        """What a genuine token in time stands for. Raises `NotOurs` unless it is in force."""
        client = self._client(token.client_id)
        if client.profile != token.profile:
            raise NotOurs("the client has tokens of the other profile now")
        if token.gid:
            return LiveAccess(token, client, await self._loaded(token, client))
        with outages_answered():
            standing = await self._storage.load_standing(client.client_id, client.project.key, token.jti)
        if standing.token_revoked or token.iat < standing.not_before:
            raise NotOurs("revoked")
        return LiveAccess(token, client, None)

    async def holds(self, grant_id: int, since: int) -> bool:
        """Whether what somebody got by a grant at a time is theirs yet: nothing ended the grant, or voided it since."""
        with outages_answered():
            loaded = await self._storage.load_grant(grant_id)
        if loaded is None or loaded.grant.revoked_at is not None or loaded.player.is_barred(int(self._clock())):
            return False
        return since >= max(loaded.not_before, loaded.client_not_before)

    async def family(self, text: str) -> LiveFamily:
        """The family of a refresh token. Raises `NotOurs` unless we issued the token and the family is in force."""
        presented = self._opaque.read("refresh", text)
        if presented is None:
            raise NotOurs("no refresh token")
        with outages_answered():
            loaded = await self._storage.load_grant(presented.row_id)
        judgement = judge(loaded.grant, presented, int(self._clock()), 0) if loaded else "worthless"
        if loaded is None or judgement == "worthless":
            raise NotOurs("no family in force")
        self._require_welcome(loaded)
        client = self._owner(loaded)
        if not may_refresh(client):
            raise NotOurs("the client may not refresh any more")
        return LiveFamily(client, loaded, judgement == "current")

    async def _loaded(self, token: AccessToken, client: Client) -> LoadedGrant:
        grant_id = self._opaque.row_id("gid", token.gid)
        if grant_id is None:
            raise NotOurs("the gid is not ours")
        origin_jti = token.origin.jti if token.origin else ""
        with outages_answered():
            loaded = await self._storage.load_grant(grant_id, token.jti, client.client_id, origin_jti, token.sub)
        if loaded is None or not loaded.sub_is_players:
            raise NotOurs("the grant is gone, or another player's")
        if loaded.grant.revoked_at is not None:
            raise Ended("the grant ended")
        if loaded.token_revoked:
            raise Ended("revoked")
        self._require_welcome(loaded)
        if token.iat < max(loaded.not_before, loaded.client_not_before):
            raise Ended("void")
        if self._owner(loaded).project != client.project:
            raise NotOurs("the client is of another project now")
        return ages.discreet_grant(client.project.accounts, loaded)

    def _require_welcome(self, loaded: LoadedGrant) -> None:
        if loaded.player.is_barred(int(self._clock())):
            raise Barred(loaded.player)

    def _owner(self, loaded: LoadedGrant) -> Client:
        """The client that the grant was given to, if it may still have it."""
        client = self._client(loaded.grant.client_id)
        if not belongs_to(loaded.grant, client) or is_void(loaded):
            raise NotOurs("the grant is of no use to its client any more")
        return client

    def _client(self, client_id: str) -> Client:
        client = self._registry.get(client_id)
        if client is None:
            raise NotOurs("the client is gone")
        return client
