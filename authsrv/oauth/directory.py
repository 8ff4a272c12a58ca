"""Which platforms a project has. A reload replaces all of them in one assignment."""

from collections.abc import Mapping
from typing import Any

from authsrv.errors import UnsupportedProvider
from authsrv.platforms.base import Platform


class PlatformDirectory:
    """The verifiers, by project key and platform name.

    `kinds` names every platform that there is, and the kinds of the identities that it vouches for.
    """

    def __init__(self, kinds: Mapping[str, tuple[str, ...]]) -> None:
        self.kinds = kinds
        self._by_kind = {kind: name for name, theirs in kinds.items() for kind in theirs}
        self._running: Mapping[tuple[str, str], Platform[Any]] = {}

    def replace(self, running: Mapping[tuple[str, str], Platform[Any]]) -> None:
        """Take these verifiers instead of the present ones."""
        self._running = running

    def for_browsers(self, project: str) -> tuple[str, ...]:
        """The project's platforms that sign players in by the browser, in the order of the configuration."""
        running = [(name, platform) for (key, name), platform in self._running.items() if key == project]
        return tuple(name for name, platform in running if platform.signs_in_browsers)

    def provider_of(self, kind: str) -> str:
        """The name of the platform that vouches for identities of this kind, whether a project has it or not.

        A kind that no platform vouches for any more stands for itself.
        """
        return self._by_kind.get(kind, kind)

    def require_known(self, name: str) -> None:
        """Raise `UnsupportedProvider` for a name that no platform has."""
        if name not in self.kinds:
            raise UnsupportedProvider(reason="unknown_provider")

    def find(self, project: str, name: str) -> Platform[Any]:
        """The project's verifier. Raises `UnsupportedProvider` if the project does not use the platform."""
        platform = self._running.get((project, name))
        if platform is None:
            raise UnsupportedProvider(
                "This platform is not configured for the project.", reason="provider_not_configured"
            )
        return platform
