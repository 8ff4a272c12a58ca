"""Telling clients of ended sessions: what they get, how often it is tried, and that nothing is lost on the way."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import jwt
import pytest

from authsrv.jobs.logout_notices import INTERVAL, PAUSES, LogoutNotices
from authsrv.log import Event
from authsrv.models import Client, LogoutNotice, LogoutRules
from authsrv.platforms.base import OutboundError, OutboundResponse
from authsrv.storage.base import StorageUnavailable
from authsrv.storage.changes import AddNotice
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.oauth import ISSUER, LAUNCHER, OTHER, Bench, bench, ring
from tests.support.storage import NOW

URI = "https://shop.example/logged-out"
SHOP = replace(LAUNCHER, client_id="shop", logout=LogoutRules(backchannel_logout_uri=URI))
Answer = int | OutboundError


@dataclass
class Shop:
    """The other side of the back channel: answers by a script whose last entry stays, and keeps what it got."""

    script: list[Answer] = field(default_factory=lambda: [200])
    got: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    async def post_form(self, url: str, form: Mapping[str, str], **_: object) -> OutboundResponse:
        self.got.append((url, form))
        answer = self.script[min(len(self.got), len(self.script)) - 1]
        if isinstance(answer, OutboundError):
            raise answer
        return OutboundResponse(answer, {}, b"")

    async def aclose(self) -> None: ...


@dataclass
class Post:
    bench: Bench
    shop: Shop
    notices: LogoutNotices
    events: list[Event]

    async def stands(self, client_id: str = "shop") -> LogoutNotice:
        notice = LogoutNotice(self.bench.storage.next_id(), client_id, 77, "sub-1", NOW, NOW)
        await self.bench.storage.apply([AddNotice(notice)])
        return notice

    async def waiting(self) -> tuple[LogoutNotice, ...]:
        return await self.bench.storage.load_due_notices(2**40, 100)

    def token(self) -> str:
        return self.shop.got[-1][1]["logout_token"]

    def told(self) -> list[str]:
        return [str(event["event"]) for event in self.events]


@pytest.fixture
async def post() -> Post:
    return await posted([SHOP, OTHER])


async def posted(clients: list[Client]) -> Post:
    made, shop = await bench(clients), Shop()
    events: list[Event] = []
    made.server.audit._emit = events.append
    return Post(made, shop, LogoutNotices(made.server, shop), events)


def claims_of(token: str) -> dict[str, object]:
    key = ring().verifier(jwt.get_unverified_header(token)["kid"])
    assert key is not None
    found: dict[str, object] = jwt.decode(
        token,
        key.public,
        algorithms=["RS256"],
        audience="shop",
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},  # the clock is the test's
    )
    return found


async def test_K3_a_client_is_told_by_a_form_with_one_logout_token(post: Post) -> None:
    await post.stands()
    assert await post.notices.round() == 1
    assert [(url, list(form)) for url, form in post.shop.got] == [(URI, ["logout_token"])]
    assert await post.waiting() == ()
    assert post.told() == ["logout.told"]


async def test_K4_the_logout_token_says_whose_session_ended_and_has_no_nonce(post: Post) -> None:
    await post.stands()
    await post.notices.round()
    claims = claims_of(post.token())
    jti = claims.pop("jti")
    assert isinstance(jti, str)
    assert len(jti) == 24
    assert claims == {
        "iss": ISSUER,
        "aud": "shop",
        "sub": "sub-1",
        "sid": post.bench.server.opaque.public_id("sid", 77),
        "iat": NOW,
        "exp": NOW + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }


async def test_K4_the_logout_token_is_typed_and_signed_like_the_clients_id_tokens() -> None:
    post = await posted([replace(SHOP, id_token_alg="ES256")])
    await post.stands()
    await post.notices.round()
    header = jwt.get_unverified_header(post.token())
    assert (header["typ"], header["alg"]) == ("logout+jwt", "ES256")


@pytest.mark.parametrize("status", [200, 204])
async def test_K6_two_answers_settle_a_notice(post: Post, status: int) -> None:
    post.shop.script = [status]
    await post.stands()
    await post.notices.round()
    assert await post.waiting() == ()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(201, id="201"),
        pytest.param(302, id="a redirect, not followed"),
        pytest.param(400, id="400"),
        pytest.param(503, id="503"),
        pytest.param(OutboundError("shop.example: no answer in time", sent=True), id="no answer"),
    ],
)
async def test_K6_anything_else_is_tried_again_later_and_with_a_fresh_token(post: Post, answer: Answer) -> None:
    post.shop.script = [answer, 200]
    await post.stands()
    await post.notices.round()
    assert await post.notices.round() == 0
    post.bench.clock.now += PAUSES[0]
    assert await post.notices.round() == 1
    assert claims_of(post.token())["iat"] == NOW + PAUSES[0]
    assert await post.waiting() == ()


async def test_K6_a_client_that_never_answers_is_given_up_after_six_tries_and_audited(post: Post) -> None:
    post.shop.script = [500]
    await post.stands()
    tries = 0
    while await post.waiting():
        tries += await post.notices.round()
        post.bench.clock.now += max(PAUSES)
    assert tries == len(PAUSES) + 1 == 6
    assert post.told() == ["logout.untold"]
    assert post.events[-1]["reason"] == "it answered 500"


async def test_the_pauses_grow_from_seconds_to_an_hour(post: Post) -> None:
    post.shop.script = [500]
    await post.stands()
    pauses = []
    for _ in PAUSES:
        await post.notices.round()
        (waiting,) = await post.waiting()
        pauses.append(waiting.next_attempt_at - int(post.bench.clock.now))
        post.bench.clock.now = float(waiting.next_attempt_at)
    assert tuple(pauses) == PAUSES


async def test_the_next_try_is_planned_before_the_call_so_that_a_crash_loses_none(post: Post) -> None:
    await post.stands()
    waiting: list[LogoutNotice] = []

    async def looks(*_: object, **__: object) -> OutboundResponse:
        waiting.extend(await post.waiting())
        return OutboundResponse(200, {}, b"")

    post.shop.post_form = looks  # type: ignore[method-assign]  # what a process that dies now leaves behind
    await post.notices.round()
    assert [(notice.attempts, notice.next_attempt_at) for notice in waiting] == [(1, NOW + PAUSES[0])]


@pytest.mark.parametrize("client_id", ["other", "gone"])
async def test_a_client_that_wants_no_notice_any_more_gets_none(post: Post, client_id: str) -> None:
    await post.stands(client_id)
    await post.notices.round()
    assert (post.shop.got, await post.waiting(), post.events) == ([], (), [])


async def test_one_client_that_fails_keeps_no_other_from_being_told(post: Post) -> None:
    post.shop.script = [500, 200]
    await post.stands()
    await post.stands()
    await post.notices.round()
    assert len(post.shop.got) == 2
    assert len(await post.waiting()) == 1


class Night(Exception):
    """The end of a test's run."""


