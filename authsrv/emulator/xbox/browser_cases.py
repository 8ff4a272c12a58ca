"""What can happen to a sign-in in the browser: one declarative case for each refusal, and the step that makes it.

Owns the list. Knows no routes and no tokens; the cases of a token stand in `cases.py`.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from starlette.responses import JSONResponse, Response

from authsrv.emulator.xbox.cases import CASES
from authsrv.records import dataclass

Step = Literal["page", "token", "user", "xsts"]


@dataclass(frozen=True, slots=True)
class BrowserCase:
    """The answer that a step gives instead of its good one; the page sends `body` back as parameters.

    Without a body the answer is empty. `once` spares what is asked for a second time.
    """

    about: str
    step: Step
    status: int = 400
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    once: bool = False

    def answer(self) -> Response:
        """The answer of a step that is no page."""
        if not self.body:
            return Response(status_code=self.status, headers=dict(self.headers))
        return JSONResponse(dict(self.body), self.status, dict(self.headers))


def _returned(error: str, about: str) -> BrowserCase:
    return BrowserCase(about, "page", body={"error": error, "error_description": "The emulator was told to say so."})


def oauth_error(error: str, number: int, text: str) -> Mapping[str, Any]:
    """The body of a refusal of the token endpoint; `number` is Microsoft's own, of the kind AADSTS."""
    return {
        "error": error,
        "error_description": f"AADSTS{number}: {text}",
        "error_codes": [number],
        "timestamp": "2026-01-01 00:00:00Z",
        "trace_id": "5eed5eed-0000-4000-8000-5eed5eed5eed",
        "correlation_id": "5eed5eed-0000-4000-8000-5eed5eed5eee",
    }


def _token(error: str, number: int, text: str, about: str) -> BrowserCase:
    return BrowserCase(about, "token", 401 if error == "invalid_client" else 400, oauth_error(error, number, text))


def _status(step: Step, status: int, about: str, *, once: bool = False, **headers: str) -> BrowserCase:
    return BrowserCase(about, step, status, headers={n.replace("_", "-"): v for n, v in headers.items()}, once=once)


def xerr(number: int, redirect: str = "") -> Mapping[str, Any]:
    """The body of a refusal of XSTS."""
    body = {"Identity": "0", "XErr": number, "Message": ""}
    return {**body, "Redirect": redirect} if redirect else body


def _xsts(number: int, about: str, redirect: str = "", *, once: bool = False) -> BrowserCase:
    return BrowserCase(f"{about} (XErr {number})", "xsts", 401, xerr(number, redirect), once=once)


