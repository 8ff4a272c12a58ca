"""Talks to a running emulator on this machine: finds its port, mints credentials, starts and ends faults.

Standard library only, so that a command line answers at once.
"""

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from authsrv.records import dataclass

DEFAULT_PORT = 8090
STATE_FILE = Path("var/demo/state.json")
"""Where a running demo says on which ports it listens, below the directory it was started in."""
TIMEOUT = 5.0


class EmulatorError(Exception):
    """The emulator did not do it; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A minted credential as it came over HTTP: see `MintedCredential` in `emulator/base.py`."""

    text: str
    parameters: dict[str, str]
    headers: dict[str, str]


def find_port(state_file: Path = STATE_FILE) -> int:
    """The emulator's port: the environment's EMULATOR_PORT, else what the demo noted, else 8090."""
    chosen = os.environ.get("EMULATOR_PORT", "")
    if chosen:
        return _port(chosen)
    try:
        return int(json.loads(state_file.read_text(encoding="utf-8"))["emulator_port"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_PORT


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise EmulatorError("EMULATOR_PORT is not a port number; set it to one, such as 8090, or unset it")
    return int(text)


def mint(port: int, platform: str, player: str, *, kind: str = "", case: str = "good") -> Credential:
    """A fresh credential. Raises `EmulatorError`."""
    order = {"platform": platform, "player": player, "kind": kind, "case": case}
    answer = _call(port, "POST", "/emulator/ticket", order)
    return Credential(answer["text"], answer["parameters"], answer["headers"])


def cases(port: int, platform: str) -> dict[str, str]:
    """The error cases of a platform, each with what it stands for. Raises `EmulatorError`."""
    query = urlencode({"platform": platform})
    found: dict[str, str] = _call(port, "GET", f"/emulator/cases?{query}")["cases"]
    return found


def set_case(port: int, service: str, case: str) -> None:
    """Choose how a service answers from now on. Raises `EmulatorError`."""
    _call(port, "POST", "/emulator/case", {"platform": service, "case": case})


def set_fault(port: int, platform: str, mode: str, seconds: float | None) -> None:
    """Begin or end a fault. Raises `EmulatorError`."""
    _call(port, "POST", "/emulator/fault", {"platform": platform, "mode": mode, "seconds": seconds})


def healthy(port: int) -> bool:
    """Whether an emulator answers there."""
    try:
        return bool(_call(port, "GET", "/emulator/health")["status"] == "ok")
    except (EmulatorError, KeyError):
        return False


def _call(port: int, method: str, target: str, order: dict[str, Any] | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    body = None if order is None else json.dumps(order)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EmulatorError(_nobody(port)) from error
    finally:
        connection.close()
    if response.status != 200 or not isinstance(answer, dict):
        raise EmulatorError(_reason(answer, port))
    return answer


def _reason(answer: Any, port: int) -> str:
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        return str(answer["error"])
    return _nobody(port)


def _nobody(port: int) -> str:
    return (
        f"no emulator answers at 127.0.0.1:{port}; start the demo with `make run`, or `authsrv emulator run`, "
        "or set EMULATOR_PORT to the port it listens on"
    )
