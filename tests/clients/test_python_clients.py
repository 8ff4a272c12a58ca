"""Stock libraries for Python, unmodified: Authlib on requests and on httpx, and requests-oauthlib."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.errors import MismatchingStateException
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2 import MismatchingStateError
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session

from tests.clients.presser import Presser
from tests.support.demo import Demo

pytestmark = pytest.mark.timeout(120)

SCOPE = "openid profile email offline"
SIGN_IN = ("sign-in-xbox", "amber")


@dataclass(frozen=True, slots=True)
class Shop:
    """The demo's shop, played by a library."""

    server: Mapping[str, Any]
    redirect_uri: str
    back: str


@pytest.fixture
def shop(demo: Demo) -> Shop:
    server = httpx.get(f"{demo.issuer}/.well-known/openid-configuration").json()
    return Shop(server, f"{demo.issuer}/demo/callback", f"{demo.issuer}/demo/shop")


def signed_in(shop: Shop, presser: Presser, there: str) -> str:
    """What the browser brings back. These libraries leave it to their users to check `iss` (RFC 9207)."""
    answer = presser.go(there, *SIGN_IN, until=shop.redirect_uri)
    assert parse_qs(urlsplit(answer).query)["iss"] == [shop.server["issuer"]]
    return answer


def checked(shop: Shop, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
    """The id_token's claims, checked by Authlib against the published keys."""
    keys = KeySet.import_key_set(httpx.get(shop.server["jwks_uri"]).json())
    token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
    options = {"iss": {"value": shop.server["issuer"]}, "aud": {"value": "shop"}}
    params = {"nonce": nonce, "client_id": "shop", "access_token": tokens["access_token"]}
    claims = CodeIDToken(token.claims, token.header, options, params)
    claims.validate()
    return dict(claims)


def end(shop: Shop, presser: Presser, id_token: str) -> None:
    """Sign out by the address that every library leaves to its user."""
    query = urlencode({"id_token_hint": id_token, "post_logout_redirect_uri": shop.back, "state": "signed-out"})
    assert (
        presser.go(f"{shop.server['end_session_endpoint']}?{query}", until=shop.back) == f"{shop.back}?state=signed-out"
    )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_on_requests_signs_in_refreshes_and_signs_out(shop: Shop, presser: Presser, method: str) -> None:
    nonce, verifier = generate_token(20), generate_token(48)
    session = OAuth2Session(
        "shop",
        "shop-secret",
        scope=SCOPE,
        redirect_uri=shop.redirect_uri,
        token_endpoint_auth_method=method,
        code_challenge_method="S256",
    )
    there, state = session.create_authorization_url(
        shop.server["authorization_endpoint"], nonce=nonce, code_verifier=verifier
    )
    answer = signed_in(shop, presser, there)
    with pytest.raises(MismatchingStateException):
        session.fetch_token(shop.server["token_endpoint"], authorization_response=answer, state="guessed")
    tokens = session.fetch_token(
        shop.server["token_endpoint"], authorization_response=answer, state=state, code_verifier=verifier
    )
    claims = checked(shop, tokens, nonce)
    told = session.get(shop.server["userinfo_endpoint"]).json()
    assert (told["sub"], told["name"]) == (claims["sub"], "Amber Vale")
    refreshed = session.refresh_token(shop.server["token_endpoint"], refresh_token=tokens["refresh_token"])
    assert refreshed["access_token"] != tokens["access_token"]
    assert session.get(shop.server["userinfo_endpoint"]).json() == told
    end(shop, presser, tokens["id_token"])


async def test_authlib_on_httpx_signs_in_and_refreshes(shop: Shop, presser: Presser) -> None:
    with warnings.catch_warnings(action="ignore"):
        from authlib.integrations.httpx_client import AsyncOAuth2Client  # noqa: PLC0415 - it warns when it is loaded
    nonce, verifier = generate_token(20), generate_token(48)
    async with AsyncOAuth2Client(
        "shop", "shop-secret", scope=SCOPE, redirect_uri=shop.redirect_uri, code_challenge_method="S256"
    ) as client:
        there, state = client.create_authorization_url(
            shop.server["authorization_endpoint"], nonce=nonce, code_verifier=verifier
        )
        answer = signed_in(shop, presser, there)
        tokens = await client.fetch_token(
            shop.server["token_endpoint"], authorization_response=answer, state=state, code_verifier=verifier
        )
        claims = checked(shop, tokens, nonce)
        told = (await client.get(shop.server["userinfo_endpoint"])).json()
        assert (told["sub"], told["name"]) == (claims["sub"], "Amber Vale")
        refreshed = await client.refresh_token(shop.server["token_endpoint"], refresh_token=tokens["refresh_token"])
    assert refreshed["access_token"] != tokens["access_token"]


def test_requests_oauthlib_signs_in_refreshes_and_signs_out(
    shop: Shop, presser: Presser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    nonce = generate_token(20)
    session = RequestsOAuth2Session("shop", redirect_uri=shop.redirect_uri, scope=SCOPE.split(), pkce="S256")
    there, _ = session.authorization_url(shop.server["authorization_endpoint"], nonce=nonce)
    answer = signed_in(shop, presser, there)
    with pytest.raises(MismatchingStateError):
        session.fetch_token(shop.server["token_endpoint"], authorization_response=answer.replace("state=", "state=x"))
    tokens = session.fetch_token(
        shop.server["token_endpoint"], authorization_response=answer, client_secret="shop-secret"
    )
    claims = checked(shop, tokens, nonce)
    told = session.get(shop.server["userinfo_endpoint"]).json()
    assert (told["sub"], told["name"]) == (claims["sub"], "Amber Vale")
    refreshed = session.refresh_token(shop.server["token_endpoint"], auth=("shop", "shop-secret"))
    assert refreshed["access_token"] != tokens["access_token"]
    end(shop, presser, tokens["id_token"])
