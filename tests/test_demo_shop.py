"""The demo's shop as the example it is: what it sends, and that it believes no answer that is not for it."""

import base64
import hashlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from authsrv.config import Config
from authsrv.demo import page
from authsrv.demo.relying_party import Attempt, Registration, RelyingParty, SignInFailed
from authsrv.demo.visitors import COOKIE
from tests.support.issuer import Issuer, half_hash, issuing, rsa_key
from tests.support.processes import free_port

FRONT, LOGIN, CALLBACK, LOGOUT = "/demo/shop", "/demo/shop/login", "/demo/callback", "/demo/shop/logout"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(free_port()) as found:
        yield found


@pytest.fixture
def visitor(issuer: Issuer) -> httpx.AsyncClient:
    """A browser at the shop; keeps cookies and follows nothing."""
    shop = {"secret": "shop-secret", "redirect_uris": [f"{issuer.url}{CALLBACK}"]}
    config = Config.model_validate(
        {
            "issuer": issuer.url,
            "dev": True,
            "database": {"url": "memory://"},
            "projects": {"demo": {"clients": {"shop": shop}}},
        }
    )
    app = Starlette(routes=page.routes(config))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=issuer.url)


async def begun(visitor: httpx.AsyncClient) -> dict[str, str]:
    """What the shop asks the login server for."""
    answer = await visitor.get(LOGIN)
    assert answer.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def back(visitor: httpx.AsyncClient, issuer: Issuer, **changes: str | None) -> httpx.Response:
    """A whole sign-in, with an answer that is good but for `changes`; a parameter that is None is left out."""
    asked = await begun(visitor)
    issuer.claims.setdefault("nonce", asked["nonce"])
    answer = {"code": "c1", "state": asked["state"], "iss": issuer.url, **changes}
    return await visitor.get(CALLBACK, params={name: text for name, text in answer.items() if text is not None})


async def is_signed_in(visitor: httpx.AsyncClient) -> bool:
    return "Welcome" in (await visitor.get(FRONT)).text


async def test_the_shop_signs_a_player_in_and_shows_who_it_is(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    answer = await back(visitor, issuer)
    assert (answer.status_code, answer.headers["location"]) == (302, f"{issuer.url}{FRONT}")
    shown = (await visitor.get(FRONT)).text
    assert '<span id="name">Amber</span>' in shown
    assert "<dd>Steam</dd>" in shown
    assert "<dd>player-1</dd>" in shown


async def test_the_code_goes_to_the_server_with_the_secret_and_the_verifier(
    visitor: httpx.AsyncClient, issuer: Issuer
) -> None:
    asked = await begun(visitor)
    await visitor.get(CALLBACK, params={"code": "c1", "state": asked["state"], "iss": issuer.url})
    (sent,) = [(proof, form) for path, proof, form in issuer.received if path == "/oauth2/token"]
    digest = hashlib.sha256(sent[1].pop("code_verifier").encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert sent == (
        "Basic c2hvcDpzaG9wLXNlY3JldA==",
        {"grant_type": "authorization_code", "code": "c1", "redirect_uri": f"{issuer.url}{CALLBACK}"},
    )


async def test_no_two_sign_ins_share_a_secret(visitor: httpx.AsyncClient) -> None:
    first, second = await begun(visitor), await begun(visitor)
    assert not {first[name] for name in ("state", "nonce", "code_challenge")} & set(second.values())


async def test_two_tabs_sign_in_side_by_side(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    first, second = await begun(visitor), await begun(visitor)
    for asked in (first, second):
        issuer.claims["nonce"] = asked["nonce"]
        answer = await visitor.get(CALLBACK, params={"code": "c1", "state": asked["state"], "iss": issuer.url})
        assert answer.status_code == 302


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"state": "guessed"}, id="state-of-nobody"),
        pytest.param({"state": None}, id="no-state"),
        pytest.param({"iss": "https://elsewhere.example"}, id="other-issuer"),
        pytest.param({"iss": None}, id="no-issuer"),
        pytest.param({"code": None}, id="no-code"),
        pytest.param({"code": None, "error": "server_error"}, id="error"),
    ],
)
async def test_an_answer_that_is_not_for_this_sign_in_signs_nobody_in(
    visitor: httpx.AsyncClient, issuer: Issuer, changes: dict[str, str | None]
) -> None:
    answer = await back(visitor, issuer, **changes)
    assert answer.status_code == 400
    assert not await is_signed_in(visitor)
    assert not [path for path, *_ in issuer.received if path == "/oauth2/token"]


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://elsewhere.example"}, id="issuer"),
        pytest.param({"aud": "another-client"}, id="audience"),
        pytest.param({"aud": ["shop", "another-client"]}, id="two-audiences"),
        pytest.param({"nonce": "of-another-sign-in"}, id="nonce"),
        pytest.param({"nonce": None}, id="no-nonce"),
        pytest.param({"exp": int(time.time()) - 60}, id="expired"),
        pytest.param({"exp": None}, id="no-expiry"),
        pytest.param({"sub": None}, id="no-subject"),
        pytest.param({"sub": "player-2"}, id="other-player-than-userinfo"),
    ],
)
async def test_an_id_token_that_is_not_for_this_sign_in_signs_nobody_in(
    visitor: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    issuer.claims.update(claims)
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    "at_hash",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(half_hash("another"), id="another token's"),
        pytest.param(half_hash("at", "sha512"), id="another hash"),
        pytest.param(half_hash("at") + "==", id="padded"),
        pytest.param([half_hash("at")], id="a list"),
    ],
)
async def test_C27_an_id_token_that_is_not_bound_to_its_access_token_signs_nobody_in(
    visitor: httpx.AsyncClient, issuer: Issuer, at_hash: object
) -> None:
    issuer.claims["at_hash"] = at_hash
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    ("digest", "refusal"),
    [
        pytest.param("sha512", "", id="its hash"),
        pytest.param("sha256", "the id_token was made beside another access token", id="another hash"),
    ],
)
def test_C27_the_hash_is_the_algorithms(issuer: Issuer, digest: str, refusal: str) -> None:
    key = Ed25519PrivateKey.generate()
    public = {**jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "use": "sig"}
    issuer.answers["/oauth2/jwks"] = (200, {"keys": [public]})
    issuer.key, issuer.algorithm = key, "EdDSA"
    issuer.claims["at_hash"] = half_hash("at", digest)
    assert refused(issuer, "EdDSA") == refusal