_START = "https://start.ui.xboxlive.com"
BROWSER_CASES: Mapping[str, BrowserCase] = {
    "browser-consent-required": _returned(
        "consent_required", "account_action_required: Microsoft's page wants a consent first"
    ),
    "browser-page-busy": _returned("temporarily_unavailable", "unavailable: Microsoft's page says that it is busy"),
    "browser-page-registration": _returned(
        "unauthorized_client", "misconfiguration: the app registration may not do this"
    ),
    "browser-page-unknown": _returned("something_new", "credential_rejected: Microsoft's page says something new"),
    "browser-no-code": BrowserCase(
        "credential_malformed: the page sends the player back with neither code nor error", "page"
    ),
    "browser-expired-code": _token(
        "invalid_grant", 70008, "The code has expired.", "credential_rejected: the code is too old"
    ),
    "browser-used-code": _token(
        "invalid_grant", 54005, "The code was redeemed.", "credential_rejected: the code was used before"
    ),
    "browser-wrong-secret": _token(
        "invalid_client", 7000215, "Invalid client secret.", "misconfiguration: our secret is wrong"
    ),
    "browser-registration": _token(
        "unauthorized_client", 700016, "No such app.", "misconfiguration: our app registration is unknown"
    ),
    "browser-token-unknown": _token(
        "something_new", 1, "Something new.", "credential_rejected: the token endpoint says something new"
    ),
    "browser-token-down": _status("token", 503, "unavailable: the token endpoint does not answer (503)"),
    "browser-token-throttled": _status(
        "token", 429, "unavailable: the token endpoint throttles (429)", Retry_After="7"
    ),
    "browser-user-malformed": _status(
        "user", 400, "misconfiguration: Xbox does not understand the request for a user token"
    ),
    "browser-user-refused": _status("user", 401, "credential_rejected: Xbox gives no user token"),
    "browser-user-down": _status("user", 503, "unavailable: the user tokens do not answer (503)"),
    "browser-user-down-once": _status("user", 503, "accepted: the user tokens answer at the second try", once=True),
    "browser-banned": _xsts(2148916227, "account_banned: banned by Microsoft"),
    "browser-third-party-ban": _xsts(2148916228, "account_banned: banned by a third party"),
    "browser-parental": _xsts(2148916229, "account_restricted: barred by the parents"),
    "browser-billing": _xsts(2148916232, "account_action_required: a billing matter is open"),
    "browser-no-account": _xsts(2148916233, "account_action_required: no Xbox profile yet", f"{_START}/CreateAccount"),
    "browser-no-account-bare": _xsts(2148916233, "account_action_required: no Xbox profile yet, and no page is named"),
    "browser-foreign-page": _xsts(
        2148916233, "account_action_required: the page named is not Xbox's", "https://www.xbox.com.evil.test/"
    ),
    "browser-terms": _xsts(2148916234, "account_action_required: new terms of use to accept"),
    "browser-region": _xsts(2148916235, "account_restricted: Xbox is not offered in the player's country"),
    "browser-age-check": _xsts(2148916236, "account_action_required: the age must be verified"),
    "browser-curfew": _xsts(2148916237, "account_restricted: the play time of today is over"),
    "browser-child": _xsts(
        2148916238, "account_action_required: a child's account outside a family", f"{_START}/AddChildToFamily"
    ),
    "browser-transition": _xsts(2148916239, "account_action_required: the account is being changed over"),
    "browser-maintenance": _xsts(2148916240, "account_action_required: the account needs maintenance"),
    "browser-account-type": _xsts(2148916241, "account_restricted: this kind of account is not allowed"),
    "browser-sandbox-denied": _xsts(2148916242, "misconfiguration: no access to the sandbox"),
    "browser-rename": _xsts(2148916243, "account_action_required: the gamertag must be changed"),
    "browser-retail-account": _xsts(2148916248, "misconfiguration: a retail account in another sandbox"),
    "browser-sandbox-unknown": _xsts(2148916249, "misconfiguration: the sandbox is not allowed"),
    "browser-service-expired": _xsts(2148916255, "misconfiguration: a service token has expired"),
    "browser-service-invalid": _xsts(2148916263, "misconfiguration: a service token is invalid"),
    "browser-user-expired": _xsts(2148916258, "accepted: the user token has expired, another one is taken", once=True),
    "browser-user-invalid": _xsts(2148916262, "credential_rejected: the user token is invalid, and so is every other"),
    "browser-outage": _xsts(2148916273, "unavailable: Xbox's authentication is down"),
    "browser-outage-too": _xsts(2148916274, "unavailable: Xbox's authentication is down in another way"),
    "browser-unknown-xerr": _xsts(2148916999, "credential_rejected: a number that nobody knows"),
    "browser-wrong-relying-party": _status("xsts", 400, "misconfiguration: XSTS does not know our relying party"),
    "browser-no-xerr": _status("xsts", 401, "misconfiguration: XSTS refuses without a number"),
    "browser-forbidden": _status("xsts", 403, "misconfiguration: XSTS forbids it without a word"),
    "browser-throttled": _status("xsts", 429, "unavailable: XSTS throttles (429)", Retry_After="7"),
    "browser-xsts-down": _status("xsts", 503, "unavailable: XSTS does not answer (503)"),
    "browser-xsts-down-once": _status("xsts", 503, "accepted: XSTS answers at the second try", once=True),
}

_TOKENS = (
    "good",
    "jku-rs256",
    "certificate-path",
    "child",
    "missing-privileges",
    "no-ptx",
    "unknown-x5t",
    "legacy-enc",
    "bad-inner-signature",
    "keys-down",
    "wrong-audience",
    "wrong-sandbox",
    "expired",
    "not-yet-valid",
)
ON_PAGE: Mapping[str, str] = {
    **{name: CASES[name].about for name in _TOKENS},
    **{name: case.about for name, case in BROWSER_CASES.items()},
}
"""The cases that the sign-in page offers: those of the way, and those of a token that XSTS might give us."""
