"""Every way a visit to the emulated Steam's sign-in page can end: what is signed, what is sent, what Steam then says.

One table; a case is a line in it. Knows no request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from authsrv.emulator.steam import answers
from authsrv.emulator.steam.answers import Account, Answer
from authsrv.emulator.steam.cases import VICTIM
from authsrv.records import dataclass

NS = "http://specs.openid.net/auth/2.0"
SIGNED = "signed,op_endpoint,claimed_id,identity,return_to,response_nonce,assoc_handle"

Fields = Mapping[str, str]
Pairs = Sequence[tuple[str, str]]

CANCELLED: Pairs = (("openid.ns", NS), ("openid.mode", "cancel"))


@dataclass(frozen=True, slots=True)
class OpenIdCase:
    """One end of a visit. A case without `sends` and `check` brings what Steam confirms, however odd it is.

    `says` alters the fields before they are signed (names without `openid.`), `age` is that of the nonce in seconds,
    `sends` alters what the browser then carries, `check` replaces Steam's answer to check_authentication, `account` is
    what Steam knows of the player.
    """

    summary: str
    says: Callable[[Fields], Fields] = lambda fields: fields
    sends: Callable[[Pairs], Pairs] = lambda pairs: pairs
    check: Answer | None = None
    account: Callable[[Account], Account] = lambda account: account
    age: int = 1
    repeats_nonce: bool = False


def _with(**changes: str) -> Callable[[Fields], Fields]:
    return lambda fields: {**fields, **changes}


def _named(steam_id: str) -> Callable[[Fields], Fields]:
    """Another account, named consistently."""

    def says(fields: Fields) -> Fields:
        claimed = fields["claimed_id"].rpartition("/")[0] + f"/{steam_id}"
        return {**fields, "claimed_id": claimed, "identity": claimed}

    return says


def _at_another_host(fields: Fields) -> Fields:
    claimed = f"https://steamcommunity.com.example/openid/id/{VICTIM}"
    return {**fields, "claimed_id": claimed, "identity": claimed}


def _sent_without(name: str) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [pair for pair in pairs if pair[0] != f"openid.{name}"]


def _sent_with(name: str, text: str) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [*_sent_without(name)(pairs), (f"openid.{name}", text)]


def _sent_too(name: str, text: str) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [*pairs, (name, text)]


def _instead(mode: str, **more: str) -> Callable[[Pairs], Pairs]:
    fields = {"ns": NS, "mode": mode, **more}
    return lambda _: [(f"openid.{name}", text) for name, text in fields.items()]


def _page(status: int, title: str, headers: Mapping[str, str] | None = None) -> Answer:
    return answers.html_answer(status, title, headers)


OPENID_CASES: Mapping[str, OpenIdCase] = MappingProxyType(
    {
        "openid-good": OpenIdCase("accepted: Steam confirms the player"),
        "openid-profile-down": OpenIdCase(
            "accepted: without a display name", account=lambda account: replace(account, profile_down=True)
        ),
        "openid-replayed": OpenIdCase(
            "accepted once: sign in twice within four minutes, and the second is refused (credential_replayed)",
            repeats_nonce=True,
        ),
        "openid-cancelled": OpenIdCase("cancelled: the player went back", sends=lambda _: CANCELLED),
        # The assertion is bad
        "openid-error": OpenIdCase("credential_rejected: mode error", sends=_instead("error", error="Try again")),
        "openid-setup-needed": OpenIdCase("credential_rejected: mode setup_needed", sends=_instead("setup_needed")),
        "openid-unknown-mode": OpenIdCase("credential_malformed: an unknown mode", sends=_sent_with("mode", "id_res2")),
        "openid-no-ns": OpenIdCase("credential_malformed: without its namespace", sends=_sent_without("ns")),
        "openid-repeated": OpenIdCase(
            "credential_malformed: two claimed_id", sends=_sent_too("openid.claimed_id", "https://players.example/")
        ),
        "openid-unknown-name": OpenIdCase(
            "credential_malformed: openid_claimed_id beside openid.claimed_id",
            sends=_sent_too("openid_claimed_id", "https://players.example/"),
        ),
        "openid-newline": OpenIdCase(
            "credential_malformed: a line break at the end", says=lambda fields: _ended(fields, "\n")
        ),
        "openid-bad-nonce": OpenIdCase(
            "credential_malformed: a nonce without a time", says=_with(response_nonce="yesterdayZ0Qm4N1")
        ),
        "openid-foreign-provider": OpenIdCase(
            "credential_rejected: another provider's op_endpoint",
            says=_with(op_endpoint="https://openid.example/openid/login"),
        ),
        "openid-foreign-identity": OpenIdCase(
            "credential_rejected: an account at a host that looks like Steam's", says=_at_another_host
        ),
        "openid-two-identities": OpenIdCase(
            "credential_rejected: claimed_id and identity differ",
            says=lambda fields: {**fields, "identity": _named(str(VICTIM))(fields)["identity"]},
        ),
        "openid-not-a-player": OpenIdCase(
            "credential_rejected: the SteamID of a group", says=_named("76561197960265727")
        ),
        "openid-unsigned": OpenIdCase(
            "credential_rejected: claimed_id is not signed", says=_with(signed=SIGNED.replace("claimed_id,", ""))
        ),
        "openid-forged": OpenIdCase(
            "credential_rejected: Steam did not sign it (is_valid:false)",
            sends=_sent_with("sig", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ),
        "openid-other-site": OpenIdCase(
            "credential_wrong_audience: made for another site", says=_with(return_to="https://players.example/back")
        ),
        "openid-other-visit": OpenIdCase(
            "credential_wrong_audience: made for another visit",
            says=lambda fields: {**fields, "return_to": fields["return_to"] + "0"},
        ),
        "openid-old": OpenIdCase("credential_expired: an hour old", age=3600),
        "openid-future": OpenIdCase("credential_not_yet_valid: made in an hour", age=-3600),
        # The player is barred
        "openid-not-owned": OpenIdCase(
            "account_not_entitled: without a licence", account=lambda account: replace(account, owns_app=False)
        ),
        "openid-family-shared": OpenIdCase(
            "account_not_entitled: a borrowed licence", account=lambda account: replace(account, owner=VICTIM)
        ),
        # Steam does not decide
        "openid-check-403": OpenIdCase("unavailable: 403 and HTML", check=_page(403, "Forbidden")),
        "openid-check-429": OpenIdCase(
            "unavailable: 429 with Retry-After", check=_page(429, "Too Many Requests", {"Retry-After": "30"})
        ),
        "openid-check-503": OpenIdCase("unavailable: 503", check=_page(503, "Service Unavailable")),
        "openid-check-redirect": OpenIdCase(
            "unavailable: a redirect", check=_page(302, "Found", {"Location": "http://127.0.0.1:9/"})
        ),
        "openid-check-hang": OpenIdCase(
            "unavailable: Steam answers after a minute", check=replace(answers.key_values(NS, "true"), delay=60)
        ),
        "openid-check-html": OpenIdCase("unavailable: HTML with status 200", check=_page(200, "Steam")),
        "openid-check-empty": OpenIdCase("unavailable: an empty answer", check=Answer(200, b"")),
        "openid-check-maybe": OpenIdCase("unavailable: is_valid:maybe", check=answers.key_values(NS, "maybe")),
        "openid-check-no-ns": OpenIdCase(
            "unavailable: is_valid:true of another protocol", check=answers.key_values("http://openid.net/", "true")
        ),
        "openid-ownership-down": OpenIdCase(
            "unavailable: CheckAppOwnership fails", account=lambda account: replace(account, ownership_down=True)
        ),
    }
)


def _ended(fields: Fields, end: str) -> Fields:
    claimed = fields["claimed_id"] + end
    return {**fields, "claimed_id": claimed, "identity": claimed}
