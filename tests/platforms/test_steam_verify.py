"""What Steam's answers lead to, and what is refused before Steam is asked."""

import base64
import dataclasses
import logging
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.emulator.steam.cases import APP_ID, ENCRYPTED_CASES, IDENTITY, OTHER_APP_ID, SESSION_CASES
from authsrv.emulator.steam.emulator import PUBLISHER_KEY, USER_KEY
from authsrv.platforms.base import (
    CredentialRejected,
    OutboundResponse,
    PlatformError,
    PlatformMisconfigured,
    PlatformUnavailable,
    Submission,
)
from authsrv.platforms.steam.answers import read_authentication
from tests.support.case_ends import outcome
from tests.support.outbound import BASE_URL
from tests.support.steam import AMBER, SteamSetup, steam_setup

TOLERANT = {
    "require_ownership": False,
    "fetch_profile": False,
    "reject_vac": False,
    "reject_publisher_ban": False,
    "allow_family_sharing": True,
}


@pytest.fixture
def steam() -> SteamSetup:
    """With every policy on, as the emulator proposes it."""
    return steam_setup()


@pytest.fixture
def plain() -> SteamSetup:
    """With every policy off: one call to Steam per login."""
    return steam_setup(**TOLERANT)


@pytest.mark.parametrize(
    ("case", "summary"),
    [
        pytest.param(name, case.summary, id=name)
        for table in (SESSION_CASES, ENCRYPTED_CASES)
        for name, case in table.items()
    ],
)
async def test_every_ticket_of_the_emulator_ends_as_its_summary_says(
    steam: SteamSetup, case: str, summary: str
) -> None:
    assert summary.startswith(await outcome(steam.login_as(case)))


async def test_the_identity_is_steams_number_and_name(steam: SteamSetup) -> None:
    identity = await steam.login_as()
    assert (identity.platform, identity.kind, identity.environment) == ("steam", "steam", "")
    assert (identity.subject, identity.display_name) == ("76561202255232001", "Amber")


async def test_a_profile_is_asked_for_only_when_wanted_and_its_failure_is_ignored(
    steam: SteamSetup, plain: SteamSetup
) -> None:
    assert (await steam.login_as("profile-down")).display_name == ""
    assert (await plain.login_as()).display_name == ""
    assert plain.emulator.calls == {"AuthenticateUserTicket": 1}


# The request to Steam


async def test_D09_the_key_travels_in_a_header_and_the_ticket_as_hex_of_the_bytes_received(plain: SteamSetup) -> None:
    minted = plain.emulator.mint(AMBER, case="padded")
    raw = bytes.fromhex(minted.text)
    await plain.platform.verify(plain.parse(base64.b64encode(raw).decode("ascii")))
    (request,) = plain.outbound.requests
    assert request.headers["x-webapi-key"] == PUBLISHER_KEY
    assert dict(request.url.params) == {"appid": str(APP_ID), "ticket": raw.hex(), "identity": IDENTITY}
    assert (
        str(request.url.copy_with(query=None)) == f"{BASE_URL}/steam/partner/ISteamUserAuth/AuthenticateUserTicket/v1/"
    )


def test_mistake_01_and_09_a_request_has_no_place_for_an_identity_or_a_steamid() -> None:
    fields = {field.name for field in dataclasses.fields(Submission)}
    assert not fields & {"identity", "steamid", "steam_id", "user_id"}


async def test_D03_mistake_02_a_ticket_made_for_another_service_is_refused(plain: SteamSetup) -> None:
    assert await outcome(plain.login_as("identity-mismatch")) == "credential_rejected"
    assert plain.outbound.requests[0].url.params["identity"] == IDENTITY


async def test_D07_mistake_03_every_parameter_stays_inside_its_own(plain: SteamSetup) -> None:
    odd = plain.with_settings(identity="demo&appid=1")
    assert await outcome(odd.login_as()) == "credential_rejected"
    assert odd.outbound.requests[0].url.params.multi_items() == [
        ("appid", str(APP_ID)),
        ("ticket", odd.outbound.requests[0].url.params["ticket"]),
        ("identity", "demo&appid=1"),
    ]


