"""What a checked token says, which profiles there are, and the checks without network or event loop."""

import dataclasses
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from authsrv.verify import (
    InsufficientScope,
    InvalidToken,
    Rules,
    Unavailable,
    check_access_token,
    read_feed,
    read_key_set,
)
from tests.support.token_source import AUDIENCE, ISSUER, NOW, PLAYER, PROJECT, TokenSource, private_key, public_jwk

RULES = Rules(ISSUER, AUDIENCE, on_stale="accept")


def checked(source: TokenSource, text: str, rules: Rules = RULES, feed: Any = None) -> Any:
    return check_access_token(text, keys=read_key_set(source.key_set()), feed=feed, rules=rules, now=source.now)


def test_a_token_says_who_plays_by_which_client_and_what_is_granted() -> None:
    source = TokenSource()
    token = checked(source, source.token())
    assert (token.sub, token.client_id, token.gid) == (PLAYER, "launcher", "fBREjZbHHQG1hV56hzZ2eQ")
    assert token.scope == {"openid", "match:join"}
    assert (token.jti, token.kid) == ("Fc5lVtozXHveZOKRabnfn0m9", "k1")
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 900)
    assert token.act is None
    assert token.claims == source.claims()


def test_a_token_cannot_be_changed_after_its_check() -> None:
    token = checked(TokenSource(), TokenSource().token())
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.sub = "somebody else"
    with pytest.raises(TypeError):
        token.claims["sub"] = "somebody else"


def test_a_printed_token_shows_no_claim_that_was_not_asked_for() -> None:
    source = TokenSource()
    assert "76561202255232001" not in repr(checked(source, source.token(idp_sub="76561202255232001")))


def test_a_servers_own_token_has_no_login() -> None:
    source = TokenSource()
    token = checked(source, source.token(sub="backend", client_id="backend", gid=None, auth_time=None, scope=""))
    assert (token.sub, token.client_id, token.gid, token.scope) == ("backend", "backend", "", frozenset())


def test_who_acts_for_a_player_is_told() -> None:
    source = TokenSource()
    assert checked(source, source.token(act={"sub": "backend"})).act == {"sub": "backend"}
    with pytest.raises(InvalidToken, match="act is no object"):
        checked(source, source.token(act="backend"))


@pytest.mark.parametrize("scope", [7, ["openid"], {"openid": True}, True], ids=str)
def test_a_scope_that_is_no_text_is_refused(scope: Any) -> None:
    source = TokenSource()
    with pytest.raises(InvalidToken, match="scope"):
        checked(source, source.token(scope=scope))


def test_every_needed_scope_must_be_there() -> None:
    source = TokenSource()
    token = checked(source, source.token(scope="openid match:join"))
    token.require("match:join")
    token.require("match:join openid")
    token.require("")
    for scope in ("match:end", "match:join match:end", "match", "MATCH:JOIN"):
        with pytest.raises(InsufficientScope) as refused:
            token.require(scope)
        assert refused.value.challenge == f'Bearer error="insufficient_scope", scope="{scope}"'


XSOLLA = Rules(ISSUER, xsolla_project=PROJECT, on_stale="accept")
XSOLLA_WITH_AUDIENCE = Rules(ISSUER, AUDIENCE, PROJECT, on_stale="accept")


