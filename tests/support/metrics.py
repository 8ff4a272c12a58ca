"""A running server's figures, as Prometheus would read them."""

from collections.abc import Callable
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from authsrv.metrics.exposition import Exposition
from authsrv.metrics.figures import Spread
from tests.support.server import Server

Edit = Callable[[dict[str, Any]], None]


def measured(block: dict[str, Any]) -> None:
    """Switch metrics on."""
    block["metrics"] = {"enabled": True, "port": 0}


async def exposed(server: Server, accept: str = "") -> str:
    """What a scrape gets."""
    body, _ = await rendered(server, accept)
    return body.decode()


async def rendered(server: Server, accept: str = "") -> tuple[bytes, str]:
    """The same with its media type."""
    return await Exposition(server.app.figures(lag=Spread(), dropped=int)).render(accept)


def families(text: str) -> list[Metric]:
    """What Prometheus's own text says."""
    return list(text_string_to_metric_families(text))


async def samples(server: Server) -> list[Sample]:
    """Every line of it, parsed."""
    return [sample for family in families(await exposed(server)) for sample in family.samples]


async def value(server: Server, name: str, **labels: str) -> float:
    """One of them; 0 if it is not there."""
    found = [one.value for one in await samples(server) if one.name == name and one.labels == labels]
    return found[0] if found else 0.0
