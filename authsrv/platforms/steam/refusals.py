"""The words for a refused Steam ticket: which reason, and what the game's developer should look at.

Owns Steam's error codes. Knows what speaks against a ticket only as findings.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from authsrv.platforms.base import CredentialRejected, RejectionReason
from authsrv.platforms.steam.tickets import SESSION_TICKET, Finding

_LOG = logging.getLogger(__name__)

INVALID_PARAMETER: Final = 3
INVALID_TICKET: Final = 101
OTHER_APP: Final = 102

_FINDINGS: Mapping[Finding, tuple[RejectionReason, str]] = {
    "app_id": (
        "credential_wrong_app",
        "The ticket belongs to another app: demos, playtests and app 480 have their own.",
    ),
    "steam_id": ("credential_rejected", "The ticket contradicts itself: it names two accounts."),
    "signature": (
        "credential_rejected",
        "The ticket is not signed by Steam: is an emulator or replacement of Steam used?",
    ),
    "expired": ("credential_expired", "The ownership part of the ticket has expired: restart the Steam client."),
    "layout": ("credential_malformed", "The ticket is cut off or damaged: send all bytes the callback counted."),
}
_CATCH_ALL = (
    "Steam does not know the ticket: wait for the callback, keep the ticket until the login is answered, use a new one"
    " for each login, pass the identity configured here, and sign in with an account that owns the app."
)


def contradiction(finding: Finding) -> CredentialRejected:
    """The refusal of a ticket because of what it says itself, without asking Steam."""
    reason, hint = _FINDINGS[finding]
    return CredentialRejected(reason, hint)


def refusal(code: int, findings: Sequence[Finding], ticket_type: int) -> CredentialRejected:
    """The refusal by Steam. Its own text is not used: it may echo the ticket."""
    if code == INVALID_PARAMETER:
        return CredentialRejected(
            "credential_malformed", "Steam cannot read the ticket: send its bytes as hex with two digits for each byte."
        )
    if code == OTHER_APP:
        return CredentialRejected("credential_wrong_app", _FINDINGS["app_id"][1])
    if code != INVALID_TICKET:
        _LOG.warning("Steam refused a ticket with the unknown errorcode %d", code)
    return CredentialRejected("credential_rejected", _hint(findings, ticket_type), detail=f"errorcode {code}")


def _hint(findings: Sequence[Finding], ticket_type: int) -> str:
    if findings:
        return _FINDINGS[findings[0]][1]
    if ticket_type == SESSION_TICKET:
        return "Steam refused a ticket of GetAuthSessionTicket: use GetAuthTicketForWebApi."
    return _CATCH_ALL
