"""An order reaches the running server, or the database itself while nobody serves; and is refused in words."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from authsrv import orders
from authsrv.app import World, create_app
from authsrv.audit import AuditEvent
from authsrv.config import Config, load
from authsrv.log import Event
from authsrv.orders.delivery import Delivery
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.serving.process import Process
from authsrv.storage.base import StorageUnavailable
from tests.support.configuration import HEAD, written
from tests.support.server import lifespan
from tests.support.storage import migrated_file, migrated_sqlite, rows

PLACE = HEAD.replace("sqlite:///var/authsrv.db", "sqlite:///{directory}/authsrv.db") + "[projects.p]\n"


@dataclass
class Site:
    """A configuration with a migrated database, and the audit events of orders that were carried out here."""

    path: Path
    config: Config
    events: list[Event] = field(default_factory=list)

    async def order(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        async with aclosing(Delivery(self.config, self.events.append)) as delivery:
            return await delivery.order(name, arguments)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[list[Event]]:
        """A server on this configuration; what it logs."""
        logged: list[Event] = []
        application = create_app(self.config, World(emit=logged.append))
        async with lifespan(application):
            process = Process(application, self.path)
            assert process._control
            await process._control.start()
            yield logged
            await process._control.stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    migrated_file(tmp_path)
    path = written(tmp_path, PLACE.format(directory=tmp_path))
    return Site(path, load(path))


async def ring_kids(site: Site) -> list[str]:
    return [key["kid"] for key in (await site.order("keys.list"))["keys"]]


async def audited(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    desk.server.audit.record(AuditEvent("config.reloaded", sub=arguments["sub"]))
    return {"done": True}


async def refusing(_: Desk, __: Mapping[str, Any]) -> Mapping[str, Any]:
    raise OrderRefused("there is no such player")


async def nobody(_: Desk, __: Mapping[str, Any]) -> Mapping[str, Any]:
    raise OrderRefused("there is no such player", "unknown_player")


async def full(_: Desk, __: Mapping[str, Any]) -> Mapping[str, Any]:
    raise StorageUnavailable("the database did not do it (SQLITE_FULL)")


@pytest.fixture(autouse=True)
def _with_orders_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, order in (("audited", audited), ("refusing", refusing), ("nobody", nobody), ("full", full)):
        monkeypatch.setitem(orders.ORDERS, name, order)


async def test_the_running_server_carries_an_order_out_and_logs_it(site: Site) -> None:
    async with site.serving() as logged:
        assert await site.order("audited", sub="amber") == {"done": True}
        assert [event["sub"] for event in logged if event["event"] == "config.reloaded"] == ["amber"]
    assert site.events == []


async def test_without_a_server_it_is_carried_out_on_the_database_and_logged_here(site: Site) -> None:
    async with site.serving():
        served = await ring_kids(site)
    assert await ring_kids(site) == served
    assert await site.order("audited", sub="amber") == {"done": True}
    assert [event["sub"] for event in site.events if event["event"] == "config.reloaded"] == ["amber"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("refusing", "there is no such player", ""),
        ("nobody", "there is no such player", "unknown_player"),
        ("full", "the database did not do it (SQLITE_FULL)", ""),
    ],
)
async def test_a_refusal_says_the_same_whoever_gives_it(site: Site, name: str, text: str, code: str) -> None:
    async with site.serving():
        with pytest.raises(OrderRefused) as there:
            await site.order(name)
    with pytest.raises(OrderRefused) as here:
        await site.order(name)
    assert [str(there.value), str(here.value)] == [text, text]
    assert [there.value.code, here.value.code] == [code, code]


async def test_a_database_that_another_process_uses_is_left_alone(site: Site) -> None:
    holder = migrated_sqlite(site.path.parent)
    await holder.open()
    with pytest.raises(OrderRefused, match="another authsrv process uses"):
        await site.order("keys.list")
    await holder.close()
    assert await ring_kids(site)


async def test_a_database_that_was_never_made_is_refused_with_the_remedy(site: Site) -> None:
    (site.path.parent / "authsrv.db").unlink()
    with pytest.raises(OrderRefused, match="authsrv migrate"):
        await site.order("keys.list")


async def test_many_orders_open_the_database_once_and_hold_it_until_the_end(site: Site) -> None:
    async with aclosing(Delivery(site.config, site.events.append)) as delivery:
        await delivery.order("keys.list", {})
        before = epoch(site)
        await delivery.order("audited", {"sub": "amber"})
        with pytest.raises(OrderRefused):
            await delivery.order("refusing", {})
        await delivery.order("audited", {"sub": "birch"})
        assert epoch(site) == before
        with pytest.raises(OrderRefused, match="another authsrv process uses"):
            await site.order("keys.list")
    await site.order("keys.list")
    assert epoch(site) == before + 1
    assert [event["sub"] for event in site.events if event["event"] == "config.reloaded"] == ["amber", "birch"]


async def test_when_the_server_ends_meanwhile_the_other_orders_go_to_the_database(site: Site) -> None:
    async with aclosing(Delivery(site.config, site.events.append)) as delivery:
        async with site.serving() as logged:
            await delivery.order("audited", {"sub": "amber"})
        await delivery.order("audited", {"sub": "birch"})
    assert [event["sub"] for event in logged if event["event"] == "config.reloaded"] == ["amber"]
    assert [event["sub"] for event in site.events if event["event"] == "config.reloaded"] == ["birch"]


def epoch(site: Site) -> int:
    """How often the database was opened."""
    ((value,),) = rows(site.path.parent / "authsrv.db", "SELECT value FROM epochs")
    assert isinstance(value, int)
    return value
