"""What can be wrong, or unusual, with an XSTS token: one declarative case for each.

Owns the list and how a case becomes a credential. Knows no routes.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Literal

from authsrv.emulator.base import TestPlayer
from authsrv.emulator.xbox.keys import x5t
from authsrv.emulator.xbox.tokens import LIFETIME, RELYING_PARTY, ClientSigner, XboxTokens
from authsrv.records import dataclass

KEYS = "https://xsts-keys.auth.xboxlive.com"
Header = Callable[[XboxTokens], dict[str, Any]]
Form = Callable[[str, str], str]


def xbl3(user_hash: str, token: str) -> str:
    """The form that consoles send."""
    return f"XBL3.0 x={user_hash};{token}"


def _with_flipped_tag(token: str) -> str:
    head, tag = token.rsplit(".", 1)
    return f"{head}.{'A' if tag[0] != 'A' else 'B'}{tag[1:]}"


@dataclass(frozen=True, slots=True)
class Case:
    """How a token differs from a good one, after what a login with it ends in. `begins` is `nbf` relative to now.

    `claims` and `user` replace single claims; `more_users` puts a second user into the token; `spoil` is applied to
    the finished token, and `form` makes the credential of user hash and token. `signature` adds a `Signature` header.
    """

    about: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)
    more_users: Literal["", "other_hash", "same_hash"] = ""
    begins: int = -60
    header: Header = XboxTokens.jku_header
    forged: bool = False
    outer: Mapping[str, Any] = field(default_factory=dict)
    spoil: Callable[[str], str] = str
    form: Form = xbl3
    signature: Literal["", "malformed", "old", "wrong"] = ""


CASES: Mapping[str, Case] = {
    "good": Case("accepted: a token that logs in; its key is published at /psskeys"),
    "jku-keys": Case(
        "accepted: the key is published at /keys", header=lambda make: make.jku_header(jku=f"{KEYS}/keys")
    ),
    "jku-rs256": Case(
        "accepted: a JWK that says RS256 itself",
        header=lambda make: make.jku_header(alg="RS256", kid=x5t(make.keys.certificate)),
    ),
    "certificate-path": Case("accepted: signed by certificate (x5t and x5u)", header=XboxTokens.certificate_header),
    "base64": Case(
        "accepted: Base64 of the whole text", form=lambda uhs, jwe: b64encode(xbl3(uhs, jwe).encode()).decode()
    ),
    "bare": Case("accepted: the token alone, of one user", form=lambda _, jwe: jwe),
    "with-xuid": Case(
        "accepted: with an XUID in front, which is ignored", form=lambda uhs, jwe: f"2814600000000009;{uhs};{jwe}"
    ),
    "two-users": Case("accepted: of two users the user hash selects one", more_users="other_hash"),
    "unbound": Case(
        "accepted: without a proof key, refused where the project demands a Signature", claims={"cnf": None}
    ),
    "malformed": Case("credential_malformed: a text that is no credential", form=lambda *_: "XBL3.0 x=1;not-a-token"),
    "wrong-scheme": Case(
        "credential_malformed: another authorization scheme", form=lambda uhs, jwe: f"XBL2.0 x={uhs};{jwe}"
    ),
    "all-users": Case("credential_malformed: for all users of the console (x=*)", form=lambda _, jwe: xbl3("*", jwe)),
    "no-user": Case("credential_malformed: for no user of the console (x=-)", form=lambda _, jwe: xbl3("-", jwe)),
    "truncated": Case("credential_malformed: cut off in the middle", spoil=lambda jwe: jwe[: len(jwe) // 2]),
    "oversized": Case("credential_malformed: larger than 64 KB", spoil=lambda jwe: jwe + "A" * 65536),
    "legacy-enc": Case(
        "credential_unsupported (in a browser misconfiguration): the encryption of the generic relying party",
        outer={"enc": "A128CBC+HS256"},
    ),
    "symmetric": Case("credential_unsupported: the deprecated symmetric encryption", outer={"alg": "dir"}),
    "unknown-x5t": Case(
        "credential_wrong_audience (in a browser misconfiguration): encrypted to a certificate that is not ours",
        outer={"x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    ),
    "bad-tag": Case("credential_rejected: changed after encryption", spoil=_with_flipped_tag),
    "bad-jku-host": Case(
        "credential_rejected: the key is said to be on another host",
        header=lambda make: make.jku_header(jku="https://xsts-keys.auth.xboxlive.com.evil.test/keys"),
    ),
    "bad-x5u-host": Case(
        "credential_rejected: the certificate is said to be on another host",
        header=lambda make: make.certificate_header(x5u="https://xsts.evil.test/certificate"),
    ),
    "bad-inner-algorithm": Case(
        "credential_rejected: signed with another algorithm", header=lambda make: make.jku_header(alg="PS384")
    ),
    "bad-inner-signature": Case(
        "credential_rejected (in a browser misconfiguration): signed by somebody else", forged=True
    ),
    "unknown-kid": Case(
        "credential_rejected: signed with a key that is not published",
        header=lambda make: make.jku_header(kid="no-such-key"),
        forged=True,
    ),
    "keys-down": Case(
        "unavailable: the key list does not answer (503)", header=lambda make: make.jku_header(jku=f"{KEYS}/down")
    ),
    "keys-garbage": Case(
        "unavailable: the key list is a web page", header=lambda make: make.jku_header(jku=f"{KEYS}/garbage")
    ),
    "wrong-issuer": Case("credential_rejected: from another issuer", claims={"iss": "user.auth.xboxlive.com"}),
    "wrong-audience": Case(
        "credential_wrong_audience (in a browser misconfiguration): for another relying party",
        claims={"aud": "rp://other.example/"},
    ),
    "generic-audience": Case("credential_wrong_audience: for Xbox Live itself", claims={"aud": "http://xboxlive.com"}),
    "audience-without-slash": Case(
        "credential_wrong_audience: the audience lacks its slash", claims={"aud": RELYING_PARTY.rstrip("/")}
    ),
    "expired": Case("credential_expired (in a browser misconfiguration): expired an hour ago", begins=-LIFETIME - 3600),
    "not-yet-valid": Case(
        "credential_not_yet_valid (in a browser misconfiguration): valid from in an hour on", begins=3600
    ),
    "wrong-sandbox": Case(
        "credential_wrong_sandbox (in a browser misconfiguration): from a development sandbox", claims={"sbx": "XDKS.1"}
    ),
    "wrong-title": Case("credential_wrong_title: given to another title", claims={"xti": {"tid": "1999000002"}}),
    "user-only": Case(
        "credential_wrong_title: given to an app without a title", claims={"xti": None, "xdi": None, "cnf": None}
    ),
    "no-matching-user": Case("credential_malformed: the user hash fits nobody", form=lambda _, jwe: xbl3("1", jwe)),
    "twin-users": Case("credential_malformed: the user hash fits two users", more_users="same_hash"),
    "bare-two-users": Case(
        "credential_malformed: the token alone, of two users", more_users="other_hash", form=lambda _, jwe: jwe
    ),
    "no-ptx": Case("misconfiguration: without a partner XUID, the relying party is set up wrongly", user={"ptx": None}),
    "child": Case("age_restricted: a child, below the project's min_age_group", user={"agg": "Child"}),
    "missing-privileges": Case("account_restricted: without the project's required_privileges", user={"prv": "247"}),
    "signature-malformed": Case(
        "signature_invalid: with a Signature header that cannot be read", signature="malformed"
    ),
    "signature-skew": Case("signature_clock_skew: with the signature of a clock that is a day slow", signature="old"),
    "signature-wrong": Case("signature_invalid: with the signature of another request", signature="wrong"),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A credential's text, and the `Signature` header that goes with it, if any."""

    text: str = field(repr=False)
    signature: str = field(repr=False)


