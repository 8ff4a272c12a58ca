"""The platform contract: a pure `parse` and one async `verify` that turn a credential into a platform identity.

Owns the vocabulary of refusals and the shape of outgoing calls. Platforms know nothing of OAuth, players or storage.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from authsrv.models import Digest
from authsrv.records import dataclass
from authsrv.settings import Settings

Clock = Callable[[], float]
"""Unix time in seconds."""

RejectionReason = Literal[
    "credential_malformed",  # cannot be read at all
    "credential_unsupported",  # a genuine thing of the wrong kind
    "credential_rejected",  # forged, cancelled, unknown to the platform
    "credential_expired",
    "credential_not_yet_valid",
    "credential_replayed",
    "credential_wrong_app",
    "credential_wrong_audience",
    "credential_wrong_deployment",
    "credential_wrong_sandbox",
    "credential_wrong_title",
    "signature_required",
    "signature_invalid",
    "signature_clock_skew",
]
UserActionReason = Literal[
    "account_banned",
    "account_not_entitled",
    "account_restricted",
    "age_restricted",
    "account_action_required",  # the player can clear it at the platform
]


class PlatformError(Exception):
    """Base of what a platform raises. `detail` goes to the log only and never holds a credential."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(detail)


class CredentialRejected(PlatformError):
    """The credential is bad: the player's or the game's fault.

    `hint` is public, fixed ASCII without double quote and backslash, and says what the game should send instead.
    """

    def __init__(self, reason: RejectionReason, hint: str, *, detail: str = "") -> None:
        self.reason: RejectionReason = reason
        self.hint = hint
        super().__init__(detail or hint)


class PlatformUnavailable(PlatformError):
    """The platform did not decide. `retry_after` in seconds, if it said so.

    `maybe_consumed` is true when a single-use credential may have been used up by the failed call. `provoked` is true
    when it was the unproven credential that sent us where no answer is: for limits it counts like a refusal.
    """

    def __init__(
        self, detail: str, *, retry_after: int | None = None, maybe_consumed: bool = False, provoked: bool = False
    ) -> None:
        self.retry_after = retry_after
        self.maybe_consumed = maybe_consumed
        self.provoked = provoked
        super().__init__(detail)


class PlatformMisconfigured(PlatformError):
    """Our key, secret, relying party or id is wrong: an alert for the operator, no detail for the player."""


class UserActionRequired(PlatformError):
    """The identity is genuine, but the player must act or is barred. `url` is a page of the platform, if any."""

    def __init__(self, reason: UserActionReason, *, action: str = "", url: str = "", detail: str = "") -> None:
        self.reason: UserActionReason = reason
        self.action = action
        self.url = url
        super().__init__(detail or reason)


class SignInCancelled(PlatformError):
    """The player came back from the platform's page without signing in, by their own will."""


@dataclass(frozen=True, slots=True)
class RequestProof:
    """The raw request that carried a credential in its Authorization header, for proofs of possession.

    `target` is the request target exactly as sent (path and query), `extra` the headers a policy may cover,
    by lower-case name. `signatures` holds every `Signature` header that came.
    """

    method: str
    target: bytes
    authorization: bytes
    body: bytes
    signatures: tuple[bytes, ...] = ()
    extra: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a request says about its credential. `kind` is empty for the platform's default kind.

    `value` came as `session_ticket` (or `Authorization`), `code` as `code`; at most one is set after the endpoint's
    check. `nonce` is the server nonce handle for encrypted app tickets. `in_address` says that the credential stood in
    the address of the request, which logs and histories may keep.
    """

    kind: str = ""
    value: str = ""
    code: str = ""
    app_id: str = ""
    deployment_id: str = ""
    sandbox: str = ""
    nonce: str = ""
    redirect_uri: str = ""
    in_address: bool = False
    proof: RequestProof | None = None


@dataclass(frozen=True, slots=True)
class BrowserTrip:
    """One trip of a browser to the platform's sign-in page and back.

    `callback` is our address for this platform, without a query. `state` is unpredictable, belongs to one browser and
    ends one trip; the caller has found all of that to hold before `parse_return`. `nonce` (43 base64url characters) and
    `code_verifier` (43, RFC 7636) are derived from it under a secret of this server: the same on the way out and back.
    """

    callback: str
    state: str
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)


Returned = Sequence[tuple[str, str]]
"""Every parameter that the browser brought back, decoded, in order, repetitions included."""


@dataclass(frozen=True, slots=True)
class SingleUse:
    """A credential that may log in once. `digest` identifies it; `keep` is how long to remember it, in seconds.

    `take_over` is false when a lease that ran out must not be taken over, because the platform may have used the
    credential up without telling us. `issued_at` is when it was made, in Unix seconds, by what the platform vouches
    for; None if it does not say.
    """

    digest: Digest
    keep: int
    take_over: bool = True
    issued_at: int | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that was read, and is not yet believed. Each platform derives its own from it.

    `single_use` is None for credentials that may be presented many times. `claimed_subject` is what it says about the
    player, untrusted, for rate limits only; empty if it says nothing.
    """

    kind: str
    single_use: SingleUse | None
    claimed_subject: str


