"""Asks a project's PlayFab title for a player's session, and lives with every answer.

Owns the one call and what the log says of its failures. Knows neither OAuth nor players; keeps no session.
"""

import logging
from collections.abc import Mapping
from typing import Final

from authsrv.platforms.base import Clock, Outbound, OutboundError
from authsrv.playfab.settings import PlayFabSettings
from authsrv.playfab.wire import MAX_BODY, PATH, SECRET_HEADER, Cause, NoSession, Session, login_of, read_session

_LOG = logging.getLogger(__name__)
QUIET_SECONDS: Final = 60
"""After a warning, for how long others of its cause are only counted."""


class PlayFabSessions:
    """The sessions of one project's players. Every login asks anew, because a ticket is never stored."""

    def __init__(self, project: str, settings: PlayFabSettings, outbound: Outbound, clock: Clock) -> None:
        self._settings = settings
        self._outbound = outbound
        self._warnings = _Warnings(project, clock)

    async def start(self) -> None:
        """There is nothing to load ahead."""

    async def stop(self) -> None:
        """Nothing runs in the background."""

    async def claims_about(self, sub: str) -> Mapping[str, str]:
        """The claims of a new session; none when PlayFab gives none in time. Never raises."""
        try:
            return (await self._log_in(sub)).claims()
        except NoSession as error:
            self._warnings.warn(error.cause, str(error))
        except OutboundError as error:
            self._warnings.warn("unavailable", str(error))
        return {}

    async def _log_in(self, sub: str) -> Session:
        headers = {SECRET_HEADER: self._settings.secret_key.get_secret_value()}
        url = self._settings.api + PATH
        return read_session(await self._outbound.post(url, json=login_of(sub), headers=headers, max_body=MAX_BODY))


class _Warnings:
    """One line for each cause in a minute, so that an outage does not fill the log."""

    def __init__(self, project: str, clock: Clock) -> None:
        self._project = project
        self._clock = clock
        self._said: dict[Cause, float] = {}
        self._unsaid: dict[Cause, int] = {}

    def warn(self, cause: Cause, detail: str) -> None:
        if not self._is_due(cause):
            self._unsaid[cause] = self._unsaid.get(cause, 0) + 1
            return
        facts = {"project": self._project, "cause": cause, "detail": detail, "unsaid": self._unsaid.pop(cause, 0)}
        _LOG.warning("no PlayFab session", extra=facts)
        self._said[cause] = self._clock()

    def _is_due(self, cause: Cause) -> bool:
        """Also after the clock was set back."""
        said = self._said.get(cause)
        return said is None or not 0 <= self._clock() - said < QUIET_SECONDS
