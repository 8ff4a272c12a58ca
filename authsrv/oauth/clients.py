"""The registered clients in memory, and how a client proves who it is (RFC 6749 section 2.3).

Owns the look-up and the three authentication methods. Every failure looks the same from outside, and takes as long.
"""

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from urllib.parse import unquote_to_bytes

from authsrv.errors import InvalidClient, InvalidRequest
from authsrv.models import MOST_SECRETS, AuthMethod, Client, ClientSecret, Digest
from authsrv.oauth.request import PROFILE_OF_SURFACE, Surface
from authsrv.records import dataclass

_NO_CLIENT = "client_id names no client of this server."
_NOBODYS = ClientSecret(Digest(hashlib.sha256(b"no client has this secret").digest()), expires_at=0)
_ASSERTION = "This server takes no client assertions; authenticate the client with its secret."
_LONGEST = 512


CLIENT_PARAMETERS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
"""What the body of a request may say about its client, also what is refused."""


class ClientRegistry:
    """All clients by id: the file's, which a reload replaces in one assignment, and those that registered themselves.

    `registered` is looked at anew for each request; its owner changes it. A client of the file wins over one of its id.
    """

    def __init__(self, clients: Iterable[Client], registered: Mapping[str, Client] | None = None) -> None:
        self._registered = {} if registered is None else registered
        self._declared: Mapping[str, Client] = {}
        self._longest = 0
        self.replace(clients)

    def replace(self, clients: Iterable[Client]) -> None:
        """Take these clients of the file instead of the present ones."""
        self._longest = self.longest_token_life()
        self._declared = {client.client_id: client for client in clients}

    def get(self, client_id: str) -> Client | None:
        """The client, whichever surface it uses."""
        return self._declared.get(client_id) or self._registered.get(client_id)

    def find(self, client_id: str, surface: Surface) -> Client | None:
        """The client, if it may use this surface."""
        client = self.get(client_id)
        return client if client and client.profile == PROFILE_OF_SURFACE[surface] else None

    def named(self, client_id: str, surface: Surface | None) -> Client:
        """The client that a request names without proof, of any surface if that is None. Raises `InvalidRequest`."""
        if not client_id:
            raise InvalidRequest("Send the client_id.", parameter="client_id")
        client = self.find(client_id, surface) if surface else self.get(client_id)
        if client is None:
            raise unknown_client()
        return client

    def openable(self, project: str) -> tuple[Client, ...]:
        """The clients of a project that players can open from a page of ours, by name."""
        found = (client for client in self.of_project(project) if client.links.initiate_login_uri)
        return tuple(sorted(found, key=lambda client: client.name))

    def of_project(self, project: str) -> tuple[Client, ...]:
        """Every client of a project."""
        return tuple(client for client in self._everybody() if client.project.key == project)

    def longest_token_life(self) -> int:
        """For how many seconds an access token or id_token of any client may live.

        Those of before a reload count too: their tokens are still about.
        """
        return max(self._longest, self.present_token_life())

    def present_token_life(self) -> int:
        """The same, of the clients there are now alone."""
        lifetimes = (client.lifetimes for client in self._everybody())
        return max((max(one.access_token, one.id_token) for one in lifetimes), default=0)

    def remember_token_life(self, seconds: int) -> None:
        """Tokens of such a life are about that another node, or an earlier configuration of one, gave."""
        self._longest = max(self._longest, seconds)

    def cors_origins(self) -> frozenset[str]:
        """Origins of browser clients that call the token endpoint themselves."""
        return frozenset(origin for client in self._declared.values() for origin in client.cors_origins)

    def _everybody(self) -> Iterable[Client]:
        return {**self._registered, **self._declared}.values()


def unknown_client() -> InvalidRequest:
    """The request names nobody, or a client that is gone."""
    return InvalidRequest(_NO_CLIENT, parameter="client_id", reason="unknown_client")


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says about its client."""

    client_id: str
    secret: str
    method: AuthMethod


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """A client that proved itself, or a public one that named itself."""

    client: Client
    method: AuthMethod


def authenticate(registry: ClientRegistry, presented: Presented, surface: Surface, now: int) -> AuthenticatedClient:
    """The client that what `read` found proves at this Unix second. Raises `InvalidClient`."""
    client = registry.find(presented.client_id, surface)
    if client is None or not client.public:
        _prove(client.secrets if client else (), presented, now)
    elif presented.method != "none":
        raise InvalidClient
    if client is None or client.auth_method not in {None, presented.method}:
        raise InvalidClient
    return AuthenticatedClient(client, presented.method)


def read(parameters: Mapping[str, str], authorization: str) -> Presented:
    """Which client the request names and by which method, from its form and its Authorization header.

    `parameters` are the `CLIENT_PARAMETERS` that were sent. Raises `InvalidClient`, or `InvalidRequest` when two
    methods are used at once.
    """
    named, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
    asserted = "client_assertion" in parameters or "client_assertion_type" in parameters
    if [bool(authorization), bool(secret), asserted].count(True) > 1:
        raise InvalidRequest("Authenticate the client in one way: in the Authorization header, or in the body.")
    if asserted:
        # RFC 7521 section 4.2.1. Who asserts must not pass as a client that has nothing to prove.
        raise InvalidClient(_ASSERTION)
    if not authorization:
        return Presented(named, secret, "client_secret_post" if secret else "none")
    by_header = _read_basic(authorization)
    if named and named != by_header.client_id:
        raise InvalidRequest("client_id differs from the client in the Authorization header.", parameter="client_id")
    return by_header


def _read_basic(authorization: str) -> Presented:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).partition(b":")
        named, proof = _form_decode(client_id), _form_decode(secret)
    except (binascii.Error, ValueError) as error:
        raise InvalidClient from error
    if not colon or not named or not proof:
        raise InvalidClient
    return Presented(named, proof, "client_secret_basic")


def _form_decode(part: bytes) -> str:
    """RFC 6749 section 2.3.1: both halves are form-encoded before they are joined."""
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8")


def _prove(secrets: Sequence[ClientSecret], presented: Presented, now: int) -> None:
    """Raise `InvalidClient` unless one of these secrets was presented and has not expired."""
    # Always as many comparisons: the time tells neither how many secrets a client has, nor whether there is one.
    proof = hashlib.sha256(presented.secret[:_LONGEST].encode("utf-8", "surrogatepass")).digest()
    is_known = works = False
    for secret in (*secrets, *[_NOBODYS] * (MOST_SECRETS - len(secrets))):
        is_right = compare_digest(proof, secret.digest)
        is_known |= is_right
        works |= is_right & secret.works(now)
    if presented.method == "none" or not works:
        raise InvalidClient(detail="the secret has expired" if is_known else "")
