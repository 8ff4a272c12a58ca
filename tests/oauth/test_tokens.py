"""The tokens we sign, claim by claim: RFC 9068 access tokens, the Xsolla profile, id_tokens."""

import base64
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any, get_args

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.models import Client, Project, SigningAlgorithm
from authsrv.oauth.tokens import TokenFacts, TokenIssuer, half_hash
from tests.support.oauth import BACKEND, ISSUER, LAUNCHER, PROJECT, full_ring
from tests.support.storage import NOW

RING = full_ring()
JTI = base64.urlsafe_b64encode(b"j" * 18).decode()
XSOLLA = replace(
    LAUNCHER,
    client_id="40",
    profile="xsolla",
    access_token_alg="RS256",
    lifetimes=replace(LAUNCHER.lifetimes, access_token=3600),
)
FACTS = TokenFacts(
    client=LAUNCHER,
    sub="6f1c7c06-0000-4000-8000-00000000000a",
    scope=("openid", "offline"),
    gid="G" * 22,
    platform="steam",
    idp="steam",
    idp_subject="76561202255232001",
    display_name="Amber",
    auth_time=NOW - 60,
    nonce="n-0S6_WzA2Mj",
)
OWN = TokenFacts(client=BACKEND, sub="backend", scope=("match:join",))


def issuer() -> TokenIssuer:
    return TokenIssuer(ISSUER, RING, lambda length: b"j" * length)


