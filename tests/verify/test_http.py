"""The verifier over real HTTP: a server on loopback, and what an answer must not do to us."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from authsrv.verify import FetchError, HttpFetch, InvalidToken, Unavailable, Verifier, documents
from tests.support.processes import free_port
from tests.support.token_source import AUDIENCE, FEED, JWKS, PLAYER, Answer, Rounds, TokenSource, serving


@pytest.fixture
def source() -> Iterator[TokenSource]:
    with serving(TokenSource(now=int(time.time())), free_port()) as source:
        yield source


def verifier_of(source: TokenSource, rounds: Rounds) -> Verifier:
    return Verifier(source.issuer, audience=AUDIENCE, sleep=rounds.sleep)


async def test_tokens_are_checked_over_http_and_a_ban_acts_at_the_next_poll(source: TokenSource) -> None:
    rounds = Rounds()
    async with verifier_of(source, rounds) as verifier:
        assert (await verifier.verify(source.token())).sub == PLAYER
        await rounds.next()
        assert source.requests[-1][1]["if-none-match"]
        source.revoked = {"not_before": {PLAYER: int(source.now) + 1}}
        await rounds.next()
        with pytest.raises(InvalidToken, match="revoked"):
            await verifier.verify(source.token())


async def test_C32_a_redirect_is_not_followed(source: TokenSource) -> None:
    source.answers[JWKS] = Answer(302, {"location": f"{source.issuer}/elsewhere"})
    source.answers["/elsewhere"] = source.document(JWKS)
    async with verifier_of(source, Rounds()) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())
    assert source.asked("/elsewhere") == 0


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (JWKS, Answer(headers={"content-length": "99999999999"}, body=b" " * 300_000)),
        (JWKS, Answer(body=b" " * (256 * 1024 + 1))),
        (FEED, Answer(body=b"A" * (16 * 1024 * 1024 + 1))),
        (JWKS, Answer(headers={"content-encoding": "gzip"}, body=b"{}")),
        (JWKS, Answer(headers={"content-length": "500"}, body=b"{}")),
    ],
    ids=["endless-keys", "large-keys", "large-feed", "encoded", "cut-off"],
)
async def test_C13_an_answer_that_is_too_large_or_not_whole_is_given_up(
    source: TokenSource, path: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_SECONDS", 1.0)  # for the one that is cut off
    source.answers[path] = answer
    async with asyncio.timeout(30), verifier_of(source, Rounds()) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())


@pytest.mark.parametrize(
    ("headers", "why"),
    [({}, "larger than allowed"), ({"content-encoding": "gzip"}, "encoded")],
    ids=["too-large", "encoded"],
)
async def test_C13_the_rest_of_an_answer_is_not_read(source: TokenSource, headers: dict[str, str], why: str) -> None:
    source.answers[JWKS] = Answer(headers=headers, body=b" " * 5_000_000)
    fetch = HttpFetch()
    with pytest.raises(FetchError, match=why):
        await fetch(source.issuer + JWKS, {}, 1000)
    await fetch.aclose()


async def test_a_server_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody takes them
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(30), Verifier(issuer, audience=AUDIENCE) as verifier:
            with pytest.raises(Unavailable):
                await verifier.verify(TokenSource().token())


async def test_nobody_there_is_an_outage(source: TokenSource) -> None:
    async with Verifier(f"http://127.0.0.1:{free_port()}", audience=AUDIENCE) as verifier:
        with pytest.raises(Unavailable):
            await verifier.verify(source.token())


async def test_an_environment_that_names_a_proxy_is_not_obeyed(
    source: TokenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with verifier_of(source, Rounds()) as verifier:
        assert (await verifier.verify(source.token())).sub == PLAYER


async def test_no_cookie_is_kept_and_nothing_is_sent_but_what_a_get_needs(source: TokenSource) -> None:
    source.answers[JWKS] = source.document(JWKS)
    source.answers[JWKS].headers = {"set-cookie": "a=b"}
    rounds = Rounds()
    async with verifier_of(source, rounds):
        await rounds.next()
    names = {name for _, headers in source.requests for name in headers}
    assert names <= {"host", "user-agent", "accept-encoding", "if-none-match"}


async def test_a_transport_of_ones_own_serves_and_may_be_used_again(source: TokenSource) -> None:
    import httpx  # noqa: PLC0415 - what this test is about

    fetch = HttpFetch(httpx.AsyncHTTPTransport(retries=1))
    async with Verifier(source.issuer, audience=AUDIENCE, fetch=fetch) as verifier:
        await verifier.verify(source.token())
    assert (await fetch(source.issuer + JWKS, {}, 100_000)).status == 200
    await fetch.aclose()
