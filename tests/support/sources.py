"""Where the credentials of a test come from: emulated platforms, and devices of guests, behind whom there is none."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from authsrv.emulator.base import MintedCredential, TestPlayer, UnknownCase

PREFIX = "authsrv_guest_"


class Source(Protocol):
    """Mints credentials of one platform."""

    cases: Mapping[str, str]
    kinds: Sequence[str]

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """A credential of this player. Raises `UnknownCase`."""


class GuestDevices:
    """A device of every test player. Each shows the same secret at every login; a bad case spoils it on its way."""

    cases: Mapping[str, str] = {
        "good": "the secret",
        "truncated": "a character short",
        "too-long": "a character more",
        "padded": "in Base64 with its padding",
        "other-alphabet": "in Base64 of the other alphabet",
        "without-prefix": "only the random part",
        "other-prefix": "a secret of something else",
        "spaced": "with a line feed behind it",
    }
    kinds: Sequence[str] = ("device_secret",)

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """The secret of the player's device, in this case."""
        if case not in self.cases or kind not in {"", *self.kinds}:
            raise UnknownCase(f"a guest has neither the case {case} nor the kind {kind}")
        random = _encoded(sha256(f"device of {player.name}".encode()).digest())
        text = {
            "good": PREFIX + random,
            "truncated": PREFIX + random[:-1],
            "too-long": PREFIX + random + "A",
            "padded": PREFIX + random + "=",
            "other-alphabet": PREFIX + "+/" + random[2:],
            "without-prefix": random,
            "other-prefix": "authsrv_quest_" + random,
            "spaced": PREFIX + random + "\n",
        }[case]
        return MintedCredential("guest", self.kinds[0], case, text, {"session_ticket": text})


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
