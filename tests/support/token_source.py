"""What a verifier sees of a login server: metadata, keys, a revocation feed and tokens, true or spoilt by the test.

Keys are made once for a test run. The documents are had in process by `fetch`, or over loopback HTTP by `serving`.
"""

import asyncio
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authsrv.verify import Fetched, Verifier

ISSUER = "https://login.studio.example"
AUDIENCE = "https://match.studio.example"
PROJECT = "5b3a1c52-0000-4000-8000-000000000001"
PLAYER = "c32ac791-eb78-47d1-b302-19e328ebe0a3"
NOW = 1_790_000_000
METADATA, JWKS, FEED = "/.well-known/openid-configuration", "/oauth2/jwks", "/oauth2/revocations"

Claims = dict[str, Any]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def private_key(kid: str, alg: str) -> PrivateKey:
    """The private key of this name, the same one for RS256 and PS256."""
    return _private_key(kid, "RSA" if alg in ("RS256", "PS256") else alg)


@cache
def _private_key(_: str, kind: str) -> PrivateKey:
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "EdDSA" else ec.generate_private_key(ec.SECP256R1())


def public_jwk(kid: str, alg: str) -> dict[str, Any]:
    """The JWK that the server publishes for a key."""
    algorithm: Any = jwt.algorithms.get_default_algorithms()[alg]
    found: dict[str, Any] = algorithm.to_jwk(private_key(kid, alg).public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, "kid": kid, "use": "sig", "alg": alg}


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: bytes, payload: bytes, kid: str, alg: str) -> str:
    """A compact JWS of exactly these bytes, with a true signature by that key."""
    signed = f"{b64(header)}.{b64(payload)}"
    algorithm: Any = jwt.algorithms.get_default_algorithms()[alg]
    return f"{signed}.{b64(algorithm.sign(signed.encode(), private_key(kid, alg)))}"


