"""Game services that take our tokens: each set up as `docs/consumers.md` says, and making the checks that it makes."""

import re
import tomllib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from authsrv.emulator.base import PLAYERS
from authsrv.models import TOKEN_EXCHANGE
from authsrv.oauth.grants.exchange import ACCESS_TOKEN, ID_TOKEN
from tests.oidc import consumers
from tests.oidc.clients import clients_of
from tests.oidc.consumers import DAY, WELL_KNOWN, Checker, Document, Refused, Seen
from tests.oidc.forgery import forged, signed
from tests.support.browser import Browser
from tests.support.configuration import problems, warnings
from tests.support.server import Server, running

ISSUER = "https://login.studio.example"
PAGE = (Path(__file__).parents[2] / "docs" / "consumers.md").read_text(encoding="utf-8")
SECRET = "a-secret-that-was-entered-there-too-0123"
AROUND = f"""issuer = "{ISSUER}"
[database]
url = "sqlite:///var/authsrv.db"
[projects.skyforge.platforms.steam]
app_ids = [480]
web_api_key = {{ env = "KEY" }}
identity = "login-studio"
"""
"""What a configuration has besides a block of the page."""

_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = {title: text for title, text in _SECTION.findall(PAGE) if _BLOCK.search(text)}

Tokens = Mapping[str, Any]
Obtain = Callable[[Server], Awaitable[Tokens]]
Fault = Callable[[Server, Seen], Awaitable[Seen]]


def game(scope: str, **changes: str) -> Obtain:
    """A game logs its player in silently, and holds the tokens."""

    async def obtain(server: Server) -> Tokens:
        return await server.login("steam", scope=scope, **changes)

    return obtain


def web(client_id: str, *, basic: bool = False) -> Obtain:
    """The service sends the player to us and redeems the code itself, without PKCE."""

    async def obtain(server: Server) -> Tokens:
        uri = server.app.config.clients()[client_id].redirect_uris[0]
        browser = Browser(server)
        browser.request |= {"code_challenge": None, "code_challenge_method": None, "nonce": None}
        browser.request |= {"client_id": client_id, "redirect_uri": uri, "scope": "openid profile"}
        code = (await browser.sign_in()).answer["code"]
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": uri}
        secret = {"client_id": client_id, "client_secret": SECRET}
        answer = await server.http.post(
            "/oauth2/token",
            data=fields | ({} if basic else secret),
            headers={"authorization": in_basic(client_id, SECRET)} if basic else {},
        )
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    return obtain


def in_basic(client_id: str, secret: str) -> str:
    return "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()


def for_mod_io(subject_token_type: str) -> Obtain:
    """A game exchanges a new proof of its platform, or its access token, for an id_token made for mod.io."""

    async def obtain(server: Server) -> Tokens:
        tokens = await server.login("steam")
        proof = server.mint("steam").parameters["session_ticket"]
        answer = await server.token(
            grant_type=TOKEN_EXCHANGE,
            client_id="launcher",
            subject_token=tokens["access_token"] if subject_token_type == ACCESS_TOKEN else proof,
            subject_token_type=subject_token_type,
            requested_token_type=ID_TOKEN,
            audience="https://mod.io",
            scope="openid",
        )
        assert answer.status_code == 200, answer.text
        return tokens | {"id_token": answer.json()["access_token"]}

    return obtain


@dataclass(frozen=True, slots=True)
class Consumer:
    """A service: the page's section about it, what it is told our tokens' audience is, and how it comes by one."""

    section: str
    check: Checker
    audience: str
    obtain: Obtain
    faults: Sequence[str]
    """What it would refuse: keys of `FAULTS`."""


PLAYER = "openid profile offline"
IN_AN_ID_TOKEN = (
    "another issuer",
    "an issuer with a slash",
    "another audience",
    "a token too old",
    "a key that nobody published",
    "no key named",
    "a shared secret",
    "a foreign signature",
    "no sub",
)
DISCOVERED = ("a document of another issuer", "a document by redirect", "keys by redirect", "keys without https")
IN_AN_ACCESS_TOKEN = tuple(fault for fault in IN_AN_ID_TOKEN if fault != "no sub")

