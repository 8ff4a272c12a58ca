"""Token exchange of an access token of ours: for less, for somebody else, or by a backend that acts for the player.

Owns whose tokens a client may exchange, and the bounds of what comes of one (RFC 8693). The token made shares the
subject token's grant, and so its end. Knows no endpoint.
"""

from typing import Any

from authsrv.errors import InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget
from authsrv.models import Client, LoadedGrant, Player
from authsrv.oauth import audiences, scopes
from authsrv.oauth.grants.exchange import ACCESS_TOKEN, PARAMETERS, TokenExchangeGrant
from authsrv.oauth.live_tokens import LiveAccess, ban_of
from authsrv.oauth.own_tokens import NotOurs
from authsrv.oauth.tokens import Origin, TokenFacts
from authsrv.storage.base import Storage

MOST_ACTORS = 4
"""How many may have acted one for the other; each makes the token longer."""
_NO_ID_TOKEN = "Without a secret there is an id_token for another service alone, for a token of the default audience."
_NOT_GOOD = "The {} is no access token in force that this client may use here."


class OwnExchangeGrant(TokenExchangeGrant):
    """Makes an access token, or an id_token, of a player's access token. Reads, and writes nothing."""

    PARAMETERS = PARAMETERS

    _subject: LiveAccess
    _loaded: LoadedGrant
    _act: dict[str, Any] | None = None

    @classmethod
    def takes(cls, subject_token_type: str) -> bool:
        """Access tokens."""
        return subject_token_type == ACCESS_TOKEN

    def check(self) -> None:
        """What can be seen without a look at the tokens."""
        super().check()
        sent = self.request.form
        if bool(sent.get("actor_token")) != bool(sent.get("actor_token_type")):
            raise InvalidRequest("Send actor_token and actor_token_type, or neither.", parameter="actor_token_type")
        if self.asks_for_id_token and self.registered.public and not audiences.asked(sent):
            raise InvalidTarget(_NO_ID_TOKEN, parameter="audience")
        if sent.get("actor_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise InvalidRequest("An actor_token is an access token.", parameter="actor_token_type")

    async def load(self, storage: Storage) -> None:
        """Look the tokens up."""
        self._subject = await self._live("subject_token")
        self._loaded = self._of_player()
        self._act = await self._actors()
        self.exchanged_from = self._subject.client.client_id
        self.scope = self._narrowed_scope()
        self.require_openid()

    def player(self) -> Player | None:
        """Whose token it is."""
        return self._loaded.player

    def counted_as(self) -> str:
        """By itself: others that were sent the player's token must not use up what the player's game may ask for."""
        return f"exchange {super().counted_as()}"

    def facts(self, scope: tuple[str, ...]) -> TokenFacts:
        """What the subject token stands for, told to the client that asks."""
        grant, player, subject = self._loaded.grant, self._loaded.player, self._subject.token
        return TokenFacts(
            client=self.registered,
            sub=player.sub,
            scope=scope,
            audience=self._audience(),
            gid=subject.gid,
            platform=grant.platform,
            idp=grant.idp,
            idp_subject=grant.idp_subject,
            display_name=player.display_name,
            auth_time=grant.auth_time,
            by_browser=bool(grant.session_id),
            act=self._act,
            origin=subject.origin or Origin(subject.jti, subject.client_id),
            ends_at=subject.exp,
        )

    async def _live(self, name: str) -> LiveAccess:
        try:
            return await self.server.live_tokens.access(self.request.form[name])
        except NotOurs as error:
            raise ban_of(error) or InvalidGrant(_NOT_GOOD.format(name), parameter=name, detail=str(error)) from None

    def _of_player(self) -> LoadedGrant:
        owner, client = self._subject.client, self.registered
        if self._subject.loaded is None or not self._may_exchange(owner) or owner.project != client.project:
            raise InvalidGrant(_NOT_GOOD.format("subject_token"), parameter="subject_token")
        return self._subject.loaded

    def _may_exchange(self, owner: Client) -> bool:
        client = self.registered
        # A client without a secret is whoever says so; what it made to be sent to others, they must not multiply.
        is_sent_on = self._subject.token.origin is not None
        is_own = owner.client_id == client.client_id and not (client.public and is_sent_on)
        return is_own or owner.client_id in client.exchange_from

    async def _actors(self) -> dict[str, Any] | None:
        """Who acts for the player: the client that shows a token of its own, and those who acted before it."""
        before: dict[str, Any] | None = self._subject.token.claims.get("act")
        if not self.request.form.get("actor_token"):
            return before
        actor = await self._live("actor_token")
        if actor.loaded is not None or actor.client.client_id != self.registered.client_id:
            raise InvalidGrant(_NOT_GOOD.format("actor_token"), parameter="actor_token")
        if _depth(before) >= MOST_ACTORS:
            raise InvalidRequest("Too many have acted one for the other.", parameter="actor_token")
        return {"sub": actor.client.client_id, **({"act": before} if before else {})}

    def _narrowed_scope(self) -> tuple[str, ...]:
        """What is asked for, or all that the client may have of the subject token's, which may be nothing.

        Never a refresh token (RFC 8693 section 2.2.1).
        """
        had = self._subject.token.scope
        sent = self.request.form.get("scope", "")
        if not sent:
            return _without_offline(scopes.remaining(self.registered, had))
        asked = _without_offline(scopes.granted(self.registered, sent))
        if not asked or not set(asked) <= set(had):
            raise InvalidScope("The scope can only be what the subject_token has, or a part of it.")
        return asked

    def _audience(self) -> tuple[str, ...]:
        issuer = self.server.tokens.issuer
        if self.asks_for_id_token:
            self._require_general(issuer)
            return ()
        return audiences.exchanged(self.registered, self._subject.token.aud, self.request.form, issuer)

    def _require_general(self, issuer: str) -> None:
        """A token for one service gives nobody an id_token for another in the name of a client without a secret."""
        is_general = set(self._subject.token.aud).issuperset(audiences.default(self.registered, issuer))
        if self.registered.public and not is_general:
            raise InvalidTarget(_NO_ID_TOKEN, parameter="subject_token")


def _without_offline(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in values if value not in scopes.OFFLINE)


def _depth(act: dict[str, Any] | None) -> int:
    return 1 + _depth(act.get("act")) if act else 0
