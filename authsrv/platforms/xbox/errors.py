"""What Microsoft's refusals mean: the OAuth errors of its sign-in, and the XErr numbers of Xbox.

Owns the two tables and which of Microsoft's addresses a player may be sent to. Knows no call and no credential.
Source: Microsoft, "OAuth 2.0 authorization code flow" of the identity platform; the numbers' names in `xbox-live-api`.
"""

import logging
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from authsrv.platforms.base import (
    CredentialRejected,
    OutboundResponse,
    PlatformError,
    PlatformMisconfigured,
    PlatformUnavailable,
    UserActionReason,
    UserActionRequired,
)
from authsrv.platforms.xbox.settings import RELEASE_SANDBOXES
from authsrv.records import dataclass
from authsrv.strict_json import strict_json

_LOG = logging.getLogger(__name__)
_RETRY_AFTER = re.compile(r"[0-9]{1,5}")
_ERROR = re.compile(r"[a-z_]{1,64}")
_OWN_PAGE = re.compile(r"https://(?:[a-z0-9-]+\.)*(?:xboxlive|xbox)\.com(?:/[A-Za-z0-9/?&=%._~+:-]{0,2000})?")
_CREATE_PROFILE = "https://start.ui.xboxlive.com/CreateAccount"
_XBOX = "https://www.xbox.com/"


class StaleUserToken(CredentialRejected):
    """Xbox no longer takes the user token, although it made it a moment ago; another one may do."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal that was read. `detail` is made of harmless characters.

    `code_sent` tells whether the code may be used up. `url` is a page of Microsoft's for the player; `sandbox` is the
    one that was asked for.
    """

    detail: str
    code_sent: bool = True
    url: str = ""
    sandbox: str = ""


Meaning = Callable[[Refused], PlatformError]


def start_again(refused: Refused) -> PlatformError:
    """The sign-in has failed, and nothing but another one can help."""
    return CredentialRejected(
        "credential_rejected", "Microsoft did not accept the sign-in; start it again.", detail=refused.detail
    )


def oauth_refusal(error: str, where: str, *, code_sent: bool) -> PlatformError:
    """What an `error` of the sign-in page or the token endpoint means; `where` goes into the detail."""
    known = error if _ERROR.fullmatch(error) else "that cannot be read"
    return OAUTH_ERRORS.get(known, _unknown)(Refused(f"{where}: error {known}", code_sent=code_sent))


def token_refusal(response: OutboundResponse) -> PlatformError:
    """The error to raise for any answer of the token endpoint but 200."""
    body = json_object(response)
    error = body.get("error")
    if _undecided(response) or not isinstance(error, str):
        return unavailable(response, "token endpoint")
    return oauth_refusal(error, f"token endpoint, {_numbers(body)}", code_sent=True)


def xbox_refusal(
    response: OutboundResponse, sandbox: str, otherwise: Mapping[int, Meaning], where: str
) -> PlatformError:
    """The error to raise for any answer of an Xbox step but 200.

    `otherwise` says what a status means that comes without an XErr; any other is our misconfiguration.
    """
    if _undecided(response):
        return unavailable(response, where)
    body = json_object(response)
    number, redirect = body.get("XErr"), body.get("Redirect")
    if type(number) is int:
        url = redirect if isinstance(redirect, str) and _OWN_PAGE.fullmatch(redirect) else ""
        meaning = XERRS.get(number, _unknown)
        return meaning(Refused(f"{where}: XErr {number}", url=url, sandbox=sandbox))
    meaning = otherwise.get(response.status, _misconfigured("Xbox does not understand or does not admit the request"))
    return meaning(Refused(f"{where}: status {response.status}"))


def unavailable(response: OutboundResponse, where: str) -> PlatformUnavailable:
    """An answer from which nothing follows. Whatever it was about, the code is spent."""
    stated = response.headers.get("retry-after", "")
    retry_after = int(stated) if _RETRY_AFTER.fullmatch(stated) else None
    return PlatformUnavailable(
        f"{where}: no decision, status {response.status}", retry_after=retry_after, maybe_consumed=True
    )