@pytest.mark.parametrize(
    "app_id",
    [
        "480&key=0",
        "4800001\n",
        " 4800001",
        "04800001",
        "\uff14\uff18\uff10\uff10\uff10\uff10\uff11",
        "-1",
        "1e3",
        "9" * 400,
    ],
)
def test_D07_an_app_id_is_a_plain_decimal_number(plain: SteamSetup, app_id: str) -> None:
    with pytest.raises(CredentialRejected) as refused:
        plain.parse(plain.emulator.mint(AMBER).text, app_id=app_id)
    assert refused.value.reason == "credential_malformed"


async def test_without_an_identity_none_is_sent(plain: SteamSetup) -> None:
    anybody = plain.with_settings(identity="none")
    await anybody.login_as("identity-mismatch")
    assert "identity" not in anybody.outbound.requests[0].url.params


async def test_a_session_ticket_that_is_allowed_is_asked_about_without_identity(plain: SteamSetup) -> None:
    lenient = plain.with_settings(allow_session_tickets=True)
    assert (await lenient.login_as("session-ticket-type")).subject == AMBER.steam_id
    assert "identity" not in lenient.outbound.requests[0].url.params


def test_a_session_ticket_is_refused_with_the_right_call_as_the_hint(plain: SteamSetup) -> None:
    with pytest.raises(CredentialRejected) as refused:
        plain.parse(plain.emulator.mint(AMBER, case="session-ticket-type").text)
    assert f"GetAuthTicketForWebApi with identity {IDENTITY}" in refused.value.hint
    assert plain.asked == 0


async def test_a_user_key_goes_to_the_public_host(plain: SteamSetup) -> None:
    small = plain.with_settings(web_api_key=USER_KEY, host="public")
    assert (await small.login_as()).subject == AMBER.steam_id
    wrong_host = plain.with_settings(web_api_key=USER_KEY)
    assert await outcome(wrong_host.login_as()) == "misconfiguration"


# Apps


def two_apps(steam: SteamSetup, **changes: Any) -> SteamSetup:
    return steam.with_settings(app_ids=[OTHER_APP_ID, APP_ID], **changes)


async def test_D02_a_foreign_app_is_never_asked_about(plain: SteamSetup) -> None:
    with pytest.raises(CredentialRejected) as refused:
        plain.parse(plain.emulator.mint(AMBER).text, app_id="480")
    assert refused.value.reason == "credential_wrong_app"
    assert plain.asked == 0


@pytest.mark.parametrize("case", ["other-app", "two-accounts"])
async def test_mistake_04_foreign_app_or_foreign_player_is_enough_to_refuse(plain: SteamSetup, case: str) -> None:
    enforcing = plain.with_settings(offline_check="enforce")
    assert await outcome(plain.login_as(case)) in {"credential_wrong_app", "credential_rejected"}
    assert await outcome(enforcing.login_as(case)) in {"credential_wrong_app", "credential_rejected"}
    assert plain.asked == 1


async def test_mistake_18_of_several_apps_exactly_one_is_asked_about(plain: SteamSetup) -> None:
    apps = two_apps(plain)
    assert (await apps.platform.verify(apps.parse(apps.emulator.mint(AMBER).text))).subject == AMBER.steam_id
    assert [request.url.params["appid"] for request in apps.outbound.requests] == [str(APP_ID)]


@pytest.mark.parametrize("tail", [bytes(4), b"\xff" * 200], ids=["cut off", "unreadable"])
def test_of_several_apps_none_is_guessed(plain: SteamSetup, tail: bytes) -> None:
    text = plain.emulator.mint(AMBER).text
    with pytest.raises(CredentialRejected) as refused:
        two_apps(plain).parse(text[:104] + tail.hex())
    assert refused.value.reason == "credential_wrong_app"


async def test_an_app_may_have_settings_of_its_own(plain: SteamSetup) -> None:
    apps = two_apps(plain, identity="othergame", apps={str(APP_ID): {"identity": IDENTITY, "reject_vac": True}})
    assert await outcome(apps.login_as("banned")) == "account_banned"
    assert await outcome(apps.login_as("good")) == "accepted"