def test_C27_where_nobody_knows_the_hash_nothing_is_bound(issuer: Issuer) -> None:
    """An algorithm of which the half cannot be told is no reason to leave the check out."""
    issuer.algorithm = "RS512"
    issuer.claims["at_hash"] = half_hash("at", "sha512")
    public = issuer.answer("/oauth2/jwks")[1]["keys"][0]
    issuer.answers["/oauth2/jwks"] = (200, {"keys": [{**public, "alg": "RS512"}]})
    assert refused(issuer, "RS512") == "the id_token cannot be trusted: nobody knows the hash of RS512"


def refused(issuer: Issuer, algorithm: str) -> str:
    """Why a site that wants this algorithm signs nobody in; nothing if it does."""
    attempt = Attempt.fresh()
    issuer.claims["nonce"] = attempt.nonce
    own = Registration(issuer.url, "shop", "shop-secret", f"{issuer.url}{CALLBACK}", "openid", algorithm)
    try:
        RelyingParty(own).finish(attempt, {"code": "c1", "state": attempt.state, "iss": issuer.url})
    except SignInFailed as error:
        return str(error)
    return ""


@pytest.mark.parametrize("nonce", [None, "", "of-another-sign-in", "\u00e9", 7, ["n"], True])
async def test_C28_no_claim_switches_the_nonce_off(visitor: httpx.AsyncClient, issuer: Issuer, nonce: object) -> None:
    issuer.claims.update({"nonce_supported": False, "nonce": nonce})
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        pytest.param("jwks_uri", "file:///etc/hostname", id="file"),
        pytest.param("jwks_uri", "data:application/json,{}", id="data"),
        pytest.param("jwks_uri", "/moved/oauth2/jwks", id="keys-redirected"),
        pytest.param("token_endpoint", "/moved/oauth2/token", id="code-redirected"),
        pytest.param("userinfo_endpoint", "/moved/oauth2/userinfo", id="access-token-redirected"),
        pytest.param(
            "userinfo_endpoint", "data:application/json,{%22sub%22:%22player-1%22}", id="userinfo-from-no-host"
        ),
        pytest.param("token_endpoint", "ftp://127.0.0.1/", id="ftp"),
        pytest.param("jwks_uri", None, id="no-keys"),
        pytest.param("token_endpoint", 7, id="number"),
    ],
)
async def test_C32_only_addresses_of_the_web_are_called_and_no_redirect_is_followed(
    visitor: httpx.AsyncClient, issuer: Issuer, name: str, address: Any
) -> None:
    path = "/.well-known/openid-configuration"
    status, metadata = issuer.answer(path)
    there = f"{issuer.url}{address}" if isinstance(address, str) and address.startswith("/") else address
    issuer.answers[path] = (status, {**metadata, name: there})
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        pytest.param("RS256", "foreign", id="foreign-key"),
        pytest.param("RS512", "own", id="other-algorithm"),
        pytest.param("HS256", b"shop-secret-that-is-long-enough-for-it", id="secret-of-the-client"),
        pytest.param("none", "", id="no-signature"),
    ],
)
async def test_an_id_token_that_the_issuer_did_not_sign_signs_nobody_in(
    visitor: httpx.AsyncClient, issuer: Issuer, algorithm: str, key: str | bytes
) -> None:
    issuer.algorithm = algorithm
    issuer.key = rsa_key(key) if algorithm.startswith("RS") and isinstance(key, str) else key
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param("/oauth2/token", (400, {"error": "invalid_grant"}), id="refused-code"),
        pytest.param("/oauth2/token", (200, b"<!doctype html>"), id="no-json"),
        pytest.param("/oauth2/token", (200, {}), id="no-tokens"),
        pytest.param("/oauth2/token", (200, []), id="no-object"),
        pytest.param("/oauth2/token", (200, {"id_token": 7, "access_token": "at"}), id="odd-tokens"),
        pytest.param("/oauth2/jwks", (503, {}), id="no-keys"),
        pytest.param("/oauth2/jwks", (200, b"<!doctype html>"), id="keys-that-are-no-json"),
        pytest.param("/oauth2/jwks", (200, []), id="keys-that-are-no-object"),
        pytest.param("/oauth2/userinfo", (200, ["player-1"]), id="odd-userinfo"),
        pytest.param("/oauth2/userinfo", (401, {"error": "invalid_token"}), id="no-userinfo"),
    ],
)
async def test_a_login_server_that_does_not_answer_signs_nobody_in(
    visitor: httpx.AsyncClient, issuer: Issuer, path: str, answer: tuple[int, Any]
) -> None:
    issuer.answers[path] = answer
    assert (await back(visitor, issuer)).status_code == 400
    assert not await is_signed_in(visitor)


