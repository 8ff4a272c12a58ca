"""Every case the emulated Steam can mint: what the ticket says, what Steam knows of it, and how the game sends it.

One table for session tickets and one for encrypted app tickets; a case is a line in one of them.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from authsrv.emulator.steam import answers
from authsrv.emulator.steam.answers import Account
from authsrv.emulator.steam.tickets import (
    SteamKeys,
    TicketFacts,
    encrypted_ticket,
    forged_encrypted_ticket,
    ownership_part,
    padded,
    session_ticket,
)
from authsrv.records import dataclass

APP_ID = 4800001
OTHER_APP_ID = 4800002
IDENTITY = "authsrvdemo"
VICTIM = 76561202255232999
"""A SteamID that no test player has: of the licence's owner, or of the player an attacker wants to be."""

_DAY = 86400


@dataclass(frozen=True, slots=True)
class SessionCase:
    """A session or Web API ticket.

    `facts` alters what the ticket says; `account` what Steam knows of it (None: Steam never heard of it); `make` builds
    the bytes, `text` what the game sends.
    """

    summary: str
    facts: Callable[[TicketFacts], TicketFacts] = lambda facts: facts
    account: Callable[[Account], Account] | None = lambda account: account
    make: Callable[[TicketFacts, SteamKeys], bytes] = session_ticket
    text: Callable[[bytes], str] = bytes.hex


@dataclass(frozen=True, slots=True)
class EncryptedCase:
    """An encrypted app ticket: how its bytes are made, and what Steam knows of the player."""

    summary: str
    make: Callable[[TicketFacts, SteamKeys], bytes] = lambda facts, keys: encrypted_ticket(facts, keys.app)
    account: Callable[[Account], Account] = lambda account: account


def _says(**changes: Any) -> Callable[[TicketFacts], TicketFacts]:
    return lambda facts: replace(facts, **changes)


def _aged(days: int) -> Callable[[TicketFacts], TicketFacts]:
    return lambda facts: replace(facts, issued=facts.issued - days * _DAY, expires=facts.expires - days * _DAY)


def _error(code: int) -> Callable[[Account], Account]:
    return lambda account: replace(account, error=code)


def _odd(answer: Callable[[Account], answers.Answer]) -> Callable[[Account], Account]:
    return lambda account: replace(account, odd=answer(account))


def _page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Callable[[Account], Account]:
    return _odd(lambda _: answers.html_answer(status, title, headers))


def _altered(*without: str, **params: Any) -> Callable[[Account], Account]:
    return _odd(lambda account: answers.altered(account, *without, **params))


def _too_early(account: Account) -> Account:
    return replace(account, known_from=account.facts.token_time + 1.2)


def _signed_by_another(facts: TicketFacts, _: SteamKeys) -> bytes:
    return session_ticket(facts, SteamKeys.generate())


