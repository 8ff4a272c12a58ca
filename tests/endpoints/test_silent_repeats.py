"""One credential presented more than once: by the same request whose answer was lost, by another one, and meanwhile.

A repeat brings a fresh code for the same player within 30 s, and no second call to the platform.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from authsrv.emulator.base import MintedCredential
from authsrv.oauth.credentials import CredentialDesk
from tests.support.outbound import AsgiOutbound
from tests.support.server import Server, running, running_on
from tests.support.storage import BACKENDS

OTHER_CHALLENGE = "qjrzSW9gMiUgpUvqgEPE4_-8swvyCtfOVvg55o5S_es"
OTHER_VERIFIER = "M25iVXpKU3puUjFaYWg3T1NDTDQtcW1ROUY5YXlwalNoc0hhakxifmZHag"  # verifier of the challenge above
SPA: dict[str, str | None] = {"client_id": "spa", "redirect_uri": "http://127.0.0.1:8080/demo/spa"}
SINGLE_USE = [
    pytest.param("steam", "session_ticket", id="steam ticket"),
    pytest.param("steam", "encrypted_app_ticket", id="steam encrypted ticket"),
    pytest.param("epicgames", "exchange_code", id="epic exchange code"),
    pytest.param("epicgames", "authorization_code", id="epic authorization code"),
    pytest.param("epicgames", "id_token", id="epic id_token"),
    pytest.param("epicgames", "connect_id_token", id="epic connect id_token"),
]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


def asked(server: Server) -> int:
    """How often any platform was asked about a credential; key lists do not count."""
    steam, epic = (server.platforms[name].calls for name in ("steam", "epic"))
    return steam["AuthenticateUserTicket"] + epic["token"]


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return httpx.URL(answer.json()["login_url"]).params["code"]


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["error"], body.get("reason", "")


REPLAYED = (400, "invalid_grant", "credential_replayed")
REJECTED = (400, "invalid_grant", "credential_rejected")
UNAVAILABLE = (503, "temporarily_unavailable", "provider_unavailable")
IN_PROGRESS = (503, "temporarily_unavailable", "in_progress")


# The same request again


@pytest.mark.parametrize(("provider", "kind"), SINGLE_USE)
async def test_a_repeat_gets_a_fresh_code_without_a_second_call_and_the_first_code_is_dead(
    server: Server, provider: str, kind: str
) -> None:
    minted = server.mint(provider, kind=kind)
    first = await server.code(provider, minted)
    calls = asked(server)
    server.clock.now += 29
    second = await server.code(provider, minted)
    assert asked(server) == calls
    assert (await server.redeem(first)).json()["error"] == "invalid_grant"
    tokens = (await server.redeem(second)).json()
    again = await server.login(provider, server.mint(provider, kind=kind))
    assert server.claims(tokens["access_token"])["sub"] == server.claims(again["access_token"])["sub"]


async def test_a_repeat_leaves_alone_what_the_first_answer_already_gave(server: Server) -> None:
    minted = server.mint("steam")
    tokens = await server.login("steam", minted)
    await server.code("steam", minted)
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200


async def test_of_many_repeats_the_last_code_alone_lives(server: Server) -> None:
    minted = server.mint("epicgames")
    codes = [await server.code("epicgames", minted) for _ in range(4)]
    assert [(await server.redeem(code)).status_code for code in codes] == [400, 400, 400, 200]


async def test_the_window_begins_with_the_first_answer_and_no_repeat_moves_it(server: Server) -> None:
    minted = server.mint("steam")
    await server.code("steam", minted)
    server.clock.now += 29
    await server.code("steam", minted)
    server.clock.now += 1
    assert refusal(await server.silent("steam", minted)) == REPLAYED


async def test_a_repeat_may_come_with_another_state_if_it_knows_the_challenge(server: Server) -> None:
    minted = server.mint("steam")
    await server.code("steam", minted)
    assert (await server.silent("steam", minted, state="another-state")).status_code == 200


OTHERS = [
    pytest.param(SPA, 0, id="another client"),
    pytest.param({"code_challenge": OTHER_CHALLENGE}, 0, id="another challenge"),
    pytest.param({}, 30, id="later"),
]


@pytest.mark.parametrize(("changes", "later"), OTHERS)
@pytest.mark.parametrize(("provider", "kind"), SINGLE_USE[:3])
async def test_D01_anybody_else_and_anybody_later_is_refused_without_a_call(
    server: Server, provider: str, kind: str, changes: dict[str, str | None], later: int
) -> None:
    minted = server.mint(provider, kind=kind)
    code = await server.code(provider, minted)
    calls = asked(server)
    server.clock.now += later
    assert refusal(await server.silent(provider, minted, **changes)) == REPLAYED
    assert asked(server) == calls
    assert (await server.redeem(code)).status_code == 200


@pytest.mark.parametrize(
    ("provider", "kind", "seconds"),
    [
        ("steam", "session_ticket", 86400),
        ("steam", "encrypted_app_ticket", 290),
        ("epicgames", "exchange_code", 3600),
        ("epicgames", "id_token", 7259),
        ("epicgames", "connect_id_token", 3659),
    ],
)
async def test_D01_a_credential_is_remembered_for_as_long_as_it_may_work(
    server: Server, provider: str, kind: str, seconds: int
) -> None:
    minted = server.mint(provider, kind=kind)
    await server.code(provider, minted)
    server.clock.now += seconds
    await server.app.storage.sweep(int(server.clock.now), 100)
    assert refusal(await server.silent(provider, minted)) == REPLAYED


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda text: text[:104] + "00" * 100, id="another tail"),
        pytest.param(lambda text: text + "00" * 50, id="padding"),
    ],
)
async def test_D01_a_steam_ticket_is_known_by_the_bytes_that_steam_authenticates(server: Server, altered: Any) -> None:
    minted = server.mint("steam")
    await server.code("steam", minted)
    ticket = altered(minted.parameters["session_ticket"])
    answer = await server.silent("steam", minted, session_ticket=ticket, code_challenge=OTHER_CHALLENGE)
    assert refusal(answer) == REPLAYED


async def test_a_credential_is_single_use_in_each_project_by_itself() -> None:
    def second_project(block: dict[str, Any]) -> None:
        block["projects"]["other"] = {
            "platforms": {"steam": block["projects"]["demo"]["platforms"]["steam"]},
            "clients": {"elsewhere": block["projects"]["demo"]["clients"]["launcher"]},
        }

    async with running(edit=second_project) as server:
        minted = server.mint("steam")
        await server.code("steam", minted)
        assert (await server.silent("steam", minted, client_id="elsewhere")).status_code == 200


@pytest.mark.parametrize(
    ("provider", "case", "outcome"),
    [
        ("steam", "cancelled", REJECTED),
        ("steam", "banned", (403, "access_denied", "account_banned")),
        ("steam", "not-owned", (403, "access_denied", "account_not_entitled")),
        ("steam", "errorcode-3", (400, "invalid_request", "credential_malformed")),
        ("epicgames", "used-code", REJECTED),
        ("epicgames", "account-locked", (403, "interaction_required", "account_action_required")),
    ],
)
async def test_a_refused_credential_gets_its_recorded_refusal_and_a_stranger_is_told_nothing(
    server: Server, provider: str, case: str, outcome: tuple[int, str, str]
) -> None:
    minted = server.mint(provider, case=case)
    assert refusal(await server.silent(provider, minted)) == outcome
    calls = asked(server)
    assert refusal(await server.silent(provider, minted)) == outcome
    assert refusal(await server.silent(provider, minted, code_challenge=OTHER_CHALLENGE)) == REPLAYED
    assert asked(server) == calls


# The same request meanwhile


class Held:
    """The next call to a platform, held until `release`; every later one goes through."""

    def __init__(self, outbound: AsgiOutbound) -> None:
        self._send = outbound._send
        self._free = asyncio.Event()
        self.arrived = asyncio.Event()

    async def send(self, request: httpx.Request, max_body: int) -> Any:
        if not self.arrived.is_set():
            self.arrived.set()
            await self._free.wait()
        return await self._send(request, max_body)

    def release(self) -> None:
        self._free.set()


@contextmanager
def held(server: Server, provider: str) -> Iterator[Held]:
    outbound = server.outbounds[provider]
    call = Held(outbound)
    with patch.object(outbound, "_send", call.send):
        yield call


class Pauses:
    """Stands for `asyncio.sleep`: counts the seconds, and calls `at` once that many have passed."""

    def __init__(self) -> None:
        self.total = 0.0
        self.at: float | None = None
        self.then: Any = None

    async def sleep(self, seconds: float) -> None:
        self.total += seconds
        if self.at is not None and self.total >= self.at:
            self.at = None
            await self.then()
        await asyncio.sleep(0)


@pytest.fixture
def pauses() -> Iterator[Pauses]:
    """How long requests waited for each other, without anybody really waiting."""
    kept = Pauses()
    with patch("authsrv.composition.CredentialDesk", partial(CredentialDesk, sleep=kept.sleep)):
        yield kept


async def begun(server: Server, call: Held, provider: str, minted: MintedCredential) -> "asyncio.Task[httpx.Response]":
    """A login whose call has reached the platform and is held there."""
    login = asyncio.create_task(server.silent(provider, minted))
    await call.arrived.wait()
    return login


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_repeat_waits_for_the_request_at_the_platform_and_gets_a_code_of_its_own(
    tmp_path: Path, pauses: Pauses, provider: str, backend: str
) -> None:
    async with running_on(backend, tmp_path) as server:
        minted = server.mint(provider)
        with held(server, provider) as call:
            login = await begun(server, call, provider, minted)

            async def answered() -> None:
                call.release()
                await login

            pauses.at, pauses.then = 2.0, answered
            second = code_of(await server.silent(provider, minted))
        assert asked(server) == 1
        assert (await server.redeem(code_of(await login))).json()["error"] == "invalid_grant"
        assert (await server.redeem(second)).status_code == 200


@pytest.mark.parametrize("provider", ["steam", "epicgames"])
async def test_a_repeat_waits_three_seconds_at_most(pauses: Pauses, provider: str) -> None:
    async with running() as server:
        minted = server.mint(provider)
        with held(server, provider) as call:
            login = await begun(server, call, provider, minted)
            answer = await server.silent(provider, minted)
            assert refusal(answer) == IN_PROGRESS
            assert answer.headers["retry-after"] == "1"
            assert pauses.total == pytest.approx(3)
            call.release()
            assert (await login).status_code == 200
        assert asked(server) == 1


async def test_somebody_elses_request_meanwhile_is_refused_at_once(pauses: Pauses) -> None:
    async with running() as server:
        minted = server.mint("steam")
        with held(server, "steam") as call:
            login = await begun(server, call, "steam", minted)
            assert refusal(await server.silent("steam", minted, code_challenge=OTHER_CHALLENGE)) == REPLAYED
            assert pauses.total == 0
            call.release()
            assert (await login).status_code == 200


async def test_a_repeat_that_waited_for_an_outage_is_told_of_the_outage(pauses: Pauses) -> None:
    async with running() as server:
        minted = server.mint("steam", case="good")
        with held(server, "steam") as call:
            login = await begun(server, call, "steam", minted)

            async def failed() -> None:
                server.outbounds["steam"].outage = "connect_failure"
                call.release()
                await login

            pauses.at, pauses.then = 1.0, failed
            waited = await server.silent("steam", minted)
        assert refusal(await login) == refusal(waited) == UNAVAILABLE
        assert int(waited.headers["retry-after"]) > 0
        server.outbounds["steam"].outage = None
        assert (await server.silent("steam", minted)).status_code == 200


async def test_a_repeat_that_waited_for_a_refusal_gets_it_too(pauses: Pauses) -> None:
    async with running() as server:
        minted = server.mint("steam", case="banned")
        with held(server, "steam") as call:
            login = await begun(server, call, "steam", minted)

            async def refused() -> None:
                call.release()
                await login

            pauses.at, pauses.then = 1.0, refused
            assert refusal(await server.silent("steam", minted)) == (403, "access_denied", "account_banned")
        assert asked(server) == 1


# A request that never came back


@pytest.mark.parametrize("challenge", [None, OTHER_CHALLENGE])
async def test_a_dead_lease_is_taken_over_and_the_late_request_loses(server: Server, challenge: str | None) -> None:
    minted = server.mint("steam")
    changes = {"code_challenge": challenge} if challenge else {}
    with held(server, "steam") as call:
        late = await begun(server, call, "steam", minted)
        server.clock.now += 15
        code = await server.code("steam", minted, **changes)
        call.release()
        assert refusal(await late) == REPLAYED
    verifier = {"code_verifier": OTHER_VERIFIER} if challenge else {}
    assert (await server.redeem(code, **verifier)).status_code == 200


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("cancelled", REJECTED),
        ("http-503", UNAVAILABLE),
        ("bad-key-403", (503, "server_error", "provider_misconfigured")),
    ],
)
async def test_a_late_refusal_after_the_lease_is_still_told_and_changes_nothing(
    server: Server, case: str, outcome: tuple[int, str, str]
) -> None:
    minted = server.mint("steam", case=case)
    with held(server, "steam") as call:
        late = await begun(server, call, "steam", minted)
        server.clock.now += 15
        assert refusal(await server.silent("steam", minted)) == outcome
        call.release()
        assert refusal(await late) == outcome


async def test_a_late_unknown_player_after_the_lease_loses_the_credential(server: Server) -> None:
    minted = server.mint("steam")
    with held(server, "steam") as call:
        late = asyncio.create_task(server.silent("steam", minted, no_user_creation="true"))
        await call.arrived.wait()
        server.clock.now += 15
        taken = await server.silent("steam", minted, no_user_creation="true")
        assert taken.json()["error"] == "user_not_found"
        call.release()
        assert refusal(await late) == REPLAYED


@pytest.mark.parametrize("kind", ["exchange_code", "authorization_code"])
async def test_a_dead_lease_on_an_epic_code_is_not_taken_over_for_epic_may_have_used_it_up(
    server: Server, kind: str
) -> None:
    minted = server.mint("epicgames", kind=kind)
    with held(server, "epicgames") as call:
        late = await begun(server, call, "epicgames", minted)
        server.clock.now += 15
        assert refusal(await server.silent("epicgames", minted)) == REPLAYED
        assert refusal(await server.silent("epicgames", minted, code_challenge=OTHER_CHALLENGE)) == REPLAYED
        call.release()
        assert (await late).status_code == 200
    assert asked(server) == 1


# Outages


@pytest.mark.parametrize("outage", ["connect_failure", "timeout", "server_error", "garbage"])
async def test_an_outage_of_steam_costs_no_ticket(server: Server, outage: Any) -> None:
    minted = server.mint("steam")
    server.outbounds["steam"].outage = outage
    assert refusal(await server.silent("steam", minted)) == UNAVAILABLE
    server.outbounds["steam"].outage = None
    assert (await server.silent("steam", minted, code_challenge=OTHER_CHALLENGE)).status_code == 200


async def test_a_wrong_key_of_ours_costs_no_ticket(server: Server) -> None:
    minted = server.mint("steam", case="bad-key-403")
    for _ in range(2):
        assert refusal(await server.silent("steam", minted)) == (503, "server_error", "provider_misconfigured")
    assert asked(server) == 2


@pytest.mark.parametrize("outage", ["timeout", "server_error", "garbage"])
async def test_an_epic_code_that_may_be_used_up_is_never_sent_again(server: Server, outage: Any) -> None:
    minted = server.mint("epicgames")
    server.outbounds["epicgames"].outage = outage
    assert refusal(await server.silent("epicgames", minted)) == UNAVAILABLE
    server.outbounds["epicgames"].outage = None
    assert refusal(await server.silent("epicgames", minted)) == REJECTED
    assert asked(server) == 0


async def test_an_epic_code_that_certainly_was_not_sent_may_come_again(server: Server) -> None:
    minted = server.mint("epicgames")
    server.outbounds["epicgames"].outage = "connect_failure"
    assert refusal(await server.silent("epicgames", minted)) == UNAVAILABLE
    server.outbounds["epicgames"].outage = None
    assert (await server.silent("epicgames", minted)).status_code == 200


@pytest.mark.parametrize("kind", ["id_token", "connect_id_token"])
async def test_an_outage_of_epics_keys_costs_no_token(server: Server, kind: str) -> None:
    minted = server.mint("epicgames", kind=kind, case="keys-unreachable")
    assert refusal(await server.silent("epicgames", minted)) == UNAVAILABLE
    server.clock.now += 61
    assert (await server.silent("epicgames", minted, code_challenge=OTHER_CHALLENGE)).status_code == 200


# XSTS tokens


async def test_an_xsts_token_without_signature_may_be_used_by_anybody_until_it_expires(server: Server) -> None:
    minted = server.mint("xbox")
    first = await server.code("xbox", minted)
    assert (await server.silent("xbox", minted, **SPA)).status_code == 200
    assert (await server.silent("xbox", minted, code_challenge=OTHER_CHALLENGE)).status_code == 200
    assert (await server.redeem(first)).status_code == 200
    server.clock.now += 4 * 3600 - 60 + 59
    assert (await server.silent("xbox", minted)).status_code == 200
    server.clock.now += 1
    assert refusal(await server.silent("xbox", minted)) == (400, "invalid_grant", "credential_expired")


async def test_a_project_may_make_xsts_tokens_single_use() -> None:
    def single_use(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["xbox"]["token_single_use"] = True

    async with running(edit=single_use) as server:
        minted = server.mint("xbox")
        await server.code("xbox", minted)
        assert (await server.silent("xbox", minted)).status_code == 200
        assert refusal(await server.silent("xbox", minted, **SPA)) == REPLAYED


# A ticket made a moment ago


async def steam_pauses(server: Server) -> list[float]:
    """What the Steam verifier waits, on the test's clock."""
    waited: list[float] = []

    async def pause(seconds: float) -> None:
        waited.append(seconds)
        server.clock.now += seconds

    verifier: Any = server.app._platforms.find("demo", "steam")
    verifier._sleep = pause
    return waited