def verified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, the signature checked with the published key that the header names."""
    header = jwt.get_unverified_header(token)
    key = jwt.PyJWKSet.from_dict({"keys": [dict(key) for key in RING.jwks()["keys"]]})[header["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )
    return header, claims


def test_an_access_token_of_a_player() -> None:
    header, claims = verified(issuer().access_token(FACTS, NOW))
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": RING.signer("ES256").kid}
    assert claims == {
        "iss": "https://login.studio.example",
        "sub": "6f1c7c06-0000-4000-8000-00000000000a",
        "aud": "https://login.studio.example",
        "exp": NOW + 900,
        "iat": NOW,
        "jti": JTI,
        "client_id": "launcher",
        "scope": "openid offline",
        "gid": "G" * 22,
        "auth_time": NOW - 60,
        "idp": "steam",
        "idp_sub": "76561202255232001",
    }


def test_an_access_token_of_a_client_for_itself() -> None:
    header, claims = verified(issuer().access_token(OWN, NOW))
    assert header["typ"] == "at+jwt"
    assert claims == {
        "iss": "https://login.studio.example",
        "sub": "backend",
        "aud": "https://login.studio.example",
        "exp": NOW + 900,
        "iat": NOW,
        "jti": JTI,
        "client_id": "backend",
        "scope": "match:join",
    }


def test_an_access_token_in_the_xsolla_profile() -> None:
    header, claims = verified(issuer().access_token(replace(FACTS, client=XSOLLA), NOW))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": RING.signer("RS256").kid}
    assert claims == {
        "iss": "https://login.studio.example",
        "sub": "6f1c7c06-0000-4000-8000-00000000000a",
        "aud": [],
        "exp": NOW + 3600,
        "iat": NOW,
        "jti": JTI,
        "client_id": "40",
        "token_use": "access",
        "xsolla_login_project_id": "5b3a1c52-0000-4000-8000-000000000001",
        "groups": [],
        "scp": ["openid", "offline"],
        "gid": "G" * 22,
        "type": "social",
        "provider": "steam",
        "id": "https://steamcommunity.com/openid/id/76561202255232001",
        "is_cross_auth": True,
        "name": "Amber",
    }


def test_the_xsolla_profile_of_another_platform_and_without_a_name() -> None:
    facts = replace(FACTS, client=XSOLLA, platform="epicgames", idp="epic", idp_subject="e" * 32, display_name="")
    _, claims = verified(issuer().access_token(facts, NOW))
    assert (claims["provider"], claims["id"], "name" in claims) == ("epicgames", "e" * 32, False)


def test_an_id_token() -> None:
    header, claims = verified(issuer().id_token(FACTS, "the-access-token", NOW))
    assert header == {"alg": "RS256", "typ": "JWT", "kid": RING.signer("RS256").kid}
    assert claims == {
        "iss": "https://login.studio.example",
        "sub": "6f1c7c06-0000-4000-8000-00000000000a",
        "aud": "launcher",
        "exp": NOW + 900,
        "iat": NOW,
        "auth_time": NOW - 60,
        "amr": ["steam"],
        "at_hash": base64.urlsafe_b64encode(sha256(b"the-access-token").digest()[:16]).rstrip(b"=").decode(),
        "nonce": "n-0S6_WzA2Mj",
        "idp": "steam",
        "idp_sub": "76561202255232001",
    }


def test_without_a_nonce_there_is_none() -> None:
    _, claims = verified(issuer().id_token(replace(FACTS, nonce=""), "the-access-token", NOW))
    assert "nonce" not in claims


def test_at_hash_is_that_of_the_specification() -> None:
    # The pair stands in the examples of OpenID Connect Core, appendix A.
    assert half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"


@pytest.mark.parametrize(
    ("alg", "digest"),
    [
        pytest.param("ES256", sha256, id="ES256"),
        pytest.param("RS256", sha256, id="RS256"),
        pytest.param("PS256", sha256, id="PS256"),
        pytest.param("EdDSA", sha512, id="EdDSA"),
    ],
)
def test_at_hash_has_the_hash_of_the_signature(alg: SigningAlgorithm, digest: Callable[[bytes], Any]) -> None:
    client = replace(LAUNCHER, id_token_alg=alg)
    _, claims = verified(issuer().id_token(replace(FACTS, client=client), "the-access-token", NOW))
    whole = digest(b"the-access-token").digest()
    assert base64.urlsafe_b64decode(claims["at_hash"] + "==") == whole[: len(whole) // 2]


@pytest.mark.parametrize("alg", get_args(SigningAlgorithm))
def test_C24_the_client_chooses_the_algorithm_of_either_token(alg: SigningAlgorithm) -> None:
    client = replace(LAUNCHER, access_token_alg=alg, id_token_alg=alg)
    facts = replace(FACTS, client=client)
    for token in (issuer().access_token(facts, NOW), issuer().id_token(facts, "x", NOW)):
        header, _ = verified(token)
        assert (header["alg"], header["kid"]) == (alg, RING.signer(alg).kid)


@pytest.mark.parametrize(
    ("asked", "default", "expected"),
    [
        pytest.param((), (), ISSUER, id="the issuer if nothing else is said"),
        pytest.param((), ("https://api.example",), "https://api.example", id="the project's default"),
        pytest.param(
            (), ("https://a.example", "https://b.example"), ["https://a.example", "https://b.example"], id="two"
        ),
        pytest.param(("https://a.example",), ("https://b.example",), "https://a.example", id="what was asked for"),
        pytest.param(
            ("https://a.example", "https://b.example"), (), ["https://a.example", "https://b.example"], id="both"
        ),
    ],
)
def test_the_audience_is_a_text_when_there_is_one(
    asked: tuple[str, ...], default: tuple[str, ...], expected: str | list[str]
) -> None:
    client = replace(LAUNCHER, project=replace(PROJECT, default_audience=default))
    _, claims = verified(issuer().access_token(replace(FACTS, client=client, audience=asked), NOW))
    assert claims["aud"] == expected


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(replace(LAUNCHER, first_party=False), id="third-party client"),
        pytest.param(replace(LAUNCHER, project=replace(PROJECT, platform_claims=False)), id="switched off"),
    ],
)
def test_the_platform_account_is_told_to_first_parties_only_and_may_be_switched_off(client: Client) -> None:
    facts = replace(FACTS, client=client)
    for token in (issuer().access_token(facts, NOW), issuer().id_token(facts, "x", NOW)):
        _, claims = verified(token)
        assert not {"idp", "idp_sub"} & claims.keys()


def test_lifetimes_are_the_clients() -> None:
    client = replace(LAUNCHER, lifetimes=replace(LAUNCHER.lifetimes, access_token=7, id_token=11))
    facts = replace(FACTS, client=client)
    assert verified(issuer().access_token(facts, NOW))[1]["exp"] == NOW + 7
    assert verified(issuer().id_token(facts, "x", NOW))[1]["exp"] == NOW + 11


RESERVED = ("iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "gid", "auth_time", "amr", "nonce")
NAMES = st.sampled_from(RESERVED) | st.text(max_size=20)


@given(idp=NAMES, subject=NAMES, name=NAMES, scope=st.lists(st.sampled_from(RESERVED), max_size=4), platform=NAMES)
def test_C30_no_fact_from_outside_replaces_a_claim_of_ours(
    idp: str, subject: str, name: str, scope: list[str], platform: str
) -> None:
    facts = replace(
        FACTS, idp=idp, idp_subject=subject, display_name=name, scope=tuple(scope), platform=platform or "steam"
    )
    _, access = verified(issuer().access_token(facts, NOW))
    assert (access["iss"], access["sub"], access["aud"], access["exp"], access["client_id"]) == (
        ISSUER,
        FACTS.sub,
        ISSUER,
        NOW + 900,
        "launcher",
    )
    assert access.keys() <= {*RESERVED, "idp", "idp_sub"}
    _, xsolla = verified(issuer().access_token(replace(facts, client=XSOLLA), NOW))
    assert (xsolla["iss"], xsolla["sub"], xsolla["aud"], xsolla["token_use"]) == (ISSUER, FACTS.sub, [], "access")


def test_C29_the_subject_is_a_text_that_is_not_empty() -> None:
    for facts in (FACTS, OWN):
        _, claims = verified(issuer().access_token(facts, NOW))
        assert isinstance(claims["sub"], str)
        assert claims["sub"]


def test_C18_no_token_of_one_kind_can_pass_for_another() -> None:
    kinds = {
        "access": verified(issuer().access_token(FACTS, NOW)),
        "id": verified(issuer().id_token(FACTS, "x", NOW)),
        "xsolla": verified(issuer().access_token(replace(FACTS, client=XSOLLA), NOW)),
    }
    assert [header["typ"] for header, _ in kinds.values()] == ["at+jwt", "JWT", "JWT"]
    assert kinds["xsolla"][1]["token_use"] == "access"
    assert kinds["xsolla"][1]["aud"] == []  # an id_token names its client there
    assert kinds["id"][1]["aud"] == "launcher"


def test_two_projects_share_no_project_id() -> None:
    other = Project("other", "5b3a1c52-0000-4000-8000-000000000002", "Other")
    tokens = [replace(FACTS, client=replace(XSOLLA, project=project)) for project in (PROJECT, other)]
    ids = [verified(issuer().access_token(facts, NOW))[1]["xsolla_login_project_id"] for facts in tokens]
    assert ids == [PROJECT.id, other.id]
