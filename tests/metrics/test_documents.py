"""What is documented, drawn and watched exists, and what exists is documented."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from authsrv.outbound.call import NoAnswer
from authsrv.storage.vitals import PoolVitals, StorageVitals, Traffic
from tests.support.metrics import exposed, families, measured
from tests.support.nodes import nodes

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "metrics.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DOCS / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((DOCS / "deploy" / "prometheus-alerts.yml").read_text(encoding="utf-8"))

_ROW = re.compile(r"^\| `(?P<name>[a-z_]+)` \| (?P<kind>[a-z]+) \|(?P<labels>[^|]*)\|", re.MULTILINE)
_SELECTED = re.compile(r"(?P<name>(?:authsrv|process)_[a-z0-9_]+)(?:\{(?P<labels>[^}]*)\})?")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"(?:by|without) \(([a-z_, ]*)\)")
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_OF_PROMETHEUS = {"job", "instance", "le"}


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels by name, as the page has them."""
    return {
        row["name"]: (row["kind"], frozenset(re.findall(r"`([a-z_]+)`", row["labels"])))
        for row in _ROW.finditer(DOCUMENT)
    }


@pytest.fixture
async def told() -> AsyncIterator[dict[str, tuple[str, frozenset[str]]]]:
    """The same as a server of both databases tells it."""
    async with nodes(1, [measured]) as several:
        server = several[0]
        await server.login("steam")
        server.app._verifiers.figures.failed("steam", "host", _no_answer(), 0.1)
        both = server.app.storage.vitals()
        server.app.storage.vitals = lambda: _of_both(both)  # type: ignore[method-assign]
        yield {
            _name(family.name, family.type): (family.type, _labels(family.samples))
            for family in families(await exposed(server))
        }


def _no_answer() -> Any:

    return NoAnswer("steam: no answer in time", sent=True)


def _of_both(vitals: StorageVitals) -> StorageVitals:

    traffic, queued = {"read": Traffic(), "write": Traffic()}, {"read": 0, "write": 0}
    return StorageVitals("sqlite", vitals.revision, {}, traffic, queued, 0, PoolVitals(1, 1, 1, 1))


def _name(family: str, kind: str) -> str:
    return f"{family}_total" if kind == "counter" else family


def _labels(samples: list[Any]) -> frozenset[str]:
    return frozenset(name for sample in samples for name in sample.labels if name != "le")


def test_every_metric_is_documented_with_its_type_and_labels(told: dict[str, Any]) -> None:
    assert documented() == told


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (
        variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
    )
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


EXPRESSIONS = sorted(set(expressions()))


def series() -> dict[str, frozenset[str]]:
    """The labels of everything that can be selected, by the name that expressions use."""
    return {
        f"{name.removesuffix('_total')}{suffix}": labels
        for name, (kind, labels) in documented().items()
        for suffix in _SUFFIXES[kind]
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_selects_what_there_is(expression: str) -> None:
    known = series()
    for found in _SELECTED.finditer(expression):
        assert found["name"] in known
        assert set(_LABEL.findall(found["labels"] or "")) <= known[found["name"]] | _OF_PROMETHEUS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_groups_by_labels_that_there_are(expression: str) -> None:
    names = [found["name"] for found in _SELECTED.finditer(expression)]
    labels = frozenset().union(*(series().get(name, frozenset()) for name in names)) | _OF_PROMETHEUS
    grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",") if label.strip()}
    assert grouped <= labels


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_every_bracket_closed(expression: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_every_metric_of_ours_is_drawn() -> None:
    drawn = {found["name"] for text in EXPRESSIONS for found in _SELECTED.finditer(text)}
    left_out = {
        name
        for name, (kind, _) in documented().items()
        if not drawn & {f"{name.removesuffix('_total')}{suffix}" for suffix in _SUFFIXES[kind]}
    }
    assert left_out == {"process_start_time_seconds", "process_virtual_memory_bytes"}


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 15
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert rule["annotations"]["summary"].endswith(".")


def test_no_two_panels_of_the_dashboard_lie_upon_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
