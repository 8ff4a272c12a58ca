"""The claims of a verified token: are they meant for us, valid now, and which user do they name?

Owns steps of the login that need no key and no request. Knows neither encryption nor signatures.
Source: Microsoft, "Xbox services security token claims". There is no `iat`, `sub` or `jti`; unknown claims are ignored.
"""

import re
from collections.abc import Mapping
from typing import Any

from authsrv.platforms.base import CredentialRejected, PlatformMisconfigured, UserActionRequired
from authsrv.platforms.xbox.keys import VerifiedClaims
from authsrv.platforms.xbox.settings import MAX_LIFETIME, XboxSettings
from authsrv.platforms.xbox.token import malformed, rejected
from authsrv.records import dataclass

ISSUER = "xsts.auth.xboxlive.com"
_AGE_GROUPS = ("child", "teen", "adult")
_TITLE = re.compile(r"[0-9]{1,20}")
_PARTNER_XUID = re.compile(r"[!-~]{1,128}")
_PRIVILEGES = re.compile(r"[0-9]{1,4}(?: [0-9]{1,4})*")


@dataclass(frozen=True, slots=True)
class XboxUser:
    """One signed-in user of a verified token. `age_group` is child, teen, adult or empty."""

    partner_xuid: str
    gamertag: str
    age_group: str
    privileges: frozenset[int]


def check_addressee(claims: VerifiedClaims, settings: XboxSettings, now: float) -> None:
    """Issuer, audience and time. Raises `CredentialRejected`."""
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer.lower() != ISSUER:
        raise rejected("the issuer is not XSTS")
    if claims.get("aud") != settings.relying_party:
        raise CredentialRejected(
            "credential_wrong_audience",
            "The token is for another service; ask the platform for a token for this address.",
            detail="aud is not the configured relying party; a missing slash at the end is the usual cause",
        )
    _check_time(claims, settings, now)


def _check_time(claims: VerifiedClaims, settings: XboxSettings, now: float) -> None:
    begin, end = claims.get("nbf"), claims.get("exp")
    if type(begin) is not int or type(end) is not int or end - begin > MAX_LIFETIME:
        raise rejected("nbf and exp are not the times of a token")
    if now < begin - settings.leeway:
        raise CredentialRejected(
            "credential_not_yet_valid",
            "The token is not valid yet; try again shortly.",
            detail="nbf lies ahead; is the clock of this server right?",
        )
    too_old = settings.max_token_age is not None and now - begin > settings.max_token_age
    if now >= end + settings.leeway or too_old:
        raise CredentialRejected(
            "credential_expired", "The token has expired; ask the platform for a new one with forceRefresh."
        )


def check_sandbox(claims: VerifiedClaims, settings: XboxSettings, requested: str) -> str:
    """The token's sandbox, which must be allowed; `requested`, if any, can only narrow. Raises `CredentialRejected`."""
    sandbox = claims.get("sbx")
    if isinstance(sandbox, str) and sandbox in settings.allowed_sandboxes and requested in {"", sandbox}:
        return sandbox
    raise CredentialRejected(
        "credential_wrong_sandbox", "The token is from a sandbox that may not log in here.", detail="sbx is not allowed"
    )


def check_title(claims: VerifiedClaims, settings: XboxSettings) -> None:
    """The title the token was given to. Any app can get a token without one for a name it knows, so it must be there.

    Raises `CredentialRejected`.
    """
    title = _member(claims, "xti").get("tid")
    if isinstance(title, str) and _TITLE.fullmatch(title) and (title.lstrip("0") or "0") in settings.allowed_titles:
        return
    raise CredentialRejected(
        "credential_wrong_title",
        "The token is not from a title that may log in here.",
        detail="no title id" if title is None else "the title id is not among allowed_titles",
    )


def select_user(claims: VerifiedClaims, user_hash: str | None) -> XboxUser:
    """The one user with this hash, or the only user where no hash came along.

    Raises `CredentialRejected`, and `PlatformMisconfigured` when the relying party does not give the partner XUID.
    """
    chosen = _fitting(claims, user_hash)
    if len(chosen) != 1:
        raise malformed("not exactly one user of the token fits the user hash")
    return _user(chosen[0])


def check_policy(user: XboxUser, settings: XboxSettings) -> None:
    """What the studio demands of a player. Raises `UserActionRequired`."""
    if settings.min_age_group is not None and not _old_enough(user.age_group, settings.min_age_group):
        raise UserActionRequired("age_restricted", detail="below the project's min_age_group")
    if not user.privileges.issuperset(settings.required_privileges):
        raise UserActionRequired("account_restricted", detail="without the project's required_privileges")


def unverified_partner_xuid(claims: Mapping[str, Any], user_hash: str | None) -> str:
    """What a token says its user is; for rate limits only. Empty if it says nothing usable."""
    found = (user.get("ptx") for user in _fitting(claims, user_hash))
    return next((ptx for ptx in found if isinstance(ptx, str) and _PARTNER_XUID.fullmatch(ptx)), "")


def _fitting(claims: Mapping[str, Any], user_hash: str | None) -> list[Mapping[str, Any]]:
    listed = claims.get("xui")
    if not isinstance(listed, list) or not all(isinstance(user, dict) for user in listed):
        return []
    return [user for user in listed if user_hash is None or user.get("uhs") == user_hash]


def _user(entry: Mapping[str, Any]) -> XboxUser:
    partner_xuid = entry.get("ptx")
    if not isinstance(partner_xuid, str) or not _PARTNER_XUID.fullmatch(partner_xuid):
        raise PlatformMisconfigured("the token has no ptx; select it among the claims of the relying party")
    return XboxUser(
        partner_xuid=partner_xuid,
        gamertag=_text(entry, "mgt") or _text(entry, "gtg"),
        age_group=_age_group(_text(entry, "agg")),
        privileges=_privileges(_text(entry, "prv")),
    )


def _age_group(text: str) -> str:
    group = text.lower()
    return group if group in _AGE_GROUPS else ""


def _privileges(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in text.split(" ")) if _PRIVILEGES.fullmatch(text) else frozenset()


def _old_enough(group: str, demanded: str) -> bool:
    return group in _AGE_GROUPS and _AGE_GROUPS.index(group) >= _AGE_GROUPS.index(demanded)


def _member(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    return value if isinstance(value, dict) else {}


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""
