"""Services outside that have something to say in a player's access token, each for its scope.

Owns who is told and how often is asked. What is told stays in the token: it is neither stored nor logged, and nothing
that fails here fails a login. Knows no service by name.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from authsrv.errors import RateLimited
from authsrv.limits import RateLimiter, Rule
from authsrv.models import Client


class ClaimSource(Protocol):
    """A service of a project."""

    async def claims_about(self, sub: str) -> Mapping[str, str]:
        """What it says of a player, within seconds; nothing if it cannot. Never raises."""


Place = tuple[str, str]
"""A project's key and a scope."""


class ClaimSources:
    """The sources of all projects. A reload replaces all of them in one assignment."""

    def __init__(self) -> None:
        self._sources: Mapping[Place, ClaimSource] = {}

    def replace(self, sources: Mapping[Place, ClaimSource]) -> None:
        """Take these sources instead of the present ones."""
        self._sources = sources

    def find(self, client: Client, scope: str) -> ClaimSource | None:
        """The source behind a scope that was granted, for a client of the studio's own that lists it.

        A client that may ask for any scope does not list it, and to somebody else's a session would give the player's
        whole account.
        """
        if not client.first_party or scope not in client.scopes:
            return None
        return self._sources.get((client.project.key, scope))


class Inquiry:
    """What is asked for one request, however often it is decided: no source hears the same question twice."""

    def __init__(self, sources: ClaimSources, limits: RateLimiter) -> None:
        self._sources = sources
        self._limits = limits
        self._told: dict[tuple[str, str], Mapping[str, str]] = {}

    async def about(self, sub: str, client: Client, scope: Iterable[str]) -> Mapping[str, str]:
        """The claims about a player that these granted scopes promise the client, as far as they can be had now."""
        told: dict[str, str] = {}
        for value in scope:
            source = self._sources.find(client, value)
            if source is not None:
                told |= await self._ask(source, client.project.key, value, sub)
        return told

    async def _ask(self, source: ClaimSource, project: str, scope: str, sub: str) -> Mapping[str, str]:
        question = scope, sub
        if question not in self._told:
            self._told[question] = await source.claims_about(sub) if self._may_ask(project, scope, sub) else {}
        return self._told[question]

    def _may_ask(self, project: str, scope: str, sub: str) -> bool:
        """One player who logs in without end must not use up what the service allows all of them."""
        try:
            self._limits.check(Rule.CLAIM_REQUESTS, project, scope, sub)
        except RateLimited:
            return False
        return True