CONSUMERS: Mapping[str, Consumer] = {
    "EOS by UserInfo": Consumer(
        "Epic Online Services",
        consumers.epic_by_userinfo,
        "",
        game(PLAYER),
        ("UserInfo by redirect", "no name in UserInfo", "a nested sub in UserInfo", "a signed UserInfo"),
    ),
    "EOS by keys": Consumer(
        "Discord Social SDK",  # whose block puts the name into the id_token, as Epic's section asks
        consumers.epic_by_keys,
        "launcher",
        game(PLAYER),
        tuple(fault for fault in IN_AN_ID_TOKEN if fault != "another audience"),
    ),
    "PlayFab": Consumer(
        "PlayFab",
        consumers.playfab,
        "launcher",
        game("openid offline"),
        (*IN_AN_ID_TOKEN, *DISCOVERED, "a nonce", "an elliptic curve"),
    ),
    "Unity": Consumer(
        "Unity Authentication",
        consumers.unity,
        "launcher",
        game("openid offline"),
        (*IN_AN_ID_TOKEN, *DISCOVERED, "a token of the future", "an elliptic curve"),
    ),
    "Discord": Consumer(
        "Discord Social SDK",
        consumers.discord,
        "launcher",
        game(PLAYER),
        (
            *IN_AN_ID_TOKEN,
            *DISCOVERED,
            "a token of the future",
            "issued a week ago",
            "a long name",
            "no name",
            "no algorithms announced",
        ),
    ),
    "mod.io": Consumer(
        "mod.io",
        consumers.mod_io,
        "https://mod.io",
        for_mod_io("urn:authsrv:params:oauth:token-type:steam:session_ticket"),
        (
            "another audience",
            "a list of audiences",
            "a token too old",
            "a token of the future",
            "a key that nobody published",
            "no key named",
            "a foreign signature",
            "no sub",
            "a platform's id as sub",
            "keys by redirect",
        ),
    ),
    "mod.io by an access token": Consumer(
        "mod.io", consumers.mod_io, "https://mod.io", for_mod_io(ACCESS_TOKEN), ("another audience",)
    ),
    "AccelByte by code": Consumer(
        "AccelByte",
        consumers.accelbyte,
        "accelbyte",
        web("accelbyte", basic=True),
        (*IN_AN_ID_TOKEN, *DISCOVERED, "UserInfo by redirect", "UserInfo of another"),
    ),
    "AccelByte by a game": Consumer(
        "Unity Authentication", consumers.accelbyte, "launcher", game("openid offline"), IN_AN_ID_TOKEN
    ),
    "Firebase": Consumer(
        "Firebase and Identity Platform",
        consumers.firebase,
        "firebase",
        web("firebase"),
        (*IN_AN_ID_TOKEN, *DISCOVERED, "no secret in the form announced", "no code announced"),
    ),
    "Cognito": Consumer(
        "Amazon Cognito",
        consumers.cognito,
        "cognito",
        web("cognito"),
        (*IN_AN_ID_TOKEN, *DISCOVERED, "another port", "UserInfo of another"),
    ),
    "HTTP API": Consumer(
        "API Gateway, HTTP API",
        consumers.http_api,
        "https://api.studio.example",
        game("openid match:join", resource="https://api.studio.example"),
        (*IN_AN_ACCESS_TOKEN, *DISCOVERED, "a token of the future", "not yet valid", "no scope", "an elliptic curve"),
    ),
    "REST API": Consumer(
        "API Gateway, REST API",
        consumers.rest_api,
        "https://api.studio.example",
        game("openid", resource="https://api.studio.example"),
        (*IN_AN_ACCESS_TOKEN, "a token of the future", "not yet valid", "no audience and another client"),
    ),
    "Nakama": Consumer(
        "Nakama",
        consumers.nakama,
        "https://nakama.studio.example",
        game("openid", audience="https://nakama.studio.example"),
        (*IN_AN_ACCESS_TOKEN, "an id_token", "a short id", "a long id", "an id with a space"),
    ),
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "0123456789abcdef0123456789abcdef")
    for name in re.findall(r'\{ env = "([A-Z_]+)" \}', PAGE):
        monkeypatch.setenv(name, SECRET)


