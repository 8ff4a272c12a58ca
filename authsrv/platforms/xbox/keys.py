"""Microsoft's signing keys, and the only step that turns unverified claims into verified ones.

Owns which two hosts are asked, how often strangers can make us ask, and the signature check. Knows no claim.
Source: Microsoft, "Example XSTS Token, decryption, and validation"; RFC 7515, 7517, 7518.
"""

import base64
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NewType, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from authsrv.platforms.base import Clock, Outbound, OutboundError, OutboundResponse, PlatformUnavailable
from authsrv.platforms.jwks import KeySource, RsaJwk, parse_jwk_set
from authsrv.platforms.xbox.settings import XboxHosts
from authsrv.platforms.xbox.token import InnerToken, KeyPlace, rejected
from authsrv.strict_json import strict_json

VerifiedClaims = NewType("VerifiedClaims", Mapping[str, Any])
"""Claims under a signature of Microsoft's. Whether they are meant for us and still valid is another question."""

JWK_PATHS = ("/keys", "/psskeys")
CERTIFICATE_PATHS = ("/xsts/signingkeys",)
MAX_OTHER_PATHS = 16
MAX_OTHER_FETCHES = 3  # with one refetch of each standing list, strangers cause at most five fetches a minute
_LONGEST_TOKEN = 720 * 3600
"""Seconds for which a relying party may make XSTS tokens valid, and so for which a withdrawn key is still needed."""
_MINUTE = 60
_MIN_BITS = 2048
_LOG = logging.getLogger(__name__)

K = TypeVar("K")


class Verifier:
    """Checks inner signatures with the keys of the two hosts. Safe for concurrent use."""

    def __init__(self, hosts: XboxHosts, outbound: Outbound, clock: Clock) -> None:
        self._jwks = KeyHost(hosts.keys, JWK_PATHS, parse_jwk_set, outbound, clock)
        self._certificates = KeyHost(hosts.xsts, CERTIFICATE_PATHS, parse_certificates, outbound, clock)

    async def check(self, token: InnerToken) -> VerifiedClaims:
        """The claims, once the signature over them holds.

        Raises `CredentialRejected` for an unknown key or a wrong signature, `PlatformUnavailable` without keys.
        """
        key = await self._key(token.place)
        if key is None:
            raise rejected("unknown inner key; the game should ask for a new token")
        if not _signed(token, key):
            _LOG.warning("an Xbox token with a wrong inner signature was presented")
            raise rejected("wrong inner signature")
        return VerifiedClaims(token.unverified)

    async def start(self) -> None:
        """Begin loading the standing lists. A failure is not raised."""
        await self._jwks.start()
        await self._certificates.start()

    async def stop(self) -> None:
        """End background work."""
        await self._jwks.stop()
        await self._certificates.stop()

    async def _key(self, place: KeyPlace) -> RSAPublicKey | None:
        if place.host == "xsts":
            return await self._certificate_key(place)
        jwk = await self._jwks.key(place.path, place.key_id)
        return jwk.key if jwk and _may_sign(jwk, place.alg) else None

    async def _certificate_key(self, place: KeyPlace) -> RSAPublicKey | None:
        (standing,) = CERTIFICATE_PATHS
        try:
            found = await self._certificates.key(standing, place.key_id)
        except PlatformUnavailable:
            if not place.path:
                raise
            found = None
        if found is None and place.path:
            return await self._certificates.key(place.path, place.key_id)
        return found


