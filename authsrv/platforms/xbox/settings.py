"""The Xbox block of the configuration file and the ring of private keys in it.

Owns what an operator may write and what is wrong with it. Knows no token.
"""

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, BeforeValidator, Field

from authsrv.platforms.base import PlatformSettings
from authsrv.settings import BaseAddress, Secret, Settings, read_secret

SignatureMode = Literal["off", "if_sent", "required"]
AgeGroup = Literal["child", "teen", "adult"]

KEYS_HOST = "https://xsts-keys.auth.xboxlive.com"
XSTS_HOST = "https://xsts.auth.xboxlive.com"
LOGIN_HOST = "https://login.microsoftonline.com"
USER_HOST = "https://user.auth.xboxlive.com"
MAX_LIFETIME = 720 * 3600
"""The longest lifetime a relying party can give its tokens, in seconds."""
_MIN_BITS = 2048
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{27}=?")
_OAEP = OAEP(MGF1(hashes.SHA256()), hashes.SHA256(), label=None)
RELEASE_SANDBOXES = frozenset({"RETAIL", "CERT"})
_SECRET_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _without_leading_zeros(value: str) -> str:
    return value.lstrip("0") or "0"


def _in_lower_case(value: str) -> str:
    # Not str.lower itself: the signature of a function written in C is read by a tokenizer, which takes 5 ms to load.
    return value.lower()


TitleId = Annotated[
    str, BeforeValidator(_text_of_number), Field(pattern=r"^[0-9]{1,20}\z"), AfterValidator(_without_leading_zeros)
]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}\z"), AfterValidator(_in_lower_case)]
# Neither may contain the separator of PlatformIdentity.environment.
AudienceUri = Annotated[str, Field(pattern=r"^[!-{}~]{1,255}\z")]
SandboxId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}\z")]
PathPrefix = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*\z")]


def _opens(key: RSAPrivateKey, public: object) -> bool:
    """Whether what is encrypted to the public key is readable with the private one."""
    if not isinstance(public, RSAPublicKey):
        return False
    try:
        return key.decrypt(public.encrypt(b"relying party", _OAEP), _OAEP) == b"relying party"
    except ValueError:
        return False


class RelyingPartyKey(Settings):
    """One key pair of the relying party. During a rotation the old and the new one stand side by side."""

    key: Secret = Field(description="The RSA private key in PEM, unencrypted, that opens the tokens.")
    certificate: Annotated[str, BeforeValidator(read_secret)] = Field(
        default="", description="The certificate in PEM whose copy was uploaded to Partner Center."
    )
    thumbprint: str = Field(
        default="", description="The SHA-1 thumbprint as base64url text, where the certificate itself is not at hand."
    )

    def private_key(self) -> RSAPrivateKey:
        """The RSA key. Raises ValueError with a text that says what is wrong and shows nothing of the key."""
        pem = self.key.get_secret_value().encode()
        try:
            # The test of the primes would be a tenth of a start; `problem` opens a box with the key instead.
            key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("key is not an unencrypted private key in PEM") from None
        if not isinstance(key, RSAPrivateKey) or key.key_size < _MIN_BITS:
            raise ValueError("key is not an RSA key of 2048 bits or more")
        return key

    def x5t(self) -> bytes:
        """SHA-1 over the DER of the certificate, by which tokens name their key. Raises ValueError."""
        if self.certificate:
            return self._certificate().fingerprint(hashes.SHA1())  # noqa: S303 - RFC 7516 section 4.1.7, only a name
        if not _THUMBPRINT.fullmatch(self.thumbprint):
            raise ValueError("certificate is missing; give it, or its thumbprint as base64url")
        return base64.urlsafe_b64decode(self.thumbprint.rstrip("=") + "=")

    def problem(self) -> str:
        """What is wrong with the pair, or an empty text."""
        try:
            key = self.private_key()
            self.x5t()
            public = self._certificate().public_key() if self.certificate else key.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            return str(error)
        return "" if _opens(key, public) else "certificate does not belong to key"

    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self.certificate.encode())
        except ValueError:
            raise ValueError("certificate is not a certificate in PEM") from None


class XboxHosts(Settings):
    """Microsoft's own hosts; another address is possible only with `dev = true`."""

    keys: BaseAddress = Field(default=KEYS_HOST, description="Base address of the JWK sets.")
    xsts: BaseAddress = Field(default=XSTS_HOST, description="Base address of XSTS and its signing certificates.")
    login: BaseAddress = Field(default=LOGIN_HOST, description="Base address of Microsoft's sign-in page.")
    user: BaseAddress = Field(default=USER_HOST, description="Base address of the Xbox user tokens.")


class BrowserSettings(Settings):
    """The block `[projects.X.platforms.xbox.browser]`: the studio's app registration at Microsoft Entra."""

    client_id: str = Field(
        pattern=r"^[A-Za-z0-9-]{1,64}\z", description="The application (client) id of the app registration."
    )
    client_secret: Secret = Field(
        min_length=1, description="The value of a client secret of the app registration, which is not its id."
    )
    sandbox: SandboxId = Field(
        default="RETAIL", description="The sandbox that players sign in to; one of allowed_sandboxes."
    )