async def test_steam_is_asked_again_about_a_ticket_made_a_moment_ago(server: Server) -> None:
    waited = await steam_pauses(server)
    assert (await server.silent("steam", server.mint("steam", case="too-early"))).status_code == 200
    assert waited == [0.5, 1.0]
    assert asked(server) == 3


async def test_a_fresh_ticket_that_steam_never_learns_of_is_refused_after_three_pauses(server: Server) -> None:
    waited = await steam_pauses(server)
    minted = server.mint("steam", case="too-early")
    server.clock.now -= 8  # Steam will not know it for long enough, and it is still younger than 10 s
    assert refusal(await server.silent("steam", minted)) == REJECTED
    assert waited == [0.5, 1.0, 2.0]
    assert asked(server) == 4


@pytest.mark.parametrize("case", ["cancelled", "unknown", "errorcode-102", "other-app"])
async def test_an_older_ticket_or_another_refusal_is_asked_about_once(server: Server, case: str) -> None:
    waited = await steam_pauses(server)
    await server.silent("steam", server.mint("steam", case=case))
    assert (waited, asked(server)) == ([], 1)


# What never takes a credential


WRONG = [
    pytest.param({"client_id": "nobody"}, id="client"),
    pytest.param({"redirect_uri": "https://evil.test/"}, id="redirect URI"),
    pytest.param({"is_redirect": "maybe"}, id="is_redirect"),
    pytest.param({"no_user_creation": "maybe"}, id="no_user_creation"),
    pytest.param({"response_type": "token"}, id="response_type"),
    pytest.param({"state": "short"}, id="state"),
    pytest.param({"scope": "admin"}, id="scope"),
    pytest.param({"audience": "https://elsewhere.test"}, id="audience"),
    pytest.param({"code_challenge": None}, id="challenge"),
    pytest.param({"code_challenge_method": "plain"}, id="challenge method"),
    pytest.param({"nonce": "\x01"}, id="nonce"),
    pytest.param({"credential_type": "cookie"}, id="credential_type"),
    pytest.param({"encrypted_ticket_nonce": "A" * 48}, id="nonce never issued"),
    pytest.param({"code": "x"}, id="two credentials"),
]


