"""The revocation feed: its form, how it is cached and signed anew, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from authsrv.models import Revocations
from authsrv.oauth.tokens import TokenIssuer
from authsrv.serving.protocol import GuardedProtocol
from authsrv.storage.changes import AddGrant, AddPlayer, SetNotBefore
from tests.support.ending import FEED, down, feed, revoke, verified, void_before
from tests.support.server import ISSUER, Server, running
from tests.support.sockets import port, serving
from tests.support.storage import grant, player

NOW = 1_790_000_000


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


async def asked(server: Server, **headers: str) -> httpx.Response:
    return await server.http.get(FEED, headers={name.replace("_", "-"): value for name, value in headers.items()})


# --- its form ---


async def test_a_feed_without_entries_has_every_member(server: Server) -> None:
    answer = await asked(server)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/revocations+jwt")
    header = jwt.get_unverified_header(answer.text)
    assert header.keys() == {"typ", "alg", "kid"}
    assert (header["typ"], header["alg"]) == ("revocations+jwt", "RS256")
    assert await verified(server, answer.text) == {
        "iss": ISSUER,
        "iat": NOW,
        "exp": NOW + 600,
        "poll": 30,
        "jti": [],
        "gid": [],
        "not_before": {},
        "clients": {},
        "kid": [],
    }


async def test_its_entries_are_texts_and_times_in_a_steady_order(server: Server) -> None:
    tokens = [await server.login("steam") for _ in range(3)]
    for each in reversed(tokens):
        assert (await revoke(server, each["access_token"])).status_code == 200
    claims = [server.claims(each["access_token"]) for each in tokens]
    await void_before(server, "player", "sub-2")
    await void_before(server, "player", "sub-1")
    await void_before(server, "client", "shop")
    found = await feed(server)
    assert found["jti"] == sorted(each["jti"] for each in claims)
    assert found["gid"] == [each["gid"] for each in claims]
    assert [*found["not_before"].items()] == [("sub-1", NOW + 1), ("sub-2", NOW + 1)]
    assert found["clients"] == {"shop": NOW + 1}


async def test_it_is_found_by_the_metadata_and_open_to_every_origin(server: Server) -> None:
    metadata = (await server.http.get("/.well-known/openid-configuration")).json()
    assert metadata["revocation_feed_uri"] == ISSUER + FEED
    answer = await asked(server, origin="https://evil.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    preflight = {"origin": "https://any.example", "access-control-request-method": "GET"}
    assert (await server.http.options(FEED, headers=preflight)).status_code == 204


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_can_only_be_read(server: Server, method: str) -> None:
    answer = await server.http.request(method, FEED)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_what_is_sent_along_changes_nothing(server: Server) -> None:
    plain = await asked(server)
    assert (await server.http.get(f"{FEED}?since=0&token=x")).content == plain.content
    assert (await asked(server, authorization="Bearer x", cookie="authsrv_sid=x")).content == plain.content


async def test_no_stock_check_of_an_access_token_takes_a_feed_for_one(server: Server) -> None:
    text = (await asked(server)).text
    assert (await server.userinfo(text)).status_code == 401
    assert (await server.http.get("/oauth2/logout", params={"id_token_hint": text})).status_code == 400


# --- caches ---


async def test_caches_ask_every_time_and_a_known_feed_is_not_sent_again(server: Server) -> None:
    first = await asked(server)
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await asked(server, if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "no-cache")
        assert again.headers["access-control-allow-origin"] == "*"
    for unknown in ('"other"', tag.strip('"'), ""):
        assert (await asked(server, if_none_match=unknown)).content == first.content


async def test_the_tag_changes_with_an_entry_and_with_the_signature(server: Server) -> None:
    tags = [(await asked(server)).headers["etag"]]
    server.clock.now += 1
    await void_before(server, "player", "sub-1")
    changed = await asked(server, if_none_match=tags[0])
    assert changed.status_code == 200
    server.clock.now += 300
    signed_anew = await asked(server, if_none_match=changed.headers["etag"])
    assert signed_anew.status_code == 200
    assert len({*tags, changed.headers["etag"], signed_anew.headers["etag"]}) == 3


async def test_HEAD_is_GET_without_the_feed(server: Server) -> None:
    async with serving(server.app, GuardedProtocol) as listening:
        address = f"http://127.0.0.1:{port(listening)}{FEED}"
        async with httpx.AsyncClient(headers={"host": ISSUER.removeprefix("http://")}) as http:
            whole, head = await http.get(address), await http.head(address)
            known = await http.head(address, headers={"if-none-match": whole.headers["etag"]})
    assert (head.status_code, head.content, known.status_code) == (200, b"", 304)
    for name in ("etag", "content-length", "content-type", "cache-control"):
        assert head.headers[name] == whole.headers[name]
    assert int(head.headers["content-length"]) == len(whole.content)


# --- signing ---


async def test_it_is_signed_anew_when_half_of_its_life_is_over_and_never_before_without_news(server: Server) -> None:
    first = (await asked(server)).text
    for later in (1, 29, 299):
        server.clock.now = NOW + later
        assert (await asked(server)).text == first
    server.clock.now = NOW + 300
    second = await feed(server)
    assert (second["iat"], second["exp"]) == (NOW + 300, NOW + 900)


@pytest.mark.parametrize("later", [1, 299, 300, 599, 600, 601, 86400])
async def test_whoever_asks_gets_one_that_is_good_for_half_of_its_life(server: Server, later: int) -> None:
    await feed(server)
    server.clock.now += later
    assert (await feed(server))["exp"] >= server.clock.now + 300


async def test_news_are_signed_at_once_and_only_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    signed: list[int] = []
    real = TokenIssuer.revocations

    def counting(self: TokenIssuer, told: Any, now: int, lifetime: int) -> str:
        signed.append(now)
        return real(self, told, now, lifetime)

    monkeypatch.setattr(TokenIssuer, "revocations", counting)
    await feed(server)
    await void_before(server, "player", "sub-1")
    for _ in range(3):
        server.clock.now += 1
        assert (await feed(server))["not_before"] == {"sub-1": NOW + 1}
    assert signed == [NOW, NOW + 1]


async def test_a_clock_that_was_set_back_stops_nothing(server: Server) -> None:
    server.clock.now += 5
    await feed(server)
    server.clock.now -= 5
    await void_before(server, "player", "sub-1")
    text = (await asked(server)).text
    assert jwt.decode(text, options={"verify_signature": False})["not_before"] == {"sub-1": NOW + 1}


# --- what it costs, and outages ---


@asynccontextmanager
async def counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[tuple[int, int]]]:
    """The reads of the feed inside the block; each lets everybody else run first."""
    reads: list[tuple[int, int]] = []
    real = server.app.storage.load_revocations

    async def counting(since: int, now: int) -> Revocations:
        reads.append((since, now))
        await asyncio.sleep(0)
        return await real(since, now)

    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "load_revocations", counting)
        yield reads


async def test_fifty_at_once_make_one_read_and_get_one_feed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with counted(server, monkeypatch) as reads:
        answers = await asyncio.gather(*(asked(server) for _ in range(50)))
        assert len(reads) == 1
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        server.clock.now += 1
        await asyncio.gather(*(asked(server) for _ in range(50)))
        assert len(reads) == 2


async def test_a_database_that_cannot_be_read_is_503_and_the_next_answer_is_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await asked(server)
    server.clock.now += 1
    with monkeypatch.context() as patch:
        patch.setattr(server.app.storage, "load_revocations", down)
        answers = await asyncio.gather(*(asked(server, if_none_match=first.headers["etag"]) for _ in range(20)))
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["error"] == "temporarily_unavailable"
    assert (await asked(server)).content == first.content


async def test_who_hangs_up_while_the_feed_is_read_stops_nobody(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counted(server, monkeypatch):
        asking = [asyncio.create_task(asked(server)) for _ in range(3)]
        await asyncio.sleep(0)
        asking[0].cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert [answer.status_code for answer in answers[1:] if isinstance(answer, httpx.Response)] == [200, 200]


async def test_twenty_thousand_logouts_are_less_than_a_megabyte(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        ended = replace(grant(), code_used_at=NOW, revoked_at=NOW, revoked_reason="logout")
        rows = [replace(ended, id=number, code_hash=None) for number in range(1, 20_001)]
        await server.app.storage.apply([AddPlayer(player()), *map(AddGrant, rows)])
        answer = await asked(server)
        assert len(set((await verified(server, answer.text))["gid"])) == 20_000
        assert len(answer.content) < 1_000_000


async def test_it_names_nobody_but_by_our_own_ids(server: Server) -> None:
    tokens = await server.login("steam")
    claims = server.claims(tokens["access_token"])
    await void_before(server, "player", claims["sub"])
    assert (await revoke(server, tokens["refresh_token"])).status_code == 200
    await server.app.storage.apply([SetNotBefore("project", "demo", NOW)])
    told = str(await feed(server))
    assert claims["sub"] in told
    for text in (claims["idp_sub"], "steam", "Amber", tokens["refresh_token"], "demo'"):
        assert text not in told