SESSION_CASES: Mapping[str, SessionCase] = {
    "good": SessionCase("accepted: a Web API ticket with the right identity, of a player who owns the app"),
    "replayed": SessionCase("accepted once: present it twice, and the second login is refused (credential_replayed)"),
    "padded": SessionCase(
        "accepted: the whole buffer of 2560 bytes with leftover memory", text=lambda r: padded(r).hex()
    ),
    "upper-case-hex": SessionCase("accepted: hex in upper case", text=lambda raw: raw.hex().upper()),
    "base64": SessionCase("accepted: Base64", text=lambda raw: base64.b64encode(raw).decode("ascii")),
    "content-rich": SessionCase(
        "accepted: a ticket with several licences and downloadable content",
        facts=lambda facts: replace(facts, licences=(90210, 90211, 90212), dlc=tuple(range(4800100, 4800140))),
    ),
    "too-early": SessionCase(
        "accepted after a moment: Steam learns of the ticket 1.2 s after it was made",
        account=_too_early,
        facts=lambda facts: replace(facts, token_time=facts.token_time + 300),
    ),
    "numeric-steamid": SessionCase(
        "accepted: SteamIDs as numbers",
        account=_odd(lambda a: answers.altered(a, steamid=a.facts.steam_id, ownersteamid=a.owner)),
    ),
    "wrong-content-type": SessionCase("accepted: JSON called text/html", account=_odd(answers.mislabelled)),
    "profile-down": SessionCase("accepted: without a display name", account=lambda a: replace(a, profile_down=True)),
    "slow": SessionCase("accepted: Steam answers after 3 s", account=_odd(lambda a: answers.late(a, 3))),
    # The credential is bad
    "malformed": SessionCase("credential_malformed: an odd number of hex digits", text=lambda raw: raw.hex()[:-1]),
    "truncated": SessionCase("credential_malformed: the first 40 bytes", text=lambda raw: raw[:40].hex()),
    "too-long": SessionCase("credential_malformed: 5000 bytes", text=lambda raw: padded(raw, 5000).hex()),
    "ownership-only": SessionCase(
        "credential_malformed: the ownership part alone", make=lambda facts, _: ownership_part(facts)
    ),
    "not-a-player": SessionCase(
        "credential_malformed: the SteamID of a game server", facts=_says(steam_id=90071992547409921)
    ),
    "session-ticket-type": SessionCase("credential_unsupported: made by GetAuthSessionTicket", facts=_says(type=2)),
    "other-app": SessionCase("credential_wrong_app: a ticket of another app (102)", facts=_says(app_id=OTHER_APP_ID)),
    "forged": SessionCase(
        "credential_rejected: not signed by Steam, unknown to it", account=None, make=_signed_by_another
    ),
    "unknown": SessionCase("credential_rejected: well signed, but Steam does not know it", account=None),
    "two-accounts": SessionCase(
        "credential_rejected: header and ownership name two accounts", facts=_says(owned_by=VICTIM), account=_error(101)
    ),
    "expired-ownership": SessionCase(
        "credential_rejected: the ownership part has expired", facts=_aged(30), account=_error(101)
    ),
    "cut-tail": SessionCase(
        "credential_rejected: without its last 100 bytes", account=_error(101), text=lambda raw: raw[:-100].hex()
    ),
    "identity-mismatch": SessionCase(
        "credential_rejected: made for another service", account=lambda a: replace(a, identity="another-service")
    ),
    "cancelled": SessionCase("credential_rejected: the game cancelled the ticket", account=_error(101)),
    "errorcode-3": SessionCase("credential_malformed: Steam cannot read it", account=_error(3)),
    "errorcode-101": SessionCase("credential_rejected: Steam's catch-all", account=_error(101)),
    "errorcode-102": SessionCase("credential_wrong_app: Steam says it is another app's", account=_error(102)),
    "unknown-errorcode": SessionCase(
        "credential_rejected: an unknown code, and a text that echoes", account=_error(9999)
    ),
    "errorcode-in-400": SessionCase(
        "credential_rejected: a refusal with status 400", account=_odd(lambda _: answers.refused(101, status=400))
    ),
    "steamid-mismatch": SessionCase(
        "credential_rejected: Steam names another player", account=_altered(steamid=str(VICTIM))
    ),
    # The player is barred
    "banned": SessionCase("account_banned: by Valve Anti-Cheat", account=lambda a: replace(a, vac_banned=True)),
    "publisher-banned": SessionCase(
        "account_banned: by the publisher", account=lambda a: replace(a, publisher_banned=True)
    ),
    "family-shared": SessionCase(
        "account_not_entitled: a borrowed licence", account=lambda a: replace(a, owner=VICTIM)
    ),
    "not-owned": SessionCase("account_not_entitled: without a licence", account=lambda a: replace(a, owns_app=False)),
    # Our configuration is wrong
    "bad-key-401": SessionCase("misconfiguration: 401 and HTML", account=_page(401, "Unauthorized")),
    "bad-key-403": SessionCase("misconfiguration: 403 and HTML", account=_page(403, "Forbidden")),
    "http-400": SessionCase("misconfiguration: 400 and HTML", account=_page(400, "Bad Request")),
    "http-404": SessionCase("misconfiguration: 404 and HTML", account=_page(404, "Not Found")),
    "http-405": SessionCase("misconfiguration: 405 and HTML", account=_page(405, "Method Not Allowed")),
    # Steam does not decide
    "throttled-429": SessionCase(
        "unavailable: 429 with Retry-After", account=_page(429, "Too Many Requests", {"Retry-After": "30"})
    ),
    "throttled-429-bare": SessionCase("unavailable: 429 alone", account=_page(429, "Too Many Requests")),
    "http-500": SessionCase("unavailable: 500", account=_page(500, "Internal Server Error")),
    "http-502": SessionCase("unavailable: 502", account=_page(502, "Bad Gateway")),
    "http-503": SessionCase("unavailable: 503", account=_page(503, "Service Unavailable")),
    "http-504": SessionCase("unavailable: 504", account=_page(504, "Gateway Timeout")),
    "redirect": SessionCase(
        "unavailable: a redirect", account=_page(302, "Found", {"Location": "http://127.0.0.1:9/"})
    ),
    "hang": SessionCase("unavailable: Steam answers after a minute", account=_odd(lambda a: answers.late(a, 60))),
    "html-200": SessionCase("unavailable: HTML with status 200", account=_page(200, "Steam")),
    "empty-object": SessionCase("unavailable: an empty object", account=_odd(lambda _: answers.json_answer({}))),
    "cut-off-body": SessionCase("unavailable: half an answer", account=_odd(answers.cut_off)),
    "oversized-body": SessionCase("unavailable: 128 KiB", account=_odd(answers.oversized)),
    "both-params-and-error": SessionCase("unavailable: acceptance and refusal at once", account=_odd(answers.both)),
    "neither-params-nor-error": SessionCase(
        "unavailable: neither of the two", account=_odd(lambda _: answers.json_answer({"response": {}}))
    ),
    "repeated-name": SessionCase("unavailable: two SteamIDs in one object", account=_odd(answers.repeated_name)),
    "result-not-ok": SessionCase("unavailable: the result is ok, not OK", account=_altered(result="ok")),
    "missing-flags": SessionCase("unavailable: no ban flags", account=_altered("vacbanned", "publisherbanned")),
    "string-flags": SessionCase(
        "unavailable: ban flags as text", account=_altered(vacbanned="false", publisherbanned="0")
    ),
    "short-steamid": SessionCase("unavailable: a SteamID of 16 digits", account=_altered(steamid="7656120225523200")),
    "zero-steamid": SessionCase("unavailable: SteamID 0", account=_altered(steamid=0)),
    "float-steamid": SessionCase(
        "unavailable: a SteamID as a float", account=_odd(lambda a: answers.altered(a, steamid=float(a.facts.steam_id)))
    ),
    "ownership-down": SessionCase(
        "unavailable: CheckAppOwnership fails", account=lambda a: replace(a, ownership_down=True)
    ),
}