def json_object(response: OutboundResponse) -> Mapping[str, object]:
    """The members of the answer's body; none if it is anything but a JSON object."""
    try:
        value = strict_json(response.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _numbers(body: Mapping[str, object]) -> str:
    """Microsoft's numbers for an error: what an operator can look up, and nothing to decide by."""
    listed = body.get("error_codes")
    numbers = listed[:3] if isinstance(listed, list) else []
    return " ".join(["AADSTS", *(str(number) for number in numbers if type(number) is int)])


def _undecided(response: OutboundResponse) -> bool:
    return response.status == 429 or not 400 <= response.status < 500


def _unknown(refused: Refused) -> PlatformError:
    _LOG.warning("Microsoft refused a sign-in for an unknown reason: %s", refused.detail)
    return start_again(refused)


def _stale(refused: Refused) -> PlatformError:
    return StaleUserToken("credential_rejected", "Xbox lost the sign-in; start it again.", detail=refused.detail)


def _busy(refused: Refused) -> PlatformError:
    return PlatformUnavailable(refused.detail, maybe_consumed=refused.code_sent)


def _misconfigured(remedy: str) -> Meaning:
    return lambda refused: PlatformMisconfigured(f"{remedy} ({refused.detail})")


def _barred(reason: UserActionReason) -> Meaning:
    return lambda refused: UserActionRequired(reason, detail=refused.detail)


def _to_clear(page: str = _XBOX) -> Meaning:
    """The player can clear it on Microsoft's page; `page` is for refusals that name none."""
    return lambda refused: UserActionRequired("account_action_required", url=refused.url or page, detail=refused.detail)


def _account_type(refused: Refused) -> PlatformError:
    if refused.sandbox not in RELEASE_SANDBOXES:
        return _misconfigured("this kind of account cannot sign in to browser.sandbox")(refused)
    return _barred("account_restricted")(refused)


_CLIENT = (
    "Microsoft refuses browser.client_id or browser.client_secret: copy the secret's value anew from Microsoft Entra, "
    "where secrets expire"
)
_REGISTRATION = (
    "the app registration at Microsoft Entra does not fit: it must be for personal Microsoft accounts, with the "
    "platform Web and the redirect URI of this server"
)
_SANDBOX = "browser.sandbox is none that players may sign in to"
_SERVICE = "Xbox refuses a service token, although none was sent"

OAUTH_ERRORS: Mapping[str, Meaning] = MappingProxyType(
    {
        "invalid_grant": start_again,
        "consent_required": _to_clear(""),
        "interaction_required": _to_clear(""),
        "login_required": _to_clear(""),
        "server_error": _busy,
        "temporarily_unavailable": _busy,
        "invalid_client": _misconfigured(_CLIENT),
        "unauthorized_client": _misconfigured(_REGISTRATION),
        "invalid_request": _misconfigured(_REGISTRATION),
        "invalid_resource": _misconfigured(_REGISTRATION),
        "invalid_scope": _misconfigured(_REGISTRATION),
        "unsupported_grant_type": _misconfigured(_REGISTRATION),
        "unsupported_response_type": _misconfigured(_REGISTRATION),
    }
)
"""`error` of RFC 6749 sections 4.1.2.1 and 5.2, and of Microsoft, but for the player's own refusal."""

XERRS: Mapping[int, Meaning] = MappingProxyType(
    {
        2148916227: _barred("account_banned"),  # by Microsoft's enforcement
        2148916228: _barred("account_banned"),  # by a third party
        2148916229: _barred("account_restricted"),  # by the parents
        2148916232: _to_clear(),  # billing
        2148916233: _to_clear(_CREATE_PROFILE),  # a Microsoft account without an Xbox profile
        2148916234: _to_clear(),  # terms of use
        2148916235: _barred("account_restricted"),  # country
        2148916236: _to_clear(),  # age verification
        2148916237: _barred("account_restricted"),  # curfew
        2148916238: _to_clear(),  # a child outside a family
        2148916239: _to_clear(),  # transition of the account
        2148916240: _to_clear(),  # maintenance of the account
        2148916241: _account_type,
        2148916242: _misconfigured(_SANDBOX),
        2148916243: _to_clear(),  # change of name
        2148916248: _misconfigured(_SANDBOX),
        2148916249: _misconfigured(_SANDBOX),
        2148916255: _misconfigured(_SERVICE),
        2148916258: _stale,
        2148916262: _stale,
        2148916263: _misconfigured(_SERVICE),
        2148916273: _busy,
        2148916274: _busy,
    }
)
"""`XErr` of an Xbox refusal, 0x8015DC00 plus a byte."""
