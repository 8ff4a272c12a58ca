"""The three emulated platforms on keys that outlive a restart, and the services beside them, which have no keys.

The only module of the emulator that touches files.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from authsrv.emulator.base import PlatformEmulator, ServiceEmulator
from authsrv.emulator.epic.emulator import EpicEmulator, EpicKeys
from authsrv.emulator.playfab.emulator import PlayFabEmulator
from authsrv.emulator.steam.emulator import SteamEmulator, SteamKeys
from authsrv.emulator.xbox.emulator import XboxEmulator, XboxKeys
from authsrv.records import dataclass

Clock = Callable[[], float]


class Keys(Protocol):
    """A platform's key pairs; every emulator defines its own."""

    def to_json(self) -> dict[str, Any]:
        """The keys in JSON types."""


@dataclass(frozen=True, slots=True)
class Hosted:
    """How one platform is set up: making keys, reading them back, and building the emulator on them."""

    name: str
    provider: str
    """Its name in URLs and in the configuration of a project."""
    generate: Callable[[], Keys]
    from_json: Callable[[dict[str, Any]], Keys]
    build: Callable[..., Any]
    """Takes `keys` and `clock`. The classes write their fixed attributes narrower than the protocol has them."""


HOSTED = (
    Hosted("steam", "steam", SteamKeys.generate, SteamKeys.from_json, SteamEmulator),
    Hosted("xbox", "xbox", XboxKeys.generate, XboxKeys.from_json, XboxEmulator),
    Hosted("epic", "epicgames", EpicKeys.generate, EpicKeys.from_json, EpicEmulator),
)


Services = Sequence[ServiceEmulator]


def services() -> Services:
    """What authsrv calls besides platforms, newly made."""
    return [PlayFabEmulator()]


class UnreadableKeys(Exception):
    """A key file was damaged; the text names it and says what to do."""


def load_or_generate(directory: Path, clock: Clock = time.time) -> list[PlatformEmulator]:
    """All emulators, with the keys found in `directory` (one JSON file a platform, mode 0600) or with new ones.

    Raises `UnreadableKeys`, and OSError when the directory cannot be used.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        hosted.build(keys=_load_or_generate(directory / f"{hosted.name}.json", hosted), clock=clock)
        for hosted in HOSTED
    ]


def platform_settings(emulators: list[PlatformEmulator], base_url: str) -> dict[str, dict[str, Any]]:
    """The `platforms` block of a project that uses these emulators, by the names of the configuration file."""
    providers = {hosted.name: hosted.provider for hosted in HOSTED}
    return {providers[emulator.name]: emulator.settings(base_url) for emulator in emulators}


def service_settings(services: Services, base_url: str) -> dict[str, dict[str, Any]]:
    """The blocks of a project that uses these services, by the names of the configuration file."""
    return {service.name: service.settings(base_url) for service in services}


def _load_or_generate(path: Path, hosted: Hosted) -> Keys:
    if not path.exists():
        keys = hosted.generate()
        write_private(path, json.dumps(keys.to_json()))
        return keys
    try:
        return hosted.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableKeys(f"{path} does not hold the emulator's keys; delete it, and new ones are made") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