def block(section: str) -> str:
    (found,) = _BLOCK.findall(SECTIONS[section])
    return str(found)


@asynccontextmanager
async def set_up(section: str) -> AsyncIterator[Server]:
    """A server at a public https address, whose clients have the section's settings."""

    def edit(configuration: dict[str, Any]) -> None:
        configuration["issuer"] = ISSUER
        clients_of(configuration).update(tomllib.loads(block(section))["projects"]["skyforge"]["clients"])

    async with running(edit=edit) as server:
        yield server


async def fetched(server: Server, url: str, **headers: str) -> Document:
    answer = await server.http.get(url, headers=headers)
    return Document(str(answer.url), answer.status_code, answer.headers, _content(answer))


def _content(answer: httpx.Response) -> Any:
    return answer.json() if answer.headers.get("content-type") == "application/json" else answer.text


async def seen_by(consumer: Consumer, server: Server) -> Seen:
    tokens = await consumer.obtain(server)
    discovery = await fetched(server, ISSUER + WELL_KNOWN)
    return Seen(
        issuer=ISSUER,
        audience=consumer.audience,
        discovery=discovery,
        keys=await fetched(server, discovery.content["jwks_uri"]),
        userinfo=await fetched(
            server, discovery.content["userinfo_endpoint"], authorization=f"Bearer {tokens['access_token']}"
        ),
        id_token=tokens["id_token"],
        access_token=tokens["access_token"],
        now=server.clock.now,
    )


# What may be wrong with what a service sees


async def rewritten(server: Server, token: str, claims: Mapping[str, Any], **header: Any) -> str:
    """The token with other claims, None for none at all, signed by the same key or by the server's key for `alg`."""
    found = jwt.get_unverified_header(token) | header
    told = {name: value for name, value in (server.claims(token) | dict(claims)).items() if value is not None}
    alg = found.pop("alg")
    return await signed(server, told, alg, **{name: value for name, value in found.items() if name != "kid"})


def claim(**claims: Any) -> Fault:
    """Both tokens say something else."""

    async def fault(server: Server, seen: Seen) -> Seen:
        return replace(
            seen,
            id_token=await rewritten(server, seen.id_token, claims),
            access_token=await rewritten(server, seen.access_token, claims),
        )

    return fault


def at(offset: int, *names: str) -> Fault:
    """A time in both tokens lies so many seconds from now."""

    async def fault(server: Server, seen: Seen) -> Seen:
        return await claim(**dict.fromkeys(names, int(seen.now) + offset))(server, seen)

    return fault


def signed_by_stranger(**header: str | None) -> Fault:
    """Both tokens are signed by somebody else, with other members in the header; one changed to None is missing."""

    async def fault(server: Server, seen: Seen) -> Seen:
        def anew(token: str) -> str:
            told = {**jwt.get_unverified_header(token), **header}
            sent = {name: value for name, value in told.items() if value is not None}
            if sent["alg"] == "HS256":
                return jwt.encode(server.claims(token), SECRET, algorithm="HS256", headers=sent)
            return forged(server.claims(token), sent)

        return replace(seen, id_token=anew(seen.id_token), access_token=anew(seen.access_token))

    return fault


def document(name: str, **members: Any) -> Fault:
    """A document says something else; a member changed to None is missing."""

    async def fault(_: Server, seen: Seen) -> Seen:
        was: Document = getattr(seen, name)
        content = {key: value for key, value in (was.content | members).items() if value is not None}
        return replace(seen, **{name: replace(was, content=content)})  # type: ignore[arg-type]  # a field by its name

    return fault


