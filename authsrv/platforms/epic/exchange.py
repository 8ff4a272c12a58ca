"""Epic's code exchange: one call, never repeated, and what each of its answers means.

Owns the request, the reading of the answer and of Epic's two error bodies. Knows no settings file and no storage;
what an `errorCode` stands for is said in `errors.py`.
"""

import base64
import hmac
import logging
from collections.abc import Mapping
from dataclasses import field
from typing import Any, NoReturn

from authsrv.platforms.base import (
    CredentialRejected,
    Outbound,
    OutboundError,
    OutboundResponse,
    PlatformMisconfigured,
    PlatformUnavailable,
)
from authsrv.platforms.epic.errors import Asked, refusal
from authsrv.platforms.epic.tokens import EasIdTokens, VerifiedClaims, account_id
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExchangeClient:
    """The studio's own Epic client, which redeems the codes. `api` and `www` are Epic's hosts without a final slash."""

    api: str
    www: str
    client_id: str
    client_secret: str = field(repr=False)
    application_id: str = ""
    scopes: tuple[str, ...] = ()
    require_id_token: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Whom Epic named. The display name is empty when Epic sent no id_token."""

    account_id: str
    display_name: str = ""


class CodeExchange:
    """Redeems exchange codes and authorization codes at Epic's v2 token endpoint."""

    def __init__(self, client: ExchangeClient, id_tokens: EasIdTokens, outbound: Outbound) -> None:
        self._client = client
        self._id_tokens = id_tokens
        self._outbound = outbound
        # Plain Base64 of both values, not form-encoded first as RFC 6749 section 2.3.1 has it: Epic refuses that.
        userinfo = f"{client.client_id}:{client.client_secret}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(userinfo).decode('ascii')}"}

    async def redeem(
        self, grant: Mapping[str, str], *, deployment_id: str, from_request: bool, nonce: str = ""
    ) -> Account:
        """Ask Epic who the code belongs to. `grant` holds `grant_type` and the code with what goes with it.

        `from_request` says whether `deployment_id` was the game's choice, and so its fault. `nonce` is what we sent the
        browser to Epic with, if it was we who did. Raises any `PlatformError`; `PlatformUnavailable.maybe_consumed` is
        true unless the request was certainly not sent.
        """
        asked = Asked(
            www=self._client.www,
            client_id=self._client.client_id,
            scopes=self._client.scopes,
            deployment_from_request=from_request,
            in_browser=bool(nonce),
        )
        response = await self._post(self._form(grant, deployment_id))
        if response.status != 200:
            raise refusal(response, asked)
        return await self._account(_answer(response), deployment_id, nonce)

    def _form(self, grant: Mapping[str, str], deployment_id: str) -> dict[str, str]:
        optional = {"deployment_id": deployment_id, "scope": " ".join(self._client.scopes)}
        return {**grant, **{name: value for name, value in optional.items() if value}}

    async def _post(self, form: Mapping[str, str]) -> OutboundResponse:
        try:
            return await self._outbound.post(
                f"{self._client.api}/epic/oauth/v2/token", form=form, headers=self._headers
            )
        except OutboundError as error:
            raise PlatformUnavailable(
                f"token endpoint: {error}", retry_after=error.retry_after, maybe_consumed=error.sent
            ) from None

    async def _account(self, answer: Mapping[str, Any], deployment_id: str, nonce: str) -> Account:
        account = self._account_id(answer)
        id_token = answer.get("id_token")
        if id_token is None:
            return self._without_id_token(account)
        claims = await self._verified(id_token, deployment_id)
        if claims["sub"] != account:
            _not_believed("id_token and account_id name two accounts")
        _check_nonce(claims, nonce)
        return Account(account, display_name(claims))

    def _account_id(self, answer: Mapping[str, Any]) -> str:
        token_type = answer.get("token_type")
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            _not_believed("token_type is not bearer")
        if answer.get("client_id") != self._client.client_id:
            raise CredentialRejected("credential_wrong_audience", "The code was issued for another Epic client.")
        if self._client.application_id and answer.get("application_id") != self._client.application_id:
            raise PlatformMisconfigured("application_id is not the one of the Epic client")
        account = account_id(answer.get("account_id"))
        if account is None:
            _not_believed("account_id is not an account id")
        return account

    def _without_id_token(self, account: str) -> Account:
        if self._client.require_id_token:
            raise PlatformMisconfigured("Epic sent no id_token; add openid to scopes and to the application")
        _LOG.warning("Epic sent no id_token with its answer; add openid to the scopes of the Epic application")
        return Account(account)

    async def _verified(self, id_token: Any, deployment_id: str) -> VerifiedClaims:
        if not isinstance(id_token, str):
            _not_believed("id_token is not a text")
        try:
            return await self._id_tokens.verify(self._id_tokens.read(id_token), deployment_id)
        except PlatformUnavailable as error:
            raise PlatformUnavailable(error.detail, retry_after=error.retry_after, maybe_consumed=True) from None
        except CredentialRejected as error:
            if error.reason == "credential_wrong_deployment":
                raise
            # The player sent a code that Epic took; a token of Epic's that does not hold is not the player's fault.
            _not_believed(f"id_token: {error.detail}")


def _check_nonce(claims: VerifiedClaims, nonce: str) -> None:
    """A nonce that came back must be this trip's; Epic promises none, so a missing one is no error."""
    returned = claims.get("nonce")
    if not nonce or returned is None:
        return
    if not isinstance(returned, str) or not hmac.compare_digest(returned.encode(), nonce.encode()):
        raise CredentialRejected(
            "credential_rejected",
            "The code belongs to another sign-in; start the sign-in again.",
            detail="the nonce of the id_token is another one than was sent",
        )


def display_name(claims: VerifiedClaims) -> str:
    """The player's name as Epic has it: not unique, changeable, uncleaned; empty if there is none."""
    name = claims.get("dn")
    return name if isinstance(name, str) else ""


def _answer(response: OutboundResponse) -> Mapping[str, Any]:
    try:
        answer = strict_json(response.body)
    except ValueError as error:
        raise PlatformUnavailable(f"token endpoint: {error}", maybe_consumed=True) from None
    if not isinstance(answer, dict):
        _not_believed("not an object")
    return answer


def _not_believed(what: str) -> NoReturn:
    raise PlatformUnavailable(f"token endpoint answered something else: {what}", maybe_consumed=True)
