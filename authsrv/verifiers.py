"""What of a configuration runs: the platforms of every project and its PlayFab title, and their ways out.

Owns which class stands behind a name and the limits of its calls. What it does with a credential is its own.
"""

import asyncio
from typing import Any

from authsrv import playfab
from authsrv.outbound.client import HttpOutbound, OutboundLimits
from authsrv.platforms import PLATFORMS
from authsrv.platforms.base import Clock, Outbound, Platform, PlatformSettings
from authsrv.playfab.sessions import PlayFabSessions
from authsrv.playfab.settings import PlayFabSettings
from authsrv.services import Connect, Connections, Place, Services, Sleep


def connect_by_http(name: str, settings: PlatformSettings, clock: Clock) -> Connections:
    """A service's own connections, limits and circuit."""
    if name == playfab.NAME:
        return _to_playfab(settings, clock)
    kind = PLATFORMS[name]
    return HttpOutbound(name, allowed=settings.addresses(), clock=clock, denials_are_ours=kind.denials_are_ours)


def _to_playfab(settings: PlatformSettings, clock: Clock) -> Connections:
    limits = OutboundLimits(total=playfab.LONGEST_CALL)
    # PlayFab answers 403 for players it has banned, too: three of them must not shut out everybody.
    return HttpOutbound(playfab.NAME, allowed=settings.addresses(), clock=clock, limits=limits, denials_are_ours=False)


class Verifiers(Services[Platform[Any]]):
    """The platforms of all projects."""

    def __init__(self, clock: Clock, connect: Connect, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(clock, connect, _platform, sleep)


class PlayFabTitles(Services[PlayFabSessions]):
    """The PlayFab titles of the projects that have one."""

    def __init__(self, clock: Clock, connect: Connect, sleep: Sleep = asyncio.sleep) -> None:
        super().__init__(clock, connect, _sessions, sleep)


def _platform(place: Place, settings: PlatformSettings, outbound: Outbound, clock: Clock) -> Platform[Any]:
    _, name = place
    return PLATFORMS[name](settings, outbound, clock)


def _sessions(place: Place, settings: PlayFabSettings, outbound: Outbound, clock: Clock) -> PlayFabSessions:
    project, _ = place
    return PlayFabSessions(project, settings, outbound, clock)
