"""The authorization server without HTTP: clients of every kind, a storage in memory, and grants that stand in it."""

import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from authsrv.audit import Audit
from authsrv.limits import Quotas, RateLimiter
from authsrv.models import Client, ClientSecret, Digest, Grant, KeyRules, Project, SigningAlgorithm, StoredKey
from authsrv.oauth.claim_sources import ClaimSources
from authsrv.oauth.clients import ClientRegistry
from authsrv.oauth.credentials import CredentialDesk
from authsrv.oauth.directory import PlatformDirectory
from authsrv.oauth.key_keeper import first_keys
from authsrv.oauth.key_material import Vault
from authsrv.oauth.keys import KeyRing
from authsrv.oauth.live_tokens import LiveTokens
from authsrv.oauth.logins import PlatformLogins
from authsrv.oauth.marks import IdentityMarks
from authsrv.oauth.opaque import Opaque, OpaqueTokens
from authsrv.oauth.own_tokens import OwnTokens
from authsrv.oauth.proofs import PlatformProofs
from authsrv.oauth.request import Sender, TokenRequest
from authsrv.oauth.server import TokenServer
from authsrv.oauth.silent.nonces import TicketNonces
from authsrv.oauth.tokens import TokenIssuer
from authsrv.storage.changes import AddGrant, AddPlayer
from authsrv.storage.memory.storage import MemoryStorage
from tests.support.storage import NOW, grant, player

ISSUER = "https://login.studio.example"
PROJECT = Project(
    "skyforge", "5b3a1c52-0000-4000-8000-000000000001", "Skyforge", platforms=frozenset({"steam", "xbox", "epicgames"})
)
CALLBACK = "http://127.0.0.1/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET = "a-secret-of-a-game-server-0123456"
SENDER = Sender("standard", "192.0.2.1", "192.0.2.0", "0" * 16)

LAUNCHER = Client(
    "launcher",
    PROJECT,
    "Launcher",
    redirect_uris=(CALLBACK,),
    scopes=frozenset({"openid", "profile", "offline"}),
    native=True,
)
OTHER = replace(LAUNCHER, client_id="other", name="Other")
BACKEND = Client(
    "backend",
    PROJECT,
    "Backend",
    secrets=(ClientSecret(Digest(sha256(SECRET.encode()).digest())),),
    grant_types=frozenset({"client_credentials"}),
    scopes=frozenset({"match:join", "match:end"}),
    audiences=frozenset({"https://match.example"}),
)
CLIENTS = (LAUNCHER, OTHER, BACKEND)


@cache
def stored_keys(passphrase: str = "") -> tuple[StoredKey, ...]:
    """The first keys of a ring, made once in a test run."""
    return first_keys(KeyRules(), Vault(passphrase, os.urandom), NOW)


@cache
def all_keys() -> tuple[StoredKey, ...]:
    """As `stored_keys`, with a key for every algorithm there is."""
    others: tuple[SigningAlgorithm, ...] = ("PS256", "EdDSA")
    return (*stored_keys(), *(Vault("", os.urandom).new_key(alg, alg, NOW, NOW) for alg in others))


@cache
def ring() -> KeyRing:
    return ring_of(stored_keys())


@cache
def full_ring() -> KeyRing:
    """A ring with a key for every algorithm there is."""
    return ring_of(all_keys())


def ring_of(stored: Iterable[StoredKey], now: float = NOW, passphrase: str = "") -> KeyRing:
    """A ring of these keys at a time that stands still."""
    return KeyRing(stored, Vault(passphrase, os.urandom), lambda: now)


def opaque(random: Callable[[int], bytes] = os.urandom) -> OpaqueTokens:
    return OpaqueTokens(ring().derive(b"tests"), random)


def token_request(**parameters: str | None) -> TokenRequest:
    """A token request; a parameter that is None is left out."""
    return TokenRequest({name: value for name, value in parameters.items() if value is not None}, "", SENDER)


@dataclass
class Clock:
    now: float = float(NOW)

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """An authorization server, its storage and its clock."""

    server: TokenServer
    storage: MemoryStorage
    clock: Clock

    async def stands(self, **fields: object) -> tuple[Grant, Opaque]:
        """A grant in the storage with an unused code, and that code."""
        id_ = self.storage.next_id()
        code = self.server.opaque.new("code", id_)
        found = replace(
            grant(id_, player_id=1),
            code_hash=code.digest,
            code_challenge=CHALLENGE,
            redirect_uri=CALLBACK,
            audience=(),
        )
        found = replace(found, **fields)  # type: ignore[arg-type]  # fields of Grant by name
        await self.storage.apply([AddGrant(found)])
        return found, code

    async def stands_with_refresh_token(self, generation: int = 1, **fields: object) -> tuple[Grant, Opaque]:
        """A grant in the storage whose code was redeemed, and its present refresh token."""
        id_ = self.storage.next_id()
        token = self.server.opaque.new("refresh", id_, generation)
        found = replace(
            grant(id_, player_id=1),
            code_used_at=NOW,
            audience=(),
            expires_at=NOW + 86400,
            refresh_hash=token.digest,
            refresh_generation=generation,
        )
        found = replace(found, **fields)  # type: ignore[arg-type]  # fields of Grant by name
        await self.storage.apply([AddGrant(found)])
        return found, token

    def redeeming(self, code: Opaque, /, **changes: str | None) -> TokenRequest:
        request: Mapping[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": "launcher",
            "code": code.text,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return token_request(**{**request, **changes})

    def refreshing(self, token: Opaque, /, **changes: str | None) -> TokenRequest:
        request: Mapping[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": "launcher",
            "refresh_token": token.text,
        }
        return token_request(**{**request, **changes})


async def bench(
    clients: Sequence[Client] = CLIENTS,
    kind: type[TokenServer] = TokenServer,
    random: Callable[[int], bytes] = os.urandom,
) -> Bench:
    """A server with these clients, one player, and storage in memory."""
    storage, clock = MemoryStorage(), Clock()
    await storage.open()
    await storage.apply([AddPlayer(player())])
    limits = RateLimiter(Quotas(*[10_000] * 8), clock=lambda: 0.0)
    registry, tokens, audit = ClientRegistry(clients), opaque(random), Audit(lambda _: None, now=clock)
    own_tokens, desk = OwnTokens(ISSUER, ring()), CredentialDesk(storage, random)
    marks = IdentityMarks(b"a secret of this server")
    logins = PlatformLogins(storage=storage, desk=desk, limits=limits, audit=audit, marks=marks, random=random)
    server = kind(
        storage=storage,
        registry=registry,
        tokens=TokenIssuer(ISSUER, ring(), random),
        opaque=tokens,
        own_tokens=own_tokens,
        live_tokens=LiveTokens(storage=storage, registry=registry, opaque=tokens, own_tokens=own_tokens, clock=clock),
        proofs=PlatformProofs(logins, PlatformDirectory({}), TicketNonces(ring().derive(b"n"), random)),
        claim_sources=ClaimSources(),
        limits=limits,
        audit=audit,
        clock=clock,
    )
    return Bench(server, storage, clock)
