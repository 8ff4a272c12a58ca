"""Link codes over HTTP: what the first device is given, and how it learns what became of it."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import segno

from authsrv.storage.account_changes import UseLinkCode
from tests.support.refusals import tables
from tests.support.residents import Resident, identity, resident
from tests.support.server import ISSUER, Server, running

CODE = "/v1/me/links/code"
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def amber(server: Server) -> Resident:
    return await resident(server)


async def asked(of: Resident) -> dict[str, Any]:
    answer = await of.post(CODE)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# --- the code ---


async def test_a_code_comes_with_a_number_to_compare_and_the_page_that_takes_it(amber: Resident) -> None:
    answer = await amber.post(CODE)
    told = answer.json()
    assert re.fullmatch(rf"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", told["code"])
    assert re.fullmatch(r"[1-9][0-9]", told["check_number"])
    assert told == {
        "code": told["code"],
        "check_number": told["check_number"],
        "verification_uri": f"{ISSUER}/link",
        "verification_uri_complete": f"{ISSUER}/link?code={told['code']}",
        "expires_in": 600,
        "qr": told["qr"],
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_every_letter_and_every_number_is_as_likely_as_any_other(amber: Resident) -> None:
    amber.server.app.desk.server.limits._quotas = dict.fromkeys(amber.server.app.desk.server.limits._quotas, 10_000)
    told = [await asked(amber) for _ in range(300)]
    letters = Counter("".join(one["code"].replace("-", "") for one in told))
    assert set(letters) == set(LETTERS)
    assert max(letters.values()) < 2 * min(letters.values())
    assert len({one["code"] for one in told}) == 300
    assert len({one["check_number"] for one in told}) > 70


async def test_the_code_is_kept_as_a_keyed_digest_alone(amber: Resident) -> None:
    told = await asked(amber)
    (kept,) = tables(amber.server).link_codes.values()
    letters = told["code"].replace("-", "")
    assert letters not in str(kept)
    assert told["code"] not in str(kept)
    assert letters not in str(amber.server.events)
    assert (kept.player_id, kept.client_id, kept.project, kept.return_to) == (await amber.row(), "launcher", "demo", "")


async def test_the_picture_shows_the_address_with_a_quiet_zone(amber: Resident) -> None:
    told = await asked(amber)
    drawn, size = modules(told["qr"])
    wanted = segno.make_qr(told["verification_uri_complete"], error="m")
    dark = {(x + 4, y + 4) for y, row in enumerate(wanted.matrix) for x, module in enumerate(row) if module}
    assert size == len(wanted.matrix) + 8
    assert drawn == dark
    assert "script" not in told["qr"]


def modules(svg: str) -> tuple[set[tuple[int, int]], int]:
    """The dark modules of a picture, and how many modules wide it is."""
    size = int(re.findall(r'viewBox="0 0 (\d+) \d+"', svg)[0])
    (path,) = re.findall(r'stroke="#000" d="([^"]+)"', svg)
    dark, x, y = set(), 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path):
        values = [float(value) for value in numbers.split()]
        if command == "h":
            dark |= {(int(x) + step, int(y)) for step in range(int(values[0]))}
            x += values[0]
        else:
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
    return dark, size


# --- what became of it ---


async def state(of: Resident) -> dict[str, Any]:
    answer = await of.get(CODE)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_who_asked_for_no_code_has_none(amber: Resident) -> None:
    assert await state(amber) == {"state": "none"}


async def test_a_code_waits_until_it_is_used_or_too_old(amber: Resident) -> None:
    told = await asked(amber)
    amber.server.clock.now += 599
    assert await state(amber) == {"state": "pending", "check_number": told["check_number"], "expires_in": 1}
    amber.server.clock.now += 1
    assert await state(amber) == {"state": "expired"}


@pytest.mark.parametrize(("lost", "found"), [("steam", "expired"), ("epicgames", "pending")])
async def test_a_code_is_over_once_its_player_lost_the_account_that_they_signed_in_by(
    server: Server, amber: Resident, lost: str, found: str
) -> None:
    await amber.has(identity("epicgames"))
    await asked(amber)
    answer = await amber.post("/v1/me/identities/unlink", {"provider": lost, "subject": identity(lost).subject})
    assert answer.status_code == 200, answer.text
    there = await resident(server, "epicgames") if lost == "steam" else amber
    assert (await state(there))["state"] == found


async def test_a_code_that_was_used_says_so(amber: Resident) -> None:
    told = await asked(amber)
    (kept,) = tables(amber.server).link_codes.values()
    await amber.server.app.storage.apply([UseLinkCode(kept.id, 1_790_000_000)])
    assert await state(amber) == {"state": "linked", "check_number": told["check_number"]}


async def test_a_newer_code_replaces_the_older(amber: Resident) -> None:
    await asked(amber)
    newer = await asked(amber)
    assert len(tables(amber.server).link_codes) == 1
    assert (await state(amber))["check_number"] == newer["check_number"]


async def test_the_code_of_another_player_is_none_of_ones_business(amber: Resident) -> None:
    await asked(await resident(amber.server, "steam", "birch"))
    assert await state(amber) == {"state": "none"}


# --- who may ---


async def test_an_old_sign_in_gets_no_code(amber: Resident) -> None:
    amber.server.clock.now += 601
    answer = await amber.post(CODE)
    assert (answer.status_code, answer.json()["error"]) == (403, "reauthentication_required")
    assert (await amber.get(CODE)).status_code == 200
    assert not tables(amber.server).link_codes


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_token_without_the_scope_gets_nothing(server: Server, method: str) -> None:
    plain = await resident(server, scope="openid offline")
    answer = await server.http.request(method, CODE, headers=plain.bearer)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert (await server.http.request(method, CODE)).status_code == 401


async def test_nobody_makes_codes_without_end() -> None:
    def edit(block: dict[str, Any]) -> None:
        block["limits"] = {"multiplier": 1}

    async with running(edit=edit) as server:
        amber, birch = await resident(server), await resident(server, "steam", "birch")
        for _ in range(10):
            await asked(amber)
        refused = await amber.post(CODE)
        assert (refused.status_code, refused.json()["error"]) == (429, "rate_limited")
        assert await asked(birch)