def make(case: Case, tokens: XboxTokens, player: TestPlayer, now: float) -> Made:
    """Turn a case into a credential."""
    user = tokens.user(player, **case.user)
    begin = int(now) + case.begins
    claims = tokens.claims(*_users(case, user), nbf=begin, exp=begin + LIFETIME)
    key = tokens.keys.foreign_key if case.forged else None
    inner = tokens.sign(claims | dict(case.claims), case.header(tokens), key)
    text = case.form(user["uhs"], case.spoil(tokens.encrypt(inner, header=case.outer)))
    return Made(text, _signature(case, tokens, text, now))


def _users(case: Case, user: dict[str, Any]) -> list[dict[str, Any]]:
    if not case.more_users:
        return [user]
    other = user | {"ptx": "A11CE0000000000000000000000000000000FFFF", "mgt": "Somebody else"}
    return [other if case.more_users == "same_hash" else other | {"uhs": "1000000000000000001"}, user]


def _signature(case: Case, tokens: XboxTokens, text: str, now: float) -> str:
    if not case.signature:
        return ""
    if case.signature == "malformed":
        return "no-signature"
    signer = ClientSigner(tokens.keys.device_key, lambda: now - 86400 if case.signature == "old" else now)
    return signer.sign("POST", b"/another/request", text.encode())
