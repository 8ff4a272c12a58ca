"""How the verifier keeps the issuer's keys: by their headers, through outages and rotations, and never for a flood."""

import asyncio
import json
import logging
from typing import Any

import pytest

from authsrv.verify import InsufficientScope, InvalidToken, Unavailable, Verifier
from tests.support.token_source import (
    AUDIENCE,
    FEED,
    ISSUER,
    JWKS,
    METADATA,
    NOW,
    PLAYER,
    Answer,
    Rounds,
    TokenSource,
    public_jwk,
)


async def test_a_verifier_needs_the_issuer_and_nothing_else() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        token = await verifier.verify(source.token(), scope="match:join")
        assert (token.sub, token.client_id) == (PLAYER, "launcher")
        with pytest.raises(InsufficientScope):
            await verifier.verify(source.token(), scope="match:end")
    assert [path for path, _ in source.requests] == [METADATA, JWKS, FEED]


async def test_with_given_addresses_no_metadata_is_asked_for() -> None:
    source = TokenSource()
    async with source.verifier(jwks_uri=ISSUER + JWKS, revocation_feed_uri=ISSUER + FEED) as verifier:
        await verifier.verify(source.token())
    assert [path for path, _ in source.requests] == [JWKS, FEED]


@pytest.mark.parametrize(
    ("cache_control", "fresh_for"),
    [
        ("public, max-age=3600", 3600),
        ("max-age=600", 600),
        ("MAX-AGE=600, must-revalidate", 600),
        ("max-age=1", 60),
        ("max-age=0", 60),
        ("no-cache", 60),
        ("no-store, max-age=600", 60),
        ("max-age=604800", 86400),
        ("max-age=9999999999", 86400),
        ("s-maxage=60", 3600),
        ("max-age=soon", 3600),
        ("", 3600),
    ],
)
async def test_keys_are_asked_for_again_when_their_headers_say_within_bounds(
    cache_control: str, fresh_for: int
) -> None:
    source, rounds = TokenSource(max_age=cache_control), Rounds()
    async with source.verifier(sleep=rounds.sleep):
        source.now += fresh_for - 1
        await rounds.next()
        assert source.asked(JWKS) == 1
        source.now += 1
        await rounds.next()
        assert source.asked(JWKS) == 2


async def test_keys_that_did_not_change_are_not_sent_again() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        tag = source.document(JWKS).headers["etag"]
        for _ in range(2):
            source.now += 3600
            await rounds.next()
        sent = [headers.get("if-none-match") for path, headers in source.requests if path == JWKS]
        assert sent == [None, tag, tag]
        await verifier.verify(source.token())


async def test_a_clock_that_was_set_back_does_not_keep_old_keys() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep):
        source.now -= 86400
        await rounds.next()
        assert source.asked(JWKS) == 2


async def test_an_announced_key_verifies_from_its_first_token_on_without_a_request() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        source.keys = {**source.keys, "k2": "ES256"}
        source.now += 3600
        await rounds.next()
        asked = len(source.requests)
        await verifier.verify(source.token("k2"))
        await verifier.verify(source.token("k1"))
        assert len(source.requests) == asked


async def test_a_key_that_nobody_announced_is_fetched_with_its_first_token() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        source.keys = {"k2": "EdDSA"}
        await verifier.verify(source.token("k2", "EdDSA"))
        with pytest.raises(InvalidToken, match="an unknown key"):
            await verifier.verify(source.token("k1"))
        assert source.asked(JWKS) == 2


async def test_a_flood_keeps_a_new_key_out_for_one_cool_down_at_most() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        with pytest.raises(InvalidToken):
            await verifier.verify(source.token("flood"))
        source.keys = {**source.keys, "k2": "ES256"}
        source.now += 59
        with pytest.raises(InvalidToken):
            await verifier.verify(source.token("k2"))
        source.now += 1
        await verifier.verify(source.token("k2"))


async def test_many_requests_with_one_new_key_wait_for_one_fetch() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        gate = asyncio.Event()
        source.keys = {"k2": "ES256"}
        source.answers[JWKS] = Answer(200, {}, source.key_set(), gate)
        waiting = [asyncio.create_task(verifier.verify(source.token("k2"))) for _ in range(100)]
        await asyncio.sleep(0)
        assert (await verifier.verify(source.token("k1"))).kid == "k1"  # nobody else waits
        gate.set()
        assert {token.kid for token in await asyncio.gather(*waiting)} == {"k2"}
        assert source.asked(JWKS) == 2


