"""Steam's sign-in in the browser (OpenID 2.0): the way to its page, the checks of what comes back, and Steam's word.

Owns the order of the checks: all but the last make no call. Knows no policy; reserving the nonce against replay is the
caller's, with the digest given here.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

from authsrv.models import Digest
from authsrv.platforms.base import (
    BrowserTrip,
    Clock,
    Credential,
    CredentialRejected,
    Outbound,
    OutboundError,
    OutboundResponse,
    PlatformUnavailable,
    Returned,
    SignInCancelled,
    SingleUse,
)
from authsrv.platforms.steam.answers import retry_after, unknown_shape
from authsrv.platforms.steam.tickets import is_player
from authsrv.records import dataclass

OPENID: Final = "openid"

_NS = "http://specs.openid.net/auth/2.0"
_ANY_ACCOUNT = f"{_NS}/identifier_select"
_SIGNED = "signed,op_endpoint,claimed_id,identity,return_to,response_nonce,assoc_handle"
_FIELDS = frozenset(f"openid.{name}" for name in ("ns", "mode", "sig", *_SIGNED.split(",")))
_OPENID_NAMES = ("openid.", "openid_")  # some frameworks read the second as the first
_NONCE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)[!-~]{0,235}")
_FRESH = 300
_REMEMBERED = 900  # a nonce from the future stays fresh for twice the time
_MAX_ANSWER = 4096
_NS_LINE = f"ns:{_NS}".encode("ascii")
_VALID = b"is_valid:true"
_INVALID = b"is_valid:false"


@dataclass(frozen=True, slots=True)
class SteamAssertion(Credential):
    """What the browser brought back, free of contradictions. Only Steam can say whether it is its own."""

    steam_id: int
    fields: Mapping[str, str] = field(repr=False)


class SteamOpenId:
    """Steam as an OpenID provider at a fixed address: nothing is discovered, and no key is needed."""

    def __init__(self, community: str, outbound: Outbound, clock: Clock) -> None:
        self._endpoint = f"{community}/openid/login"
        self._account = re.compile(re.escape(f"{community}/openid/id/") + "(76561[0-9]{12})")
        # Without these two Steam answered 403 for a while in 2025.
        self._headers = {"Origin": _origin(community), "Referer": f"{community}/"}
        self._outbound = outbound
        self._clock = clock

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """Steam's page, asked for any account (OpenID 2.0 section 9.1)."""
        return f"{self._endpoint}?" + urlencode(
            {
                "openid.ns": _NS,
                "openid.mode": "checkid_setup",
                "openid.claimed_id": _ANY_ACCOUNT,
                "openid.identity": _ANY_ACCOUNT,
                "openid.return_to": _return_to(trip),
                "openid.realm": _origin(trip.callback),
            }
        )

    def read(self, trip: BrowserTrip, returned: Returned) -> SteamAssertion:
        """Everything that can be checked without Steam (OpenID 2.0 section 11, and more strictly).

        Raises `SignInCancelled` or `CredentialRejected`.
        """
        fields = _single_fields(trip, returned)
        _check_mode(fields.get("openid.mode", ""))
        if fields.keys() != _FIELDS or not all(fields.values()) or fields["openid.ns"] != _NS:
            raise _malformed("fields")
        if fields["openid.op_endpoint"] != self._endpoint:
            raise _refused("the assertion is another provider's")
        if fields["openid.signed"] != _SIGNED:
            raise _refused("other fields are signed than Steam signs")
        if fields["openid.return_to"] != _return_to(trip):
            raise CredentialRejected(
                "credential_wrong_audience", "The sign-in was made for another site or another visit: begin it again."
            )
        steam_id = self._steam_id(fields)
        nonce = fields["openid.response_nonce"]
        self._check_age(nonce)
        return SteamAssertion(
            kind=OPENID,
            single_use=SingleUse(_digest(nonce), _REMEMBERED, issued_at=math.floor(_made_at(nonce))),
            claimed_subject=str(steam_id),
            steam_id=steam_id,
            fields=fields,
        )

    async def confirm(self, assertion: SteamAssertion) -> None:
        """Steam's word that it made the assertion (OpenID 2.0 section 11.4.2).

        Raises `CredentialRejected` or `PlatformUnavailable`.
        """
        form = {**assertion.fields, "openid.mode": "check_authentication"}
        try:
            response = await self._outbound.post(self._endpoint, form=form, headers=self._headers, max_body=_MAX_ANSWER)
        except OutboundError as error:
            raise PlatformUnavailable(f"no answer from Steam: {error}", retry_after=error.retry_after) from None
        _demand_confirmation(response)

    def _steam_id(self, fields: Mapping[str, str]) -> int:
        claimed = fields["openid.claimed_id"]
        account = self._account.fullmatch(claimed)
        if fields["openid.identity"] != claimed or account is None or not is_player(int(account[1])):
            raise _refused("the identifier is no player's")
        return int(account[1])

    def _check_age(self, nonce: str) -> None:
        age = self._clock() - _made_at(nonce)
        if age > _FRESH:
            raise CredentialRejected("credential_expired", "The sign-in took too long to come back: begin it again.")
        if age < -_FRESH:
            raise CredentialRejected("credential_not_yet_valid", "The sign-in is dated in the future: begin it again.")


def _single_fields(trip: BrowserTrip, returned: Returned) -> dict[str, str]:
    """What came from Steam, by name. Whatever two readers could read in two ways is refused."""
    if not all(text.isprintable() for parameter in returned for text in parameter):
        raise _malformed("characters")
    if [text for name, text in returned if name == "state"] != [trip.state]:
        raise _malformed("state")
    found = [(name, text) for name, text in returned if name.lower().startswith(_OPENID_NAMES)]
    if len(dict(found)) != len(found):
        raise _malformed("repetition")
    return dict(found)


def _check_mode(mode: str) -> None:
    if mode == "cancel":
        raise SignInCancelled
    if mode in {"error", "setup_needed"}:
        raise _refused(f"mode {mode}")
    if mode != "id_res":
        raise _malformed("mode")


def _made_at(nonce: str) -> float:
    """When Steam made a nonce, in Unix seconds (OpenID 2.0 section 10.1)."""
    match = _NONCE.fullmatch(nonce)
    if match is None:
        raise _malformed("nonce")
    try:
        return datetime.fromisoformat(match[1]).timestamp()
    except ValueError:
        raise _malformed("nonce") from None


def _demand_confirmation(response: OutboundResponse) -> None:
    """Steam limits by address with 403 and 429, which therefore decide nothing about the player."""
    if response.status != 200:
        raise PlatformUnavailable(
            f"Steam answers status {response.status} to a sign-in", retry_after=retry_after(response)
        )
    lines = response.body.split(b"\n")
    verdicts = [line for line in lines if line.startswith(b"is_valid")]
    if _NS_LINE not in lines or verdicts not in ([_VALID], [_INVALID]):
        raise unknown_shape("check_authentication")
    if verdicts != [_VALID]:
        raise _refused("is_valid is false")


def _return_to(trip: BrowserTrip) -> str:
    return f"{trip.callback}?{urlencode({'state': trip.state})}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _digest(nonce: str) -> Digest:
    return Digest(hashlib.sha256(b"openid\n" + nonce.encode("ascii")).digest())


def _malformed(what: str) -> CredentialRejected:
    return CredentialRejected(
        "credential_malformed", "What came back from Steam cannot be read: begin the sign-in again.", detail=what
    )


def _refused(why: str) -> CredentialRejected:
    return CredentialRejected("credential_rejected", "Steam did not confirm the sign-in: begin it again.", detail=why)
