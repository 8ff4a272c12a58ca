"""What every platform emulator offers: routes, minted credentials, error cases and a count of the calls it got.

Owns the test players and the fault modes. Knows no platform; each stands in its own module.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, Protocol

from starlette.routing import BaseRoute

from authsrv.records import dataclass

FaultMode = Literal["none", "down", "slow", "garbage", "throttle"]


@dataclass(frozen=True, slots=True)
class TestPlayer:
    """An invented person with an account on every platform. Ids lie in ranges that no real account has or uses."""

    __test__ = False  # not a test class

    name: str
    steam_id: str
    partner_xuid: str
    xuid: str
    epic_account_id: str
    product_user_id: str
    display_name: str
    email: str = ""


PLAYERS: Mapping[str, TestPlayer] = {
    player.name: player
    for player in (
        TestPlayer(
            name="amber",
            steam_id="76561202255232001",
            partner_xuid="A11CE00000000000000000000000000000000001",
            xuid="2814600000000001",
            epic_account_id="a11ce0000000000000000000000000a1",
            product_user_id="0002a11ce00000000000000000000001",
            display_name="Amber",
            email="amber@players.example",
        ),
        TestPlayer(
            name="birch",
            steam_id="76561202255232003",
            partner_xuid="A11CE00000000000000000000000000000000003",
            xuid="2814600000000003",
            epic_account_id="a11ce0000000000000000000000000b3",
            product_user_id="0002a11ce00000000000000000000003",
            display_name="Birch",
        ),
        TestPlayer(
            name="cedar",
            steam_id="76561202255232005",
            partner_xuid="A11CE00000000000000000000000000000000005",
            xuid="2814600000000005",
            epic_account_id="a11ce0000000000000000000000000c5",
            product_user_id="0002a11ce00000000000000000000005",
            display_name="Cedar",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class MintedCredential:
    """A credential that the matching project accepts (or, for an error case, refuses for exactly that reason).

    `text` is the credential itself on one line; `parameters` are the request parameters that carry it and what must
    go with it (`session_ticket`, `credential_type`, `app_id`, ...); `headers` the request headers, if it travels there.
    """

    platform: str
    kind: str
    case: str
    text: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


EVERYWHERE = ("expired", "forged", "other-app", "replayed", "banned")
"""Cases that go by the same name on every platform's command line, so that a script need not know the platform."""


class UnknownCase(Exception):
    """A case or kind that the emulator does not have. The text lists those it has."""


class ServiceEmulator(Protocol):
    """A service that authsrv calls for players who are logged in already: no credential of theirs comes with the call.

    Every route lies below `/<name>`; `cases` and `calls` are as at a platform.
    """

    name: str
    cases: Mapping[str, str]
    calls: Counter[str]

    def routes(self) -> list[BaseRoute]:
        """The service's endpoints, all below `/<name>`."""

    def meet(self, case: str) -> None:
        """Answer every call as in this case, until another is set. Raises `UnknownCase`."""

    def settings(self, base_url: str) -> dict[str, Any]:
        """The `[projects.X.<name>]` block that points a project at this emulator served at `base_url`."""


class PlatformEmulator(Protocol):
    """One platform, emulated. `name` is its name on the command line: steam, xbox, epic.

    Every route lies below `/<name>`. `calls` counts the requests by a short operation name, so that tests can prove how
    often a platform was asked. All state is in memory, except the keys that were passed in.
    """

    name: str
    cases: Mapping[str, str]
    """Case name -> what it stands for, one line. "good" is the default."""
    everywhere: Mapping[str, str]
    """What the refusals that every platform knows are called here, by the names of `EVERYWHERE`."""
    kinds: Sequence[str]
    """Credential kinds it mints, the default first (the names of `credential_type`)."""
    calls: Counter[str]

    def routes(self) -> list[BaseRoute]:
        """The platform's endpoints, all below `/<name>`."""

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """A fresh credential. Raises `UnknownCase`."""

    def settings(self, base_url: str) -> dict[str, Any]:
        """The `[projects.X.platforms.Y]` block that points a project at this emulator served at `base_url`."""