def redirected(name: str) -> Fault:
    async def fault(_: Server, seen: Seen) -> Seen:
        was: Document = getattr(seen, name)
        return replace(seen, **{name: replace(was, status=302)})  # type: ignore[arg-type]  # a field by its name

    return fault


async def id_token_instead(_: Server, seen: Seen) -> Seen:
    return replace(seen, access_token=seen.id_token)


async def signed_by_curve(server: Server, seen: Seen) -> Seen:
    return replace(
        seen,
        id_token=await rewritten(server, seen.id_token, {}, alg="ES256"),
        access_token=await rewritten(server, seen.access_token, {}, alg="ES256"),
    )


async def signed_userinfo(_: Server, seen: Seen) -> Seen:
    return replace(seen, userinfo=replace(seen.userinfo, headers={"content-type": "application/jwt"}, content="e.y.J"))


FAULTS: Mapping[str, tuple[Fault, str]] = {
    "another issuer": (claim(iss="https://login.elsewhere.example"), "iss"),
    "an issuer with a slash": (claim(iss=ISSUER + "/"), "iss"),
    "another audience": (claim(aud="another"), "aud"),
    "a list of audiences": (claim(aud=["https://mod.io"]), "aud"),
    "no audience and another client": (claim(aud=None, client_id="another"), "aud or client_id"),
    "a token too old": (at(-11, "exp"), "exp"),
    "a token of the future": (at(11, "iat"), "iat"),
    "issued a week ago": (at(-7 * DAY - 1, "iat"), "iat"),
    "not yet valid": (at(1, "nbf"), "nbf"),
    "no sub": (claim(sub=None), "sub"),
    "a platform's id as sub": (claim(sub=PLAYERS["amber"].steam_id), "sub is a platform's id"),
    "a short id": (claim(sub="short"), "length of the id"),
    "a long id": (claim(sub="x" * 129), "length of the id"),
    "an id with a space": (claim(sub="player one"), "characters of the id"),
    "no name": (claim(preferred_username=None), "preferred_username"),
    "a long name": (claim(preferred_username="x" * 33), "preferred_username"),
    "a nonce": (claim(nonce="n-0S6_WzA2Mj"), "a nonce"),
    "no scope": (claim(scope="openid"), "scope"),
    "an id_token": (id_token_instead, "typ"),
    "an elliptic curve": (signed_by_curve, "alg of the token"),
    "a shared secret": (signed_by_stranger(alg="HS256"), "alg of the token"),
    "a foreign signature": (signed_by_stranger(), "signature"),
    "a key that nobody published": (signed_by_stranger(kid="another"), "kid"),
    "no key named": (signed_by_stranger(kid=None), "kid"),
    "a document of another issuer": (document("discovery", issuer=ISSUER + "/"), "issuer"),
    "a document by redirect": (redirected("discovery"), "status"),
    "keys by redirect": (redirected("keys"), "status"),
    "keys without https": (document("discovery", jwks_uri="http://login.studio.example/oauth2/jwks"), "jwks_uri"),
    "no algorithms announced": (
        document("discovery", id_token_signing_alg_values_supported=None),
        "id_token_signing_alg_values_supported",
    ),
    "no secret in the form announced": (
        document("discovery", token_endpoint_auth_methods_supported=["client_secret_basic"]),
        "token_endpoint_auth_methods_supported",
    ),
    "no code announced": (document("discovery", response_types_supported=["id_token"]), "response_types_supported"),
    "another port": (document("discovery", token_endpoint=f"{ISSUER}:8443/oauth2/token"), "port of token_endpoint"),
    "UserInfo by redirect": (redirected("userinfo"), "status"),
    "UserInfo of another": (document("userinfo", sub="another"), "sub"),
    "no name in UserInfo": (document("userinfo", preferred_username=None), "preferred_username"),
    "a nested sub in UserInfo": (document("userinfo", sub={"id": "player"}), "sub"),
    "a signed UserInfo": (signed_userinfo, "type"),
}
"""What may be wrong, and how a service calls it that looks."""

