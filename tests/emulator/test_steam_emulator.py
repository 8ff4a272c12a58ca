"""The emulated Steam answers as the real one is documented to."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from authsrv.emulator.base import PLAYERS, MintedCredential, UnknownCase
from authsrv.emulator.steam.cases import APP_ID, ENCRYPTED_CASES, IDENTITY, OTHER_APP_ID, SESSION_CASES
from authsrv.emulator.steam.emulator import ENCRYPTED, PUBLISHER_KEY, SESSION, USER_KEY, SteamEmulator, SteamKeys
from authsrv.platforms.base import OutboundResponse
from authsrv.platforms.steam.settings import SteamSettings
from tests.support.outbound import BASE_URL
from tests.support.steam import AMBER, SteamSetup, steam_keys, steam_setup

AUTHENTICATE = "ISteamUserAuth/AuthenticateUserTicket/v1/"


@pytest.fixture
def steam() -> SteamSetup:
    return steam_setup()


async def call(
    steam: SteamSetup, path: str, *, host: str = "partner", key: str = PUBLISHER_KEY, **params: str
) -> OutboundResponse:
    url = f"{BASE_URL}/steam/{host}/{path}"
    return await steam.outbound.get(url, params=params, headers={"x-webapi-key": key})


async def verdict(steam: SteamSetup, ticket: str, *, app_id: int = APP_ID, identity: str = IDENTITY) -> Any:
    """`OK` or the errorcode."""
    sent = {"identity": identity} if identity else {}
    response = await call(steam, AUTHENTICATE, ticket=ticket, appid=str(app_id), **sent)
    answer = json.loads(response.body)["response"]
    return answer["params"]["result"] if "params" in answer else answer["error"]["errorcode"]


def minted(steam: SteamSetup, case: str = "good") -> MintedCredential:
    return steam.emulator.mint(AMBER, case=case)


async def test_the_acceptance_is_the_documented_one(steam: SteamSetup) -> None:
    response = await call(steam, AUTHENTICATE, ticket=minted(steam).text, appid=str(APP_ID), identity=IDENTITY)
    assert response.status == 200
    assert response.body == (
        b'{"response":{"params":{"result":"OK","steamid":"76561202255232001","ownersteamid":"76561202255232001",'
        b'"vacbanned":false,"publisherbanned":false}}}'
    )


async def test_the_refusal_is_the_documented_one(steam: SteamSetup) -> None:
    response = await call(steam, AUTHENTICATE, ticket=minted(steam, "unknown").text, appid=str(APP_ID))
    assert response.body == b'{"response":{"error":{"errorcode":101,"errordesc":"Invalid ticket"}}}'


@pytest.mark.parametrize("ticket", ["0", "14000000abc", "zz", "FAAAAA=="])
async def test_text_that_is_no_hex_is_an_invalid_parameter(steam: SteamSetup, ticket: str) -> None:
    assert await verdict(steam, ticket) == 3


async def test_a_ticket_is_known_by_its_first_52_bytes(steam: SteamSetup) -> None:
    text = minted(steam).text
    assert await verdict(steam, text) == "OK"
    assert await verdict(steam, text + "00" * 2000) == "OK"
    assert await verdict(steam, text[:104]) == "OK"
    assert await verdict(steam, text[:103] + "f" if text[103] != "f" else text[:103] + "e") == 101


async def test_the_identity_must_be_that_of_the_ticket_when_it_is_sent(steam: SteamSetup) -> None:
    text = minted(steam).text
    assert await verdict(steam, text, identity="another") == 101
    assert await verdict(steam, text, identity="") == "OK"


async def test_a_session_ticket_passes_only_without_identity(steam: SteamSetup) -> None:
    text = minted(steam, "session-ticket-type").text
    assert await verdict(steam, text) == 101
    assert await verdict(steam, text, identity="") == "OK"


async def test_another_app_is_told(steam: SteamSetup) -> None:
    assert await verdict(steam, minted(steam).text, app_id=OTHER_APP_ID) == 102


async def test_a_call_without_ticket_or_app_is_a_bad_request(steam: SteamSetup) -> None:
    assert (await call(steam, AUTHENTICATE, appid=str(APP_ID))).status == 400
    assert (await call(steam, AUTHENTICATE, ticket="00")).status == 400


@pytest.mark.parametrize(
    ("host", "path", "key", "status"),
    [
        pytest.param("partner", AUTHENTICATE, PUBLISHER_KEY, 400, id="publisher key, partner host"),
        pytest.param("public", AUTHENTICATE, PUBLISHER_KEY, 400, id="publisher key, public host"),
        pytest.param("public", AUTHENTICATE, USER_KEY, 400, id="user key, public host"),
        pytest.param("partner", AUTHENTICATE, USER_KEY, 403, id="user key, partner host"),
        pytest.param("partner", AUTHENTICATE, "", 403, id="no key"),
        pytest.param("public", AUTHENTICATE, "0" * 32, 403, id="wrong key"),
        pytest.param("public", "ISteamUser/CheckAppOwnership/v4/", USER_KEY, 403, id="ownership with a user key"),
        pytest.param("public", "ISteamUser/CheckAppOwnership/v4/", PUBLISHER_KEY, 400, id="ownership"),
    ],
)
async def test_keys_belong_to_hosts_and_calls(steam: SteamSetup, host: str, path: str, key: str, status: int) -> None:
    assert (await call(steam, path, host=host, key=key)).status == status


async def test_a_key_may_come_in_the_query(steam: SteamSetup) -> None:
    response = await call(steam, AUTHENTICATE, host="public", key="")
    assert response.status == 403
    url = f"{BASE_URL}/steam/public/{AUTHENTICATE.rstrip('/')}"
    assert (await steam.outbound.get(url, params={"key": USER_KEY})).status == 400


async def test_ownership_follows_the_ticket_that_was_presented_last(steam: SteamSetup) -> None:
    async def owns() -> bool:
        path = "ISteamUser/CheckAppOwnership/v4"
        response = await call(steam, path, steamid=AMBER.steam_id, appid=str(APP_ID))
        found: bool = json.loads(response.body)["appownership"]["ownsapp"]
        return found

    assert await owns()
    await verdict(steam, minted(steam, "not-owned").text)
    assert not await owns()
    await verdict(steam, minted(steam).text)
    assert await owns()


async def test_ownership_of_all_apps_profiles_and_bans_have_their_documented_shapes(steam: SteamSetup) -> None:
    await verdict(steam, minted(steam, "banned").text)
    both = f"{AMBER.steam_id},{PLAYERS['birch'].steam_id},76561202255232111"
    owned = await call(steam, "ISteamUser/GetPublisherAppOwnership/v4/", steamid=AMBER.steam_id)
    named = await call(steam, "ISteamUser/GetPlayerSummaries/v2/", steamids=both)
    banned = await call(steam, "ISteamUser/GetPlayerBans/v1/", steamids=both)
    assert [app["appid"] for app in json.loads(owned.body)["appownership"]["apps"]] == [APP_ID]
    assert [player["personaname"] for player in json.loads(named.body)["response"]["players"]] == ["Amber", "Birch"]
    assert [player["VACBanned"] for player in json.loads(banned.body)["players"]] == [True, False]


async def test_an_unknown_account_has_no_profile(steam: SteamSetup) -> None:
    response = await call(steam, "ISteamUser/GetPlayerSummaries/v2/", steamids="76561202255232111")
    assert response.body == b'{"response":{"players":[]}}'
    assert (await call(steam, "ISteamUser/GetPublisherAppOwnership/v4/", steamid="1")).status == 400


async def test_calls_are_counted_by_name(steam: SteamSetup) -> None:
    await steam.login_as()
    assert steam.emulator.calls == {"AuthenticateUserTicket": 1, "CheckAppOwnership": 1, "GetPlayerSummaries": 1}


def test_what_is_minted_carries_its_parameters(steam: SteamSetup) -> None:
    ticket, encrypted = minted(steam), steam.emulator.mint(AMBER, kind=ENCRYPTED)
    assert ticket.parameters == {"session_ticket": ticket.text, "app_id": str(APP_ID)}
    assert encrypted.parameters == {
        "session_ticket": encrypted.text,
        "app_id": str(APP_ID),
        "credential_type": "encrypted_app_ticket",
    }
    assert (ticket.platform, ticket.kind, ticket.case) == ("steam", SESSION, "good")
    assert steam.emulator.mint(AMBER, kind=ENCRYPTED, case="expired").case == "encrypted-expired"


def test_tickets_are_fresh_each_time_and_on_one_line(steam: SteamSetup) -> None:
    cases = {**SESSION_CASES, **ENCRYPTED_CASES}
    texts = {minted(steam, case).text for case in cases}
    assert len(texts) == len(cases)
    assert all(len(text.splitlines()) == 1 for text in texts)


@pytest.mark.parametrize(
    ("kind", "case"),
    [("", "no such case"), ("no such kind", "good"), (ENCRYPTED, "banned"), (SESSION, "encrypted-good")],
)
def test_an_unknown_case_or_kind_lists_the_known_ones(steam: SteamSetup, kind: str, case: str) -> None:
    with pytest.raises(UnknownCase, match="choose one of"):
        steam.emulator.mint(AMBER, kind=kind, case=case)


def test_the_proposed_block_is_a_good_development_block(steam: SteamSetup) -> None:
    settings = SteamSettings(**steam.emulator.settings("http://127.0.0.1:8090"))
    assert settings.problems(dev=True) == []
    assert len(settings.problems(dev=False)) == 1
    assert settings.hosts.partner == "http://127.0.0.1:8090/steam/partner"
    assert settings.hosts.community == "http://127.0.0.1:8090/steam"


def test_keys_outlive_a_restart() -> None:
    keys = steam_keys()
    again = SteamKeys.from_json(json.loads(json.dumps(keys.to_json())))
    assert (again.app, again.system_public_key) == (keys.app, keys.system_public_key)
    assert SteamEmulator(again).settings("http://e.test")["encrypted_ticket_key"] == keys.app.hex()


def test_the_system_key_is_like_steams() -> None:
    public: Any = load_pem_public_key(steam_keys().system_public_key.encode("ascii"))
    assert (public.key_size, public.public_numbers().e) == (1024, 17)


@pytest.mark.parametrize(
    "change", [{"app": "00"}, {"app": "zz"}, {"app": None}, {"system": "no PEM"}, {"system": None}], ids=str
)
def test_damaged_keys_are_not_read(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        SteamKeys.from_json(steam_keys().to_json() | change)


async def test_only_so_many_tickets_are_remembered(steam: SteamSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authsrv.emulator.steam.emulator._REMEMBERED", 2)
    texts = [minted(steam).text for _ in range(3)]
    assert [await verdict(steam, text) for text in texts] == [101, "OK", "OK"]


def test_a_stranger_can_be_minted_for_too(steam: SteamSetup) -> None:
    stranger = replace(AMBER, name="dune", steam_id="76561202255232007")
    assert steam.parse(steam.emulator.mint(stranger).text).claimed_subject == "76561202255232007"
