"""Rate limits over HTTP: what is counted together, when 429 comes, what it says, and that no header gets around it."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from authsrv.emulator.base import MintedCredential
from authsrv.models import TOKEN_EXCHANGE
from tests.support.refusals import clients
from tests.support.server import Server, client, launcher_request, running

Edit = Callable[[dict[str, Any]], None]
MINUTE = re.compile(r'"([a-z-]+)";r=0;t=([1-9]|[1-5][0-9]|60)')


def limits(**own: int) -> Edit:
    """The ordinary limits, some of them lowered; the demo's are a hundred times as high."""

    def edit(block: dict[str, Any]) -> None:
        block["limits"] = own

    return edit


def form(minted: MintedCredential, **changes: str | None) -> dict[str, str]:
    request = launcher_request() | dict(minted.parameters) | changes
    return {name: value for name, value in request.items() if value is not None}


async def login_from(
    server: Server, address: str, minted: MintedCredential, *, forwarded: str = "", **changes: str | None
) -> httpx.Response:
    """A silent login from an address, and with what it says about its address."""
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    async with client(server.app, address) as http:
        return await http.post("/oauth2/social/steam/cross_auth", data=form(minted, **changes), headers=headers)


def assert_limited(answer: httpx.Response, rule: str, quota: int) -> None:
    assert (answer.status_code, answer.json()) == (
        429,
        {
            "error": "rate_limited",
            "error_description": "Too many requests; wait as long as Retry-After says.",
        },
    )
    assert "location" not in answer.headers
    assert answer.headers.get_list("ratelimit-policy") == [f'"{rule}";q={quota};w=60']
    (limit,) = answer.headers.get_list("ratelimit")
    told = MINUTE.fullmatch(limit)
    assert told is not None
    assert (told[1], answer.headers.get_list("retry-after")) == (rule, [told[2]])


# Players


async def test_a_player_logs_in_thirty_times_a_minute_and_the_platform_is_not_asked_again() -> None:
    async with running(edit=limits()) as server:
        statuses = [(await server.silent("steam")).status_code for _ in range(30)]
        assert statuses == [200] * 30
        limited = await server.silent("steam")
        assert_limited(limited, "claimed-player-logins", 30)
        assert server.platforms["steam"].calls["AuthenticateUserTicket"] == 30
        assert (await server.silent("steam", server.mint("steam", "birch"))).status_code == 200


async def test_a_limited_ticket_is_not_used_up() -> None:
    async with running(edit=limits(logins_per_minute_per_player=1)) as server:
        await server.code("steam")
        minted = server.mint("steam")
        assert (await server.silent("steam", minted)).status_code == 429
        assert len(server.app.storage._tables.reservations) == 1  # type: ignore[attr-defined]  # the memory backend's


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("exchange_code", "player-logins"),
        ("authorization_code", "player-logins"),
        ("id_token", "claimed-player-logins"),
    ],
)
async def test_a_player_nobody_claims_to_be_is_counted_once_the_platform_named_it(kind: str, rule: str) -> None:
    async with running(edit=limits(logins_per_minute_per_player=3)) as server:
        for _ in range(3):
            await server.code("epicgames", server.mint("epicgames", kind=kind))
        assert_limited(await server.silent("epicgames", server.mint("epicgames", kind=kind)), rule, 3)
        other = server.mint("epicgames", "birch", kind=kind)
        assert (await server.silent("epicgames", other)).status_code == 200


async def test_the_same_account_on_two_platforms_is_two_counters() -> None:
    async with running(edit=limits(logins_per_minute_per_player=1)) as server:
        for provider in server.sources:
            await server.code(provider)
        for provider in server.sources:
            assert (await server.silent(provider)).status_code == 429


# Addresses


async def test_sixty_refusals_from_an_address_end_in_429_for_it_and_nobody_else() -> None:
    async with running(edit=limits()) as server:
        junk = server.mint("steam", case="malformed")
        statuses = [(await login_from(server, "192.0.2.1", junk)).status_code for _ in range(60)]
        assert statuses == [400] * 60
        good = server.mint("steam")
        assert_limited(await login_from(server, "192.0.2.1", good), "address-failures", 60)
        assert server.platforms["steam"].calls.total() == 0
        assert (await login_from(server, "192.0.2.2", good)).status_code == 200


@pytest.mark.parametrize(
    ("case", "counts"),
    [
        ("malformed", True),
        ("other-app", True),
        ("cancelled", True),
        ("banned", True),
        ("http-503", False),
        ("bad-key-403", False),
        ("good", False),
    ],
)
async def test_refusals_count_and_outages_do_not(case: str, counts: bool) -> None:
    async with running(edit=limits(failures_per_minute_per_address=1)) as server:
        await login_from(server, "192.0.2.1", server.mint("steam", case=case))
        after = await login_from(server, "192.0.2.1", server.mint("steam", "birch"))
        assert after.status_code == (429 if counts else 200)


