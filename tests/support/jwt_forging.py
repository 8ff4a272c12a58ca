"""Tools to make other tokens of a good one: other members, other signers, other spellings.

Most of them sign with the server's own key, as no attacker can: so a check that is not there is not hidden by another.
"""

import hmac
import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import OctKey, RSAKey

Json = dict[str, Any]


class _Omit:
    def __repr__(self) -> str:
        return "nothing at all"


OMIT: Any = _Omit()
"""In place of a value: the member is left out."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the server, with the half that nobody has."""

    kid: str
    alg: str
    private: Any
    public: Any
    jwk: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Good:
    """A good token, and the key of the server that signed it."""

    key: Key
    header: Json
    claims: Json

    @property
    def text(self) -> str:
        return self.made()

    def made(self, header: Json | bytes | None = None, claims: Json | bytes | None = None) -> str:
        """A token of these parts with a true signature of the server's key, whatever the header says."""
        signed = signing_input(self.header if header is None else header, self.claims if claims is None else claims)
        return f"{signed}.{b64(signature(self.key.alg, self.key.private, signed))}"

    def parts(self) -> list[str]:
        return self.text.split(".")


Maker = Callable[[Good], str]


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(header: Json | bytes, claims: Json | bytes) -> str:
    return ".".join(b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))


def signature(alg: str, private: Any, signed: str) -> bytes:
    return jwt.get_algorithm_by_name(alg).sign(signed.encode(), private)


