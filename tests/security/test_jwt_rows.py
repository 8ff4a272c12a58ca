"""Group C of the security checklist at every door that takes a JWT of ours, over a socket; and B43 to B45.

The attacks of a row stand in `tests/support/jwt_attacks.py`, the doors in `tests/support/jwt_doors.py`, and what proves
each row here and elsewhere in `test_jwt_proofs.py`.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import get_args

import pytest
import pytest_asyncio

from authsrv.models import SigningAlgorithm
from authsrv.oauth.own_tokens import LEEWAY, MAX_LENGTH
from authsrv.storage.changes import SetProfile
from tests.oidc.clients import player_of
from tests.support.browser import Browser
from tests.support.jwt_attacks import attacks
from tests.support.jwt_doors import DOORS, LOGOUT, USERINFO, Door, Stage, in_the_header, staged, to_revoke
from tests.support.jwt_forging import Json, ahead, flipped, header
from tests.support.refusals import clients
from tests.support.registration import bearer
from tests.support.server import ISSUER

ALGORITHMS: tuple[SigningAlgorithm, ...] = get_args(SigningAlgorithm)
ABOUT_KEYS = {"C01", "C02", "C20", "C22", "C24", "C25", "C26"}
"""Rows that are tried on a token of every algorithm."""
TOO_LARGE = {400, 413, 414, 431}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One for all attacks, with a key of every algorithm: none of them changes anything."""

    def every_algorithm(block: Json) -> None:
        block["keys"] = {"algorithms": list(ALGORITHMS)}

    async with staged(every_algorithm) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strangers(stage: Stage) -> Mapping[str, str]:
    """A token of every kind that the server gives out or meets, by what it is; those of a door's kind begin by it."""
    server, claims = stage.server, stage.server.claims(stage.tokens["id_token"])
    good = stage.good("id", "ES256")
    common = {name: claims[name] for name in ("iss", "aud", "sub")}
    times = {name: claims[name] for name in ("iat", "exp")}
    proof = {"htm": "GET", "htu": f"{ISSUER}{USERINFO}", "jti": "p1", **times}
    assertion = {**common, **times, "iss": "shop", "sub": "shop", "aud": ISSUER, "jti": "a1"}
    return {
        "access token": stage.tokens["access_token"],
        "id token": stage.tokens["id_token"],
        "UserInfo as a JWT": good.made(claims={**common, "name": "Amber"}),
        "logout token": await logout_token(stage),
        "revocation feed": (await server.http.get("/oauth2/revocations")).text,
        "xsolla token": stage.tokens["xsolla_token"],
        "continuation token": stage.tokens["continuation_token"],
        "DPoP proof": good.made(header=good.header | {"typ": "dpop+jwt", "jwk": dict(good.key.jwk)}, claims=proof),
        "client assertion": good.made(claims=assertion),
        "Epic's id_token": server.mint("epicgames", kind="id_token").text,
        "Xbox's token": server.mint("xbox").text.partition(";")[2],
        "code": (await stage.browser.authorize(prompt="none")).answer["code"],
        "cookie": next(iter(stage.browser.cookies.values())),
    }


async def logout_token(stage: Stage) -> str:
    """What the shop is told when somebody signs out."""
    elsewhere = Browser(stage.server)
    tokens = await elsewhere.tokens(player="birch")
    await elsewhere.open(LOGOUT, id_token_hint=tokens["id_token"])
    await stage.server.app.notices.round()
    return stage.server.notified.got[-1][1]["logout_token"]


at_every_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def opened_by(stage: Stage, door: Door, row: str) -> list[str]:
    """The attacks of a row that were not refused exactly as the door refuses, or that left a trace."""
    return [
        f"{alg}, {name}: {wrong}"
        for alg in (ALGORITHMS if row in ABOUT_KEYS else ALGORITHMS[:1])
        for name, make in attacks(row, door.kind).items()
        if (wrong := await wrong_with(stage, door, make(stage.good(door.kind, alg))))
    ]


async def wrong_with(stage: Stage, door: Door, text: str) -> str:
    """What is wrong with the answer to a bad token; nothing if nothing is."""
    before = stage.traces()
    answer = await door.present(stage, text)
    if stage.traces() != before:
        return "something was written, or somebody called"
    too_long = len(text) > MAX_LENGTH and (answer.status_code in TOO_LARGE or "invalid_request" in door.read(answer))
    return "" if too_long or door.read(answer) == door.refusal else f"{door.read(answer)} {answer.text[:200]}"


@at_every_door
async def test_the_control_a_good_token_opens_its_door(door: Door) -> None:
    async with staged() as own:
        before = own.traces()
        answer = await door.present(own, own.good(door.kind, "ES256").text)
        assert (door.read(answer), own.traces() != before) == (door.opened, door.writes)


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_the_control_a_good_token_is_good_by_every_key(stage: Stage, alg: SigningAlgorithm) -> None:
    assert (await in_the_header(stage, stage.good("access", alg).text)).status_code == 200