@dataclass(frozen=True, slots=True)
class PlatformIdentity:
    """A verified platform account. (`kind`, `environment`, `subject`) is its key inside a project.

    `display_name` is the platform's text, uncleaned; empty if unknown. `age_group` is `child`, `teen`, `adult` or
    empty. `anonymous` marks an account with nobody behind it that must never be linked to another: Epic's device login.
    A guest is not one of those: linking makes a guest a player of a platform.
    """

    platform: str
    kind: str
    environment: str
    subject: str
    display_name: str = ""
    age_group: str = ""
    anonymous: bool = False


class OutboundError(Exception):
    """A call brought no answer. `sent` says whether any byte of the request may have reached the other side."""

    def __init__(self, detail: str, *, sent: bool, retry_after: int | None = None) -> None:
        self.sent = sent
        self.retry_after = retry_after
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    """An answer, whole and within the size limit. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound(Protocol):
    """How a platform reaches its own fixed hosts: limits, breaker and bulkhead included (see `authsrv/outbound/`)."""

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
        retry: bool = False,
    ) -> OutboundResponse:
        """GET. No redirect is followed. `retry` allows one more try after a failed connect or 502, 503, 504.

        Raises `OutboundError` on connect failure, timeout, oversized body, open circuit or full bulkhead.
        """

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        max_body: int = 64 * 1024,
    ) -> OutboundResponse:
        """POST a form or a JSON body. Never repeated, never redirected. Raises `OutboundError` as `get` does."""


class PlatformSettings(Settings):
    """Base of a platform's block in the configuration file."""

    def addresses(self) -> tuple[str, ...]:
        """The base addresses of the platform's own hosts; nothing else is ever called."""
        return ()

    def problems(self, *, dev: bool) -> list[str]:  # noqa: ARG002 - the base has nothing to judge
        """What is wrong with the block beyond its types, one sentence each: key, problem and remedy."""
        return []

    def warnings(self) -> list[str]:
        """What is allowed but risky, one sentence each."""
        return []


S_co = TypeVar("S_co", bound=PlatformSettings, covariant=True)
C = TypeVar("C", bound=Credential)


class Platform(Protocol, Generic[C]):
    """Vouches for a credential and gives an identity. One instance per project, safe for concurrent use.

    `parse` does no I/O and no waiting: it refuses junk with a precise reason before anybody is called.
    `verify` makes at most the calls of the platform's document and raises only `PlatformError`s.
    """

    name: ClassVar[str]
    """The name in URLs and in the configuration: `steam`, `xbox`, `epicgames`, `guest`."""
    title: ClassVar[str]
    """What players call it."""
    kinds: ClassVar[tuple[str, ...]]
    """Accepted values of `credential_type`, the default first."""
    identity_kinds: ClassVar[tuple[str, ...]]
    """The kinds of the identities that it vouches for; no other platform has any of them."""
    tells_ages: ClassVar[bool] = False
    """Whether its proof can say of which age group the player is."""
    denials_are_ours: ClassVar[bool]
    """Whether a 401 or 403 from the platform concerns our own key, rather than a player."""

    def parse(self, submission: Submission) -> C:
        """Read the credential. Raises `CredentialRejected`."""

    async def verify(self, credential: C) -> PlatformIdentity:
        """Ask the platform, or check its signature. Raises any `PlatformError`."""

    @property
    def signs_in_browsers(self) -> bool:
        """Whether the settings hold what a sign-in in the browser needs."""

    def sign_in_url(self, trip: BrowserTrip) -> str:
        """The platform's page that the browser is sent to. Only asked for if `signs_in_browsers`."""

    def parse_return(self, trip: BrowserTrip, returned: Returned) -> C:
        """Read what the browser brought back, without I/O; `verify` then settles it.

        Raises `SignInCancelled`, `CredentialRejected`, `UserActionRequired`, `PlatformMisconfigured` or
        `PlatformUnavailable`. The credential is single-use.
        """

    async def start(self) -> None:
        """Load what can be loaded ahead (key sets). A failure is not fatal and is not raised."""

    async def stop(self) -> None:
        """End background work."""