@dataclass
class Answer:
    """What the server says at one address; `gate`, where there is one, is waited for first."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    gate: asyncio.Event | None = None


@dataclass
class TokenSource:
    """A login server. `keys` are those it publishes, algorithm by `kid`; `revoked` are the lists of its feed."""

    issuer: str = ISSUER
    now: float = NOW
    keys: dict[str, str] = field(default_factory=lambda: {"k1": "ES256", "r1": "RS256"})
    revoked: Claims = field(default_factory=dict)
    feed_key: tuple[str, str] = ("k1", "ES256")
    answers: dict[str, Answer] = field(default_factory=dict)
    """Answers instead of the true ones, by path."""
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    heard: threading.Condition = field(default_factory=threading.Condition, repr=False)
    """Told of every request."""
    down: bool = False
    poll: int = 30
    max_age: str = "public, max-age=3600"
    feed_issued_at: int = 0
    """When the feed was made; 0 means now."""

    def clock(self) -> float:
        return self.now

    def token(self, kid: str = "k1", alg: str = "ES256", header: Claims | None = None, /, **claims: Any) -> str:
        """An access token by RFC 9068; a claim or header member changed to None is left out."""
        found = {"typ": "at+jwt", "alg": alg, "kid": kid, **(header or {})}
        return compact(_json(found), _json(self.claims(**claims)), kid, alg)

    def xsolla_token(self, header: Claims | None = None, /, **claims: Any) -> str:
        """An access token in the Xsolla profile."""
        profile = {
            "aud": [],
            "scope": None,
            "scp": ["offline"],
            "token_use": "access",
            "xsolla_login_project_id": PROJECT,
            "groups": [],
            "type": "social",
        }
        return self.token("r1", "RS256", {"typ": "JWT", **(header or {})}, **(profile | claims))

    def claims(self, **changes: Any) -> Claims:
        found = {
            "iss": self.issuer,
            "sub": PLAYER,
            "aud": AUDIENCE,
            "exp": int(self.now) + 900,
            "iat": int(self.now),
            "jti": "Fc5lVtozXHveZOKRabnfn0m9",
            "client_id": "launcher",
            "scope": "openid match:join",
            "gid": "fBREjZbHHQG1hV56hzZ2eQ",
            "auth_time": int(self.now),
        }
        return {name: value for name, value in (found | changes).items() if value is not None}

    def feed(self, header: Claims | None = None, /, **changes: Any) -> str:
        """The revocation feed; a claim changed to None is left out."""
        kid, alg = self.feed_key
        issued_at = self.feed_issued_at or int(self.now)
        claims = {
            "iss": self.issuer,
            "iat": issued_at,
            "exp": issued_at + 600,
            "poll": self.poll,
            "jti": [],
            "gid": [],
            "not_before": {},
            "clients": {},
            "kid": [],
            **self.revoked,
            **changes,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        found = {"typ": "revocations+jwt", "alg": alg, "kid": kid, **(header or {})}
        return compact(_json(found), _json(told), kid, alg)

    def key_set(self) -> bytes:
        return _json({"keys": [public_jwk(kid, alg) for kid, alg in self.keys.items()]})

    def document(self, path: str) -> Answer:
        """The true answer."""
        if path == FEED:
            # The signature differs each time; what it says does not.
            said = _json([self.revoked, self.feed_issued_at, self.feed_key])
            return _tagged(self.feed().encode(), "no-cache", said)
        if path == JWKS:
            return _tagged(self.key_set(), self.max_age)
        if path == METADATA:
            uris = {"jwks_uri": self.issuer + JWKS, "revocation_feed_uri": self.issuer + FEED}
            return _tagged(_json({"issuer": self.issuer, **uris}), self.max_age)
        return Answer(404)

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What is answered to a request, which is written down."""
        sent = {name.lower(): value for name, value in headers.items()}
        with self.heard:
            self.requests.append((path, sent))
            self.heard.notify_all()
            found = self.answers.get(path) or self.document(path)
        is_known = found.status == 200 and found.headers.get("etag", "-") == sent.get("if-none-match")
        return Answer(304, found.headers) if is_known else found

    def asked(self, path: str) -> int:
        """How often this document was asked for."""
        return sum(each == path for each, _ in self.requests)

    async def fetch(self, url: str, headers: Mapping[str, str], max_body: int) -> Fetched:  # noqa: ARG002
        """See `authsrv.verify.Fetch`."""
        parts = urlsplit(url)
        if self.down or f"{parts.scheme}://{parts.netloc}" != self.issuer:
            raise ConnectionError("nobody answers")
        found = self.answer(parts.path, headers)
        if found.gate is not None:
            await found.gate.wait()
        return Fetched(found.status, found.headers, found.body)

    def verifier(self, **how: Any) -> Verifier:
        """A verifier of this server's tokens that polls when it is told to by `rounds`."""
        arguments: dict[str, Any] = {
            "audience": AUDIENCE,
            "fetch": self.fetch,
            "clock": self.clock,
            "sleep": Rounds().sleep,
        }
        return Verifier(self.issuer, **(arguments | how))


def _tagged(body: bytes, cache_control: str, said: bytes = b"") -> Answer:
    etag = f'"{sha256(said or body).hexdigest()[:16]}"'
    return Answer(200, {"cache-control": cache_control, "etag": etag}, body)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Rounds:
    """The rests of a polling task, ended by the test."""

    def __init__(self) -> None:
        self._resting: asyncio.Future[None] | None = None
        self._rests = asyncio.Event()
        self.lengths: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.lengths.append(seconds)
        self._resting = asyncio.get_running_loop().create_future()
        self._rests.set()
        await self._resting

    async def next(self) -> None:
        """Let it do one round, and wait until it rests again."""
        await self._rests.wait()
        assert self._resting
        self._rests.clear()
        self._resting.set_result(None)
        await self._rests.wait()


@contextmanager
def serving(source: TokenSource, port: int) -> Iterator[TokenSource]:
    """The same server on a port of the loopback address; `source.issuer` becomes its address."""
    source.issuer = f"http://127.0.0.1:{port}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = source.answer(urlsplit(self.path).path, dict(self.headers))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            if found.status != 304 and "content-length" not in found.headers:
                self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True  # kept connections of a client end with it

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gives an answer up is what some tests are about."""

    with Server(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield source
        finally:
            server.shutdown()
            thread.join()
