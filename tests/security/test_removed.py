"""What the configuration takes away is gone at the next request, for codes and refresh tokens that are out already."""

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from authsrv.config import Config
from tests.support.server import Server, running

Block = dict[str, Any]
API, SHOP = "https://api.studio.example", "https://shop.studio.example"


@dataclass
class Reloading:
    """A server and the configuration it began with."""

    server: Server
    block: Block

    async def reload(self, edit: Callable[[Block], object]) -> None:
        changed = deepcopy(self.block)
        edit(changed)
        await self.server.app.reload(Config.model_validate(changed))


@pytest.fixture
async def host() -> AsyncIterator[Reloading]:
    kept: list[Block] = []

    def with_audiences(block: Block) -> None:
        launcher(block)["audiences"] = [API, SHOP]
        kept.append(deepcopy(block))

    async with running(edit=with_audiences) as server:
        yield Reloading(server, kept[0])


def launcher(block: Block) -> Block:
    found: Block = block["projects"]["demo"]["clients"]["launcher"]
    return found


async def test_H08_D51_what_a_removed_platform_proved_gives_no_more_tokens(host: Reloading) -> None:
    server = host.server
    steam, epic = await server.login("steam"), await server.login("epicgames")
    code = await server.code("steam")
    await host.reload(lambda block: block["projects"]["demo"]["platforms"].pop("steam"))
    for answer in (await server.redeem(code), await server.refresh(steam["refresh_token"])):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await server.refresh(epic["refresh_token"])).status_code == 200


async def test_H08_a_removed_audience_is_in_no_more_tokens(host: Reloading) -> None:
    server = host.server
    tokens = await server.login("steam", audience=f"{API} {SHOP}")
    code = await server.code("steam", audience=f"{API} {SHOP}")
    await host.reload(lambda block: launcher(block).update(audiences=[API]))
    for answer in (await server.redeem(code), await server.refresh(tokens["refresh_token"])):
        assert server.claims(answer.json()["access_token"])["aud"] == API


async def test_H08_without_its_only_audience_a_grant_does_not_fall_back_to_the_default_one(host: Reloading) -> None:
    server = host.server
    tokens = await server.login("steam", audience=SHOP)
    code = await server.code("steam", audience=SHOP)
    await host.reload(lambda block: launcher(block).update(audiences=[API]))
    for answer in (await server.redeem(code), await server.refresh(tokens["refresh_token"])):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    await host.reload(dict.copy)
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