# Replay


def digest(steam: SteamSetup, text: str, app_id: str = "") -> bytes:
    single_use = steam.parse(text, app_id=app_id).single_use
    assert single_use is not None
    assert single_use.keep >= 86400
    return single_use.digest


def reshaped(text: str) -> list[str]:
    raw = bytes.fromhex(text)
    return [
        text.upper(),
        base64.b64encode(raw).decode("ascii"),
        (raw + bytes(99)).hex(),
        raw[:100].hex(),
        (raw[:52] + bytes(range(200))).hex(),
    ]


def test_D01_mistake_14_the_replay_key_is_that_of_the_first_52_bytes(plain: SteamSetup) -> None:
    text = plain.emulator.mint(AMBER).text
    assert {digest(plain, other) for other in reshaped(text)} == {digest(plain, text)}
    assert digest(plain, plain.emulator.mint(AMBER).text) != digest(plain, text)
    last_byte = text[:102] + f"{int(text[102:104], 16) ^ 1:02x}" + text[104:]
    assert digest(plain, last_byte) != digest(plain, text)


def test_D01_the_replay_key_includes_the_app(plain: SteamSetup) -> None:
    apps, text = two_apps(plain), plain.emulator.mint(AMBER).text
    assert digest(apps, text, str(APP_ID)) != digest(apps, text, str(OTHER_APP_ID))


async def test_mistake_15_a_ticket_that_met_an_outage_is_good_afterwards(plain: SteamSetup) -> None:
    minted = plain.emulator.mint(AMBER)
    plain.outbound.outage = "server_error"
    assert await outcome(plain.login(minted)) == "unavailable"
    assert len(plain.outbound.requests) == 2
    plain.outbound.outage = None
    assert (await plain.login(minted)).subject == AMBER.steam_id


def encrypted(steam: SteamSetup, minted: MintedCredential, nonce: str = "") -> bytes:
    single_use = steam.parse(minted.text, kind="encrypted_app_ticket", nonce=nonce).single_use
    assert single_use is not None
    return single_use.digest


def test_D18_an_encrypted_ticket_has_one_replay_key_with_and_without_its_nonce(plain: SteamSetup) -> None:
    nonce = bytes(range(16))
    minted = plain.emulator.mint_with_user_data(AMBER, nonce)
    assert encrypted(plain, minted) == encrypted(plain, minted, nonce.hex())
    assert encrypted(plain, minted) != encrypted(plain, plain.emulator.mint_with_user_data(AMBER, nonce))


def test_D18_where_nonces_are_required_each_works_once(plain: SteamSetup) -> None:
    strict, nonce = plain.with_settings(encrypted_require_nonce=True), bytes(range(16))
    raw, text = nonce, nonce.hex().encode("ascii")
    digests = {encrypted(strict, plain.emulator.mint_with_user_data(AMBER, data), nonce.hex()) for data in (raw, text)}
    assert len(digests) == 1
    with pytest.raises(CredentialRejected):
        encrypted(strict, plain.emulator.mint_with_user_data(AMBER, nonce))


# Encrypted app tickets


async def test_an_encrypted_ticket_needs_no_call(plain: SteamSetup) -> None:
    identity = await plain.login_as("encrypted-good", PLAYERS["birch"])
    assert identity.subject == PLAYERS["birch"].steam_id
    assert not plain.outbound.requests


def test_encrypted_tickets_are_off_without_a_key(plain: SteamSetup) -> None:
    keyless = plain.with_settings(encrypted_ticket_key=None)
    with pytest.raises(CredentialRejected) as refused:
        keyless.parse(plain.emulator.mint(AMBER, case="encrypted-good").text, kind="encrypted_app_ticket")
    assert refused.value.reason == "credential_unsupported"


