"""The export of a player's data: every member literally, and what is never among them."""

from dataclasses import replace
from typing import Any

import pytest

from authsrv.account_models import (
    Account,
    AccountRecord,
    Ban,
    Dossier,
    EventKind,
    GrantRecord,
    JournalEvent,
    LinkedIdentity,
    SessionRecord,
)
from authsrv.accounts.exporting import Names, Setting, exported
from authsrv.models import NEVER, Client, ClientLinks, Consent, IdentityKey, Retention
from tests.support.accounts import PROJECT
from tests.support.storage import NOW, player
from tests.support.storage_browsers import session

OWN, ALIAS, OTHER = 1, 2, 9
AT, LATER = "2027-01-15T08:00:00Z", "2027-01-15T08:00:09Z"
SHOP = Client("shop", PROJECT, "Shop", first_party=False, links=ClientLinks(policy_uri="https://shop.example/policy"))
PLATFORMS = {"steam": "steam", "epic": "epicgames", "guest": "guest", "xuid": "xbox"}
NAMES = Names(lambda kind: PLATFORMS[kind], lambda client_id: SHOP if client_id == "shop" else None)
SETTING = Setting("https://login.studio.example", PROJECT, Retention(inactive_accounts=0), NOW + 9)
STEAM = IdentityKey("skyforge", "steam", "", "76561202255232001")
GUEST = IdentityKey("skyforge", "guest", "", "digest-of-a-device-secret")
GRANT = GrantRecord(
    client_id="shop",
    scope=("openid", "offline"),
    audience=("https://api.example",),
    platform="steam",
    idp="steam",
    idp_subject=STEAM.subject,
    auth_time=NOW,
    created_at=NOW,
    expires_at=NOW + 9,
    absolute_expires_at=NOW + 9,
    is_offline=True,
    refreshed_at=NOW + 9,
    revoked_at=NOW + 9,
    revoked_reason="signed_out",
)


def linked(key: IdentityKey, owner: int = OWN) -> LinkedIdentity:
    return LinkedIdentity(key, owner, NOW, NOW + 9)


def whole() -> Dossier:
    """A player with one of everything, and an account that was merged into theirs."""
    me = replace(player(OWN), age_group="teen", name_from="steam", barred_until=NOW + 100, barred_as="banned")
    alias = replace(player(ALIAS, name="Birch"), merged_into=OWN)
    banned = Ban(7, "skyforge", OWN, "banned", "cheating", "operator", NOW, NEVER)
    account = Account(me, (linked(STEAM),), (alias,), (banned,), '{"tier":"beta"}', '{"email":"a@b.example"}')
    merged = Account(alias, (linked(GUEST, ALIAS),), (), (replace(banned, until=NOW + 9, lifted_at=NOW + 9),))
    signed_in = replace(session(), idp="steam", idp_subject=STEAM.subject, auth_time=NOW, created_at=NOW, used_at=NOW)
    signed_in = replace(signed_in, expires_at=NOW + 9, ended_at=NOW + 9, ended_reason="signed_out")
    own = AccountRecord(
        account,
        (Consent("shop", ("openid", "email"), NOW),),
        (SessionRecord(signed_in, ("gone", "shop")),),
        (GRANT,),
    )
    later = replace(GRANT, client_id="gone", idp="guest", idp_subject=GUEST.subject, refreshed_at=0, is_offline=False)
    of_alias = AccountRecord(merged, grants=(replace(later, revoked_at=None, revoked_reason=""),))
    event = JournalEvent(
        id=3,
        project="skyforge",
        kind="linked",
        at=NOW,
        player_id=OWN,
        other_id=0,
        identity=STEAM,
        client_id="shop",
        address="203.0.113.0/24",
        rule="3",
        reason="asked for it",
        facts='{"moves":[]}',
        reversible_until=NOW + 9,
    )
    return Dossier(own, (of_alias,), (event,))


