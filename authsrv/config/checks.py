"""Everything that must hold beyond types, and everything that is only risky: runs the tables of checks.

A check is left out when a setting it reads could not be read, so that one mistake is reported once.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from authsrv.config.browser_checks import BROWSER_CHECKS, browser_warnings
from authsrv.config.client_checks import CLIENT_CHECKS, ClientEntry, client_warnings
from authsrv.config.client_secret_checks import CLIENT_SECRET_CHECKS, client_secret_warnings
from authsrv.config.file_checks import FILE_CHECKS, file_warnings
from authsrv.config.limits_checks import LIMITS_CHECKS, limits_warnings
from authsrv.config.look_checks import look_problems
from authsrv.config.outbound_checks import OUTBOUND_CHECKS
from authsrv.config.playfab_checks import playfab_warnings
from authsrv.config.problems import Finding, Path, overlap
from authsrv.config.registration_checks import registration_problems, registration_warnings
from authsrv.config.retention_checks import RETENTION_CHECKS, retention_warnings
from authsrv.config.schema import Config
from authsrv.config.secret_checks import literal_secrets
from authsrv.platforms.base import PlatformSettings

_PLATFORM_KEY = re.compile(r"(?:app [0-9]+: )?(?P<key>[a-z_]+)(?:\[(?P<place>[0-9]{1,4})\])?")


def find_problems(config: Config, raw: Mapping[str, Any], broken: Collection[Path]) -> Iterator[Finding]:
    """Every mistake beyond types. `broken` holds the paths that could not be read; nothing is said about those."""
    dev = config.dev or ("dev",) in broken
    for reads, check in (*FILE_CHECKS, *LIMITS_CHECKS, *OUTBOUND_CHECKS, *RETENTION_CHECKS):
        if not _any_broken(broken, reads):
            yield from check(config, dev)
    yield from look_problems(config, dev)
    yield from (one for one in registration_problems(config, dev) if not _any_broken(broken, [one.path]))
    if not dev:
        yield from literal_secrets(config, raw)
    for path, platform in _platforms(config):
        if not _any_broken(broken, [path]):
            yield from (_platform_finding(platform, text).below(path) for text in platform.problems(dev=dev))
    for path, entry in _clients(config, dev=dev):
        for names, client_check in (*CLIENT_CHECKS, *CLIENT_SECRET_CHECKS, *BROWSER_CHECKS):
            if not _any_broken(broken, [(*path, name) for name in names]):
                yield from (finding.below(path) for finding in client_check(entry))


def find_warnings(config: Config, broken: Collection[Path], now: int) -> Iterator[Finding]:
    """What is allowed but risky; nothing about what could not be read. `now` is in Unix seconds."""
    return (finding for finding in _warnings(config, now) if not _any_broken(broken, [finding.path]))


def _warnings(config: Config, now: int) -> Iterator[Finding]:
    yield from file_warnings(config)
    yield from registration_warnings(config)
    yield from playfab_warnings(config)
    yield from retention_warnings(config)
    yield from limits_warnings(config)
    for path, platform in _platforms(config):
        yield from (_platform_finding(platform, text).below(path) for text in platform.warnings())
    for path, entry in _clients(config, dev=config.dev):
        found = (*client_warnings(entry), *client_secret_warnings(entry, now), *browser_warnings(entry))
        yield from (finding.below(path) for finding in found)


def _platforms(config: Config) -> Iterator[tuple[Path, PlatformSettings]]:
    for key, project in config.projects.items():
        for name, platform in project.platforms.items():
            yield ("projects", key, "platforms", name), platform
        if project.playfab:
            yield ("projects", key, "playfab"), project.playfab


def _clients(config: Config, *, dev: bool) -> Iterator[tuple[Path, ClientEntry]]:
    for key, project in config.projects.items():
        for client_id, settings in project.clients.items():
            path: Path = ("projects", key, "clients", client_id)
            yield path, ClientEntry(client_id, settings, config.tokens, dev)


def _platform_finding(platform: PlatformSettings, text: str) -> Finding:
    """A platform's sentence, with the key it begins with as its path."""
    what, _, remedy = text.rstrip(".").rpartition("; ")
    found = _PLATFORM_KEY.match(text)
    if not found or found["key"] not in type(platform).model_fields:
        return Finding((), what or remedy, remedy if what else "")
    place: Path = (int(found["place"]),) if found["place"] else ()
    return Finding((found["key"], *place), what or remedy, remedy if what else "")


def _any_broken(broken: Collection[Path], paths: Collection[Path]) -> bool:
    return any(overlap(path, one) for path in paths for one in broken)