async def test_metadata_of_another_issuer_is_not_used(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.answers["/.well-known/openid-configuration"] = (200, {"issuer": "https://elsewhere.example"})
    assert (await visitor.get(LOGIN)).status_code == 400


async def test_an_answer_counts_once(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    asked = await begun(visitor)
    issuer.claims["nonce"] = asked["nonce"]
    answer = {"code": "c1", "state": asked["state"], "iss": issuer.url}
    assert [(await visitor.get(CALLBACK, params=answer)).status_code for _ in range(2)] == [302, 400]


async def test_an_answer_to_another_browser_signs_nobody_in(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    asked = await begun(visitor)
    issuer.claims["nonce"] = asked["nonce"]
    visitor.cookies.clear()
    answer = await visitor.get(CALLBACK, params={"code": "c1", "state": asked["state"], "iss": issuer.url})
    assert answer.status_code == 400


async def test_a_cancelled_sign_in_is_told_as_one(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    answer = await back(visitor, issuer, code=None, error="access_denied")
    assert answer.status_code == 200
    assert "You came back without signing in." in answer.text


async def test_the_cookie_is_another_after_the_sign_in_and_hidden_from_scripts(
    visitor: httpx.AsyncClient, issuer: Issuer
) -> None:
    await begun(visitor)
    before = visitor.cookies[COOKIE]
    header = (await back(visitor, issuer)).headers["set-cookie"]
    assert header.endswith("; HttpOnly; Path=/demo; SameSite=lax")
    assert visitor.cookies[COOKIE] != before


async def test_signing_out_forgets_the_player_and_goes_on_to_the_login_server(
    visitor: httpx.AsyncClient, issuer: Issuer
) -> None:
    await back(visitor, issuer)
    answer = await visitor.post(LOGOUT)
    there = urlsplit(answer.headers["location"])
    query = parse_qs(there.query)
    assert (answer.status_code, there.path) == (303, "/oauth2/logout")
    assert set(query) == {"id_token_hint", "post_logout_redirect_uri"}
    assert query["post_logout_redirect_uri"] == [f"{issuer.url}{FRONT}"]
    assert not await is_signed_in(visitor)


async def test_who_is_not_signed_in_stays_at_the_shop_when_signing_out(
    visitor: httpx.AsyncClient, issuer: Issuer
) -> None:
    assert (await visitor.post(LOGOUT)).headers["location"] == f"{issuer.url}{FRONT}"


async def test_a_sign_in_begins_for_the_own_issuer_only(visitor: httpx.AsyncClient, issuer: Issuer) -> None:
    assert (await visitor.get(LOGIN, params={"iss": issuer.url})).status_code == 302
    assert (await visitor.get(LOGIN, params={"iss": "https://elsewhere.example"})).status_code == 400


async def test_nothing_that_a_browser_brings_is_shown(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get(
        CALLBACK, params={"error": "<script>1</script>", "error_description": "unseen", "state": "unseen"}
    )
    assert "unseen" not in answer.text
    assert "<script>" not in answer.text