class XboxSettings(PlatformSettings):
    """The block `[projects.X.platforms.xbox]`."""

    relying_party: AudienceUri = Field(
        description="The audience URI of the relying party, exactly as in Partner Center."
    )
    rp_private_keys: tuple[RelyingPartyKey, ...] = Field(
        min_length=1, description="The relying party's private keys with their certificates."
    )
    allowed_titles: tuple[TitleId, ...] = Field(
        default=(), description="The decimal ids of the titles whose tokens may log in."
    )
    allowed_sandboxes: tuple[SandboxId, ...] = Field(
        default=("RETAIL",), min_length=1, description="The exact ids of the sandboxes whose tokens may log in."
    )
    signature: SignatureMode = Field(
        default="if_sent", description="Whether the Signature header is ignored, verified when sent, or demanded."
    )
    signature_skew: int = Field(
        default=300, ge=1, le=3600, description="How far the clock of a signing client may be off, in seconds."
    )
    signature_policy_version: int = Field(
        default=1, ge=0, le=2**32 - 1, description="The version of the endpoint's signature policy."
    )
    signature_max_body_bytes: int = Field(
        default=8192, ge=0, le=2**32 - 1, description="How many bytes of the body the signature policy covers."
    )
    signature_extra_headers: tuple[HeaderName, ...] = Field(
        default=(), description="The further headers the signature policy covers, in its order."
    )
    public_path_prefix: PathPrefix = Field(
        default="", description="The part of the public path that a proxy in front of the server removes."
    )
    leeway: int = Field(
        default=60, ge=0, le=300, description="How far Microsoft's clock and ours may differ, in seconds."
    )
    max_token_age: int | None = Field(
        default=None, ge=60, le=MAX_LIFETIME, description="How old a token may be, in seconds, even if it lives longer."
    )
    min_age_group: AgeGroup | None = Field(
        default=None, description="The youngest age group that may log in: child, teen or adult."
    )
    required_privileges: tuple[Annotated[int, Field(ge=0, le=9999)], ...] = Field(
        default=(), description="The numbers of the Xbox privileges a player needs to log in."
    )
    token_single_use: bool = Field(
        default=False, description="Whether a token may log in only once, although consoles send one many times."
    )
    browser: BrowserSettings | None = Field(
        default=None, description="The app registration for the sign-in in the browser; without it there is none."
    )
    hosts: XboxHosts = Field(default=XboxHosts(), description="Microsoft's hosts, to be changed only with dev = true.")

    def addresses(self) -> tuple[str, ...]:
        """The base addresses that are called: two for keys, and two more for the sign-in in the browser."""
        keys = (self.hosts.keys, self.hosts.xsts)
        return keys if self.browser is None else (*keys, self.hosts.login, self.hosts.user)

    def problems(self, *, dev: bool) -> list[str]:
        """What is wrong with the block beyond its types, one sentence each."""
        found = [
            f"rp_private_keys[{place}]: {problem}."
            for place, block in enumerate(self.rp_private_keys)
            if (problem := block.problem())
        ]
        if not found and len(key_ring(self)) < len(self.rp_private_keys):
            found.append("rp_private_keys: two entries have the same certificate; remove one.")
        if not self.relying_party.endswith("/"):
            found.append("relying_party: the name in Partner Center ends with a slash; add it.")
        if not self.allowed_titles:
            found.append("allowed_titles: no title may log in; list the decimal title ids (Partner Center shows hex).")
        if self.browser is not None:
            found += self._browser_problems(self.browser)
        if self.hosts != XboxHosts() and not dev:
            found.append("hosts: may be changed only with dev = true; remove the block.")
        return found

    def _browser_problems(self, browser: BrowserSettings) -> list[str]:
        table = [
            (
                browser.sandbox not in self.allowed_sandboxes,
                "browser.sandbox: nobody could log in, because it is not in allowed_sandboxes; add it there.",
            ),
            (
                _SECRET_ID.fullmatch(browser.client_secret.get_secret_value()) is not None,
                "browser.client_secret: this is the id of a secret; copy the column Value, shown when it is made.",
            ),
        ]
        return [text for wrong, text in table if wrong]

    def warnings(self) -> list[str]:
        """What is allowed but risky."""
        if set(self.allowed_sandboxes) <= RELEASE_SANDBOXES:
            return []
        return [
            "allowed_sandboxes: development sandboxes are open to everybody; in production list RETAIL and CERT only."
        ]


def key_ring(settings: XboxSettings) -> Mapping[bytes, RSAPrivateKey]:
    """The private keys by the thumbprint that tokens name. Raises ValueError where `problems` names one."""
    return {block.x5t(): block.private_key() for block in settings.rp_private_keys}