def test_a_token_in_the_xsolla_profile_is_taken_for_its_project() -> None:
    source = TokenSource()
    token = checked(source, source.xsolla_token(scp=["offline", "coins"]), XSOLLA)
    assert (token.sub, token.scope, token.kid) == (PLAYER, {"offline", "coins"}, "r1")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"token_use": None}, "token_use is missing or no text"),
        ({"token_use": "id"}, "not an access token"),
        ({"xsolla_login_project_id": None}, "xsolla_login_project_id is missing or no text"),
        ({"xsolla_login_project_id": "7f1b7d0a-1f53-4a0b-8f0e-2f0e6c8b4d22"}, "of another project"),
        ({"aud": None}, "aud is missing or no list of texts"),
        ({"aud": AUDIENCE}, "aud is missing or no list of texts"),
        ({"aud": ["https://shop.studio.example"]}, "for another audience"),
        ({"aud": [AUDIENCE]}, "for another audience"),
        ({"scp": None}, "scp is missing or no list of texts"),
        ({"scp": "offline"}, "scp is missing or no list of texts"),
        ({"jti": None}, "jti is missing or no text"),
        ({"iss": "https://login.xsolla.example"}, "another issuer"),
        ({"exp": NOW - 60}, "expired"),
    ],
    ids=str,
)
def test_C18_what_a_token_in_the_xsolla_profile_must_say(claims: dict[str, Any], reason: str) -> None:
    source = TokenSource()
    with pytest.raises(InvalidToken) as refused:
        checked(source, source.xsolla_token(**claims), XSOLLA)
    assert refused.value.reason == reason


def test_C17_an_xsolla_token_that_names_backends_must_name_this_one() -> None:
    source = TokenSource()
    assert checked(source, source.xsolla_token(aud=[AUDIENCE, "x"]), XSOLLA_WITH_AUDIENCE).sub == PLAYER
    assert checked(source, source.xsolla_token(aud=[]), XSOLLA_WITH_AUDIENCE).sub == PLAYER
    with pytest.raises(InvalidToken, match="for another audience"):
        checked(source, source.xsolla_token(aud=["x"]), XSOLLA_WITH_AUDIENCE)


def test_C18_each_profile_is_taken_only_where_it_was_asked_for() -> None:
    source = TokenSource()
    for text, rules in (
        (source.xsolla_token(), RULES),
        (source.xsolla_token({"typ": "at+jwt"}), RULES),
        (source.token(), XSOLLA),
        (source.xsolla_token({"typ": "logout+jwt"}), XSOLLA),
        (source.token("k1", "ES256", {"typ": "JWT"}, aud=[]), XSOLLA),
        (source.token("k1", "ES256", {"typ": "JWT"}), XSOLLA_WITH_AUDIENCE),
        (source.xsolla_token({"typ": "at+jwt"}), XSOLLA_WITH_AUDIENCE),
    ):
        with pytest.raises(InvalidToken):
            checked(source, text, rules)
    for text in (source.token(), source.xsolla_token()):
        assert checked(source, text, XSOLLA_WITH_AUDIENCE).sub == PLAYER


@pytest.mark.parametrize(
    "arguments",
    [
        {"issuer": "", "audience": AUDIENCE},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "audience": AUDIENCE, "on_stale": "ignore"},
        {"issuer": ISSUER, "audience": AUDIENCE, "leeway": 61},
        {"issuer": ISSUER, "audience": AUDIENCE, "leeway": -1},
    ],
    ids=str,
)
def test_rules_that_would_let_the_wrong_tokens_in_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Rules(**arguments)


def test_without_a_feed_in_time_nothing_is_accepted_unless_that_was_chosen() -> None:
    source = TokenSource()
    strict = Rules(ISSUER, AUDIENCE)
    feed = read_feed(source.feed(), keys=read_key_set(source.key_set()), issuer=ISSUER, now=source.now)
    assert checked(source, source.token(), strict, feed).sub == PLAYER
    with pytest.raises(Unavailable):
        checked(source, source.token(), strict, None)
    source.now += 600 + 59
    assert checked(source, source.token(), strict, feed).sub == PLAYER
    source.now += 1
    with pytest.raises(Unavailable) as unavailable:
        checked(source, source.token(), strict, feed)
    assert (unavailable.value.status, unavailable.value.retry_after, unavailable.value.challenge) == (503, 30, "")
    assert checked(source, source.token(), RULES, feed).sub == PLAYER


