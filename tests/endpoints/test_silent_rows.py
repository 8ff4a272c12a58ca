"""Single attack rows of the silent login that no table of another file holds."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from authsrv.emulator.base import PLAYERS
from tests.support.server import Server, launcher_request, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def test_D56_a_ticket_in_the_address_leaves_no_trace(server: Server) -> None:
    minted = server.mint("steam")
    parameters = {name: value for name, value in (launcher_request() | dict(minted.parameters)).items() if value}
    answer = await server.http.get("/oauth2/social/steam/cross_auth", params=parameters)
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    (access,) = (event for event in server.events if event["event"] == "request")
    assert access["path"] == "/oauth2/social/{provider}/cross_auth"
    assert minted.text not in json.dumps(server.events)


async def test_C12_an_encrypted_token_for_a_thousand_recipients_is_not_even_read(server: Server) -> None:
    recipients = [{"header": {"alg": "RSA-OAEP"}, "encrypted_key": "AAAA"}] * 1000
    crowd = json.dumps({"protected": "e30", "recipients": recipients, "iv": "AA", "ciphertext": "AA", "tag": "AA"})
    answer = await server.silent("xbox", session_ticket=crowd)
    assert (answer.status_code, answer.json()["reason"]) == (400, "credential_malformed")


@pytest.mark.parametrize("claim", ["aud", "exp", "iss"])
async def test_C33_a_foreign_token_without_a_decisive_claim_is_refused(server: Server, claim: str) -> None:
    emulator: Any = server.platforms["epic"]
    token = emulator.eas.genuine(PLAYERS["amber"], {claim: None}, {})
    answer = await server.silent("epicgames", session_ticket=token, credential_type="id_token")
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "invalid_request"}