def test_of_several_apps_the_only_one_with_a_key_is_meant(plain: SteamSetup) -> None:
    text = plain.emulator.mint(AMBER, case="encrypted-good").text
    key = plain.block["encrypted_ticket_key"]
    one = two_apps(plain, encrypted_ticket_key=None, apps={str(APP_ID): {"encrypted_ticket_key": key}})
    assert one.parse(text, kind="encrypted_app_ticket").app_id == APP_ID
    with pytest.raises(CredentialRejected) as refused:
        two_apps(plain).parse(text, kind="encrypted_app_ticket")
    assert refused.value.reason == "credential_wrong_app"


async def test_a_run_of_undecipherable_tickets_alerts_once(plain: SteamSetup, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(25):
        assert await outcome(plain.login_as("encrypted-wrong-key")) == "credential_rejected"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "encrypted_ticket_key" in caplog.text


async def test_good_encrypted_tickets_between_wrong_ones_keep_the_alert_away(
    plain: SteamSetup, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(25):
        assert await outcome(plain.login_as("encrypted-wrong-key")) == "credential_rejected"
        assert await outcome(plain.login_as("encrypted-good")) == "accepted"
    assert not caplog.records


# Too early, retries


async def test_a_ticket_that_steam_does_not_know_yet_is_asked_about_again(plain: SteamSetup) -> None:
    assert (await plain.login_as("too-early")).subject == AMBER.steam_id
    assert plain.clock.slept == [0.5, 1.0]
    assert plain.asked == 3


async def test_a_fresh_ticket_is_asked_about_four_times_at_most(plain: SteamSetup) -> None:
    minted = plain.emulator.mint(AMBER, case="cancelled")
    plain.clock.now -= 300  # the ticket is now as old as its maker's clock says: just made
    assert await outcome(plain.login(minted)) == "credential_rejected"
    assert plain.clock.slept == [0.5, 1.0, 2.0]
    assert plain.asked == 4


@pytest.mark.parametrize("case", ["cancelled", "errorcode-3", "errorcode-102", "unknown-errorcode", "forged"])
async def test_any_other_refusal_is_final(plain: SteamSetup, case: str) -> None:
    await outcome(plain.login_as(case))
    assert plain.clock.slept == []
    assert plain.asked == 1


@pytest.mark.parametrize(
    "case", ["errorcode-3", "errorcode-102", "unknown-errorcode", "expired-ownership", "two-accounts"]
)
async def test_a_fresh_ticket_refused_for_another_cause_is_final(plain: SteamSetup, case: str) -> None:
    minted = plain.emulator.mint(AMBER, case=case)
    plain.clock.now -= 300
    await outcome(plain.login(minted))
    assert plain.asked == 1


@pytest.mark.parametrize(
    ("case", "asked"),
    [("http-500", 1), ("http-502", 2), ("http-503", 2), ("http-504", 2), ("throttled-429", 1), ("hang", 1)],
)
async def test_one_retry_only_and_only_where_steam_did_not_answer(plain: SteamSetup, case: str, asked: int) -> None:
    assert await outcome(plain.login_as(case)) == "unavailable"
    assert plain.asked == asked


async def test_steams_retry_after_is_passed_on(plain: SteamSetup) -> None:
    with pytest.raises(PlatformUnavailable) as unavailable:
        await plain.login_as("throttled-429")
    assert unavailable.value.retry_after == 30


# Hints


@pytest.mark.parametrize(
    ("case", "word"),
    [
        pytest.param("forged", "not signed by Steam", id="mistake 30, an emulator"),
        pytest.param("expired-ownership", "expired", id="expired ownership"),
        pytest.param("two-accounts", "two accounts", id="two accounts"),
        pytest.param("cut-tail", "cut off", id="cut off"),
        pytest.param("errorcode-102", "another app", id="another app"),
        pytest.param("errorcode-101", "identity", id="no finding"),
        pytest.param("errorcode-3", "two digits", id="not readable"),
    ],
)
async def test_mistake_30_findings_explain_a_refusal_of_steam(plain: SteamSetup, case: str, word: str) -> None:
    with pytest.raises(CredentialRejected) as refused:
        await plain.login_as(case)
    assert word in refused.value.hint


async def test_a_refused_session_ticket_is_told_of_the_right_call(plain: SteamSetup) -> None:
    lenient = plain.with_settings(allow_session_tickets=True)
    raw = bytearray.fromhex(plain.emulator.mint(AMBER, case="session-ticket-type").text)
    raw[4] ^= 1
    with pytest.raises(CredentialRejected) as refused:
        await lenient.platform.verify(lenient.parse(raw.hex()))
    assert "GetAuthTicketForWebApi" in refused.value.hint


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("forged", "credential_rejected"),
        ("expired-ownership", "credential_expired"),
        ("other-app", "credential_wrong_app"),
        ("two-accounts", "credential_rejected"),
        ("cut-tail", "credential_malformed"),
    ],
)
async def test_an_enforced_contradiction_is_refused_without_asking(plain: SteamSetup, case: str, reason: str) -> None:
    enforcing = plain.with_settings(offline_check="enforce")
    assert await outcome(enforcing.login_as(case)) == reason
    assert enforcing.asked == 0
    assert await outcome(enforcing.login_as("good")) == "accepted"