def test_what_is_not_good_is_refused_with_or_without_a_feed_in_time() -> None:
    source = TokenSource(revoked={"gid": ["fBREjZbHHQG1hV56hzZ2eQ"]})
    feed = read_feed(source.feed(), keys=read_key_set(source.key_set()), issuer=ISSUER, now=source.now)
    source.now += 86400
    for text in (source.token(), source.token(exp=1), "rubbish"):
        with pytest.raises(InvalidToken):
            checked(source, text, Rules(ISSUER, AUDIENCE), feed)


def key_set(*entries: Any) -> bytes:
    return json.dumps({"keys": [public_jwk("k1", "ES256"), *entries]}).encode()


def spoilt(**changes: Any) -> dict[str, Any]:
    return {**public_jwk("k2", "ES256"), **changes}


def jwk_of(private: Any, alg: str, *, public: bool = True) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.get_default_algorithms()[alg]
    found: dict[str, Any] = algorithm.to_jwk(private.public_key() if public else private, as_dict=True)
    return {**found, "kid": "k2", "alg": alg, "use": "sig", "key_ops": ["verify"]}


LEFT_OUT = {
    "no-kid": spoilt(kid=None),
    "kid-is-number": spoilt(kid=2),
    "kid-is-empty": spoilt(kid=""),
    "endless-kid": spoilt(kid="k" * 257),
    "no-alg": spoilt(alg=None),
    "alg-none": spoilt(alg="none"),
    "alg-is-list": spoilt(alg=["ES256"]),
    "alg-of-another-curve": spoilt(alg="ES384"),
    "alg-of-another-kind": spoilt(alg="RS256"),
    "for-encryption": spoilt(use="enc"),
    "not-on-the-curve": spoilt(x=public_jwk("k3", "ES256")["x"]),
    "short": spoilt(x="AAAA"),
    "number-as-coordinate": spoilt(y=7),
    "private": jwk_of(private_key("k2", "ES256"), "ES256", public=False),
    "shared-secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "k2", "alg": "HS256"},
    "shared-secret-said-to-be-none": {"kty": "oct", "k": "c2VjcmV0", "kid": "k2", "alg": "ES256"},
    "weak": jwk_of(rsa.generate_private_key(65537, 1024), "RS256"),  # noqa: S505 - what this is about
    "nothing-but-a-name": {"kid": "k2", "alg": "ES256"},
    "kind-is-list": {"kty": [], "kid": "k2", "alg": "EdDSA"},
    "text": "k2",
    "null": None,
}


@pytest.mark.parametrize("entry", LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_C31_a_key_that_may_not_verify_is_left_out_and_the_others_stay(entry: Any) -> None:
    assert list(read_key_set(key_set(entry))) == ["k1"]


NO_SETS = {
    "nothing": b"",
    "list": b"[]",
    "no-keys": b"{}",
    "keys-is-object": b'{"keys":{}}',
    "empty": b'{"keys":[]}',
    "twice": b'{"keys":[],"keys":[]}',
    "unusable": json.dumps({"keys": [LEFT_OUT["weak"]]}).encode(),
    "two-of-one-kid": key_set(spoilt(kid="k1")),
    "not-UTF-8": b"\xff",
}


@pytest.mark.parametrize("body", NO_SETS.values(), ids=NO_SETS.keys())
def test_a_document_that_is_no_set_of_keys_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_key_set(body)


def test_one_check_costs_one_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    source = TokenSource()
    keys = read_key_set(source.key_set())
    feed = read_feed(source.feed(), keys=keys, issuer=ISSUER, now=source.now)
    made: list[bytes] = []
    key = type(keys["k1"])
    true = key.made

    def counted(self: Any, signature: bytes, signed: bytes) -> bool:
        made.append(signed)
        return true(self, signature, signed)

    monkeypatch.setattr(key, "made", counted)
    texts = [source.token(jti=f"token-{number}") for number in range(5)]
    for text in texts:
        check_access_token(text, keys=keys, feed=feed, rules=RULES, now=source.now)
    assert len(made) == len(texts)