async def test_a_replay_and_a_nonce_never_issued_count_as_refusals() -> None:
    async with running(edit=limits(failures_per_minute_per_address=2)) as server:
        minted = server.mint("steam")
        await server.code("steam", minted)
        await server.silent("steam", minted, code_challenge="x" * 43)
        await server.silent("steam", server.mint("steam", "birch"), encrypted_ticket_nonce="A" * 48)
        assert_limited(await server.silent("steam", server.mint("steam", "cedar")), "address-failures", 2)


async def test_a_wrong_parameter_is_no_refused_credential() -> None:
    async with running(edit=limits(failures_per_minute_per_address=1)) as server:
        for changes in ({"state": "short"}, {"session_ticket": None}, {"scope": "admin"}, {"client_id": "nobody"}):
            assert (await server.silent("steam", **changes)).status_code == 400
        assert (await server.silent("steam")).status_code == 200


async def test_F18_hopping_inside_an_ipv6_network_does_not_help() -> None:
    async with running(edit=limits(failures_per_minute_per_address=2)) as server:
        junk = server.mint("steam", case="malformed")
        for host in ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"):
            assert (await login_from(server, host, junk)).status_code == 400
        assert (await login_from(server, "2001:db8:0:1:abcd:ef01:2345:6789", junk)).status_code == 429
        assert (await login_from(server, "2001:db8:0:2::1", junk)).status_code == 400


async def test_F18_an_ipv4_address_inside_ipv6_is_that_address() -> None:
    async with running(edit=limits(failures_per_minute_per_address=1)) as server:
        junk = server.mint("steam", case="malformed")
        assert (await login_from(server, "::ffff:192.0.2.1", junk)).status_code == 400
        assert (await login_from(server, "192.0.2.1", junk)).status_code == 429
        assert (await login_from(server, "::ffff:192.0.2.2", junk)).status_code == 400


# Behind proxies


@pytest.mark.parametrize("header", ["192.0.2.{}", "192.0.2.{}, 10.0.0.1", "unknown", "::{}"])
async def test_F18_without_a_trusted_proxy_no_header_counts(header: str) -> None:
    async with running(edit=limits(failures_per_minute_per_address=2)) as server:
        junk = server.mint("steam", case="malformed")
        statuses = [
            (await login_from(server, "198.51.100.1", junk, forwarded=header.format(number))).status_code
            for number in range(3)
        ]
        assert statuses == [400, 400, 429]


def behind_proxy(block: dict[str, Any]) -> None:
    block["limits"] = {"failures_per_minute_per_address": 2}
    block["server"]["trusted_proxies"] = ["10.0.0.0/8"]


async def test_F18_behind_a_trusted_proxy_the_nearest_foreign_address_counts() -> None:
    async with running(edit=behind_proxy) as server:
        junk = server.mint("steam", case="malformed")
        for spoofed in ("203.0.113.1", "203.0.113.2"):
            answer = await login_from(server, "10.0.0.9", junk, forwarded=f"{spoofed}, 192.0.2.1, 10.0.0.2")
            assert answer.status_code == 400
        third = await login_from(server, "10.0.0.9", junk, forwarded="203.0.113.3, 192.0.2.1")
        assert third.status_code == 429
        assert (await login_from(server, "10.0.0.9", junk, forwarded="192.0.2.2")).status_code == 400
        # Somebody who is not the proxy and says to come from it.
        for _ in range(2):
            assert (await login_from(server, "198.51.100.7", junk, forwarded="192.0.2.3")).status_code == 400
        assert (await login_from(server, "198.51.100.7", junk, forwarded="192.0.2.4")).status_code == 429


async def test_F18_an_ipv6_client_behind_the_proxy_is_counted_by_its_network() -> None:
    async with running(edit=behind_proxy) as server:
        junk = server.mint("steam", case="malformed")
        for host in ("2001:db8::1", "[2001:db8::2]:4711"):
            assert (await login_from(server, "10.0.0.9", junk, forwarded=host)).status_code == 400
        assert (await login_from(server, "10.0.0.9", junk, forwarded="2001:db8::3")).status_code == 429


# Clients and tokens


async def test_a_client_has_a_limit_over_all_its_players() -> None:
    async with running(edit=limits(logins_per_minute_per_client=2)) as server:
        for player in ("amber", "birch"):
            await server.code("steam", server.mint("steam", player))
        assert_limited(await server.silent("steam", server.mint("steam", "cedar")), "client-logins", 2)
        spa = {"client_id": "spa", "redirect_uri": "http://127.0.0.1:8080/demo/spa"}
        assert (await server.silent("steam", server.mint("steam", "cedar"), **spa)).status_code == 200