async def test_without_offline_check_only_steam_is_heard(plain: SteamSetup) -> None:
    off = plain.with_settings(offline_check="off")
    with pytest.raises(CredentialRejected) as refused:
        await off.login_as("forged")
    assert "not signed" not in refused.value.hint


async def test_an_unknown_ticket_type_is_left_to_steam(plain: SteamSetup, caplog: pytest.LogCaptureFixture) -> None:
    raw = bytearray.fromhex(plain.emulator.mint(AMBER).text)
    raw[32] = 9
    assert await outcome(plain.platform.verify(plain.parse(raw.hex()))) == "credential_rejected"
    assert "unknown type 9" in caplog.text


# Answers


@pytest.mark.parametrize("flag", ["vacbanned", "publisherbanned"])
async def test_D05_mistake_06_a_missing_ban_flag_is_no_login_even_where_bans_do_not_matter(flag: str) -> None:
    params = dict(OK_PARAMS)
    del params[flag]
    with pytest.raises(PlatformUnavailable):
        read_authentication(answer({"response": {"params": params}}))


async def test_D08_mistake_07_params_and_error_together_are_no_login(plain: SteamSetup) -> None:
    assert await outcome(plain.login_as("both-params-and-error")) == "unavailable"


async def test_D04_mistake_08_a_borrowed_licence_is_its_players_account(plain: SteamSetup) -> None:
    assert (await plain.login_as("family-shared")).subject == AMBER.steam_id
    owners_only = plain.with_settings(allow_family_sharing=False)
    assert await outcome(owners_only.login_as("family-shared")) == "account_not_entitled"
    assert await outcome(owners_only.login_as("good")) == "accepted"


async def test_D04_mistake_09_a_player_other_than_the_tickets_is_refused(plain: SteamSetup) -> None:
    assert await outcome(plain.login_as("steamid-mismatch")) == "credential_rejected"


async def test_D05_bans_count_where_the_studio_says_so(plain: SteamSetup) -> None:
    assert await outcome(plain.login_as("banned")) == "accepted"
    assert await outcome(plain.login_as("publisher-banned")) == "accepted"
    assert await outcome(plain.with_settings(reject_vac=True).login_as("banned")) == "account_banned"
    assert (
        await outcome(plain.with_settings(reject_publisher_ban=True).login_as("publisher-banned")) == "account_banned"
    )


@pytest.mark.parametrize("case", ["bad-key-401", "bad-key-403"])
async def test_mistake_13_an_html_refusal_of_our_key_is_our_misconfiguration(plain: SteamSetup, case: str) -> None:
    with pytest.raises(PlatformMisconfigured, match="refused the Web API key"):
        await plain.login_as(case)


async def test_mistake_13_a_wrong_key_is_our_misconfiguration(plain: SteamSetup) -> None:
    assert await outcome(plain.with_settings(web_api_key="0" * 32).login_as()) == "misconfiguration"


async def test_mistake_19_and_28_an_id_survives_to_its_last_digit(plain: SteamSetup) -> None:
    subjects = [(await plain.login_as("numeric-steamid", player)).subject for player in PLAYERS.values()]
    assert subjects == ["76561202255232001", "76561202255232003", "76561202255232005"]