@at_every_door
async def test_C01_what_nobody_signed_opens_nothing(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C01") == []


@at_every_door
async def test_C02_a_public_key_is_no_secret(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C02") == []


@at_every_door
async def test_C03_a_key_that_the_header_brings_or_names_is_neither_used_nor_fetched(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C03") == []


@at_every_door
async def test_C04_a_header_that_demands_something_is_refused(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C04") == []


@at_every_door
async def test_C05_a_payload_is_encoded_and_in_its_place(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C05") == []


@at_every_door
async def test_C06_only_the_compact_form_is_read(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C06") == []


@at_every_door
async def test_C07_what_is_encrypted_to_us_proves_nothing(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C07") == []


@at_every_door
async def test_C08_nothing_is_inflated(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C08") == []


@at_every_door
async def test_C09_no_header_says_how_long_we_compute(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C09") == []


@at_every_door
async def test_C10_nobody_learns_what_an_encrypted_key_holds(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C10") == []
    good = stage.good(door.kind, "RS256")
    bad = [await door.present(stage, make(good)) for make in attacks("C10", door.kind).values()]
    assert len({(answer.status_code, without_randomness(answer.text)) for answer in bad}) == 1


def without_randomness(text: str) -> str:
    """An answer without what is new in each: the page's nonce, the reference into the log."""
    return re.sub(r'nonce="[^"]*"|<code id="reference">[0-9a-f]*</code>', "", text)


@at_every_door
async def test_C11_a_point_off_the_curve_is_refused(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C11") == []


@at_every_door
async def test_C12_a_token_for_a_thousand_recipients_is_not_even_read(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C12") == []


@at_every_door
async def test_C13_size_dots_and_depth_are_refused(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C13") == []


@at_every_door
async def test_C14_odd_json_is_refused_though_it_is_well_signed(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C14") == []


@at_every_door
async def test_C15_a_token_is_good_in_its_time_alone(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C15") == []


@pytest.mark.parametrize("door", [door for door in DOORS if not door.is_exact], ids=lambda door: door.name)
@pytest.mark.parametrize("name", ["iat", "nbf"])
async def test_C15_the_clock_of_another_node_may_be_a_minute_ahead(door: Door, name: str) -> None:
    async with staged() as own:
        text = ahead(name, LEEWAY)(own.good(door.kind, "ES256"))
        assert door.read(await door.present(own, text)) == door.opened


@at_every_door
async def test_C16_every_claim_is_there_and_of_its_type(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C16") == []


@at_every_door
async def test_C17_issuer_and_audience_are_compared_exactly(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C17") == []


@at_every_door
async def test_C18_a_token_of_another_type_is_another_token(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C18") == []


@at_every_door
async def test_C18_no_other_token_that_we_know_opens_it(stage: Stage, door: Door, strangers: Mapping[str, str]) -> None:
    known = tuple(f"{kind} " for kind in (door.kind, *door.also))
    others = {name: text for name, text in strangers.items() if not name.startswith(known)}
    wrong = {name: await wrong_with(stage, door, text) for name, text in others.items()}
    assert {name: text for name, text in wrong.items() if text} == {}


@at_every_door
async def test_C19_times_are_whole_numbers(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C19") == []


@at_every_door
async def test_C20_the_algorithm_is_that_of_the_key(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C20") == []


@at_every_door
async def test_C21_a_flood_of_unknown_key_ids_fetches_nothing(stage: Stage, door: Door) -> None:
    good = stage.good(door.kind, "ES256")
    wrong = [await wrong_with(stage, door, header(kid=f"kid-{number}")(good)) for number in range(40)]
    assert set(wrong) == {""}


@at_every_door
async def test_C22_a_key_id_is_only_looked_up(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C22") == []


async def published(stage: Stage) -> list[Json]:
    found: list[Json] = (await stage.server.http.get("/oauth2/jwks")).json()["keys"]
    assert len(found) >= len(ALGORITHMS)
    return found


async def test_C23_the_published_keys_have_public_members_only(stage: Stage) -> None:
    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    assert [key for key in await published(stage) if private & key.keys()] == []


async def test_C24_each_published_key_has_an_id_of_its_own_and_one_algorithm(stage: Stage) -> None:
    keys = await published(stage)
    assert len({key["kid"] for key in keys}) == len(keys)
    assert len({(key.get("n"), key.get("x")) for key in keys}) == len(keys)
    assert all(isinstance(key["alg"], str) and key["use"] == "sig" for key in keys)


@at_every_door
async def test_C24_a_key_is_for_one_algorithm(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C24") == []


@at_every_door
async def test_C25_a_token_has_one_spelling(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C25") == []


@pytest.mark.parametrize("mirrored", [False, True])
async def test_C25_the_other_signature_of_a_token_is_revoked_with_it(mirrored: bool) -> None:
    """Anybody can turn an ECDSA signature into a second good one, so nothing may be remembered by a token's text."""

    def one_by_one(block: Json) -> None:
        clients(block)["shop"] |= {"revoke_grant_with_access_token": False}

    async with staged(one_by_one) as own:
        good = own.good("access", "ES256")
        texts = [good.text, flipped(good)]
        assert [(await in_the_header(own, text)).status_code for text in texts] == [200, 200]
        await to_revoke(own, texts[mirrored])
        assert [(await in_the_header(own, text)).status_code for text in texts] == [401, 401]


@at_every_door
async def test_C26_a_signature_is_two_numbers_of_the_right_size_and_ours(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C26") == []


@at_every_door
async def test_C29_the_subject_is_a_text_that_is_not_empty(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C29") == []


RESERVED: Json = {
    "iss": "https://evil.example",
    "sub": "00000000-0000-4000-8000-000000000000",
    "aud": "evil",
    "exp": 9_999_999_999,
    "iat": 1,
    "jti": "evil",
    "client_id": "evil",
    "scope": "openid admin",
    "gid": "A" * 22,
    "sid": "evil",
    "nonce": "evil",
    "amr": ["evil"],
    "at_hash": "evil",
    "token_use": "access",
    "cnf": {"jkt": "evil"},
}


async def test_C30_neither_a_profile_nor_a_scope_sets_a_claim_of_ours() -> None:
    def any_scope(block: Json) -> None:
        clients(block)["shop"] |= {"extra_scopes": sorted(RESERVED)}

    async with staged(any_scope) as own:
        player = await player_of(own.server)
        await own.server.app.storage.apply([SetProfile(player.id, json.dumps({"name": "Amber Ochre", **RESERVED}))])
        before = own.server.claims(own.tokens["id_token"])
        scope = " ".join(["openid", "profile", *RESERVED])
        tokens = await own.browser.tokens_at_once(scope=scope, claims='{"id_token": {"name": null, "iss": null}}')
        told = [own.server.claims(tokens[name]) for name in ("id_token", "access_token")]
        told.append((await own.browser.userinfo(tokens["access_token"])).json())
        assert told[0]["name"] == told[2]["name"] == "Amber Ochre"
        assert [claims["sub"] for claims in told] == [before["sub"]] * 3
        assert [claims["iss"] for claims in told[:2]] == [ISSUER, ISSUER]
        assert told[1]["scope"] == scope
        kept = {name: value for claims in told for name, value in claims.items() if name != "scope"}
        assert [name for name, value in RESERVED.items() if kept.get(name) == value] == []


async def test_C31_the_published_keys_are_strong_enough(stage: Stage) -> None:
    keys = await published(stage)
    assert {(key["kty"], key.get("crv")) for key in keys} == {("EC", "P-256"), ("OKP", "Ed25519"), ("RSA", None)}
    assert min(len(key["n"]) * 6 for key in keys if key["kty"] == "RSA") >= 2048


@at_every_door
async def test_C33_a_token_of_another_server_is_no_token_here(stage: Stage, door: Door) -> None:
    assert await opened_by(stage, door, "C33") == []


# --- bearer tokens at UserInfo ---


async def test_B43_a_token_in_the_address_is_not_looked_at(stage: Stage) -> None:
    token = stage.good("access", "ES256").text
    for method in ("GET", "POST"):
        answer = await stage.server.http.request(method, USERINFO, params={"access_token": token})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="authsrv"')


async def test_B44_a_token_comes_by_one_way(stage: Stage) -> None:
    token = stage.good("access", "ES256").text
    http = stage.server.http
    both = await http.post(USERINFO, data={"access_token": token}, headers=bearer(token))
    twice = await http.get(USERINFO, headers=[("authorization", f"Bearer {token}")] * 2)
    repeated = await http.post(USERINFO, data={"access_token": [token, token]})
    for answer in (both, twice, repeated):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_B45_an_expired_token_or_an_id_token_is_no_access_token(stage: Stage) -> None:
    expired = ahead("exp", 0)(stage.good("access", "ES256"))
    for text in (expired, stage.tokens["id_token"], stage.good("id", "ES256").text):
        answer = await in_the_header(stage, text)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_B45_UserInfo_takes_our_own_token_for_whomever_it_was_made() -> None:
    """It is the one resource that every token with openid is for; a token for nobody is refused all the same."""

    def for_match(block: Json) -> None:
        clients(block)["shop"] |= {"audiences": ["https://match.example"]}

    async with staged(for_match) as own:
        tokens = await own.browser.tokens_at_once(audience="https://match.example")
        assert own.server.claims(tokens["access_token"])["aud"] == "https://match.example"
        assert (await in_the_header(own, tokens["access_token"])).status_code == 200
        nobodys = own.good("access", "ES256")
        assert (await in_the_header(own, nobodys.made(claims=nobodys.claims | {"aud": []}))).status_code == 401
