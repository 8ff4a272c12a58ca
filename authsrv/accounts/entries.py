"""What a client gets for a player who comes in by a platform's proof: a code, or an access token.

Owns when it is due, and which grant goes with it. Who comes in was decided before.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from authsrv.accounts.outcomes import Arrival
from authsrv.errors import UnauthorizedClient
from authsrv.models import TOKEN_EXCHANGE, Client, Grant, LoadedGrant
from authsrv.oauth import scopes
from authsrv.oauth.grants.code import Authorized
from authsrv.oauth.grants.platform import PlatformGrant, SilentRequest
from authsrv.oauth.grants.stored import facts_of
from authsrv.oauth.parameters import check_nonce
from authsrv.oauth.server import TokenServer
from authsrv.oauth.silent.codes import CodeMaker
from authsrv.oauth.silent.request import redirect_target
from authsrv.records import dataclass
from authsrv.storage.changes import AddGrant, Change

CODE_PARAMETERS = (PlatformGrant.PARAMETERS - {"response_type"}) | {"redirect_uri"}
"""What a request may say about its code."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the client gets, and everything that must be written before it may have it."""

    text: str
    changes: Sequence[Change]


class Entry(Protocol):
    """One way to let players in, for one request. What is wrong with the request was found when it was made."""

    code: Mapping[str, str]
    """What the request said about its code; empty where there is none."""

    def is_due(self, arrival: Arrival) -> bool:
        """Whether this arrival needs it."""

    def give(self, grant_id: int, authorized: Authorized) -> Given:
        """What the client gets on this grant; after a lost race another one may be asked for."""


class CodeEntry:
    """A code, where the tokens that the client has are not the player's."""

    def __init__(self, server: TokenServer, client: Client, sent: Mapping[str, str], now: int) -> None:
        self.code = sent
        check_nonce(sent.get("nonce", ""))
        target = redirect_target(client, {**sent, "is_redirect": "false"})
        asked = {name: sent[name] for name in PlatformGrant.PARAMETERS if sent.get(name)}
        asked |= {"response_type": "code", "client_id": client.client_id, "redirect_uri": target.redirect_uri}
        self._codes = CodeMaker(server, SilentRequest(server.tokens.issuer, asked, target, now))

    def is_due(self, arrival: Arrival) -> bool:
        """Not as long as the session stays what it is."""
        return arrival.needs_tokens

    def give(self, grant_id: int, authorized: Authorized) -> Given:
        """The code."""
        made = self._codes.make(grant_id, authorized)
        return Given(made.text, made.changes)


class TokenEntry:
    """An access token in any case, with everything that the client may ask for and the scope of accounts, if listed.

    Raises `UnauthorizedClient` for a client that may not have tokens without a code.
    """

    code: Mapping[str, str]

    def __init__(self, server: TokenServer, client: Client, now: int) -> None:
        if TOKEN_EXCHANGE not in client.grant_types:
            raise UnauthorizedClient(f"The client's grants must list {TOKEN_EXCHANGE}.")
        self.code = {}
        self._server = server
        self._client = client
        self._now = now

    def is_due(self, arrival: Arrival) -> bool:  # noqa: ARG002 - whoever proved a platform account of theirs signed in
        """Always: games of this surface take the player's token from every answer."""
        return True

    def give(self, grant_id: int, authorized: Authorized) -> Given:
        """The token."""
        server, client = self._server, self._client
        loaded = LoadedGrant(self._grant(grant_id, authorized), authorized.player)
        gid = server.opaque.public_id("gid", grant_id)
        facts = facts_of(loaded, client, loaded.grant.scope, gid, "")
        return Given(server.tokens.access_token(facts, self._now), [*authorized.changes, AddGrant(loaded.grant)])

    def _grant(self, grant_id: int, authorized: Authorized) -> Grant:
        client, now = self._client, self._now
        scope = scopes.default(client) + tuple(one for one in (scopes.ACCOUNT,) if scopes.allowed(client, one))
        return Grant(
            id=grant_id,
            project=client.project.key,
            client_id=client.client_id,
            player_id=authorized.player.id,
            scope=scope,
            audience=(),
            platform=authorized.platform,
            idp=authorized.idp,
            idp_subject=authorized.idp_subject,
            auth_time=authorized.auth_time,
            created_at=now,
            expires_at=now + client.lifetimes.access_token,
            absolute_expires_at=now + client.lifetimes.refresh_absolute,
        )


class NoEntry:
    """Nothing: a browser is let in by its session."""

    code: Mapping[str, str]

    def __init__(self) -> None:
        self.code = {}

    def is_due(self, arrival: Arrival) -> bool:  # noqa: ARG002 - whoever it is
        """Never."""
        return False

    def give(self, grant_id: int, authorized: Authorized) -> Given:  # noqa: ARG002 - there is nothing to give
        """Raises `LookupError`: it is not due."""
        raise LookupError("nothing is due")