@cache
def stranger(alg: str) -> Any:
    """Somebody else's key, of the kind that this algorithm takes."""
    if alg.startswith("ES"):
        return ec.generate_private_key(ec.SECP384R1() if alg == "ES384" else ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def changed(before: Json, changes: Json) -> Json:
    return {name: value for name, value in (before | changes).items() if value is not OMIT}


def header(**changes: Any) -> Maker:
    return lambda good: good.made(header=changed(good.header, changes))


def claims(**changes: Any) -> Maker:
    return lambda good: good.made(claims=changed(good.claims, changes))


def raw_claims(edit: Callable[[bytes], bytes]) -> Maker:
    """The claims as other bytes, under a true signature."""
    return lambda good: good.made(claims=edit(json.dumps(good.claims).encode()))


def raw_header(edit: Callable[[bytes], bytes]) -> Maker:
    return lambda good: good.made(header=edit(json.dumps(good.header).encode()))


def with_signature(edit: Callable[[Good, str, bytes], bytes]) -> Maker:
    """The good token under another signature, made of the good one."""

    def make(good: Good) -> str:
        signed, _, tail = good.text.rpartition(".")
        return f"{signed}.{b64(edit(good, signed, unb64(tail)))}"

    return make


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def replaced(name: str, number: bytes) -> Callable[[bytes], bytes]:
    """A claim's value exchanged for what Python's `json` would not write."""

    def edit(raw: bytes) -> bytes:
        found: Json = json.loads(raw)
        return json.dumps(found | {name: "@"}).encode().replace(b'"@"', number)

    return edit


def ahead(name: str, seconds: int) -> Maker:
    return lambda good: good.made(claims=good.claims | {name: good.claims["iat"] + seconds})


def chain_of_actors(length: int) -> Json:
    """An `act` in an `act`, so often; only the innermost names nobody."""
    found: Json = {}
    for _ in range(length):
        found = {"sub": "backend", "act": found}
    return found


def for_issuer(edit: Callable[[str], Any]) -> Maker:
    return lambda good: good.made(claims=good.claims | {"iss": edit(good.claims["iss"])})


def for_audience(edit: Callable[[Any], Any]) -> Maker:
    return lambda good: good.made(claims=good.claims | {"aud": edit(good.claims["aud"])})


# --- who signed it ---


def unsigned(alg: Any) -> Maker:
    return lambda good: f"{signing_input(changed(good.header, {'alg': alg}), good.claims)}."


def unsigned_under_the_old_signature(alg: Any) -> Maker:
    return lambda good: f"{signing_input(changed(good.header, {'alg': alg}), good.claims)}.{good.parts()[2]}"


def by_a_stranger(alg: str = "", **changes: Any) -> Maker:
    """Signed by somebody else's key; the header names ours but for `changes`."""

    def make(good: Good) -> str:
        used = alg or good.key.alg
        key = stranger(used) if used in _STRANGERS else stranger("RS256")
        used = used if used in _STRANGERS else "RS256"
        signed = signing_input(changed(good.header | {"alg": used}, changes), good.claims)
        return f"{signed}.{b64(signature(used, key, signed))}"

    return make


_STRANGERS = frozenset({"ES256", "ES384", "RS256", "PS256"})


def by_hmac(alg: str, secret: Callable[[Key], bytes]) -> Maker:
    """Signed with what everybody knows of our key as a secret."""

    def make(good: Good) -> str:
        signed = signing_input(good.header | {"alg": alg}, good.claims)
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[alg]
        return f"{signed}.{b64(hmac.digest(secret(good.key), signed.encode(), digest))}"

    return make


def public(encoding: Encoding, form: PublicFormat) -> Callable[[Key], bytes]:
    return lambda key: key.public.public_bytes(encoding, form)


PUBLIC_FORMS: Mapping[str, Callable[[Key], bytes]] = {
    "PEM": public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "PEM without its last line break": lambda key: PUBLIC_FORMS["PEM"](key).rstrip(),
    "DER": public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "SSH": public(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "JWK": lambda key: json.dumps(dict(key.jwk)).encode(),
    "JWK without spaces": lambda key: json.dumps(dict(key.jwk), separators=(",", ":")).encode(),
    "nothing": lambda _: b"",
}


def embedded(key: Any) -> Json:
    """The public JWK of a stranger's key."""
    found: Json = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return found


def pretending(alg: str) -> Maker:
    """Well signed, under a header that names another algorithm."""
    return lambda good: good.made(header=good.header | {"alg": alg if alg != good.key.alg else "RS512"})


def otherwise_signed(alg: str) -> Maker:
    """Truly signed by the server's key, by an algorithm that the key is not for; a key that has but one pretends."""

    def make(good: Good) -> str:
        if alg == good.key.alg or not isinstance(good.key.private, _KEYS_FOR[alg[:2]]):
            return pretending(alg)(good)
        signed = signing_input(good.header | {"alg": alg}, good.claims)
        return f"{signed}.{b64(signature(alg, good.key.private, signed))}"

    return make


_KEYS_FOR = {"RS": rsa.RSAPrivateKey, "PS": rsa.RSAPrivateKey, "ES": ec.EllipticCurvePrivateKey}


# --- what no JWS is ---


def encrypted(alg: str, enc: str = "A128CBC-HS256", *, plain: Maker | None = None, zipped: bool = False) -> Maker:
    """A JWE of the token, or of what `plain` makes, under the server's public key where it is one for this."""

    def make(good: Good) -> str:
        text = (plain or (lambda each: each.text))(good)
        protected = {"alg": alg, "enc": enc, "cty": "JWT", "typ": good.header["typ"], "kid": good.key.kid}
        if zipped:
            protected["zip"] = "DEF"
        key: Any = OctKey.import_key(b"k" * 32)
        if alg.startswith("RSA"):
            own = good.key.public
            key = RSAKey.import_key(own if isinstance(own, rsa.RSAPublicKey) else stranger("RS256").public_key())
        return jwe.encrypt_compact(protected, text, key, algorithms=[alg, enc, "DEF"])

    return make


def five_parts(protected: Json, *rest: bytes) -> Maker:
    return lambda _: ".".join(
        [b64(json.dumps(protected).encode()), *map(b64, rest or (b"k" * 256, b"i" * 16, b"c" * 32, b"t" * 16))]
    )


def rsa1_5(good: Good, encrypted_key: bytes) -> str:
    parts = (encrypted_key, b"i" * 16, b"c" * 32, b"t" * 16)
    return five_parts({"alg": "RSA1_5", "enc": "A128CBC-HS256", "kid": good.key.kid}, *parts)(good)


def bad_padding(good: Good) -> str:
    """A JWE whose key was not encrypted by RSA at all."""
    return rsa1_5(good, b"p" * 256)


def bad_tag(good: Good) -> str:
    """A JWE whose key decrypts, and whose content does not."""
    own = good.key.public
    key: rsa.RSAPublicKey = own if isinstance(own, rsa.RSAPublicKey) else stranger("RS256").public_key()
    return rsa1_5(good, key.encrypt(b"k" * 32, PKCS1v15()))


def bare_claims(good: Good) -> str:
    return json.dumps(good.claims)


def flattened(good: Good) -> str:
    head, body, tail = good.parts()
    return json.dumps({"protected": head, "payload": body, "signature": tail})


def general(*, signatures: int) -> Maker:
    def make(good: Good) -> str:
        head, body, tail = good.parts()
        return json.dumps({"payload": body, "signatures": [{"protected": head, "signature": tail}] * signatures})

    return make


def crowd(good: Good) -> str:
    """A JWE for a thousand recipients."""
    recipients = [{"header": {"alg": "RSA-OAEP", "kid": good.key.kid}, "encrypted_key": "AAAA"}] * 1000
    return json.dumps({"protected": "e30", "recipients": recipients, "iv": "AA", "ciphertext": "AA", "tag": "AA"})


def detached(size: int, *, crit: Any = ("b64",)) -> Maker:
    """`b64: false` with the middle part empty, or as `size` characters in clear."""

    def make(good: Good) -> str:
        head = b64(json.dumps(changed(good.header, {"b64": False, "crit": crit})).encode())
        body = "A" * size
        return f"{head}.{body}.{b64(signature(good.key.alg, good.key.private, f'{head}.{body}'))}"

    return make


def off_the_curve(good: Good) -> str:
    point = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
    return five_parts(
        {"alg": "ECDH-ES", "enc": "A128GCM", "kid": good.key.kid, "epk": point}, b"", b"i" * 12, b"c", b"t" * 16
    )(good)


def deflated(good: Good) -> str:
    """A JWS whose payload is compressed, though no JWS is."""
    return good.made(header=good.header | {"zip": "DEF"}, claims=zlib.compress(json.dumps(good.claims).encode())[2:-4])


# --- the same token, written otherwise ---


def respelt(edit: Callable[[list[str]], str]) -> Maker:
    return lambda good: edit(good.parts())


def next_character(text: str) -> str:
    """The text with something in the bits of its last character that no byte uses."""
    assert len(text) % 4
    return text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) ^ 1]


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def reencoded(good: Good) -> str:
    """The header with a space in it, above the old signature."""
    _, body, tail = good.parts()
    return f"{b64(json.dumps(good.header, indent=1).encode())}.{body}.{tail}"


# --- signatures that are none ---


def order_of(key: Key) -> int:
    """Of the group of P-256; nothing for other keys."""
    return 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 if key.alg == "ES256" else 0


def beyond_the_order(_: Good, __: str, old: bytes) -> bytes:
    """S and the order of the curve of Ed25519 (RFC 8032 section 5.1.7): the same number to a careless reader."""
    order = 2**252 + 27742317777372353535851937790883648493
    return old[:32] + ((int.from_bytes(old[32:64], "little") + order) % 2**256).to_bytes(32, "little")


def numbers(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


def der(_: Good, __: str, old: bytes) -> bytes:
    half = len(old) // 2
    return encode_dss_signature(int.from_bytes(old[:half]), int.from_bytes(old[half:]))


def flipped(good: Good) -> str:
    """The other good signature of an ECDSA token (r, n - s): the same token in another text."""
    signed, _, tail = good.text.rpartition(".")
    old = unb64(tail)
    return f"{signed}.{b64(numbers(int.from_bytes(old[:32]), order_of(good.key) - int.from_bytes(old[32:])))}"
