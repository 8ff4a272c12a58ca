"""Who may repeat a login, and what a repeat leaves alive, when others saw credential, state or challenge."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import MintedCredential
from tests.support.server import CHALLENGE, VERIFIER, Server, running, running_on
from tests.support.storage import BACKENDS

BLANK = "http://127.0.0.1/blank"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def sdk_login(server: Server, minted: MintedCredential, **changes: str) -> httpx.Response:
    """A silent login as an Xsolla SDK sends it: PKCE only if the game adds it."""
    sent = {"client_id": "40", "response_type": "code", "state": "af0ifjsldkj", "redirect_uri": BLANK,
            "is_redirect": "false", "scope": "offline"} | dict(minted.parameters) | changes  # fmt: skip
    return await server.http.post("/api/oauth2/social/steam/cross_auth", data=sent)


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return httpx.URL(answer.json()["login_url"]).params["code"]


async def test_D01_a_state_equal_to_the_challenge_does_not_repeat_a_login_with_pkce(server: Server) -> None:
    minted = server.mint("steam")
    good = code_of(await sdk_login(server, minted, code_challenge=CHALLENGE, code_challenge_method="S256"))
    stolen = await sdk_login(server, minted, state=CHALLENGE)
    assert (stolen.status_code, stolen.json()["error"]["details"]["reason"]) == (422, "ticket_used")
    redeemed = await server.http.post(
        "/api/oauth2/token",
        data={"grant_type": "authorization_code", "client_id": "40", "code": good, "redirect_uri": BLANK,
              "code_verifier": VERIFIER},
    )  # fmt: skip
    assert redeemed.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_challenge": "x" * 43}, id="another challenge"),
        pytest.param({"client_id": "spa", "redirect_uri": "http://127.0.0.1:8080/demo/spa"}, id="another client"),
    ],
)
async def test_D01_a_credential_that_was_seen_is_worth_nothing_to_others(
    server: Server, changes: dict[str, str | None]
) -> None:
    minted = server.mint("steam")
    code = await server.code("steam", minted)
    stolen = await server.silent("steam", minted, **changes)
    assert (stolen.status_code, stolen.json()["reason"]) == (400, "credential_replayed")
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize("database", BACKENDS)
async def test_D01_of_repeats_at_the_same_time_one_code_alone_stays_alive(tmp_path: Path, database: str) -> None:
    async with running_on(database, tmp_path) as server:
        minted = server.mint("steam")
        codes = [await server.code("steam", minted)]
        codes += await asyncio.gather(*(server.code("steam", minted) for _ in range(6)))
        answers = [await server.redeem(code) for code in codes]
        assert sorted(answer.status_code for answer in answers) == [200, *[400] * 6]


async def test_D01_a_repeat_after_the_window_is_a_replay(server: Server) -> None:
    minted = server.mint("steam")
    await server.code("steam", minted)
    server.clock.now += 30
    late: dict[str, Any] = (await server.silent("steam", minted)).json()
    assert late["reason"] == "credential_replayed"