@pytest.mark.parametrize("changes", WRONG)
async def test_a_wrong_parameter_never_reserves(server: Server, changes: dict[str, str | None]) -> None:
    answer = await server.silent("steam", **changes)
    assert answer.status_code == 400
    assert server.app.storage._tables.reservations == {}  # type: ignore[attr-defined]  # the memory backend's


async def test_a_limit_on_the_player_keeps_what_the_platform_said(pauses: Pauses) -> None:
    def two_logins(block: dict[str, Any]) -> None:
        block["limits"] = {"logins_per_minute_per_player": 2}

    async with running(edit=two_logins) as server:
        for _ in range(2):
            await server.code("epicgames")
        minted = server.mint("epicgames")
        for _ in range(2):
            assert (await server.silent("epicgames", minted)).status_code == 429
        assert asked(server) == 3
        (kept,) = [row for row in reservations(server) if row.grant_id == 0]
        assert (kept.state, kept.identity.subject) == ("settled", "a11ce0000000000000000000000000a1")
        assert pauses.total == 0


async def test_a_limited_repeat_does_not_take_back_the_code_of_the_first_answer() -> None:
    def two_logins(block: dict[str, Any]) -> None:
        block["limits"] = {"logins_per_minute_per_player": 2}

    async with running(edit=two_logins) as server:
        await server.code("epicgames")
        minted = server.mint("epicgames")
        code = await server.code("epicgames", minted)
        assert (await server.silent("epicgames", minted)).status_code == 429
        assert (await server.redeem(code)).status_code == 200


def reservations(server: Server) -> list[Any]:
    return list(server.app.storage._tables.reservations.values())  # type: ignore[attr-defined]  # the memory backend's