class KeyHost(Generic[K]):
    """The key lists of one host: the standing ones, and a bounded number of others that tokens name."""

    def __init__(
        self,
        base: str,
        standing: tuple[str, ...],
        parse: Callable[[bytes], Mapping[str, K]],
        outbound: Outbound,
        clock: Clock,
    ) -> None:
        self._base = base
        self._parse = parse
        self._clock = clock
        self._metered = MeteredOutbound(outbound, clock)
        self._standing = {
            path: KeySource(base + path, outbound, clock, parse, keep=_LONGEST_TOKEN, retire=_LONGEST_TOKEN)
            for path in standing
        }
        self._others: OrderedDict[str, KeySource[K]] = OrderedDict()

    async def key(self, path: str, key_id: str) -> K | None:
        """The key published under `path`; None if the list does not have it. Raises `PlatformUnavailable`."""
        standing = self._standing.get(path)
        if standing is not None:
            return await standing.key(key_id)
        try:
            return await self._other(path).key(key_id)
        except PlatformUnavailable as error:
            raise PlatformUnavailable(error.detail, retry_after=error.retry_after, provoked=True) from None

    async def start(self) -> None:
        """Begin loading the standing lists."""
        for source in self._standing.values():
            await source.start()

    async def stop(self) -> None:
        """End background work."""
        for source in (*self._standing.values(), *self._others.values()):
            await source.stop()

    def _other(self, path: str) -> KeySource[K]:
        source = self._others.pop(path, None) or self._new(path)
        self._others[path] = source  # the last in line to be dropped
        while len(self._others) > MAX_OTHER_PATHS:
            self._others.popitem(last=False)
        return source

    def _new(self, path: str) -> KeySource[K]:
        # Refused before it takes a place, or a flood of invented paths would push out the one that real tokens name.
        if self._metered.spent():
            raise PlatformUnavailable("too many key addresses in one minute", retry_after=_MINUTE)
        return KeySource(
            self._base + path, self._metered, self._clock, self._parse, keep=_LONGEST_TOKEN, retire=_LONGEST_TOKEN
        )


class MeteredOutbound:
    """An `Outbound` for GET with so many calls a minute as strangers may cause."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._calls: deque[float] = deque(maxlen=MAX_OTHER_FETCHES)

    def spent(self) -> bool:
        """Whether this minute's calls are used up."""
        # A clock that was set back must not stretch the minute.
        return len(self._calls) == MAX_OTHER_FETCHES and 0 <= self._clock() - self._calls[0] < _MINUTE

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
        retry: bool = False,  # noqa: ARG002 - a second try would be a call more than is counted
    ) -> OutboundResponse:
        """One counted call. Raises `OutboundError` when the minute's calls are used up."""
        if self.spent():
            raise OutboundError("too many key fetches in one minute", sent=False)
        self._calls.append(self._clock())
        return await self._outbound.get(url, params=params, headers=headers, max_body=max_body)

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
    ) -> OutboundResponse:
        """Key lists are only read."""
        raise NotImplementedError


def parse_certificates(body: bytes) -> Mapping[str, RSAPublicKey]:
    """RSA keys of certificates by the SHA-1 of their DER in hex, whatever name the document gives them.

    Reads both published forms: an array of Base64 DER, and an object of PEM texts. Entries that are no RSA certificate
    of 2048 bits or more are ignored. Raises ValueError if the document is neither.
    """
    return dict(entry for certificate in _certificates(strict_json(body)) if (entry := _named_key(certificate)))


def _certificates(document: Any) -> Iterator[x509.Certificate]:
    if not isinstance(document, list | dict):
        raise ValueError("the document is no list of certificates")  # noqa: TRY004 - a foreign document
    load, entries = (_from_der, document) if isinstance(document, list) else (_from_pem, list(document.values()))
    for entry in entries:
        try:
            yield load(entry)
        except (ValueError, TypeError, AttributeError):
            continue


def _from_der(entry: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(entry, validate=True))


def _from_pem(entry: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(entry.encode())


def _named_key(certificate: x509.Certificate) -> tuple[str, RSAPublicKey] | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        return None
    return certificate.fingerprint(hashes.SHA1()).hex(), key  # noqa: S303 - a name (RFC 7515 section 4.1.7), no proof


def _may_sign(jwk: RsaJwk, alg: str) -> bool:
    # The key's own word decides (RFC 8725 section 3.1); without one the documented PS256 is meant.
    return alg == (jwk.alg or "PS256") and jwk.use in {"", "sig"}


def _signed(token: InnerToken, key: RSAPublicKey) -> bool:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    scheme = pss if token.place.alg == "PS256" else padding.PKCS1v15()
    try:
        key.verify(token.signature, token.signing_input, scheme, hashes.SHA256())
    except InvalidSignature:
        return False
    return True
