"""A script written from the documentation of GameSparks: every flag, every member of an answer, every error key."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import PLAYERS, MintedCredential
from authsrv.endpoints.gamesparks.requests import FLAGS as SERVED_FLAGS
from authsrv.endpoints.gamesparks.requests import REQUESTS
from authsrv.models import NEVER
from authsrv.storage.account_changes import BarPlayer
from tests.gamesparks.documentation import ANSWER, DOCUMENTED, FLAGS, STEAM, SUMMARY, XBOX_ONE, Documented
from tests.support.refusals import clients, demo, tables
from tests.support.residents import Resident, kinds, resident
from tests.support.server import Server, running

each = pytest.mark.parametrize("request_", DOCUMENTED, ids=lambda one: one.name)
Json = dict[str, Any]


def edit(block: Json) -> None:
    demo(block)["accounts"] = {"segments": ["PROFILE"]}
    block["limits"] = {"multiplier": 1000}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        yield started


async def send(
    server: Server, request: Documented, player: str = "amber", session: str = "", /, **parameters: Any
) -> httpx.Response:
    """A request as a game sends it, for the player of an earlier `authToken`; what is None is left out."""
    return await present(server, request, server.mint(request.provider, player), session, **parameters)


async def present(
    server: Server, request: Documented, minted: MintedCredential, session: str = "", /, **parameters: Any
) -> httpx.Response:
    """The same with a proof that was there before."""
    sent = {"@class": f".{request.name}", "apiKey": "launcher", request.credential: minted.text, **parameters}
    sent = {name: value for name, value in sent.items() if value is not None}
    headers = {"authorization": f"Bearer {session}"} if session else {}
    return await server.http.post(request.path, json=sent, headers=headers)


def good(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    assert told.keys() == ANSWER
    assert (told["@class"], told["scriptData"]) == (".AuthenticationResponse", {})
    return told


def error(answer: httpx.Response) -> tuple[str, str]:
    """The one key and value of an error; nobody got a token with it, and nobody was made."""
    assert answer.status_code >= 400, answer.text
    told: Json = answer.json()
    assert told["newPlayer"] is False
    assert "authToken" not in told
    ((key, value),) = told["error"].items()
    return key, value


async def epic(server: Server, player: str = "birch") -> str:
    """The token of a player who has nothing of Steam's or Xbox's: P without Y."""
    found: str = (await resident(server, "epicgames", player)).tokens["access_token"]
    return found


async def has(server: Server, token: str) -> set[str]:
    return {key.kind for key in await Resident(server, {"access_token": token}).keys()}


def sub(server: Server, token: str) -> str:
    found: str = server.claims(token)["sub"]
    return found


# --- the documentation, and what is served ---


def test_every_documented_request_and_flag_is_served() -> None:
    assert {one.name for one in DOCUMENTED} == set(REQUESTS)
    assert set(FLAGS) == set(SERVED_FLAGS)


@each
async def test_every_documented_parameter_is_taken_at_once(server: Server, request_: Documented) -> None:
    values: Json = {**dict.fromkeys(FLAGS, False), "segments": {"PROFILE": "P1"}, "sandbox": "RETAIL"}
    sent = {name: value for name, value in values.items() if name in request_.parameters}
    assert sent.keys() | {request_.credential} == request_.parameters
    good(await send(server, request_, **sent))


@each
async def test_what_sdks_add_to_every_request_is_harmless(server: Server, request_: Documented) -> None:
    added = {"requestId": "12897", "playerId": "5849655e16c047eb048bc585", "scriptData": {"a": 1}, "language": "en"}
    good(await send(server, request_, **added))


# --- rows 1 and 2 ---


@each
async def test_row_1_a_new_player_is_made_and_signed_in(server: Server, request_: Documented) -> None:
    told = good(await send(server, request_))
    assert (told["newPlayer"], told["displayName"]) == (True, "Amber")
    assert sub(server, told["authToken"]) == told["userId"]


@each
async def test_row_1_do_not_create_new_player(server: Server, request_: Documented) -> None:
    answer = await send(server, request_, doNotCreateNewPlayer=True)
    assert (answer.status_code, error(answer)) == (404, ("doNotCreateNewPlayer", "ACCOUNT_NOT_FOUND"))
    assert not tables(server).players


@each
async def test_row_2_a_known_player_is_signed_in(server: Server, request_: Documented) -> None:
    first = good(await send(server, request_))
    again = good(await send(server, request_))
    assert (again["newPlayer"], again["userId"]) == (False, first["userId"])


# --- row 3 ---


@each
async def test_row_3_an_unknown_account_is_linked_to_the_current_player(server: Server, request_: Documented) -> None:
    session = await epic(server)
    told = good(await send(server, request_, "amber", session))
    assert (told["userId"], told["newPlayer"], told["displayName"]) == (sub(server, session), False, "Birch")
    assert await has(server, session) == {"epic", request_.provider}


@each
async def test_row_3_a_player_of_a_device_keeps_their_id(server: Server, request_: Documented) -> None:
    guest: str = (await resident(server, "guest")).tokens["access_token"]
    assert good(await send(server, request_, "amber", guest))["userId"] == sub(server, guest)


async def test_row_3_a_player_of_another_provider_has_both(server: Server) -> None:
    steam = good(await send(server, STEAM))
    both = good(await send(server, XBOX_ONE, "amber", steam["authToken"]))
    assert both["userId"] == steam["userId"]
    assert good(await send(server, XBOX_ONE))["userId"] == steam["userId"]


# --- rows 4 and 13 ---


@each
async def test_row_4_do_not_link_to_current_player(server: Server, request_: Documented) -> None:
    session = await epic(server)
    told = good(await send(server, request_, "amber", session, doNotLinkToCurrentPlayer=True))
    assert (told["newPlayer"], told["userId"] != sub(server, session)) == (True, True)
    assert sub(server, told["authToken"]) == told["userId"]
    assert await has(server, session) == {"epic"}


@each
async def test_row_4_do_not_link_and_do_not_create(server: Server, request_: Documented) -> None:
    session = await epic(server)
    flags = {"doNotLinkToCurrentPlayer": True, "doNotCreateNewPlayer": True}
    answer = await send(server, request_, "amber", session, **flags)
    assert error(answer) == ("doNotCreateNewPlayer", "ACCOUNT_NOT_FOUND")


@each
async def test_row_13_do_not_link_to_a_player_who_has_another(server: Server, request_: Documented) -> None:
    session = good(await send(server, request_, "birch"))
    told = good(await send(server, request_, "amber", session["authToken"], doNotLinkToCurrentPlayer=True))
    assert (told["newPlayer"], told["userId"] != session["userId"]) == (True, True)
    assert await has(server, session["authToken"]) == {request_.provider}


# --- row 5 ---


@each
async def test_row_5_the_account_is_the_current_players(server: Server, request_: Documented) -> None:
    session = good(await send(server, request_))
    told = good(await send(server, request_, "amber", session["authToken"]))
    assert (told["newPlayer"], told["userId"]) == (False, session["userId"])
    assert sub(server, told["authToken"]) == session["userId"]
    assert kinds(server) == []


# --- rows 6 and 7 ---


@each
async def test_row_6_the_session_switches_silently(server: Server, request_: Documented) -> None:
    other, session = good(await send(server, request_)), await epic(server)
    told = good(await send(server, request_, "amber", session))
    assert (told["userId"], told["newPlayer"]) == (other["userId"], False)
    assert sub(server, told["authToken"]) == other["userId"]
    assert await has(server, session) == {"epic"}


@each
async def test_row_7_error_on_switch_reports_it_with_a_summary(server: Server, request_: Documented) -> None:
    other, session = good(await send(server, request_)), await epic(server)
    answer = await send(server, request_, "amber", session, errorOnSwitch=True)
    assert (answer.status_code, error(answer)) == (409, ("errorOnSwitch", "SWITCH_REQUIRED"))
    summary = answer.json()["switchSummary"]
    assert summary.keys() == SUMMARY
    person = PLAYERS["amber"]
    external = {"ST": person.steam_id} if request_ is STEAM else {"XB": person.partner_xuid}
    assert summary == {"id": other["userId"], "displayName": "Amber", "externalIds": external, "scriptData": {}}
    assert await has(server, session) == {"epic"}
    assert "continuation_token" not in answer.text


# --- rows 8 to 12 ---


@each
@pytest.mark.parametrize(
    ("known", "flags"),
    [
        pytest.param(False, {}, id="8"),
        pytest.param(True, {}, id="9"),
        pytest.param(True, {"errorOnSwitch": True}, id="9b"),
        pytest.param(False, {"switchIfPossible": True}, id="11"),
    ],
)
async def test_rows_8_9_9b_and_11_the_current_player_has_another(
    server: Server, request_: Documented, *, known: bool, flags: dict[str, bool]
) -> None:
    session = good(await send(server, request_, "birch"))
    if known:
        good(await send(server, request_, "amber"))
    answer = await send(server, request_, "amber", session["authToken"], **flags)
    assert (answer.status_code, error(answer)) == (409, request_.errors["linked"])
    assert "switchSummary" not in answer.json()
    assert good(await send(server, request_, "birch"))["userId"] == session["userId"]


@each
async def test_row_10_switch_if_possible(server: Server, request_: Documented) -> None:
    session, other = good(await send(server, request_, "birch")), good(await send(server, request_, "amber"))
    told = good(await send(server, request_, "amber", session["authToken"], switchIfPossible=True))
    assert (told["userId"], told["newPlayer"]) == (other["userId"], False)
    assert await has(server, session["authToken"]) == {request_.provider}


@each
async def test_row_12_switch_if_possible_and_error_on_switch(server: Server, request_: Documented) -> None:
    session, other = good(await send(server, request_, "birch")), good(await send(server, request_, "amber"))
    flags = {"switchIfPossible": True, "errorOnSwitch": True}
    answer = await send(server, request_, "amber", session["authToken"], **flags)
    assert error(answer) == ("errorOnSwitch", "SWITCH_REQUIRED")
    assert answer.json()["switchSummary"]["id"] == other["userId"]


# --- row 14 ---


@each
@pytest.mark.parametrize("sent", [None, ""])
async def test_row_14_no_credential(server: Server, request_: Documented, sent: str | None) -> None:
    answer = await send(server, request_, **{request_.credential: sent})
    assert (answer.status_code, error(answer)) == (400, request_.errors["missing"])


NO_GOOD = {"steam": ("forged", "other-app"), "xbox": ("bad-inner-signature", "expired", "wrong-title")}


@each
async def test_row_14_a_credential_that_is_no_good(server: Server, request_: Documented) -> None:
    unreadable = await send(server, request_, **{request_.credential: "not a proof"})
    cases = [server.mint(request_.provider, case=case) for case in NO_GOOD[request_.provider]]
    for answer in (unreadable, *[await present(server, request_, minted) for minted in cases]):
        assert (answer.status_code, error(answer)) == (400, request_.errors["refused"])
    assert not tables(server).players


async def test_row_14_a_ticket_that_was_used_is_no_good(server: Server) -> None:
    minted = server.mint("steam")
    good(await present(server, STEAM, minted))
    answer = await present(server, STEAM, minted)
    assert (answer.status_code, error(answer)) == (400, STEAM.errors["refused"])


@each
async def test_row_14_the_provider_is_not_configured(request_: Documented) -> None:
    def without(block: Json) -> None:
        edit(block)
        del demo(block)["platforms"][request_.provider]

    async with running(edit=without) as server:
        answer = await send(server, request_)
        assert (answer.status_code, error(answer)) == (400, request_.errors["not configured"])


async def test_row_14_a_child_is_coppa_restricted(server: Server) -> None:
    answer = await present(server, XBOX_ONE, server.mint("xbox", case="child"))
    assert (answer.status_code, error(answer)) == (403, XBOX_ONE.errors["child"])
    assert not tables(server).players


# --- other parameters ---


@each
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("value", ["true", 1, None, [], {}])
async def test_a_flag_is_a_boolean(server: Server, request_: Documented, flag: str, value: object) -> None:
    session = await epic(server)
    minted = server.mint(request_.provider)
    sent = {"apiKey": "launcher", request_.credential: minted.text, flag: value}
    answer = await server.http.post(request_.path, json=sent, headers={"authorization": f"Bearer {session}"})
    assert (answer.status_code, error(answer)) == (400, (flag, "INVALID"))
    assert good(await present(server, request_, minted))["newPlayer"] is True


@each
async def test_sync_display_name_keeps_the_name_equal_to_the_platforms(server: Server, request_: Documented) -> None:
    session = await epic(server)
    assert good(await send(server, request_, "amber", session))["displayName"] == "Birch"
    assert good(await send(server, request_, "amber", session, syncDisplayName=True))["displayName"] == "Amber"


@each
async def test_segments_are_stored(server: Server, request_: Documented) -> None:
    told = good(await send(server, request_, segments={"PROFILE": "P1"}))
    me = await server.http.get("/v1/me", headers={"authorization": f"Bearer {told['authToken']}"})
    assert me.json()["segments"] == {"PROFILE": "P1"}
    answer = await send(server, request_, segments={"COHORT": "x"})
    assert error(answer) == ("segments", "INVALID")


async def test_the_sandbox_of_xbox_must_be_that_of_the_token(server: Server) -> None:
    good(await send(server, XBOX_ONE, sandbox="RETAIL"))
    answer = await send(server, XBOX_ONE, sandbox="XDKS.1")
    assert error(answer) == ("token", "NOTAUTHENTICATED")
    assert answer.json()["detail"]["reason"] == "credential_wrong_sandbox"


# --- the client, the session, and who is kept out ---


@each
@pytest.mark.parametrize("key", [None, "nobody", "40", "backend"])
async def test_the_api_key_is_a_client_of_the_studios(server: Server, request_: Documented, key: str | None) -> None:
    answer = await send(server, request_, apiKey=key)
    assert (answer.status_code, error(answer)) == (401, ("apiKey", "NOTAUTHORIZED"))


@each
async def test_a_client_needs_the_grant_that_gives_tokens_without_a_code(request_: Documented) -> None:
    def without(block: Json) -> None:
        edit(block)
        clients(block)["launcher"]["grants"] = ["authorization_code", "refresh_token"]

    async with running(edit=without) as server:
        answer = await send(server, request_)
        assert (answer.status_code, error(answer)) == (400, ("apiKey", "NOTAUTHORIZED"))


async def test_a_confidential_client_proves_itself(server: Server) -> None:
    assert error(await send(server, STEAM, apiKey="shop")) == ("apiKey", "NOTAUTHORIZED")
    assert error(await send(server, STEAM, apiKey="shop", apiSecret="wrong")) == ("apiKey", "NOTAUTHORIZED")


@each
@pytest.mark.parametrize("session", ["x", "a.b.c"])
async def test_a_session_that_is_none_is_refused(server: Server, request_: Documented, session: str) -> None:
    answer = await send(server, request_, "amber", session)
    assert (answer.status_code, error(answer)) == (401, ("authentication", "NOTAUTHORIZED"))
    assert not tables(server).players


@each
async def test_an_auth_token_is_the_session_of_the_next_request_and_ends_in_its_time(
    server: Server, request_: Documented
) -> None:
    told = good(await send(server, request_))
    claims = server.claims(told["authToken"])
    assert {"account"} <= set(claims["scope"].split())
    assert "offline" not in claims["scope"].split()
    server.clock.now += claims["exp"] - claims["iat"]
    answer = await send(server, request_, "amber", told["authToken"])
    assert error(answer) == ("authentication", "NOTAUTHORIZED")


@each
async def test_a_link_needs_a_recent_sign_in_which_another_request_is(server: Server, request_: Documented) -> None:
    """Row D46."""
    other = XBOX_ONE if request_ is STEAM else STEAM
    first = good(await send(server, other))
    server.clock.now += 700
    late = await send(server, request_, "amber", first["authToken"])
    assert (late.status_code, error(late)) == (403, ("request", "REAUTHENTICATION_REQUIRED"))
    fresh = good(await send(server, other, "amber", first["authToken"]))
    assert good(await send(server, request_, "amber", fresh["authToken"]))["userId"] == first["userId"]


@each
async def test_a_banned_player_is_told_until_when(server: Server, request_: Documented) -> None:
    told = good(await send(server, request_))
    row = next(player.id for player in tables(server).players.values() if player.sub == told["userId"])
    until = int(server.clock()) + 900
    for end, detail in ((until, {"until": until}), (NEVER, {})):
        await server.app.storage.apply([BarPlayer(row, end, "banned")])
        answer = await send(server, request_)
        assert (answer.status_code, error(answer)) == (403, ("authentication", "BANNED"))
        assert answer.json()["detail"] == {"error": "access_denied", "reason": "banned", **detail}


async def test_what_cannot_be_read_or_found_is_told_in_the_same_form(server: Server) -> None:
    broken = await server.http.post(STEAM.path, content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, error(broken)) == (400, ("request", "INVALID_REQUEST"))
    form = await server.http.post(STEAM.path, data={"apiKey": "launcher"})
    assert (form.status_code, error(form)) == (415, ("request", "INVALID_REQUEST"))
    nowhere = await server.http.post("/gamesparks/PSNConnectRequest", json={})
    assert (nowhere.status_code, error(nowhere)) == (404, ("request", "NOT_FOUND"))
    for method in ("GET", "OPTIONS"):
        assert (await server.http.request(method, STEAM.path)).status_code == 405


async def test_a_platform_that_is_down_is_no_bad_ticket(server: Server) -> None:
    server.outbounds["steam"].outage = "connect_failure"
    answer = await send(server, STEAM)
    assert (answer.status_code, error(answer)) == (503, ("request", "TEMPORARILY_UNAVAILABLE"))
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"]["reference"]