def _flipped(facts: TicketFacts, keys: SteamKeys) -> bytes:
    raw = encrypted_ticket(facts, keys.app)
    return raw[:-20] + bytes([raw[-20] ^ 1]) + raw[-19:]


ENCRYPTED_CASES: Mapping[str, EncryptedCase] = {
    "encrypted-good": EncryptedCase("accepted: an encrypted app ticket of version 2 (kind encrypted_app_ticket)"),
    "encrypted-malformed": EncryptedCase("credential_malformed: not the outer message", lambda _f, _k: b"\x07" * 200),
    "encrypted-truncated": EncryptedCase(
        "credential_malformed: the last 20 bytes are missing",
        lambda facts, keys: encrypted_ticket(facts, keys.app)[:-20],
    ),
    "encrypted-version-1": EncryptedCase(
        "credential_unsupported: version 1", lambda facts, keys: encrypted_ticket(facts, keys.app, version=1)
    ),
    "encrypted-other-app": EncryptedCase(
        "credential_wrong_app: another app's ownership",
        lambda facts, keys: encrypted_ticket(replace(facts, app_id=OTHER_APP_ID), keys.app),
    ),
    "encrypted-wrong-key": EncryptedCase(
        "credential_rejected: sealed with another key",
        lambda facts, keys: encrypted_ticket(facts, bytes(byte ^ 1 for byte in keys.app)),
    ),
    "encrypted-tampered": EncryptedCase("credential_rejected: one bit of the ciphertext flipped", _flipped),
    "encrypted-forged": EncryptedCase(
        "credential_rejected: a forged ticket for another player inside the user data",
        lambda facts, keys: forged_encrypted_ticket(facts, replace(facts, steam_id=VICTIM), keys.app),
    ),
    "encrypted-forged-version-1": EncryptedCase(
        "credential_unsupported: the same forgery in version 1",
        lambda facts, keys: forged_encrypted_ticket(facts, replace(facts, steam_id=VICTIM), keys.app, version=1),
    ),
    "encrypted-forged-relabelled": EncryptedCase(
        "credential_rejected: the same forgery in version 1, called version 2",
        lambda facts, keys: forged_encrypted_ticket(
            facts, replace(facts, steam_id=VICTIM), keys.app, version=1, claimed_version=2
        ),
    ),
    "encrypted-not-a-player": EncryptedCase(
        "credential_rejected: the SteamID of a game server",
        lambda facts, keys: encrypted_ticket(replace(facts, steam_id=90071992547409921), keys.app),
    ),
    "encrypted-expired": EncryptedCase(
        "credential_expired: issued an hour ago",
        lambda facts, keys: encrypted_ticket(replace(facts, issued=facts.issued - 3600), keys.app),
    ),
    "encrypted-ownership-expired": EncryptedCase(
        "credential_expired: the ownership part has expired",
        lambda facts, keys: encrypted_ticket(replace(facts, expires=facts.issued - 1), keys.app),
    ),
    "encrypted-not-yet-valid": EncryptedCase(
        "credential_not_yet_valid: issued in an hour",
        lambda facts, keys: encrypted_ticket(replace(facts, issued=facts.issued + 3600), keys.app),
    ),
    "encrypted-not-owned": EncryptedCase(
        "account_not_entitled: without a licence", account=lambda a: replace(a, owns_app=False)
    ),
}