async def test_a_request_that_is_given_up_does_not_end_the_fetch_of_the_others() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        gate = asyncio.Event()
        source.keys = {"k2": "ES256"}
        source.answers[JWKS] = Answer(200, {}, source.key_set(), gate)
        first, second = (asyncio.create_task(verifier.verify(source.token("k2"))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gate.set()
        assert (await second).kid == "k2"


BAD_KEY_SETS: dict[str, Answer] = {
    "500": Answer(500, body=b'{"keys":[]}'),
    "404": Answer(404),
    "redirect": Answer(302, {"location": "https://attacker.example/keys"}),
    "no-json": Answer(body=b"<html>"),
    "no-keys": Answer(body=b'{"keys":[]}'),
    "too-large": Answer(body=b" " * (256 * 1024) + TokenSource(keys={"k1": "ES256", "k2": "ES256"}).key_set()),
}


@pytest.mark.parametrize("answer", BAD_KEY_SETS.values(), ids=BAD_KEY_SETS.keys())
async def test_known_keys_stay_while_the_server_has_none_to_give(answer: Answer) -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        source.answers[JWKS] = answer
        source.now += 3600
        for _ in range(3):
            await rounds.next()
            source.now += 30
        await verifier.verify(source.token())
        assert source.asked(JWKS) == 4  # each poll tries again
        with pytest.raises(Unavailable) as unavailable:
            await verifier.verify(source.token("k2"))
        assert unavailable.value.retry_after == 60
        del source.answers[JWKS]
        await rounds.next()
        with pytest.raises(InvalidToken, match="an unknown key"):
            await verifier.verify(source.token("k2"))


async def test_a_fetch_that_failed_is_made_up_for_at_the_next_poll_although_the_keys_are_fresh() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        source.answers[JWKS] = Answer(500)
        with pytest.raises(Unavailable):
            await verifier.verify(source.token("k2"))
        source.answers, source.keys = {}, {"k2": "ES256", **source.keys}
        await rounds.next()
        await verifier.verify(source.token("k2"))
        assert source.asked(JWKS) == 3


async def test_a_server_that_is_down_at_the_begin_is_waited_for() -> None:
    source, rounds = TokenSource(down=True), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())
        source.down = False
        await rounds.next()
        await verifier.verify(source.token())
        assert rounds.lengths == [30, 30]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": "https://attacker.example"},
        {"issuer": None},
        {"jwks_uri": "http://login.studio.example/oauth2/jwks"},
        {"jwks_uri": "file:///etc/keys.json"},
        {"jwks_uri": ""},
        {"jwks_uri": 7},
        {"revocation_feed_uri": "http://login.studio.example/oauth2/revocations"},
        {"revocation_feed_uri": "ftp://login.studio.example/"},
        {"revocation_feed_uri": ["x"]},
    ],
    ids=str,
)
async def test_C32_metadata_of_another_issuer_or_with_addresses_in_clear_is_not_believed(
    metadata: dict[str, Any],
) -> None:
    source = TokenSource()
    told = {"issuer": ISSUER, "jwks_uri": ISSUER + JWKS, "revocation_feed_uri": ISSUER + FEED} | metadata
    source.answers[METADATA] = Answer(body=json.dumps(told).encode())
    async with source.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())


@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer": "http://login.studio.example"},
        {"issuer": "login.studio.example"},
        {"issuer": ""},
        {"issuer": ISSUER + "/"},
        {"issuer": ISSUER, "jwks_uri": "file:///keys"},
        {"issuer": ISSUER, "jwks_uri": "http://keys.studio.example"},
        {"issuer": ISSUER, "revocation_feed_uri": "http://feed.studio.example"},
        {"issuer": ISSUER, "audience": ""},
    ],
    ids=str,
)
def test_C32_a_verifier_is_not_made_with_addresses_in_clear_or_a_slash_too_many(
    arguments: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=r"."):
        Verifier(**{"audience": AUDIENCE, **arguments})


