"""Rows B11 to B20: how a client proves who it is, the same at every endpoint that asks it to."""

import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authsrv.models import IdentityKey, Player
from authsrv.storage.changes import AddPlayer, LinkIdentity
from tests.support.refusals import clients, token_error
from tests.support.server import CALLBACK, ISSUER, VERIFIER, Server, client, running

FORM = "application/x-www-form-urlencoded"
ID, SECRET = "backend", "backend-secret"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that authenticates clients, and what a good request says besides who sends it."""

    path: str
    form: Mapping[str, str]


GIVER = Player(1, "00000000-0000-4000-8000-000000000001", "demo", "Amber", 1, 1)
TAKER = Player(2, "00000000-0000-4000-8000-000000000002", "demo", "Birch", 1, 1)
STEAM = IdentityKey("demo", "steam", "", "76561202255232001")

ENDPOINTS = [
    pytest.param(Endpoint("/oauth2/token", {"grant_type": "client_credentials"}), id="token"),
    pytest.param(Endpoint("/oauth2/introspect", {"token": "of-nobody"}), id="introspect"),
    pytest.param(Endpoint("/oauth2/revoke", {"token": "of-nobody"}), id="revoke"),
    pytest.param(
        Endpoint(
            f"/v1/users/{GIVER.sub}/transfer",
            {"to": TAKER.sub, "provider": "steam", "subject": STEAM.subject, "preview": "true"},
        ),
        id="transfer",
    ),
    pytest.param(Endpoint(f"/v1/users/{GIVER.sub}/merge", {"into": TAKER.sub, "preview": "true"}), id="merge"),
    *(
        pytest.param(Endpoint(f"/v1/users/{GIVER.sub}/{deed}", {"preview": "true"}), id=deed)
        for deed in ("ban", "unban", "restrict", "unrestrict")
    ),
]
everywhere = pytest.mark.parametrize("endpoint", ENDPOINTS)


def edit(block: dict[str, Any]) -> None:
    clients(block)[ID] |= {"introspect": True, "manage_players": True}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=edit) as started:
        await add_players(started)
        yield started


async def add_players(server: Server) -> None:
    await server.app.storage.apply([AddPlayer(GIVER), AddPlayer(TAKER), LinkIdentity(STEAM, GIVER.id, 1)])


def basic(text: str | bytes) -> bytes:
    return b"Basic " + b64encode(text.encode() if isinstance(text, str) else text)


async def ask(
    server: Server, endpoint: Endpoint, form: Mapping[str, str] | str, *authorization: bytes, query: str = ""
) -> httpx.Response:
    """A request with what is said of the client in the form, or as raw text behind it, and in the header."""
    said = form if isinstance(form, str) else urlencode(form)
    return await server.http.post(
        endpoint.path + query,
        content="&".join(part for part in (urlencode(endpoint.form), said) if part),
        headers=[(b"content-type", FORM.encode()), *((b"authorization", value) for value in authorization)],
    )


@everywhere
@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        pytest.param({}, [basic(f"{ID}:{SECRET}")], id="Basic"),
        pytest.param({"client_id": ID}, [basic(f"{ID}:{SECRET}")], id="Basic, and the same client in the body"),
        pytest.param({"client_id": ID, "client_secret": SECRET}, [], id="body"),
        pytest.param({"client_id": ID, "client_secret": SECRET, "client_assertion": ""}, [], id="an empty assertion"),
    ],
)
async def test_a_client_with_its_secret_is_let_in(
    server: Server, endpoint: Endpoint, form: dict[str, str], authorization: list[bytes]
) -> None:
    assert (await ask(server, endpoint, form, *authorization)).status_code == 200


# --- B11 to B14: the secret ---


@everywhere
@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        pytest.param({"client_id": ID, "client_secret": SECRET}, basic(f"{ID}:{SECRET}"), id="the same twice"),
        pytest.param({"client_secret": SECRET}, basic(f"{ID}:{SECRET}"), id="secret alone in the body"),
        pytest.param({"client_id": ID, "client_secret": "wrong"}, basic(f"{ID}:{SECRET}"), id="body is wrong"),
        pytest.param({"client_id": ID, "client_secret": SECRET}, basic(f"{ID}:wrong"), id="header is wrong"),
        pytest.param({"client_id": ID, "client_secret": SECRET}, b"Basic !!!", id="header is broken"),
        pytest.param({"client_id": ID, "client_secret": SECRET}, b"Bearer token", id="header of another scheme"),
        pytest.param({"client_id": "shop"}, basic(f"{ID}:{SECRET}"), id="another client in the body"),
        pytest.param({"client_id": "launcher"}, basic(f"{ID}:{SECRET}"), id="a public client in the body"),
    ],
)
async def test_B11_two_authentications_are_refused_whichever_of_them_is_right(
    server: Server, endpoint: Endpoint, form: dict[str, str], authorization: bytes
) -> None:
    assert token_error(await ask(server, endpoint, form, authorization)) == "invalid_request"


@everywhere
@pytest.mark.parametrize("second", [basic(f"{ID}:{SECRET}"), basic("shop:shop-secret"), b"Bearer x", b""])
async def test_B11_two_authorization_headers_are_refused(server: Server, endpoint: Endpoint, second: bytes) -> None:
    answer = await ask(server, endpoint, {}, basic(f"{ID}:{SECRET}"), second)
    assert token_error(answer) in {"invalid_client", "invalid_request"}


BROKEN = [
    pytest.param(b"Basic !!!", id="no Base64"),
    pytest.param(basic(f"{ID}:{SECRET}")[:-1], id="cut"),
    pytest.param(basic(f"{ID}:{SECRET}") + b"==", id="padded"),
    pytest.param(b"Basic " + b64encode(b"\xff:\xff"), id="ff 3a ff"),
    pytest.param(basic(f"{ID}:%FF"), id="escaped, and no UTF-8"),
    pytest.param(basic(ID), id="no colon"),
    pytest.param(basic(f":{SECRET}"), id="empty id"),
    pytest.param(basic(f"{ID}:"), id="empty secret"),
    pytest.param(basic(":"), id="colon alone"),
    pytest.param(b"Basic", id="scheme alone"),
    pytest.param(b"Basic ", id="scheme and space"),
    pytest.param(b"Basic \xff", id="no ASCII"),
    pytest.param(b"\xff", id="no scheme"),
    pytest.param(b"Bearer x", id="another scheme"),
    pytest.param(b"Basic: " + b64encode(f"{ID}:{SECRET}".encode()), id="colon behind the scheme"),
]
"""Headers that name nobody."""
WRONG = [
    pytest.param(basic(f"{ID}\0:{SECRET}"), id="NUL"),
    pytest.param(basic(f"{ID}:{SECRET}\n"), id="line feed"),
    pytest.param(basic(f"{ID}:{'x' * 9000}"), id="long"),
    pytest.param(basic(f"{ID}:{SECRET}:"), id="two colons"),
]


@everywhere
@pytest.mark.parametrize("authorization", [*BROKEN, *WRONG])
async def test_B12_a_broken_authorization_header_is_invalid_client_with_a_challenge(
    server: Server, endpoint: Endpoint, authorization: bytes
) -> None:
    answer = await ask(server, endpoint, {}, authorization)
    assert token_error(answer) == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic ")


@everywhere
@pytest.mark.parametrize("authorization", BROKEN)
@pytest.mark.parametrize("client_id", [ID, "launcher"], ids=["confidential", "public"])
async def test_B12_beside_a_broken_header_nobody_passes_as_the_client_in_the_body(
    server: Server, endpoint: Endpoint, authorization: bytes, client_id: str
) -> None:
    assert token_error(await ask(server, endpoint, {"client_id": client_id}, authorization)) == "invalid_client"


@everywhere
@pytest.mark.parametrize("secret", ["é", "\u2028", "\U0001f511", SECRET + "\u00a0", "\uff42ackend-secret"])
async def test_B13_a_secret_that_is_not_ascii_is_just_wrong(server: Server, endpoint: Endpoint, secret: str) -> None:
    assert token_error(await ask(server, endpoint, {"client_id": ID, "client_secret": secret})) == "invalid_client"
    for header in (basic(f"{ID}:{secret}"), basic(f"{ID}:{quote_plus(secret)}")):
        assert token_error(await ask(server, endpoint, {}, header)) == "invalid_client"


@everywhere
async def test_B13_a_secret_that_is_no_text_is_refused_as_such(server: Server, endpoint: Endpoint) -> None:
    for secret in ("%ff", "%ED%A0%80", "%00", "%zz"):
        assert token_error(await ask(server, endpoint, f"client_id={ID}&client_secret={secret}")) == "invalid_request"


GUESSES = [
    pytest.param({"client_id": "nobody", "client_secret": "x"}, id="unknown client"),
    pytest.param({"client_id": "shop", "client_secret": "x"}, id="another client"),
    pytest.param({"client_id": "40", "client_secret": "x"}, id="client of the other surface"),
    pytest.param({"client_id": "launcher", "client_secret": "x"}, id="public client"),
    pytest.param({"client_id": "c_" + "A" * 22, "client_secret": "x"}, id="id of a registered client"),
    pytest.param({"client_secret": "x"}, id="no client"),
    pytest.param({"client_id": "nobody"}, id="unknown client without a secret"),
    pytest.param({"client_id": ID}, id="B17 no secret"),
]


@everywhere
@pytest.mark.parametrize("guess", GUESSES)
async def test_B14_whoever_fails_gets_the_same_answer(
    server: Server, endpoint: Endpoint, guess: dict[str, str]
) -> None:
    wrong, other = [await ask(server, endpoint, who) for who in ({"client_id": ID, "client_secret": "x"}, guess)]
    assert token_error(wrong) == "invalid_client"
    assert (other.status_code, other.content) == (wrong.status_code, wrong.content)
    assert _comparable(other) == _comparable(wrong)


def _comparable(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


# --- B15 to B17: guessing, the address, no secret ---


@everywhere
async def test_B15_guessing_secrets_ends_in_429_for_that_client_and_address(endpoint: Endpoint) -> None:
    def ordinary_limits(block: dict[str, Any]) -> None:
        edit(block)
        block["limits"] = {}

    async with running(edit=ordinary_limits) as server:
        await add_players(server)
        guess, right = ({"client_id": ID, "client_secret": secret} for secret in ("guess", SECRET))
        statuses = [(await ask(server, endpoint, guess)).status_code for _ in range(100)]
        assert statuses == [401] * 10 + [429] * 90
        limited = await ask(server, endpoint, right)
        assert token_error(limited, 429) == "rate_limited"
        assert int(limited.headers["retry-after"]) > 0
        async with client(server.app, "192.0.2.1") as elsewhere:
            assert (await elsewhere.post(endpoint.path, data={**endpoint.form, **right})).status_code == 200


@everywhere
async def test_B15_guesses_count_together_at_all_endpoints(endpoint: Endpoint) -> None:
    def ordinary_limits(block: dict[str, Any]) -> None:
        edit(block)
        block["limits"] = {}

    async with running(edit=ordinary_limits) as server:
        for _ in range(10):
            await server.token(grant_type="client_credentials", client_id=ID, client_secret="guess")
        assert (await ask(server, endpoint, {"client_id": ID, "client_secret": "guess"})).status_code == 429


@everywhere
@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f"?client_secret={SECRET}", id="alone"),
        pytest.param(f"?a=b&client_secret={SECRET}&c=d", id="among others"),
        pytest.param(f"?client_id={ID}&client_secret={SECRET}", id="with the client"),
        pytest.param(f"?client%5Fsecret={SECRET}", id="encoded"),
        pytest.param("?client_secret=", id="empty"),
        pytest.param("?client_secret=a&client_secret=b", id="twice"),
    ],
)
async def test_B16_a_secret_in_the_address_is_refused_also_beside_a_good_one(
    server: Server, endpoint: Endpoint, query: str
) -> None:
    for form in ({"client_id": ID, "client_secret": SECRET}, {"client_id": ID}):
        assert token_error(await ask(server, endpoint, form, query=query)) == "invalid_request"
    assert SECRET not in json.dumps(server.events)


@everywhere
@pytest.mark.parametrize("client_id", [ID, "shop"])
@pytest.mark.parametrize("rest", ["", "&client_secret="], ids=["no secret", "empty secret"])
async def test_B17_a_confidential_client_is_not_let_in_as_a_public_one(
    server: Server, endpoint: Endpoint, client_id: str, rest: str
) -> None:
    assert token_error(await ask(server, endpoint, f"client_id={client_id}{rest}")) == "invalid_client"


# --- B18 to B20: assertions, which this server does not take ---

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SAML = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def assertion(alg: str = "ES256", **claims: Any) -> str:
    """What a client with a key would send (RFC 7523 section 3); a claim of None is left out."""
    now = 1_790_000_000
    said = {"iss": ID, "sub": ID, "aud": ISSUER, "jti": "one", "iat": now, "exp": now + 60} | claims
    told = {name: value for name, value in said.items() if value is not None}
    if alg == "none":
        return jwt.encode(told, "", algorithm="none")
    return jwt.encode(told, _key(), algorithm=alg)


def confused() -> str:
    """An assertion whose HMAC has the public key for its secret; no library makes one any more."""
    said = jwt.encode({"iss": ID, "sub": ID, "aud": ISSUER, "jti": "one"}, "k" * 32).rpartition(".")[0]
    public = _key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made = urlsafe_b64encode(hmac.digest(public, said.encode(), "sha256")).rstrip(b"=")
    return f"{said}.{made.decode()}"


SOUND = assertion()
FOR_OTHERS = [
    pytest.param(assertion(aud="https://login.elsewhere.example"), id="another server"),
    pytest.param(assertion(aud=f"{ISSUER}/oauth2/token"), id="the token endpoint"),
    pytest.param(assertion(aud=[ISSUER, "https://login.elsewhere.example"]), id="a list"),
    pytest.param(assertion(aud=None), id="none"),
]
BAD = [
    pytest.param(assertion("none"), id="alg none"),
    pytest.param(confused(), id="HS256 with the public key"),
    pytest.param(assertion(exp=1_790_000_000 + 601), id="exp over ten minutes ahead"),
    pytest.param(assertion(exp=1_790_000_000 - 1), id="expired"),
    pytest.param(assertion(jti=None), id="no jti"),
    pytest.param(assertion(iat=1_790_000_000 + 600), id="iat in the future"),
    pytest.param(assertion(sub="shop"), id="another client"),
    pytest.param("garbage", id="garbage"),
    pytest.param("a.b.c", id="three parts of nothing"),
    pytest.param("é" * 40, id="no ASCII"),
    pytest.param("." * 4000, id="long"),
    pytest.param("eyJhbGciOiJFUzI1NiJ9." + "A" * 12000, id="as long as a form may be"),
]
"""None is looked into: what cannot be verified says nothing."""
WHO = [
    pytest.param({}, id="nobody"),
    pytest.param({"client_id": ID}, id="confidential"),
    pytest.param({"client_id": "launcher"}, id="public"),
    pytest.param({"client_id": "nobody"}, id="unknown"),
]


@everywhere
@pytest.mark.parametrize("who", WHO)
async def test_B18_an_assertion_is_refused_the_first_time_and_again(
    server: Server, endpoint: Endpoint, who: dict[str, str]
) -> None:
    for _ in range(2):
        await _assert_refused(server, endpoint, SOUND, who)


@everywhere
@pytest.mark.parametrize("text", FOR_OTHERS)
@pytest.mark.parametrize("who", WHO)
async def test_B19_an_assertion_is_refused_for_whomever_it_was_made(
    server: Server, endpoint: Endpoint, text: str, who: dict[str, str]
) -> None:
    await _assert_refused(server, endpoint, text, who)


@everywhere
@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("who", WHO)
async def test_B20_a_bad_assertion_is_refused(
    server: Server, endpoint: Endpoint, text: str, who: dict[str, str]
) -> None:
    await _assert_refused(server, endpoint, text, who)


async def _assert_refused(server: Server, endpoint: Endpoint, text: str, who: dict[str, str]) -> None:
    said = who | {"client_assertion": text, "client_assertion_type": JWT_BEARER}
    assert token_error(await ask(server, endpoint, said)) == "invalid_client"
    assert text not in json.dumps(server.events)


@everywhere
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"client_assertion": assertion()}, id="no type"),
        pytest.param({"client_assertion_type": JWT_BEARER}, id="type alone"),
        pytest.param({"client_assertion": "", "client_assertion_type": JWT_BEARER}, id="type and nothing"),
        pytest.param({"client_assertion": assertion(), "client_assertion_type": SAML}, id="SAML"),
        pytest.param({"client_assertion": assertion(), "client_assertion_type": "x" * 2000}, id="odd type"),
    ],
)
async def test_B20_half_an_assertion_is_refused_too(
    server: Server, endpoint: Endpoint, who: dict[str, str], said: dict[str, str]
) -> None:
    assert token_error(await ask(server, endpoint, who | said)) == "invalid_client"


@everywhere
@pytest.mark.parametrize("said", ["client_assertion=%ff", "client_assertion=a&client_assertion=b"])
async def test_B20_an_assertion_that_no_form_can_carry_is_an_invalid_request(
    server: Server, endpoint: Endpoint, said: str
) -> None:
    answer = await ask(server, endpoint, f"client_id=launcher&client_assertion_type={JWT_BEARER}&{said}")
    assert token_error(answer) == "invalid_request"


@everywhere
@pytest.mark.parametrize("text", [SOUND, "garbage"], ids=["as it should be", "garbage"])
@pytest.mark.parametrize(
    "proof", [{"client_id": ID, "client_secret": SECRET}, basic(f"{ID}:{SECRET}")], ids=["in the body", "Basic"]
)
async def test_B11_an_assertion_beside_a_good_secret_is_two_authentications(
    server: Server, endpoint: Endpoint, text: str, proof: dict[str, str] | bytes
) -> None:
    form, header = (proof, []) if isinstance(proof, dict) else ({}, [proof])
    said = form | {"client_assertion": text, "client_assertion_type": JWT_BEARER}
    assert token_error(await ask(server, endpoint, said, *header)) == "invalid_request"


async def test_B20_a_public_client_that_asserts_does_not_get_a_players_tokens_and_loses_no_code(server: Server) -> None:
    code = await server.code("steam")
    said = {"client_assertion": assertion(sub="launcher", iss="launcher"), "client_assertion_type": JWT_BEARER}
    assert token_error(await server.redeem(code, **said)) == "invalid_client"
    assert (await server.redeem(code, redirect_uri=CALLBACK, code_verifier=VERIFIER)).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
async def test_B20_the_metadata_promises_no_assertions(server: Server, path: str) -> None:
    told = (await server.http.get(path)).json()
    methods = [method for name in told if name.endswith("_auth_methods_supported") for method in told[name]]
    assert set(methods) == {"client_secret_basic", "client_secret_post", "none"}
    assert [name for name in told if name.endswith("_endpoint_auth_signing_alg_values_supported")] == []
    assert "none" not in told["introspection_endpoint_auth_methods_supported"]
