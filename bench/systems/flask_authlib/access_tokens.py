"""What the server and the seeding sign with: the keys, prepared once, and Authlib's generator of JWT access tokens."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc.jwk import KeySet, import_key

SITE = json.loads(Path(os.environ["BENCH_SITE"]).read_text())
ISSUER = SITE["issuer"]
API = "https://api.studio.example"
KEYS = {key["alg"]: KeySet([import_key(key)]) for key in SITE["keys"]}
"""By algorithm; a set of one, because only from a set joserfc names the key in what it signs."""


class AccessTokens(JWTBearerTokenGenerator):
    """JWTs for one API."""

    def __init__(self, alg: str, lifetime: int) -> None:
        super().__init__(ISSUER, alg, lambda **_: secrets.token_urlsafe(32), lifetime)

    def get_jwks(self) -> Any:
        return KEYS[self.alg]

    def get_audiences(self, _client: Any, _user: Any, _scope: str) -> str:
        return API

    def get_jti(self, _client: Any, _grant_type: str, _user: Any, _scope: str) -> str:
        return secrets.token_urlsafe(16)
