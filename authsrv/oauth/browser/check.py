"""Checks a whole authorization request: our own rules, Authlib's, and the hint that names its player.

Owns what a checked request is. No I/O: the client is in memory, a hint is a signature. Knows no page and no browser.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from authlib.oauth2.rfc6749 import OAuth2Error

from authsrv import errors
from authsrv.models import Client, PendingRequest
from authsrv.oauth.browser import request as asking
from authsrv.oauth.browser.account_client import AccountClients
from authsrv.oauth.browser.request import AuthorizationRequest, Target
from authsrv.oauth.grants.browser import BrowserGrant, BrowserRequest
from authsrv.oauth.own_tokens import Hint, NotOurs
from authsrv.oauth.request import Surface
from authsrv.oauth.server import TokenServer, translated
from authsrv.records import dataclass
from authsrv.signin import Demands

_SEEN_BY_AUTHLIB = BrowserGrant.PARAMETERS | asking.TARGET_PARAMETERS
_FOREIGN_HINT = "The id_token_hint is no id_token of this client."


@dataclass(frozen=True, slots=True)
class Checked:
    """A request whose parameters are good, ready to be decided with what is loaded.

    `grant` makes the code; one for the account page has none.
    """

    target: Target
    request: AuthorizationRequest
    grant: BrowserGrant | None
    sent: BrowserRequest
    demands: Demands
    claims: tuple[str, ...]


class AuthorizationCheck:
    """Checks requests when they come, and again when their player is done."""

    def __init__(self, server: TokenServer, account_pages: AccountClients) -> None:
        self._server = server
        self._account_pages = account_pages

    def target(self, sent: Mapping[str, str]) -> Target:
        """Where the answer may go. Whatever is wrong before this is known is shown on a page."""
        surface: Surface = "xsolla" if asking.PROVIDER in sent else "standard"
        client = self._server.registry.named(sent.get("client_id", ""), surface)
        return asking.target_of(client, sent.get("redirect_uri", ""))

    def new(self, target: Target, sent: Mapping[str, str]) -> Checked:
        """A request that has just come. Raises `AuthsrvError`."""
        return self._checked(target, sent, self._expected_sub(target.client, sent))

    def kept_target(self, pending: PendingRequest) -> Target:
        """Where the answer to a kept request goes, if the client still has that address."""
        return self._kept_target(pending, json.loads(pending.parameters))

    def _kept_target(self, pending: PendingRequest, sent: Mapping[str, str]) -> Target:
        page = self._account_pages.named(pending.client_id)
        target = asking.target_of(page, sent.get("redirect_uri", "")) if page else self.target(sent)
        if target.client.project.key != pending.project:
            # Its players are others now, and whoever is signed in here is one of the old ones.
            raise errors.InvalidRequest("The client has moved; start again.", reason="request_expired")
        mode = asking.mode_of(target.client, target.redirect_uri, sent.get("response_mode", ""))
        return replace(target, mode=mode, state=sent.get("state", ""))

    def kept(self, pending: PendingRequest) -> Checked:
        """A kept request: its client may have lost something meanwhile. Raises `AuthsrvError`."""
        sent: dict[str, str] = json.loads(pending.parameters)
        return self._checked(self._kept_target(pending, sent), sent, pending.expected_sub)

    def _checked(self, target: Target, sent: Mapping[str, str], expected_sub: str) -> Checked:
        request = asking.read(target.client, sent)
        if request.claims.sub and expected_sub not in {"", request.claims.sub}:
            raise errors.InvalidRequest("id_token_hint and claims name two players.", parameter="claims")
        seen = {name: sent[name] for name in _SEEN_BY_AUTHLIB if sent.get(name)}
        grant_request = BrowserRequest(self._server.tokens.issuer, seen, target.client, "none", self._server.now())
        grant = None if target.client.is_account_page else self._validated(grant_request)
        names = asking.claims_granted(target.client, request)
        demands = Demands(
            client=target.client,
            redirect_uri=target.redirect_uri,
            scope=frozenset(grant_request.scope.split()) | replace(request.claims, names=names).scopes,
            prompts=request.prompts,
            max_age=request.max_age,
            expected_sub=expected_sub or request.claims.sub,
            provider=request.provider,
        )
        return Checked(target, request, grant, grant_request, demands, names)

    def _validated(self, request: BrowserRequest) -> BrowserGrant:
        grant: BrowserGrant = self._server.get_authorization_grant(request)
        try:
            grant.validate_authorization_request()
        except OAuth2Error as error:
            raise translated(error) from error
        return grant

    def _expected_sub(self, client: Client, sent: Mapping[str, str]) -> str:
        """The player that the request names by a hint. Raises for a hint that was not issued to this client."""
        text = sent.get("id_token_hint", "")
        if not text:
            return ""
        try:
            return self._hint_for(client, text).sub
        except NotOurs as error:
            kind = errors.SignInRequired if sent.get("prompt") == "none" else errors.InvalidRequest
            raise kind(_FOREIGN_HINT, parameter="id_token_hint", detail=str(error)) from None

    def _hint_for(self, client: Client, text: str) -> Hint:
        hint = self._server.own_tokens.hint(text, self._server.now())
        if hint.client_id != client.client_id:
            raise NotOurs("issued to another client")
        return hint
