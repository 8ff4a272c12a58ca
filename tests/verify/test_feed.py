"""The revocation feed: what it ends, when it is believed, and how soon it acts."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authsrv.verify import Feed, InvalidToken, Unavailable, read_feed, read_key_set
from tests.support.token_source import FEED, ISSUER, JWKS, NOW, PLAYER, Answer, Rounds, TokenSource, compact

JTI, GID = "Fc5lVtozXHveZOKRabnfn0m9", "fBREjZbHHQG1hV56hzZ2eQ"


def read(source: TokenSource, body: str, previous: Feed | None = None) -> Feed:
    return read_feed(body, keys=read_key_set(source.key_set()), issuer=ISSUER, now=source.now, previous=previous)


async def outcome(source: TokenSource, text: str) -> str:
    """`accepted`, or why not."""
    async with source.verifier() as verifier:
        try:
            await verifier.verify(text)
        except InvalidToken as refused:
            return refused.reason
    return "accepted"


@pytest.mark.parametrize(
    ("revoked", "ends"),
    [
        ({"jti": [JTI]}, True),
        ({"jti": ["another"]}, False),
        ({"gid": [GID]}, True),
        ({"gid": [JTI]}, False),
        ({"not_before": {PLAYER: NOW + 1}}, True),
        ({"not_before": {PLAYER: NOW}}, False),
        ({"not_before": {"another": NOW + 1}}, False),
        ({"not_before": {"launcher": NOW + 1}}, False),
        ({"clients": {"launcher": NOW + 1}}, True),
        ({"clients": {"launcher": NOW}}, False),
        ({"clients": {PLAYER: NOW + 1}}, False),
        ({"not_before": {PLAYER: NOW - 5}, "clients": {"launcher": NOW + 1}}, True),
        ({"not_before": {PLAYER: NOW + 1}, "clients": {"launcher": NOW - 5}}, True),
        ({"kid": ["k2"]}, False),
    ],
    ids=str,
)
async def test_what_the_feed_ends(revoked: dict[str, Any], ends: bool) -> None:
    source = TokenSource(revoked=revoked)
    assert await outcome(source, source.token()) == ("revoked" if ends else "accepted")


@pytest.mark.parametrize(
    ("revoked", "ends"),
    [
        ({"jti": ["first"]}, True),
        ({"jti": [JTI]}, True),
        ({"clients": {"game": NOW + 1}}, True),
        ({"clients": {"game": NOW}}, False),
        ({"clients": {"launcher": NOW + 1}}, True),
        ({"gid": ["first"]}, False),
        ({"not_before": {"game": NOW + 1}}, False),
    ],
    ids=str,
)
async def test_what_the_feed_ends_ends_with_what_was_made_of_it(revoked: dict[str, Any], ends: bool) -> None:
    source = TokenSource(revoked=revoked)
    exchanged = source.token(origin_jti="first", origin_client_id="game")
    assert await outcome(source, exchanged) == ("revoked" if ends else "accepted")


@pytest.mark.parametrize("name", ["origin_jti", "origin_client_id"])
@pytest.mark.parametrize("value", ["", 7, True, None, ["first"], {"jti": "first"}], ids=str)
async def test_an_origin_that_is_no_text_is_refused(name: str, value: object) -> None:
    source = TokenSource()
    claims = {"origin_jti": "first", "origin_client_id": "game"} | {name: value}
    found = await outcome(source, source.token(**claims))
    assert found == ("accepted" if value is None else f"{name} is missing or no text")


async def test_a_token_without_a_login_is_not_ended_by_logins() -> None:
    source = TokenSource(revoked={"gid": [GID]})
    assert await outcome(source, source.token(gid=None)) == "accepted"


async def test_a_token_made_after_the_ban_is_good_again() -> None:
    source = TokenSource(revoked={"not_before": {PLAYER: NOW + 1}})
    assert await outcome(source, source.token(iat=NOW)) == "revoked"
    assert await outcome(source, source.token(iat=NOW + 1)) == "accepted"


async def test_everything_signed_by_a_revoked_key_ends_although_the_key_set_still_has_it() -> None:
    source = TokenSource(keys={"k1": "ES256", "k2": "ES256"}, revoked={"kid": ["k1"]}, feed_key=("k2", "ES256"))
    assert await outcome(source, source.token("k1")) == "revoked"
    assert await outcome(source, source.token("k2")) == "accepted"


async def test_tokens_of_the_xsolla_profile_end_as_well() -> None:
    source = TokenSource(revoked={"gid": [GID]})
    async with source.verifier(xsolla_project="5b3a1c52-0000-4000-8000-000000000001") as verifier:
        with pytest.raises(InvalidToken, match="revoked"):
            await verifier.verify(source.xsolla_token())


NOT_BELIEVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "access-token-type": ({"typ": "at+jwt"}, {}),
    "jwt-type": ({"typ": "JWT"}, {}),
    "no-algorithm": ({"alg": "none"}, {}),
    "critical": ({"crit": ["x"]}, {}),
    "another-key": ({"kid": "k2"}, {}),
    "another-issuer": ({}, {"iss": "https://login.studio.example/"}),
    "no-issuer": ({}, {"iss": None}),
    "expired": ({}, {"exp": NOW - 60}),
    "no-end": ({}, {"exp": None}),
    "no-begin": ({}, {"iat": None}),
    "of-tomorrow": ({}, {"iat": NOW + 61}),
    "text-as-time": ({}, {"iat": str(NOW)}),
    "no-poll": ({}, {"poll": None}),
    "no-jti": ({}, {"jti": None}),
    "no-gid": ({}, {"gid": None}),
    "no-not-before": ({}, {"not_before": None}),
    "no-clients": ({}, {"clients": None}),
    "no-kid": ({}, {"kid": None}),
    "jti-is-text": ({}, {"jti": JTI}),
    "gid-of-numbers": ({}, {"gid": [1]}),
    "gid-with-empty-text": ({}, {"gid": [""]}),
    "not-before-is-list": ({}, {"not_before": [PLAYER]}),
    "not-before-of-texts": ({}, {"not_before": {PLAYER: str(NOW)}}),
    "clients-of-truths": ({}, {"clients": {"launcher": True}}),
    "revokes-its-own-key": ({}, {"kid": ["k1"]}),
}


@pytest.mark.parametrize(("header", "claims"), NOT_BELIEVED.values(), ids=NOT_BELIEVED.keys())
def test_a_feed_that_is_not_believed(header: dict[str, Any], claims: dict[str, Any]) -> None:
    source = TokenSource()
    with pytest.raises(InvalidToken):
        read(source, source.feed(header, **claims))


def test_C33_a_feed_by_a_strangers_key_is_not_believed() -> None:
    source = TokenSource(feed_key=("stranger", "ES256"))
    with pytest.raises(InvalidToken, match="an unknown key"):
        read(source, source.feed())
    with pytest.raises(InvalidToken, match="a wrong signature"):
        read(source, source.feed({"kid": "k1"}))


def test_a_feed_never_goes_backwards() -> None:
    source = TokenSource()
    believed = read(source, source.feed())
    assert read(source, source.feed(), believed).issued_at == NOW
    assert read(source, source.feed(iat=NOW + 5), believed).issued_at == NOW + 5
    with pytest.raises(InvalidToken, match="older"):
        read(source, source.feed(iat=NOW - 1), believed)


def test_a_feed_by_a_key_that_the_last_one_revoked_is_not_believed() -> None:
    source = TokenSource(keys={"k1": "ES256", "k2": "ES256"}, feed_key=("k2", "ES256"))
    believed = read(source, source.feed(kid=["k1"]))
    source.feed_key = ("k1", "ES256")
    with pytest.raises(InvalidToken, match="revoked key"):
        read(source, source.feed(iat=NOW + 1), believed)


@pytest.mark.parametrize(("poll", "kept"), [(30, 30), (1, 1), (0, 1), (-5, 1), (300, 300), (86400, 300)])
def test_the_poll_interval_is_taken_within_bounds(poll: int, kept: int) -> None:
    source = TokenSource()
    assert read(source, source.feed(poll=poll)).poll == kept


def test_a_feed_may_say_more_than_is_known_today() -> None:
    source = TokenSource()
    assert read(source, source.feed(devices=["x"])).issued_at == NOW


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["iss", "iat", "exp", "poll", "jti", "gid", "not_before", "clients", "kid"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats(allow_nan=False),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
        min_size=1,
    )
)
def test_whatever_a_feed_says_it_is_believed_or_refused(claims: dict[str, Any]) -> None:
    source = TokenSource()
    told = {"iss": ISSUER, "iat": NOW, "exp": NOW + 600, "poll": 30, "jti": [], "gid": [], "not_before": {}}
    payload = json.dumps(told | {"clients": {}, "kid": []} | claims).encode()
    try:
        feed = read(source, compact(b'{"alg":"ES256","kid":"k1","typ":"revocations+jwt"}', payload, "k1", "ES256"))
    except InvalidToken:
        return
    assert 1 <= feed.poll <= 300


async def test_a_ban_acts_at_the_next_poll_and_costs_no_request_in_between() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        await verifier.verify(source.token())
        source.revoked = {"not_before": {PLAYER: NOW + 1}}
        asked = len(source.requests)
        await verifier.verify(source.token())
        assert len(source.requests) == asked
        await rounds.next()
        with pytest.raises(InvalidToken, match="revoked"):
            await verifier.verify(source.token())
        assert len(source.requests) == asked + 1
        assert set(rounds.lengths) == {30}


async def test_the_feed_is_asked_for_as_often_as_it_says() -> None:
    source, rounds = TokenSource(poll=5), Rounds()
    async with source.verifier(sleep=rounds.sleep):
        await rounds.next()
        source.poll, source.revoked = 7, {"jti": ["x"]}
        await rounds.next()
        assert rounds.lengths == [5, 5, 7]


async def test_a_feed_that_did_not_change_is_not_sent_again() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        tag = source.document(FEED).headers["etag"]
        source.now += 30
        await rounds.next()
        (path, headers) = source.requests[-1]
        assert (path, headers["if-none-match"]) == (FEED, tag)
        await verifier.verify(source.token())


async def test_a_feed_that_ages_is_asked_for_anew_although_nothing_changed() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        for _ in range(100):
            source.now += 30
            await rounds.next()
            await verifier.verify(source.token())
        conditional = sum("if-none-match" in headers for path, headers in source.requests if path == FEED)
        assert conditional == 90  # each tenth poll wants a new signature


async def test_an_outage_is_bridged_until_the_feed_is_too_old() -> None:
    source, rounds = TokenSource(), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        source.down = True
        source.now += 600 + 59
        await rounds.next()
        await verifier.verify(source.token())
        source.now += 1
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())
        source.down = False
        await rounds.next()
        await verifier.verify(source.token())


async def test_whoever_chooses_so_goes_on_by_the_last_feed_through_an_outage() -> None:
    source, rounds = TokenSource(revoked={"jti": ["revoked-before"]}), Rounds()
    async with source.verifier(sleep=rounds.sleep, on_stale="accept") as verifier:
        source.down = True
        source.now += 86400
        await rounds.next()
        await verifier.verify(source.token())
        with pytest.raises(InvalidToken, match="revoked"):
            await verifier.verify(source.token(jti="revoked-before"))


async def test_a_server_without_a_feed_is_refused_unless_chosen() -> None:
    source = TokenSource()
    plain = json.dumps({"issuer": ISSUER, "jwks_uri": ISSUER + JWKS}).encode()
    source.answers["/.well-known/openid-configuration"] = Answer(body=plain)
    async with source.verifier() as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())
    async with source.verifier(on_stale="accept") as verifier:
        await verifier.verify(source.token())


FORGERIES: dict[str, tuple[tuple[str, str], dict[str, Any]]] = {
    "stranger": (("stranger", "ES256"), {}),
    "backwards": (("k1", "ES256"), {"iat": NOW - 100, "exp": NOW + 500}),
    "expired": (("k1", "ES256"), {"exp": NOW - 60}),
}


@pytest.mark.parametrize(("key", "claims"), FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_false_feed_changes_nothing(key: tuple[str, str], claims: dict[str, Any]) -> None:
    source, rounds = TokenSource(revoked={"jti": [JTI]}), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        source.feed_key = key
        source.answers[FEED] = Answer(body=source.feed(jti=[], **claims).encode())
        await rounds.next()
        with pytest.raises(InvalidToken, match="revoked"):
            await verifier.verify(source.token())


async def test_after_an_emergency_the_feed_comes_by_a_new_key_and_the_old_one_is_never_believed_again() -> None:
    source, rounds = TokenSource(keys={"k1": "ES256"}), Rounds()
    async with source.verifier(sleep=rounds.sleep) as verifier:
        stolen = source.token("k1")
        await verifier.verify(stolen)
        source.keys, source.feed_key, source.revoked = {"k2": "ES256"}, ("k2", "ES256"), {"kid": ["k1"]}
        source.now += 30
        await rounds.next()
        await verifier.verify(source.token("k2"))
        with pytest.raises(InvalidToken):
            await verifier.verify(stolen)
        source.keys, source.feed_key, source.revoked = {"k1": "ES256", "k2": "ES256"}, ("k1", "ES256"), {}
        source.now += 4000  # the thief serves the old key, and a feed by it
        await rounds.next()
        with pytest.raises(InvalidToken):
            await verifier.verify(source.token("k1"))
