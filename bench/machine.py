"""The machine in words, as far as the system tells."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path


def machine(place: Path) -> Mapping[str, str]:
    """What figures depend on; `place` is where the databases lie."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": _memory(),
        "system": f"{_distribution()}, {platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {platform.python_compiler()}",
        "disk of the databases": _disk(place),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown distribution"


def _processor() -> str:
    return _field(Path("/proc/cpuinfo"), "model name") or platform.machine()


def _memory() -> str:
    total = _field(Path("/proc/meminfo"), "MemTotal").split()
    return f"{int(total[0]) / 1e6:.0f} GB" if total else "unknown"


def _field(file: Path, name: str) -> str:
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _disk(place: Path) -> str:
    """File system, device and whether it turns, for the mount that is nearest."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if place.resolve().is_relative_to(mount[1])]
    device, _, kind, *_ = max(holding, key=lambda mount: len(mount[1]))
    name = Path(device).name
    return f"{kind} on {name}{_turning(name)}"


def _turning(name: str) -> str:
    if name.startswith(("vd", "xvd")):
        return ", a virtual disk"
    for block in (name, name.rstrip("0123456789")):
        rotational = Path(f"/sys/block/{block}/queue/rotational")
        if block and rotational.exists():
            return ", rotational" if rotational.read_text().strip() == "1" else ", not rotational"
    return ""