GOLDEN: dict[str, Any] = {
    "format": "authsrv-player",
    "version": 1,
    "exported_at": LATER,
    "issuer": "https://login.studio.example",
    "project": {"id": "00000000-0000-4000-8000-000000000000", "name": "Skyforge"},
    "account": {
        "sub": "sub-1",
        "display_name": "Amber",
        "display_name_from": "steam",
        "created_at": AT,
        "last_login": AT,
        "kept_out_until": "2027-01-15T08:01:40Z",
        "kept_out_as": "banned",
    },
    "aliases": [
        {
            "sub": "sub-2",
            "display_name": "Birch",
            "created_at": AT,
            "last_login": AT,
            "profile": {},
            "segments": {},
        }
    ],
    "age_group": "teen",
    "profile": {"email": "a@b.example"},
    "segments": {"tier": "beta"},
    "identities": [
        {
            "platform": "steam",
            "kind": "steam",
            "subject": "76561202255232001",
            "environment": "",
            "linked_at": AT,
            "last_used_at": LATER,
        },
        {
            "platform": "guest",
            "kind": "guest",
            "subject": None,
            "environment": "",
            "linked_at": AT,
            "last_used_at": LATER,
        },
    ],
    "consents": [{"client_id": "shop", "client_name": "Shop", "scope": ["openid", "email"], "given_at": AT}],
    "sessions": [
        {
            "platform": "steam",
            "kind": "steam",
            "subject": "76561202255232001",
            "clients": [
                {"client_id": "gone", "client_name": None},
                {"client_id": "shop", "client_name": "Shop"},
            ],
            "begun_at": AT,
            "signed_in_at": AT,
            "last_used_at": AT,
            "expires_at": LATER,
            "ended_at": LATER,
            "ended_reason": "signed_out",
        }
    ],
    "grants": [
        {
            "client_id": "shop",
            "client_name": "Shop",
            "platform": "steam",
            "kind": "steam",
            "subject": "76561202255232001",
            "scope": ["openid", "offline"],
            "audience": ["https://api.example"],
            "signed_in_at": AT,
            "given_at": AT,
            "refresh_tokens": True,
            "refreshed_at": LATER,
            "expires_at": LATER,
            "ends_at": LATER,
            "ended_at": LATER,
            "ended_reason": "signed_out",
        },
        {
            "client_id": "gone",
            "client_name": None,
            "platform": "guest",
            "kind": "guest",
            "subject": None,
            "scope": ["openid", "offline"],
            "audience": ["https://api.example"],
            "signed_in_at": AT,
            "given_at": AT,
            "refresh_tokens": False,
            "refreshed_at": None,
            "expires_at": LATER,
            "ends_at": LATER,
            "ended_at": None,
            "ended_reason": None,
        },
    ],
    "bans": [
        {"kind": "banned", "reason": "cheating", "decided_at": AT, "until": None, "lifted_at": None},
        {"kind": "banned", "reason": "cheating", "decided_at": AT, "until": LATER, "lifted_at": LATER},
    ],
    "journal": [
        {
            "kind": "linked",
            "at": AT,
            "actor": "player",
            "client_id": "shop",
            "client_name": "Shop",
            "address": "203.0.113.0/24",
            "reason": "asked for it",
            "consent": None,
            "identity": {
                "platform": "steam",
                "kind": "steam",
                "subject": "76561202255232001",
                "environment": "",
            },
        }
    ],
    "recipients": [
        {"client_id": "gone", "client_name": None, "first_party": None, "client_uri": None, "policy_uri": None},
        {
            "client_id": "shop",
            "client_name": "Shop",
            "first_party": False,
            "client_uri": None,
            "policy_uri": "https://shop.example/policy",
        },
    ],
    "retention_days": {
        "journal": 365,
        "addresses": 7,
        "bans": 90,
        "withdrawn_consents": 365,
        "erasures": 30,
        "inactive_accounts": None,
    },
}


def test_P04_the_export_is_exactly_this() -> None:
    assert exported(whole(), SETTING, NAMES) == GOLDEN


def test_P04_a_player_with_nothing_has_the_same_members() -> None:
    found = exported(Dossier(AccountRecord(Account(player()))), SETTING, NAMES)
    assert found.keys() == GOLDEN.keys()
    lists = ("aliases", "identities", "consents", "sessions", "grants", "bans", "journal", "recipients")
    assert [found[name] for name in lists] == [[]] * len(lists)
    assert (found["profile"], found["segments"], found["age_group"]) == ({}, {}, "unknown")
    kept_out = ("kept_out_until", "kept_out_as", "display_name_from")
    assert [found["account"][name] for name in kept_out] == [None] * 3


@pytest.mark.parametrize("until", [NOW + 9, NOW])
def test_P04_nobody_is_kept_out_by_what_is_over(until: int) -> None:
    over = Account(replace(player(), barred_until=until, barred_as="banned"))
    told = exported(Dossier(AccountRecord(over)), SETTING, NAMES)["account"]
    assert (told["kept_out_until"], told["kept_out_as"]) == (None, None)


def test_P06_whoever_is_restricted_is_told_so() -> None:
    barred = Account(replace(player(), barred_until=NEVER, barred_as="restricted"))
    told = exported(Dossier(AccountRecord(barred)), SETTING, NAMES)["account"]
    assert (told["kept_out_until"], told["kept_out_as"]) == (None, "restricted")


@pytest.mark.parametrize(
    ("player_id", "other_id", "identity", "words"),
    [
        pytest.param(OWN, 0, STEAM.subject, "words", id="alone"),
        pytest.param(OWN, ALIAS, STEAM.subject, "words", id="of the two that are one"),
        pytest.param(OWN, OTHER, STEAM.subject, None, id="gained from another player"),
        pytest.param(OTHER, OWN, None, None, id="lost to another player"),
        pytest.param(OTHER, ALIAS, None, None, id="lost by the merged one to another player"),
        pytest.param(OWN, -5, STEAM.subject, None, id="gained from one who was erased"),
    ],
)
def test_P04_an_event_of_two_players_tells_nothing_of_the_other(
    player_id: int, other_id: int, identity: str | None, words: str | None
) -> None:
    event = JournalEvent(
        3, "skyforge", "transferred", NOW, player_id, other_id, STEAM, address="words", reason="words", facts="facts"
    )
    (told,) = exported(replace(whole(), events=(event,)), SETTING, NAMES)["journal"]
    assert told["identity"]["subject"] == identity
    assert (told["address"], told["reason"]) == (words, words)
    assert "facts" not in str(told)


@pytest.mark.parametrize("kind", ["consent_given", "consent_withdrawn"])
def test_P07_the_record_of_a_consent_is_told(kind: EventKind) -> None:
    event = JournalEvent(3, "skyforge", kind, NOW, OWN, client_id="shop", facts='{"scope":["openid"]}')
    (told,) = exported(replace(whole(), events=(event,)), SETTING, NAMES)["journal"]
    assert (told["client_name"], told["consent"]) == ("Shop", {"scope": ["openid"]})


def test_P04_neither_rows_nor_secrets_nor_operators_are_told() -> None:
    told = str(exported(whole(), SETTING, NAMES))
    assert [
        word for word in ("digest-of-a-device-secret", "operator", "moves", "browser_id", "'id': 3") if word in told
    ] == []