async def test_what_a_fetch_of_ones_own_raises_is_an_outage_and_no_more() -> None:
    source = TokenSource()

    async def broken(url: str, headers: Any, max_body: int) -> Any:
        raise KeyError(url)

    async with source.verifier(fetch=broken) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())


async def test_an_outage_is_told_to_the_log_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    source, rounds = TokenSource(), Rounds()
    caplog.set_level(logging.INFO, "authsrv.verify")
    async with source.verifier(sleep=rounds.sleep):
        source.answers[FEED] = Answer(body=source.feed()[:-4].encode() + b"\xff\xfe\xfd")
        for _ in range(3):
            await rounds.next()
        del source.answers[FEED]
        await rounds.next()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert all(record.getMessage().startswith("revocation feed: ") for record in caplog.records)
    assert len(caplog.text) < 500


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"issuer": "https://login.studio.test"}, f"the metadata is of 'https://login.studio.test', not of '{ISSUER}'"),
        ({"issuer": "x" * 1000}, f"the metadata is of '{'x' * 199}, not of '{ISSUER}'"),
        (["x"], "the metadata is no object"),
    ],
    ids=["another issuer", "a long one", "a list"],
)
async def test_who_finds_no_metadata_of_its_issuer_reads_in_the_log_why(
    metadata: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = TokenSource()
    source.answers[METADATA] = Answer(body=json.dumps(metadata).encode())
    async with source.verifier():
        assert caplog.messages[0].startswith("metadata: not refreshed, there is none yet: ")
        assert said in caplog.messages[0]


async def test_the_log_says_that_a_document_stays_in_use(caplog: pytest.LogCaptureFixture) -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep):
        source.down = True
        await rounds.next()
    assert caplog.messages[0].startswith("revocation feed: not refreshed, the last good one stays in use: ")


async def test_a_verifier_works_between_its_begin_and_its_end_and_may_begin_again() -> None:
    source = TokenSource()
    verifier = source.verifier()
    with pytest.raises(RuntimeError):
        await verifier.verify(source.token())
    for _ in range(2):
        async with verifier:
            await verifier.verify(source.token())
            with pytest.raises(RuntimeError):
                await verifier.__aenter__()
        with pytest.raises(RuntimeError):
            await verifier.verify(source.token())


async def test_nothing_runs_on_after_the_end() -> None:
    source = TokenSource()
    before = asyncio.all_tasks()
    async with source.verifier() as verifier:
        source.answers[JWKS] = Answer(gate=asyncio.Event())
        waiting = asyncio.create_task(verifier.verify(source.token("k2")))
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before <= {waiting}
    await asyncio.gather(waiting, return_exceptions=True)


async def test_an_answer_that_nothing_changed_is_no_answer_to_the_first_question() -> None:
    source = TokenSource()
    source.answers[JWKS] = Answer(304)
    async with source.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())


async def test_keys_rotate_for_a_month_and_no_token_is_refused_or_costs_a_request() -> None:
    """A key is published for a day before it signs, and for a day after it has stopped; both ends by the hour."""
    day, hour = 86400, 3600
    source, rounds = TokenSource(max_age=f"public, max-age={day - hour}", keys={"k1": "ES256", "k2": "ES256"}), Rounds()
    async with source.verifier(sleep=rounds.sleep, on_stale="accept") as verifier:
        for step in range(24, 30 * 24):
            source.now = NOW + step * hour
            today = step // 24
            source.keys = {f"k{number}": "ES256" for number in (today - 1, today, today + 1)}
            source.feed_key = (f"k{today}", "ES256")
            await rounds.next()
            await verifier.verify(source.token(f"k{today}"))
            await verifier.verify(source.token(f"k{today - 1}", iat=int(source.now) - hour))
        assert source.asked(JWKS) <= 1 + 30 * 24 // 23


async def test_the_set_may_hold_keys_of_every_kind_and_strange_ones() -> None:
    source = TokenSource(keys={"k1": "ES256", "r1": "RS256", "p1": "PS256", "e1": "EdDSA"})
    strange = {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AAAA"}
    body = json.dumps({"keys": [strange, *(public_jwk(kid, alg) for kid, alg in source.keys.items())]}).encode()
    source.answers[JWKS] = Answer(body=body)
    async with source.verifier() as verifier:
        for kid, alg in source.keys.items():
            assert (await verifier.verify(source.token(kid, alg))).kid == kid
