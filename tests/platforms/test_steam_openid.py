"""What Steam's page sends the browser back with: every check of it, and the word of Steam that it needs."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from starlette.responses import Response

from authsrv.platforms.base import PlatformUnavailable
from tests.support.outbound import OUTAGES, Outage
from tests.support.steam import CALLBACK, STATE, TRIP
from tests.support.steam_openid import ACCOUNT, GOOD, NONCE, VALID, Community, brought


@pytest.fixture
def community() -> Community:
    return Community()


def test_the_realm_has_the_port_of_the_callback(community: Community) -> None:
    trip = replace(TRIP, callback="http://127.0.0.1:8080/login/steam/callback")
    assert dict(parse_qsl(community.openid.sign_in_url(trip)))["openid.realm"] == "http://127.0.0.1:8080"


async def test_a_good_answer_is_accepted_after_one_call(community: Community) -> None:
    assert await community.verdict(brought()) == "accepted"
    assert len(community.asked) == 1


def test_the_credential_names_its_player_and_shows_nothing_that_was_signed(community: Community) -> None:
    credential = community.openid.read(TRIP, brought())
    assert (credential.kind, credential.claimed_subject) == ("openid", "76561202255232001")
    shown = repr(credential)
    assert not [
        text for name, text in GOOD.items() if name in {"openid.sig", "openid.response_nonce"} and text in shown
    ]


# What the browser brings back


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://openid.example/openid/login",
        "http://steamcommunity.com/openid/login",
        "https://steamcommunity.com/openid/login/",
        "https://steamcommunity.com/openid/login?x=1",
        "https://steamcommunity.com:443/openid/login",
        "https://steamcommunity.com@openid.example/openid/login",
        "https://STEAMCOMMUNITY.com/openid/login",
    ],
)
async def test_D10_mistake_20_another_providers_answer_is_refused_without_a_call(
    community: Community, endpoint: str
) -> None:
    assert await community.verdict(brought(op_endpoint=endpoint)) == "credential_rejected"
    assert community.outbound.requests == []


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param("http://steamcommunity.com/openid/id/76561202255232001", id="http"),
        pytest.param("https://steamcommunity.com.evil.test/openid/id/76561202255232001", id="look-alike host"),
        pytest.param("https://steamcommunityXcom/openid/id/76561202255232001", id="a dot that is none"),
        pytest.param("https://a@steamcommunity.com/openid/id/76561202255232001", id="user name"),
        pytest.param("https://evil.test/?https://steamcommunity.com/openid/id/76561202255232001", id="inside a query"),
        pytest.param(f"{ACCOUNT}#x", id="fragment"),
        pytest.param(f"{ACCOUNT}/", id="slash"),
        pytest.param(f"{ACCOUNT} ", id="space"),
        pytest.param(f"{ACCOUNT}1", id="18 digits"),
        pytest.param(ACCOUNT[:-1], id="16 digits"),
        pytest.param(ACCOUNT.replace("7", "\uff17"), id="full-width digits"),
        pytest.param("https://steamcommunity.com/openid/id/76561197960265727", id="not a player"),
        pytest.param("https://steamcommunity.com/openid/id/76561999999999999", id="beyond all players"),
        pytest.param("https://steamcommunity.com/openid/id/90071992547409921", id="a game server"),
        pytest.param("https://steamcommunity.com/id/amber", id="a name instead of a number"),
    ],
)
async def test_D10_D11_mistake_25_an_identifier_of_another_shape_is_refused_without_a_call(
    community: Community, claimed: str
) -> None:
    assert await community.verdict(brought(claimed_id=claimed, identity=claimed)) == "credential_rejected"
    assert community.outbound.requests == []


async def test_D11_a_trailing_newline_is_refused(community: Community) -> None:
    returned = brought(claimed_id=f"{ACCOUNT}\n", identity=f"{ACCOUNT}\n")
    assert await community.verdict(returned) == "credential_malformed"


async def test_D11_claimed_id_and_identity_are_equal(community: Community) -> None:
    other = ACCOUNT.replace("2001", "2003")
    assert await community.verdict(brought(claimed_id=other)) == "credential_rejected"
    assert await community.verdict(brought(identity=other)) == "credential_rejected"


@pytest.mark.parametrize("steam_id", ["76561197960265728", "76561202255232001", "76561202255233023"])
async def test_mistake_28_every_player_is_let_in_whatever_the_prefix(community: Community, steam_id: str) -> None:
    account = f"https://steamcommunity.com/openid/id/{steam_id}"
    assert await community.verdict(brought(claimed_id=account, identity=account)) == "accepted"


@pytest.mark.parametrize("name", GOOD["openid.signed"].split(","))
async def test_D12_mistake_27_every_field_must_be_signed(community: Community, name: str) -> None:
    signed = ",".join(other for other in GOOD["openid.signed"].split(",") if other != name)
    assert await community.verdict(brought(signed=signed)) == "credential_rejected"
    assert community.outbound.requests == []


@pytest.mark.parametrize("more", [",mode", ",ns", ",signed", ",", ",sig"])
async def test_D13_no_other_field_may_be_named_as_signed(community: Community, more: str) -> None:
    assert await community.verdict(brought(signed=GOOD["openid.signed"] + more)) == "credential_rejected"


@pytest.mark.parametrize("ns", ["http://openid.net/signon/1.1", "http://specs.openid.net/auth/2.0/", ""])
async def test_D13_mistake_22_the_namespace_is_exact(community: Community, ns: str) -> None:
    assert await community.verdict(brought(ns=ns)) == "credential_malformed"
    assert await community.verdict(brought(without=["ns"])) == "credential_malformed"


@pytest.mark.parametrize(
    ("mode", "ends"),
    [
        ("cancel", "cancelled"),
        ("error", "credential_rejected"),
        ("setup_needed", "credential_rejected"),
        ("check_authentication", "credential_malformed"),
        ("checkid_setup", "credential_malformed"),
        ("ID_RES", "credential_malformed"),
        ("", "credential_malformed"),
    ],
)
async def test_D13_only_mode_id_res_signs_in(community: Community, mode: str, ends: str) -> None:
    assert await community.verdict(brought(mode=mode)) == ends
    assert community.outbound.requests == []


@pytest.mark.parametrize(
    ("mode", "more", "ends"),
    [
        ("cancel", {}, "cancelled"),
        ("error", {"openid.error": "Something failed", "openid.contact": "a@b.test"}, "credential_rejected"),
        ("setup_needed", {}, "credential_rejected"),
    ],
)
async def test_D13_an_answer_without_an_assertion_is_short(
    community: Community, mode: str, more: Mapping[str, str], ends: str
) -> None:
    returned = [("state", STATE), ("openid.ns", GOOD["openid.ns"]), ("openid.mode", mode), *more.items()]
    assert await community.verdict(returned) == ends


async def test_nothing_at_all_is_no_answer(community: Community) -> None:
    assert await community.verdict([("state", STATE)]) == "credential_malformed"


@pytest.mark.parametrize(
    "return_to",
    [
        pytest.param("https://players.test/login/steam/callback?state=" + STATE, id="another site"),
        pytest.param(CALLBACK, id="without a state"),
        pytest.param(f"{CALLBACK}?state=", id="an empty state"),
        pytest.param(f"{CALLBACK}?state={STATE[:-1]}F", id="another state"),
        pytest.param(f"{CALLBACK}?state={STATE}&x=1", id="with more"),
        pytest.param(f"{CALLBACK}?x=1&state={STATE}", id="with something before"),
        pytest.param(f"{CALLBACK}/?state={STATE}", id="with a slash"),
        pytest.param(f"{CALLBACK}?state={STATE}#", id="with a fragment"),
        pytest.param(f"{CALLBACK.replace('https', 'http')}?state={STATE}", id="http"),
        pytest.param(f"{CALLBACK.replace('login.studio', 'LOGIN.studio')}?state={STATE}", id="another spelling"),
    ],
)
async def test_D14_mistake_21_an_assertion_made_for_another_site_or_visit_is_refused_without_a_call(
    community: Community, return_to: str
) -> None:
    assert await community.verdict(brought(return_to=return_to)) == "credential_wrong_audience"
    assert community.outbound.requests == []


@pytest.mark.parametrize(
    ("age", "ends"),
    [(300, "accepted"), (301, "credential_expired"), (-300, "accepted"), (-301, "credential_not_yet_valid")],
)
async def test_D15_an_assertion_is_good_for_five_minutes_either_way(community: Community, age: int, ends: str) -> None:
    community.clock.now += age
    assert await community.verdict(brought()) == ends
    assert bool(community.asked) == (ends == "accepted")


@pytest.mark.parametrize(
    "nonce",
    [
        pytest.param("aB3dE5gH7jK9", id="without a time"),
        pytest.param("2026-13-21T14:13:20Zx", id="month 13"),
        pytest.param("2026-09-21T14:61:20Zx", id="minute 61"),
        pytest.param("0000-09-21T14:13:20Zx", id="year 0"),
        pytest.param("2026-09-21T14:13:20+00:00", id="another way to say UTC"),
        pytest.param("2026-09-21 14:13:20Zx", id="a space for T"),
        pytest.param("2026-09-21T14:13:20Za b", id="a space inside"),
        pytest.param("2026-09-21T14:13:20Z\u00e9", id="not ASCII"),
        pytest.param("\uff12026-09-21T14:13:20Zx", id="full-width digits"),
        pytest.param(f"2026-09-21T14:13:20Z{'x' * 236}", id="longer than 255"),
    ],
)
async def test_D15_a_nonce_begins_with_a_time_and_is_ascii(community: Community, nonce: str) -> None:
    assert await community.verdict(brought(response_nonce=nonce)) == "credential_malformed"


def test_D15_the_nonce_is_what_may_be_used_once_and_is_kept_longer_than_it_is_fresh(community: Community) -> None:
    single_use = community.openid.read(TRIP, brought()).single_use
    assert single_use is not None
    assert single_use.digest == hashlib.sha256(b"openid\n2026-09-21T14:13:20ZaB3dE5gH7jK9").digest()
    assert (single_use.keep, single_use.take_over) == (900, True)


def test_D15_the_same_nonce_is_the_same_use_whatever_else_is_said(community: Community) -> None:
    other = ACCOUNT.replace("2001", "2003")
    again = community.openid.read(TRIP, brought(claimed_id=other, identity=other, sig="AA==", assoc_handle="1"))
    fresh = community.openid.read(TRIP, brought(response_nonce=f"{NONCE}x"))
    first = community.openid.read(TRIP, brought())
    assert first.single_use == again.single_use != fresh.single_use


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("text", ["", "https://evil.test/"])
async def test_D19_mistake_23_a_repeated_field_is_refused(community: Community, name: str, text: str) -> None:
    assert await community.verdict(brought(more=[(name, text)])) == "credential_malformed"
    assert await community.verdict(brought(more=[(name, GOOD[name])])) == "credential_malformed"
    assert community.outbound.requests == []


@pytest.mark.parametrize("name", GOOD)
async def test_D19_every_field_is_there_and_says_something(community: Community, name: str) -> None:
    short = name.removeprefix("openid.")
    assert await community.verdict(brought(without=[short])) == "credential_malformed"
    assert await community.verdict(brought(more=(), **{short: ""})) == "credential_malformed"


@pytest.mark.parametrize(
    "name",
    [
        "openid.ns.sreg",
        "openid.sreg.nickname",
        "openid.invalidate_handle",
        "openid_claimed_id",
        "openid_mode",
        "OpenID.mode",
    ],
)
async def test_D19_an_unknown_openid_name_is_refused(community: Community, name: str) -> None:
    assert await community.verdict(brought(more=[(name, "x")])) == "credential_malformed"


@pytest.mark.parametrize("text", ["\0", "\x1f", "\x7f", "\x85", "\u2028", "\udcff"], ids=ascii)
async def test_D19_mistake_24_control_characters_are_refused_wherever_they_stand(
    community: Community, text: str
) -> None:
    assert await community.verdict(brought(sig=GOOD["openid.sig"] + text)) == "credential_malformed"
    assert await community.verdict(brought(more=[("x", f"a{text}")])) == "credential_malformed"
    assert await community.verdict(brought(more=[(f"a{text}", "x")])) == "credential_malformed"


async def test_D19_the_state_came_once_and_is_the_trips(community: Community) -> None:
    assert await community.verdict(brought()[1:]) == "credential_malformed"
    assert await community.verdict(brought(more=[("state", STATE)])) == "credential_malformed"
    assert await community.verdict([("state", "other"), *brought()[1:]]) == "credential_malformed"


async def test_D19_pollution_is_found_before_a_cancelled_sign_in_is_believed(community: Community) -> None:
    assert await community.verdict(brought(mode="cancel", more=[("openid.mode", "cancel")])) == "credential_malformed"


# Steam's word


async def test_D10_D16_mistake_26_steam_is_asked_at_its_fixed_address_with_the_ten_fields_only(
    community: Community,
) -> None:
    await community.verdict(brought(more=[("utm_source", "x")]))
    (request,) = community.outbound.requests
    assert (request.method, str(request.url)) == ("POST", "https://steamcommunity.com/openid/login")
    assert request.headers["origin"] == "https://steamcommunity.com"
    assert request.headers["referer"] == "https://steamcommunity.com/"
    assert community.asked == [{**GOOD, "openid.mode": "check_authentication"}]


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        pytest.param(VALID, "accepted", id="valid"),
        pytest.param(b"is_valid:true\nns:http://specs.openid.net/auth/2.0\n", "accepted", id="the other order"),
        pytest.param(VALID.replace(b"true", b"false"), "credential_rejected", id="invalid"),
        pytest.param(b"", "unavailable", id="empty"),
        pytest.param(b"is_valid:true\n", "unavailable", id="no namespace"),
        pytest.param(VALID.replace(b"2.0", b"1.1"), "unavailable", id="another namespace"),
        pytest.param(b"ns:http://specs.openid.net/auth/2.0\n", "unavailable", id="no word"),
        pytest.param(VALID.replace(b"true", b"maybe"), "unavailable", id="maybe"),
        pytest.param(VALID.replace(b"true", b"TRUE"), "unavailable", id="upper case"),
        pytest.param(VALID.replace(b"true", b" true"), "unavailable", id="a space"),
        pytest.param(VALID.replace(b"true", b"true\r"), "unavailable", id="a carriage return"),
        pytest.param(VALID.replace(b"true", b"truely"), "unavailable", id="more than true"),
        pytest.param(VALID.replace(b"is_valid", b"not is_valid"), "unavailable", id="inside a line"),
        pytest.param(VALID + b"is_valid:false\n", "unavailable", id="both"),
        pytest.param(VALID + b"is_valid:maybe\n", "unavailable", id="true and maybe"),
        pytest.param(VALID + b"is_valid:true\n", "unavailable", id="true twice"),
        pytest.param(b"<html>is_valid:true</html>", "unavailable", id="markup"),
        pytest.param(VALID + b"x" * 4096, "unavailable", id="too large"),
    ],
)
async def test_D16_mistake_27_only_the_exact_lines_are_a_yes(community: Community, body: bytes, ends: str) -> None:
    community.answer = Response(body)
    assert await community.verdict(brought()) == ends


@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504])
async def test_D17_mistake_29_any_other_status_is_an_outage_and_never_a_yes(community: Community, status: int) -> None:
    community.answer = Response(VALID, status, {"Retry-After": "17", "Location": "https://steamcommunity.com/"})
    with pytest.raises(PlatformUnavailable) as unavailable:
        await community.openid.confirm(community.openid.read(TRIP, brought()))
    assert unavailable.value.retry_after == 17
    assert len(community.outbound.requests) == 1


@pytest.mark.parametrize("outage", OUTAGES)
async def test_D17_an_outage_is_never_a_sign_in_and_never_the_players_fault(
    community: Community, outage: Outage
) -> None:
    community.outbound.outage = outage
    assert await community.verdict(brought()) == "unavailable"