async def test_the_task_looks_every_second_and_survives_a_database_that_is_away(post: Post) -> None:
    slept: list[float] = []
    answers = iter([StorageUnavailable("away"), None])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise Night

    async def due(now: int, limit: int) -> tuple[LogoutNotice, ...]:
        if error := next(answers):
            raise error
        return ()

    storage = MemoryStorage()
    storage.load_due_notices = due  # type: ignore[method-assign]  # scripted
    post.bench.server.storage = storage
    with pytest.raises(Night):
        await LogoutNotices(post.bench.server, post.shop, sleep).run()
    assert slept == [INTERVAL] * 3


async def test_two_deliverers_at_once_tell_a_client_once(post: Post) -> None:
    await post.stands()
    other = LogoutNotices(post.bench.server, post.shop)
    await asyncio.gather(post.notices.round(), other.round())
    assert len(post.shop.got) == 1


async def test_a_notice_for_a_client_that_another_nodes_file_may_have_waits_for_that_node(post: Post) -> None:
    post.bench.storage.shared = True
    await post.stands("arena")
    assert await post.notices.round() == 1
    (waiting,) = await post.waiting()
    assert (waiting.attempts, waiting.next_attempt_at) == (1, NOW + PAUSES[0])
    assert post.shop.got == []


async def test_a_notice_that_no_node_can_deliver_is_given_up_like_any_other(post: Post) -> None:
    post.bench.storage.shared = True
    await post.bench.storage.apply([AddNotice(replace(await post.stands("arena"), id=2, attempts=len(PAUSES)))])
    await post.notices.round()
    assert [notice.attempts for notice in await post.waiting()] == [1]
