"""Secrets with an end, over HTTP: what the server's clock says at each request decides, and nothing else."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from authsrv.config import Config
from tests.support.browser import SHOP_CALLBACK
from tests.support.refusals import clients, token_error
from tests.support.server import Server, running

END = 1_790_100_000
OLD, NEW = "ass_old", "ass_new"


class Studio:
    """A running server whose configuration is changed as an operator would: edit, reload."""

    def __init__(self, server: Server, block: dict[str, Any]) -> None:
        self.server = server
        self._block = block

    async def reload(self, edit: Callable[[dict[str, Any]], object]) -> None:
        """Take over what `edit` makes of the demo's clients."""
        block = deepcopy(self._block)
        edit(clients(block))
        await self.server.app.reload(Config.model_validate(block))

    async def give(self, client_id: str, *secrets: tuple[str, int | None]) -> None:
        """Let a client have these secrets by their hashes, each until its end, and no other."""

        def edit(found: dict[str, Any]) -> None:
            found[client_id].pop("secret")
            found[client_id]["secret_hashes"] = [entry(*secret) for secret in secrets]

        await self.reload(edit)

    async def status(self, secret: str, client_id: str = "backend") -> int:
        """How a request for a token of the client's own is answered."""
        answer = await self.server.token(
            grant_type="client_credentials", client_id=client_id, client_secret=secret, scope=None
        )
        return answer.status_code


def entry(secret: str, expires_at: int | None) -> dict[str, Any]:
    end = {} if expires_at is None else {"expires": datetime.fromtimestamp(expires_at, UTC)}
    return {"sha256": sha256(secret.encode()).hexdigest(), **end}


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    kept: list[dict[str, Any]] = []
    async with running(edit=lambda block: kept.append(deepcopy(block))) as server:
        yield Studio(server, kept[0])


@pytest.mark.parametrize(
    ("now", "status"),
    [
        pytest.param(END - 1, 200, id="the last second"),
        pytest.param(END - 0.001, 200, id="a moment before"),
        pytest.param(END, 401, id="that second"),
        pytest.param(END + 10**9, 401, id="for ever"),
    ],
)
async def test_a_secret_works_until_the_second_in_which_it_ends(studio: Studio, now: float, status: int) -> None:
    await studio.give("backend", (OLD, END))
    studio.server.clock.now = now
    assert await studio.status(OLD) == status


async def test_the_end_is_judged_at_each_request_and_not_at_the_reload(studio: Studio) -> None:
    await studio.give("backend", (OLD, END))
    found = []
    for studio.server.clock.now in (END - 1, END, END - 1):
        found.append(await studio.status(OLD))
    assert found == [200, 401, 200]


async def test_each_secret_has_an_end_of_its_own(studio: Studio) -> None:
    await studio.give("backend", (OLD, END), (NEW, END + 100), ("for ever", None))
    found = []
    for studio.server.clock.now in (END - 1, END, END + 99, END + 100):
        found.append([await studio.status(secret) for secret in (OLD, NEW, "for ever")])
    assert found == [[200, 200, 200], [401, 200, 200], [401, 200, 200], [401, 401, 200]]


async def test_secrets_the_server_knows_work_beside_hashes(studio: Studio) -> None:
    await studio.reload(lambda found: found["backend"].update(secret_hashes=[entry(NEW, END)], secrets=["third"]))
    assert [await studio.status(secret) for secret in ("backend-secret", "third", NEW)] == [200, 200, 200]


async def test_a_reload_can_move_an_end_either_way(studio: Studio) -> None:
    studio.server.clock.now = END
    found = []
    for end in (END, END + 1, END - 1, None):
        await studio.give("backend", (OLD, end))
        found.append(await studio.status(OLD))
    assert found == [401, 200, 401, 200]


async def test_an_expired_secret_is_answered_like_a_wrong_one_and_the_log_tells_them_apart(studio: Studio) -> None:
    await studio.give("backend", (OLD, END), (NEW, None))
    studio.server.clock.now = END
    request = {"grant_type": "client_credentials", "client_id": "backend"}
    expired, wrong = [await studio.server.token(**request, client_secret=secret) for secret in (OLD, "guess")]
    assert token_error(expired) == "invalid_client"
    assert (expired.status_code, expired.content) == (wrong.status_code, wrong.content)
    told = [event.get("detail") for event in studio.server.events if event["event"] == "request"][-2:]
    assert told == ["the secret has expired", None]
    assert [event["event"] for event in studio.server.events].count("client.refused") == 2


@pytest.mark.parametrize("said", [{}, {"client_secret": ""}, {"client_secret": OLD}], ids=["none", "empty", "expired"])
async def test_B17_a_client_whose_secrets_have_all_expired_does_not_become_public(
    studio: Studio, said: dict[str, str]
) -> None:
    code = await studio.server.code("steam", None, client_id="shop", redirect_uri=SHOP_CALLBACK)
    await studio.give("shop", (OLD, END), (NEW, END))
    redeeming = {"client_id": "shop", "redirect_uri": SHOP_CALLBACK}
    studio.server.clock.now, before = END, studio.server.clock.now
    assert token_error(await studio.server.redeem(code, **redeeming, **said)) == "invalid_client"
    studio.server.clock.now = before
    assert (await studio.server.redeem(code, **redeeming, client_secret=OLD)).status_code == 200


async def test_a_server_client_whose_secrets_have_all_expired_is_shut_out(studio: Studio) -> None:
    await studio.give("backend", (OLD, END))
    studio.server.clock.now = END
    answers = [
        await studio.server.http.post(path, data={"client_id": "backend", "token": "x", **form})
        for path, form in (("/oauth2/token", {"grant_type": "client_credentials"}), ("/oauth2/revoke", {}))
    ]
    assert [token_error(answer) for answer in answers] == ["invalid_client", "invalid_client"]


async def test_what_was_given_for_a_secret_outlives_it(studio: Studio) -> None:
    await studio.give("shop", (OLD, END), (NEW, None))
    asked = {"client_id": "shop", "redirect_uri": SHOP_CALLBACK}
    code = await studio.server.code("steam", None, **asked)
    token = (await studio.server.redeem(code, **asked, client_secret=OLD)).json()["refresh_token"]
    studio.server.clock.now = END
    assert (await studio.server.refresh(token, client_id="shop", client_secret=OLD)).status_code == 401
    assert (await studio.server.refresh(token, client_id="shop", client_secret=NEW)).status_code == 200