async def test_B15_wrong_secrets_are_counted_for_a_client_and_an_address() -> None:
    async with running(edit=limits()) as server:
        guess = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": "guess"}
        right = guess | {"client_secret": "backend-secret"}
        statuses = [(await server.token(**guess)).status_code for _ in range(10)]
        assert statuses == [401] * 10
        assert_limited(await server.token(**right), "secret-failures", 10)
        async with client(server.app, "192.0.2.1") as http:
            assert (await http.post("/oauth2/token", data=right)).status_code == 200
        assert (await server.token(**(guess | {"client_id": "shop"}))).status_code == 401


async def test_token_requests_are_limited_for_a_client_and_a_player() -> None:
    async with running(edit=limits(token_requests_per_minute=2)) as server:
        tokens = await server.login("steam")
        refreshed = (await server.refresh(tokens["refresh_token"])).json()
        limited = await server.refresh(refreshed["refresh_token"])
        assert_limited(limited, "token-requests", 2)
        assert "refresh_token" in await server.login("steam", server.mint("steam", "birch"))


async def test_a_limited_token_request_uses_nothing_up() -> None:
    async with running(edit=limits(token_requests_per_minute=1)) as server:
        first, second = await server.code("steam"), await server.code("steam")
        assert (await server.redeem(first)).status_code == 200
        assert (await server.redeem(second)).status_code == 429
        grants = server.app.storage._tables.grants.values()  # type: ignore[attr-defined]  # the memory backend's
        assert sorted(grant.code_used_at is None for grant in grants) == [False, True]


async def test_junk_codes_of_a_stranger_do_not_limit_a_player() -> None:
    async with running(edit=limits(token_requests_per_minute=1)) as server:
        code = await server.code("steam")
        assert [(await server.redeem("junk")).status_code for _ in range(2)] == [400, 429]
        assert (await server.redeem(code)).status_code == 200


async def test_tokens_that_are_not_good_for_an_exchange_are_limited_too() -> None:
    def exchanging(block: dict[str, Any]) -> None:
        limits(token_requests_per_minute=2)(block)
        clients(block)["launcher"]["grants"] = ["authorization_code", "refresh_token", TOKEN_EXCHANGE]

    async with running(edit=exchanging) as server:
        junk = {"grant_type": TOKEN_EXCHANGE, "client_id": "launcher", "subject_token": "junk"}
        junk["subject_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
        assert [(await server.token(**junk)).status_code for _ in range(2)] == [400, 400]
        assert_limited(await server.token(**junk), "token-requests", 2)
        assert "refresh_token" in await server.login("steam")


# What 429 looks like


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_429_is_never_a_redirect(method: str) -> None:
    async with running(edit=limits(logins_per_minute_per_player=1)) as server:
        await server.code("steam")
        sent = form(server.mint("steam"), is_redirect="true")
        parameters: Any = {"params": sent} if method == "GET" else {"data": sent}
        assert_limited(
            await server.http.request(method, "/oauth2/social/steam/cross_auth", **parameters),
            "claimed-player-logins",
            1,
        )


async def test_on_the_xsolla_surface_429_has_its_envelope_and_the_same_headers() -> None:
    async with running(edit=limits(logins_per_minute_per_player=1, token_requests_per_minute=1)) as server:
        for status in (200, 429):
            sent = form(server.mint("steam"), client_id="40", redirect_uri="http://127.0.0.1/blank")
            answer = await server.http.get("/api/oauth2/social/steam/cross_auth", params=sent)
            assert answer.status_code == status
        assert answer.json() == {
            "error": {
                "code": "002-057",
                "description": "Too many requests; wait as long as Retry-After says.",
                "details": {"reason": "rate_limited"},
            }
        }
        junk = {"grant_type": "refresh_token", "client_id": "40", "refresh_token": "junk"}
        for status in (400, 429):
            answer = await server.http.post("/api/oauth2/token", data=junk)
            assert answer.status_code == status
        assert answer.json()["error"]["code"] == "002-057"
        assert answer.headers["ratelimit-policy"] == '"token-requests";q=1;w=60'
        assert int(answer.headers["retry-after"]) > 0


async def test_an_answer_that_is_no_429_says_nothing_of_limits() -> None:
    async with running(edit=limits()) as server:
        for answer in (await server.silent("steam"), await server.redeem("junk")):
            assert not {"ratelimit", "ratelimit-policy", "retry-after"} & answer.headers.keys()