TRIALS = [(name, fault) for name, consumer in CONSUMERS.items() for fault in consumer.faults]


@pytest.mark.parametrize("name", CONSUMERS)
async def test_a_service_that_is_set_up_as_its_page_says_takes_our_tokens(name: str) -> None:
    consumer = CONSUMERS[name]
    async with set_up(consumer.section) as server:
        seen = await seen_by(consumer, server)
        consumer.check(seen)
        consumer.check(await claim()(server, seen))  # what only signs anew changes nothing


@pytest.mark.parametrize(("name", "fault"), TRIALS)
async def test_a_service_refuses_what_breaks_one_of_its_rules(name: str, fault: str) -> None:
    consumer, (broken, what) = CONSUMERS[name], FAULTS[fault]
    async with set_up(consumer.section) as server:
        seen = await seen_by(consumer, server)
        with pytest.raises(Refused, match=re.escape(what)):
            consumer.check(await broken(server, seen))


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.studio.example",
        "https://192.0.2.1",
        "https://[2001:db8::1]",
        "https://login.local",
        "https://login.studio.internal",
        "https://login.localhost",
        "https://localhost",
        "https://login.studio.example?x=1",
        "https://login.studio.example#x",
        "https://me@login.studio.example",
    ],
)
async def test_discord_takes_public_addresses_only(issuer: str) -> None:
    consumer = CONSUMERS["Discord"]
    async with set_up(consumer.section) as server:
        seen = await seen_by(consumer, server)
        with pytest.raises(Refused):
            consumer.check(replace(seen, issuer=issuer))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_block_of_the_page_is_a_sound_configuration(tmp_path: Path, section: str) -> None:
    text = AROUND + block(section)
    assert [problem.what for problem in problems(tmp_path, text)] == []
    assert [warning.what for warning in warnings(tmp_path, text)] == []


def test_every_service_of_the_page_is_tried_and_stands_in_its_table() -> None:
    assert {consumer.section for consumer in CONSUMERS.values()} == set(SECTIONS)
    table = PAGE.partition("\n## ")[0]
    anchors = {re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-") for section in SECTIONS}
    assert set(re.findall(r"^\| \[[^]]+\]\(#([^)]+)\)", table, re.MULTILINE)) == anchors


def test_what_the_page_has_entered_for_the_audience_is_the_one_of_its_block() -> None:
    for consumer in CONSUMERS.values():
        if consumer.section != "Epic Online Services" and consumer.audience:
            entered = SECTIONS[consumer.section]
            assert f"`{consumer.audience}`" in entered or f'"{consumer.audience}"' in entered


def test_unitys_name_for_us_has_the_form_that_it_asks_for() -> None:
    (name,) = set(re.findall(r"`(oidc-[^`]*[^`-])`", SECTIONS["Unity Authentication"]))
    assert 6 <= len(name) <= 20


async def test_documents_are_kept_for_no_longer_than_an_hour() -> None:
    async with set_up("mod.io") as server:
        for path in (WELL_KNOWN, "/oauth2/jwks"):
            assert 0 < consumers.kept_for(await fetched(server, ISSUER + path)) <= 3600


async def test_the_longest_name_that_a_platform_tells_fits() -> None:
    async with set_up("Discord Social SDK") as server:
        xenia = replace(PLAYERS["amber"], display_name="\u00c5mber the Considerably Longer Than Anybody Expected")
        tokens = await server.login("epicgames", server.platforms["epic"].mint(xenia), scope=PLAYER)
        name = server.claims(tokens["id_token"])["preferred_username"]
        assert (name, len(name)) == (xenia.display_name[:32], 32)
