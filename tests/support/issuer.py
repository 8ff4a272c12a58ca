"""A login server that a web site talks to, as a script: it answers what the test tells it to, true or forged."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key


def half_hash(token: str, digest: str = "sha256") -> str:
    """OpenID Connect Core section 3.1.3.6."""
    found = hashlib.new(digest, token.encode()).digest()
    return base64.urlsafe_b64encode(found[: len(found) // 2]).rstrip(b"=").decode()


@cache
def rsa_key(name: str) -> RSAPrivateKey:
    """The key of this name, made once for the test run."""
    return generate_private_key(65537, 2048)


@dataclass
class Issuer:
    """What it says. `claims` change the id_token, `answers` a whole answer by its path. /moved leads to all."""

    port: int
    claims: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    algorithm: str = "RS256"
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    received: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Path, Authorization header and form of every request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str) -> tuple[int, Any]:
        told: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/oauth2/authorize",
                "token_endpoint": f"{self.url}/oauth2/token",
                "userinfo_endpoint": f"{self.url}/oauth2/userinfo",
                "end_session_endpoint": f"{self.url}/oauth2/logout",
                "jwks_uri": f"{self.url}/oauth2/jwks",
            },
            "/oauth2/jwks": {"keys": [_public(rsa_key("own"))]},
            "/oauth2/token": {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()},
            "/oauth2/userinfo": {"sub": "player-1", "name": "Amber"},
        }
        if path.startswith("/moved/"):
            return 302, self.url + path.removeprefix("/moved")
        return self.answers.get(path, (200, told[path]))

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "shop", "sub": "player-1", "iat": now, "exp": now + 60, "idp": "steam"}
        claims["at_hash"] = half_hash("at")
        told = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        key = rsa_key("own") if self.key is None else self.key
        return jwt.encode(told, key, self.algorithm, headers={"kid": "k1"})


def _public(key: RSAPrivateKey) -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "kid": "k1", "use": "sig", "alg": "RS256"}


@contextmanager
def issuing(port: int) -> Iterator[Issuer]:
    """A login server on this port, for as long as the block runs."""
    issuer = Issuer(port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._give()

        def do_POST(self) -> None:
            self._give()

        def _give(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            path = urlsplit(self.path).path
            issuer.received.append((path, self.headers.get("authorization", ""), form))
            status, told = issuer.answer(path)
            text = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            if status == 302:
                self.send_header("location", told)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