async def test_an_ownership_that_another_has_counts_as_borrowed(plain: SteamSetup) -> None:
    demanding = plain.with_settings(require_ownership=True, allow_family_sharing=False)
    await plain.login_as("family-shared")  # what Steam now knows of the player
    assert await outcome(demanding.login(plain.emulator.mint_with_user_data(AMBER, b""))) == "account_not_entitled"


OK_PARAMS: dict[str, Any] = {
    "result": "OK",
    "steamid": "76561202255232001",
    "ownersteamid": "76561202255232001",
    "vacbanned": False,
    "publisherbanned": False,
}


def answer(document: Any, status: int = 200) -> OutboundResponse:
    return OutboundResponse(status, {}, httpx.Response(200, json=document).content)


@pytest.mark.parametrize(
    "change",
    [
        {"result": "ok"},
        {"result": None},
        {"result": ["OK"]},
        {"steamid": 0},
        {"steamid": "0"},
        {"steamid": 7.6561202255232e16},
        {"steamid": True},
        {"steamid": None},
        {"steamid": " 76561202255232001"},
        {"steamid": "76561202255232001\n"},
        {"steamid": "\uff17" * 17},
        {"steamid": "90071992547409921"},
        {"ownersteamid": ""},
        {"ownersteamid": "0"},
        {"vacbanned": None},
        {"vacbanned": 0},
        {"vacbanned": "false"},
        {"publisherbanned": "false"},
        {"publisherbanned": 1},
    ],
    ids=str,
)
def test_D08_an_odd_value_is_no_login(change: dict[str, Any]) -> None:
    assert read_authentication(answer({"response": {"params": OK_PARAMS}})).steam_id == 76561202255232001
    with pytest.raises(PlatformUnavailable):
        read_authentication(answer({"response": {"params": OK_PARAMS | change}}))


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "OK",
        {"response": None},
        {"response": []},
        {"response": {}},
        {"response": {"params": []}},
        {"response": {"params": OK_PARAMS, "error": None}},
        {"response": {"error": {}}},
        {"response": {"error": {"errorcode": "101"}}},
        {"response": {"error": {"errorcode": True}}},
        {"response": {"error": {"errorcode": 101}, "params": None}},
        {"params": OK_PARAMS},
    ],
    ids=str,
)
def test_D08_an_odd_shape_is_no_login(document: Any) -> None:
    with pytest.raises(PlatformUnavailable):
        read_authentication(answer(document))


@pytest.mark.parametrize("status", [301, 304, 418, 500, 599])
def test_only_a_success_can_be_a_login(status: int) -> None:
    assert read_authentication(answer({"response": {"params": OK_PARAMS}}, 201)).steam_id == 76561202255232001
    with pytest.raises((PlatformUnavailable, PlatformMisconfigured)):
        read_authentication(answer({"response": {"params": OK_PARAMS}}, status))


def test_a_400_with_params_is_our_misconfiguration() -> None:
    with pytest.raises(PlatformMisconfigured):
        read_authentication(answer({"response": {"params": OK_PARAMS}}, 400))


# Leaks


async def test_D09_mistake_05_no_log_or_error_shows_key_or_ticket(
    steam: SteamSetup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for case in SESSION_CASES:
        minted = steam.emulator.mint(AMBER, case=case)
        try:
            shown.append(repr(await steam.login(minted)))
        except PlatformError as error:
            shown += [repr(error), str(error.__cause__), str(vars(error))]
        told = caplog.text + "".join(shown)
        assert PUBLISHER_KEY not in told
        assert minted.text[:24] not in told


async def test_a_machine_that_cannot_check_signatures_says_so(
    plain: SteamSetup, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plain.platform.start()
    assert not caplog.records
    monkeypatch.setattr("authsrv.platforms.steam.platform.sha1_signatures_checkable", lambda _: False)
    await plain.platform.start()
    await plain.platform.stop()
    assert "SHA-1" in caplog.text
