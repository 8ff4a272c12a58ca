"""The examples of docs/tokens.md, pasted into one shell beside the demo as the page says."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import demo_running

PAGE = Path(__file__).parents[1] / "docs" / "tokens.md"
EXAMPLE = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(?:\n```json\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
SAME_EVERY_TIME = frozenset(
    ["active", "act", "client_id", "error", "issued_token_type", "origin_client_id", "poll", "scope", "token_type"]
)
PROGRAM, END = ".venv/bin/authsrv", "=== end of an example ==="

pytestmark = [pytest.mark.slow, pytest.mark.curl, pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Example:
    """Commands of the page, the JSON that it shows below them, and what they printed."""

    commands: str
    shown: str
    printed: str


def test_every_example_of_the_page_on_tokens_gives_what_the_page_shows(tmp_path: Path) -> None:
    examples = pasted(tmp_path)
    for example in examples:
        assert shapes(example.shown or example.printed) == shapes(example.printed), example
        assert '"error"' in example.shown or '"error"' not in example.printed, example
    (revoked,) = [example for example in examples if "%{http_code}" in example.commands]
    assert revoked.printed.strip() == "200"
    (asked,) = [objects(example.printed) for example in examples if '"active"' in example.shown]
    (feed,) = [objects(example.printed)[0] for example in examples if '"poll"' in example.shown]
    assert asked[0]["jti"] in feed["jti"]


def pasted(directory: Path) -> list[Example]:
    """Every example, run in the page's order in one shell."""
    found = list(EXAMPLE.finditer(PAGE.read_text("utf-8")))
    script = "".join(f"{example['commands']}\necho; echo '{END}'\n" for example in found)
    assert PROGRAM in script
    script = script.replace(PROGRAM, f"{shlex.quote(sys.executable)} -m authsrv")
    with demo_running(directory) as demo:
        done = subprocess.run(
            ["/bin/sh", "-c", script.replace("http://127.0.0.1:8080", demo.issuer)],
            env={**os.environ, "EMULATOR_PORT": str(demo.emulator_port)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    assert done.stderr == ""
    printed = done.stdout.split(END)[:-1]
    return [
        Example(example["commands"], example["shown"] or "", output)
        for example, output in zip(found, printed, strict=True)
    ]


def shapes(text: str) -> list[dict[str, Any]]:
    """The members of every JSON object of a text, with those values that are the same every time."""
    return [{name: name in SAME_EVERY_TIME and value for name, value in found.items()} for found in objects(text)]


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a text that has nothing else, or none."""
    found = []
    while text.strip().startswith("{"):
        value, end = json.JSONDecoder().raw_decode(text.strip())
        found.append(value)
        text = text.strip()[end:]
    return found
