"""The id_tokens of the emulated Epic, case by case: good ones, and each with exactly one thing wrong.

Owns which keys are published. Knows no endpoint; case names stand in `cases.py`.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authsrv.emulator.base import TestPlayer
from authsrv.emulator.epic.tokens import (
    EpicKeys,
    EpicProduct,
    EpicTokens,
    SigningKey,
    base64url,
    compact_text,
    connect_key,
    eas_key,
)

Family = Literal["eas", "connect"]
_ISSUER_PREFIX = {
    "eas": "https://api.epicgames.dev.evil.test/epic/oauth/v1",
    "connect": "https://api.epicgames.dev.evil.test/auth/v1/oauth",
}


class KeyRing:
    """The published keys of both families, newest last.

    `failures` is how many fetches of a set still fail, `replaced` what is served in place of a set.
    """

    def __init__(self, keys: EpicKeys) -> None:
        self._published: dict[Family, list[SigningKey]] = {"eas": [keys.eas], "connect": [keys.connect]}
        self.failures: dict[Family, int] = {"eas": 0, "connect": 0}
        self.replaced: dict[Family, Any] = {}

    def current(self, family: Family) -> SigningKey:
        """The key that signs."""
        return self._published[family][-1]

    def rotate(self, family: Family) -> SigningKey:
        """Sign with a new key from now on; the old ones stay published."""
        self._published[family].append(new_key(family))
        return self.current(family)

    def jwk_set(self, family: Family) -> dict[str, Any]:
        """The key set as Epic publishes it."""
        return {"keys": [key.jwk() for key in self._published[family]]}


def new_key(family: Family) -> SigningKey:
    """A key that nobody published yet."""
    return eas_key() if family == "eas" else connect_key()


class TokenForge:
    """Mints id_tokens of one family."""

    def __init__(self, family: Family, ring: KeyRing, product: EpicProduct, clock: Callable[[], float]) -> None:
        self._family: Family = family
        self._ring = ring
        self._product = product
        self._clock = clock
        self._tokens = EpicTokens(product, clock)
        self._genuine = self._tokens.eas_id_token if family == "eas" else self._tokens.connect_id_token
        self._remembered: dict[str, str] = {}

    def token(self, player: TestPlayer, case: str) -> str:
        """The token of a case; "good" and every name without a row of its own is a good one."""
        special = self._special().get(case)
        if special is not None:
            return special(player)
        return self.genuine(player, self._changed_claims().get(case, {}))

    def genuine(self, player: TestPlayer, claims: Mapping[str, Any] = {}, header: Mapping[str, Any] = {}) -> str:
        """A well-signed token with some members changed."""
        return self._genuine(self._ring.current(self._family), player, claims, header)

    def _changed_claims(self) -> Mapping[str, Mapping[str, Any]]:
        now = int(self._clock())
        return {
            "wrong-issuer": {"iss": "https://login.another-service.example"},
            "issuer-prefix": {"iss": _ISSUER_PREFIX[self._family]},
            "expired": {"iat": now - 7261, "exp": now - 61},
            "not-yet-valid": {"iat": now + 62, "exp": now + 7262},
            "wrong-audience": {"aud": "another-studios-client"},
            "wrong-product": {"pfpid": "another-product"},
            "wrong-sandbox": {"pfsid": "a-development-sandbox"},
            "wrong-deployment": {"pfdid": "another-deployment"},
            "wrong-token-type": {"t": "a_new_type"},
            "too-large": {"padding": "x" * 8192},
            "external-account": {"act": {"eat": "psn", "eaid": "an-invented-id", "pltfm": "playstation", "dty": "PS5"}},
            "device-account": {"act": {"eat": "deviceid"}},
        }

    def _special(self) -> Mapping[str, Callable[[TestPlayer], str]]:
        return {
            "not-a-jwt": lambda _: secrets.token_hex(24),
            "truncated-token": lambda player: self.genuine(player).rpartition(".")[0],
            "duplicate-names": self._duplicate_names,
            "algorithm-none": self._algorithm_none,
            "algorithm-hs256": self._algorithm_hs256,
            "critical-header": lambda player: self.genuine(player, header={"crit": ["exp"]}),
            "access-token": self._access_token,
            "refresh-token": lambda player: self._tokens.eas_refresh_token(self._ring.current("eas"), player),
            "refresh-token-r": lambda player: self._tokens.eas_refresh_token(
                self._ring.current("eas"), player, "epic_id_r"
            ),
            "bad-signature": self._bad_signature,
            "unknown-kid": lambda player: self._genuine(new_key(self._family), player),
            "other-family-key": self._other_family_key,
            "keys-unreachable": self._keys_unreachable,
            "replayed": self._replayed,
        }

    def _duplicate_names(self, player: TestPlayer) -> str:
        header, payload = _opened(self.genuine(player))
        twice = json.dumps(payload)[:-1] + ', "sub": "ffffffffffffffffffffffffffffffff"}'
        return compact_text(json.dumps(header), twice, self._ring.current(self._family).sign)

    def _algorithm_none(self, player: TestPlayer) -> str:
        header, payload = _opened(self.genuine(player))
        return compact_text(json.dumps({**header, "alg": "none"}), json.dumps(payload), lambda _: b"unsigned")

    def _algorithm_hs256(self, player: TestPlayer) -> str:
        header, payload = _opened(self.genuine(player))
        public = self._ring.current(self._family).key.public_key()
        secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return compact_text(
            json.dumps({**header, "alg": "HS256"}),
            json.dumps(payload),
            lambda data: hmac.digest(secret, data, hashlib.sha256),
        )

    def _access_token(self, player: TestPlayer) -> str:
        if self._family == "eas":
            return self._tokens.eas_access_token(self._ring.current("eas"), player)
        return self._tokens.connect_access_token(self._ring.current("connect"), player)

    def _bad_signature(self, player: TestPlayer) -> str:
        header, payload = _opened(self.genuine(player))
        signature = self.genuine(player).rpartition(".")[2]
        forged = {**payload, "sub": "ffffffffffffffffffffffffffffffff"}
        return f"{_part(header)}.{_part(forged)}.{signature}"

    def _other_family_key(self, player: TestPlayer) -> str:
        return self._genuine(self._ring.current("connect" if self._family == "eas" else "eas"), player)

    def _keys_unreachable(self, player: TestPlayer) -> str:
        self._ring.rotate(self._family)
        self._ring.failures[self._family] = 2  # a caller may try a failed fetch once more
        return self.genuine(player)

    def _replayed(self, player: TestPlayer) -> str:
        return self._remembered.setdefault(player.name, self.genuine(player))


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(_decoded(header)), json.loads(_decoded(payload))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _part(members: Mapping[str, Any]) -> str:
    return base64url(json.dumps(members).encode())
