"""A change of keys as others see it over HTTP: the documents, and stock libraries that keep the key set."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, get_args

import jwt
import pytest

from authsrv.endpoints.discovery import CACHE
from authsrv.models import SigningAlgorithm
from authsrv.oauth.key_schedule import RETENTION, SHORTEST_NOTICE
from tests.node.packages import DIRECTORY, install
from tests.oidc.clients import clients_of
from tests.support.listening import over_sockets
from tests.support.server import ISSUER, Server, running

JWKS = "/oauth2/jwks"
ALGORITHMS: tuple[SigningAlgorithm, ...] = get_args(SigningAlgorithm)
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def every_algorithm(block: dict[str, Any]) -> None:
    """Keys for all, and a launcher for each: `launcher-ES256` and so on."""
    block["keys"] = {"algorithms": list(ALGORITHMS)}
    clients = clients_of(block)
    for alg in ALGORITHMS:
        clients[f"launcher-{alg}"] = {**clients["launcher"], "access_token_alg": alg, "id_token_alg": alg}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=every_algorithm) as started:
        yield started


async def tokens_by(server: Server, alg: SigningAlgorithm) -> list[str]:
    """An access token and an id_token signed by this algorithm now."""
    name = f"launcher-{alg}"
    code = await server.code("steam", None, client_id=name)
    answer = (await server.redeem(code, client_id=name)).json()
    return [answer["access_token"], answer["id_token"]]


async def every_token(server: Server) -> list[str]:
    return [token for alg in ALGORITHMS for token in await tokens_by(server, alg)]


async def key_set(server: Server) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await server.http.get(JWKS)).json()["keys"]
    return found


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid


# --- the documents ---


async def test_C23_the_key_set_over_http_has_the_public_halves_of_every_algorithm(server: Server) -> None:
    keys = await key_set(server)
    assert {key["alg"] for key in keys} == set(ALGORITHMS)
    assert not PRIVATE_MEMBERS & set().union(*keys)


async def test_the_metadata_names_the_algorithms_for_which_there_are_keys_rs256_first(server: Server) -> None:
    found = (await server.http.get("/.well-known/openid-configuration")).json()
    for name in ("id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"):
        assert found[name][0] == "RS256"
        assert sorted(found[name]) == sorted(ALGORITHMS)


async def test_the_key_set_and_its_etag_follow_the_keys_without_a_restart(server: Server) -> None:
    first = await server.http.get(JWKS)
    (old,) = [key["kid"] for key in first.json()["keys"] if key["alg"] == "EdDSA"]
    await server.app.desk.keys.rotate()
    known = {"if-none-match": first.headers["etag"]}
    announced = await server.http.get(JWKS, headers=known)
    assert (announced.status_code, announced.headers["cache-control"]) == (200, CACHE)
    assert len(announced.json()["keys"]) == 8
    assert [key["kid"] for key in announced.json()["keys"][:4]] == [key["kid"] for key in first.json()["keys"]]
    server.clock.now += SHORTEST_NOTICE
    changed = await server.http.get(JWKS, headers={"if-none-match": announced.headers["etag"]})
    assert changed.status_code == 200, "by the clock alone"
    assert {key["kid"] for key in changed.json()["keys"][:4]} == {key["kid"] for key in announced.json()["keys"][4:]}
    assert (await server.http.get(JWKS, headers={"if-none-match": changed.headers["etag"]})).status_code == 304
    server.clock.now += RETENTION
    assert old not in {key["kid"] for key in await key_set(server)}
    assert len(await key_set(server)) == 4


async def test_tokens_are_signed_by_the_next_key_once_its_time_has_come(server: Server) -> None:
    before = {alg: kid_of((await tokens_by(server, alg))[0]) for alg in ALGORITHMS}
    await server.app.desk.keys.rotate()
    assert {alg: kid_of((await tokens_by(server, alg))[0]) for alg in ALGORITHMS} == before
    server.clock.now += SHORTEST_NOTICE
    after = {alg: kid_of((await tokens_by(server, alg))[0]) for alg in ALGORITHMS}
    assert not set(before.values()) & set(after.values())


async def test_R21_our_own_endpoints_take_a_token_of_the_last_key_to_its_end_and_none_of_a_revoked_one(
    server: Server,
) -> None:
    async def status(token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        return (await server.http.get("/oauth2/userinfo", headers=headers)).status_code

    await server.app.desk.keys.rotate()
    server.clock.now += SHORTEST_NOTICE - 1
    old = [(await tokens_by(server, alg))[0] for alg in ALGORITHMS]
    server.clock.now += 600
    await server.app.desk.keys.round()
    new = [(await tokens_by(server, alg))[0] for alg in ALGORITHMS]
    assert [await status(token) for token in (*old, *new)] == [200] * 8
    await server.app.desk.keys.revoke(kid_of(old[0]))
    await server.app.desk.keys.revoke(kid_of(new[1]))
    assert [await status(token) for token in (*old, *new)] == [401, 200, 200, 200, 200, 401, 200, 200]


async def test_an_id_token_of_a_retired_key_still_says_who_signs_out_and_one_of_a_revoked_key_does_not(
    server: Server,
) -> None:
    async def is_taken(hint: str) -> bool:
        answer = await server.http.get("/oauth2/logout", params={"id_token_hint": hint})
        return answer.status_code == 200

    (_, retired), (_, revoked) = [await tokens_by(server, alg) for alg in ("EdDSA", "ES256")]
    await server.app.desk.keys.rotate()
    server.clock.now += SHORTEST_NOTICE + RETENTION
    await server.app.desk.keys.round()
    await server.app.desk.keys.revoke(kid_of(revoked))
    assert [await is_taken(hint) for hint in (retired, revoked)] == [True, False]


# --- stock libraries ---


@dataclass
class Service:
    """A service that verifies tokens of every algorithm, by a library of others."""

    server: Server
    verdict: Callable[[str, str], Awaitable[str]]
    """Takes a token and its algorithm; `good`, or why not."""
    reload: Callable[[], Awaitable[Any]]
    """What the library does when what it has is too old."""

    async def verdicts(self, tokens: list[str]) -> set[str]:
        return {await self.verdict(token, jwt.get_unverified_header(token)["alg"]) for token in tokens}

    def fetched(self) -> int:
        """How often somebody asked for the key set."""
        return sum(event.get("path") == JWKS for event in self.server.events)


async def goes_through_a_rotation(service: Service) -> None:
    server = service.server
    old = await every_token(server)
    assert await service.verdicts(old) == {"good"}
    await server.app.desk.keys.rotate()
    await service.reload()  # within a day, by its headers within an hour
    fetched = service.fetched()
    server.clock.now += SHORTEST_NOTICE - 1
    late = await every_token(server)
    server.clock.now += 1
    await server.app.desk.keys.round()
    new = await every_token(server)
    assert not {kid_of(token) for token in late} & {kid_of(token) for token in new}
    assert await service.verdicts(late + new) == {"good"}
    assert service.fetched() == fetched, "no key was unknown"
    server.clock.now += 86400
    await server.app.desk.keys.round()
    await service.reload()
    assert await service.verdicts(new) == {"good"}


async def asks_again_when_the_key_it_knew_was_revoked(service: Service) -> None:
    server = service.server
    (old, *_) = await tokens_by(server, "ES256")
    assert await service.verdict(old, "ES256") == "good"
    await server.app.desk.keys.revoke(kid_of(old))
    (new, *_) = await tokens_by(server, "ES256")
    assert await service.verdict(new, "ES256") == "good", "it asks for a key that it does not know"
    assert await service.verdict(old, "ES256") != "good"


@asynccontextmanager
async def pyjwt(server: Server) -> AsyncIterator[Service]:
    """A service on PyJWT with its key client as it comes."""
    async with over_sockets(server.app) as listener:
        host, port = listener.address
        client = jwt.PyJWKClient(f"http://{host}:{port}{JWKS}", lifespan=86400, cooldown_duration=0)

        def check(token: str, alg: str) -> str:
            try:
                key = client.get_signing_key_from_jwt(token)
                options: Any = {
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                }
                jwt.decode(token, key, algorithms=[alg], issuer=ISSUER, options=options)
            except (jwt.PyJWTError, jwt.PyJWKClientError) as error:
                return type(error).__name__
            return "good"

        yield Service(
            server,
            lambda token, alg: asyncio.to_thread(check, token, alg),
            lambda: asyncio.to_thread(client.get_jwk_set, refresh=True),
        )


@asynccontextmanager
async def jose(server: Server) -> AsyncIterator[Service]:
    """A service on jose for JavaScript."""
    await asyncio.to_thread(install)
    pipe = asyncio.subprocess.PIPE
    async with over_sockets(server.app) as listener:
        node = shutil.which("node") or "node"
        program = await asyncio.create_subprocess_exec(node, "rotation.mjs", cwd=DIRECTORY, stdin=pipe, stdout=pipe)
        assert program.stdin
        assert program.stdout
        said, heard = program.stdin, program.stdout

        async def say(**words: Any) -> None:
            said.write(json.dumps(words).encode() + b"\n")
            await said.drain()

        async def ask(**words: Any) -> str:
            await say(**words)
            return str(json.loads(await asyncio.wait_for(heard.readline(), 30)))

        host, port = listener.address
        await say(issuer=ISSUER, jwks=f"http://{host}:{port}{JWKS}")
        yield Service(
            server,
            lambda token, alg: ask(token=token, alg=alg, now=jwt_time(token)),
            lambda: ask(reload=True),
        )
        program.kill()
        await program.wait()


def jwt_time(token: str) -> int:
    """A time at which it is good."""
    issued: int = jwt.decode(token, options={"verify_signature": False})["iat"]
    return issued + 1


LIBRARIES = [
    pytest.param(pyjwt, id="PyJWT"),
    pytest.param(jose, id="jose", marks=[pytest.mark.node, pytest.mark.timeout(120)]),
]


@pytest.mark.parametrize("library", LIBRARIES)
async def test_R21_a_stock_library_verifies_every_token_through_a_rotation(server: Server, library: Any) -> None:
    async with library(server) as service:
        await goes_through_a_rotation(service)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_R21_a_stock_library_follows_an_emergency(server: Server, library: Any) -> None:
    async with library(server) as service:
        await asks_again_when_the_key_it_knew_was_revoked(service)
