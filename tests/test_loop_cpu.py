"""Nothing blocks the event loop: CPU of the loop's thread per request, beside a reference request of the same run.

The bounds catch a slow hash, a key that is made or read anew, or a query on the loop; they are no benchmark.
"""

import hashlib
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from authsrv.oauth import key_material
from tests.support.exchange import exchange, exchanging, narrow, ticket
from tests.support.loop_cpu import Call, cpu_of_both
from tests.support.server import Server, running

ROUNDS = 12


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, edit=exchanging) as started:
        yield started


async def prepared(server: Server, name: str) -> Call:
    """A request of this kind that can be sent again and again; what it uses up is made before."""
    if name == "client_credentials":
        return lambda: server.token(
            grant_type="client_credentials", client_id="backend", client_secret="backend-secret"
        )
    if name == "wrong secret":
        return lambda: server.token(grant_type="client_credentials", client_id="backend", client_secret="wrong")
    if name == "code":
        codes = [await server.code("steam") for _ in range(ROUNDS + 1)]
        return lambda: server.redeem(codes.pop())
    if name == "refresh":
        tokens = [(await server.login("xbox"))["refresh_token"] for _ in range(ROUNDS + 1)]
        return lambda: server.refresh(tokens.pop())
    if name.startswith("exchange"):
        return await prepared_exchange(server, name)
    provider = name.partition(" ")[2]
    minted = [server.mint(provider) for _ in range(ROUNDS + 1)]
    return lambda: server.silent(provider, minted.pop())


async def prepared_exchange(server: Server, name: str) -> Call:
    """The same for token exchanges."""
    if name == "exchange steam":
        credentials = [ticket(server) for _ in range(ROUNDS + 1)]
        return lambda: exchange(server, credentials.pop())
    token = (await server.login("steam"))["access_token"]
    shown = token if name == "exchange of a token" else token[:-8] + "AAAAAAAA"
    return lambda: narrow(server, shown)


# About three times what was seen on an idle machine. The platforms are emulated in the same thread and count too.
BOUNDS = [
    pytest.param("client_credentials", 8, id="client_credentials"),
    pytest.param("wrong secret", 8, id="wrong secret"),
    pytest.param("refresh", 15, id="refresh"),
    pytest.param("code", 15, id="code"),
    pytest.param("login steam", 25, id="login steam"),
    pytest.param("login xbox", 25, id="login xbox"),
    pytest.param("login epicgames", 40, id="login epicgames"),
    pytest.param("login guest", 15, id="login guest"),
    pytest.param("exchange of a token", 15, id="exchange of a token"),
    pytest.param("exchange of a forged token", 15, id="exchange of a forged token"),
    pytest.param("exchange steam", 30, id="exchange steam"),
]


@pytest.mark.parametrize(("name", "bound"), BOUNDS)
async def test_a_request_costs_the_loop_a_few_reference_requests(
    server: Server, name: str, bound: float, capsys: pytest.CaptureFixture[str]
) -> None:
    call = await prepared(server, name)
    discovery = partial(server.http.get, "/.well-known/openid-configuration")
    found, reference = await cpu_of_both(call, discovery, ROUNDS)
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {found * 1000:.2f} ms of CPU, {found / reference:.1f} reference requests\n")
    assert found < bound * reference


SLOW = [
    (serialization, "load_der_private_key"),
    (serialization, "load_pem_private_key"),
    (serialization, "load_der_public_key"),
    (serialization, "load_pem_public_key"),
    (ec, "generate_private_key"),
    (rsa, "generate_private_key"),
    (key_material, "_stretch"),
    (hashlib, "scrypt"),
    (hashlib, "pbkdf2_hmac"),
    (ECAlgorithm, "from_jwk"),
    (RSAAlgorithm, "from_jwk"),
]


@pytest.mark.parametrize(
    "name",
    [
        *("client_credentials", "wrong secret", "refresh", "code", "login steam", "login xbox"),
        *("exchange of a token", "exchange steam"),
    ],
)
async def test_no_request_makes_or_reads_a_key_or_stretches_a_secret(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await prepared(server, name)
    await call()  # key sets of platforms are read once

    def slow(*_: object, **__: object) -> None:
        raise AssertionError("too slow for a request")

    for owner, function in SLOW:
        monkeypatch.setattr(owner, function, slow)
    answer = await call()
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == (401 if name == "wrong secret" else 200)
