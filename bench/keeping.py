"""A run's results on disk: one JSON document, and the text and the chart that are made of it.

Owns the file names. Only `--record` writes below `bench/results/`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.findings import Finding
from bench.report import text
from bench.rounds import Round
from bench.servers import ROOT
from bench.table import About, Measured, Results, Row

RESULTS = ROOT / "bench" / "results"


def record(results: Results, directory: Path = RESULTS) -> Path:
    """Write all three files. Gives the JSON's path."""
    directory.mkdir(parents=True, exist_ok=True)
    document = directory / f"{results.date[:10]}.json"
    document.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")
    document.with_suffix(".txt").write_text(text(results), encoding="utf-8")
    document.with_suffix(".svg").write_text(chart(results), encoding="utf-8")
    return document


def newest(directory: Path = RESULTS) -> Path:
    """The last run that was recorded. Raises `FileNotFoundError` for none."""
    documents = sorted(directory.glob("*.json"))
    if not documents:
        raise FileNotFoundError(f"no run was recorded in {directory}")
    return documents[-1]


def load(document: Path) -> Results:
    """What `record` wrote."""
    given: dict[str, Any] = json.loads(document.read_text(encoding="utf-8"))
    return Results(
        **{
            **given,
            "systems": {key: About(**about) for key, about in given["systems"].items()},
            "rows": [_row(row) for row in given["rows"]],
            "findings": [Finding(**finding) for finding in given["findings"]],
        }
    )


def _row(given: Mapping[str, Any]) -> Row:
    measured = [Measured(one["system"], [Round(**each) for each in one["rounds"]]) for one in given["measured"]]
    return Row(given["name"], given["connections"], measured)
