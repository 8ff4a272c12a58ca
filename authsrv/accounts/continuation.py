"""Continuation tokens: that somebody proved a platform account a moment ago, and what they may choose because of it.

Owns the form: a JWT of a type and an audience of its own, under a key that signs nothing else, so that it is of no use
anywhere but there. That it counts once is the reader's to enforce, by `use`.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import Any, get_args

import jwt

from authsrv.accounts.cases import Proof, Wishes
from authsrv.accounts.outcomes import Choice
from authsrv.compact_jws import take_apart
from authsrv.models import ConnectFlags, IdentityKey
from authsrv.oauth.opaque import digest
from authsrv.oauth.own_tokens import LEEWAY, MAX_LENGTH, NotOurs
from authsrv.records import dataclass
from authsrv.storage.account_changes import UseOnce

LIFETIME = 300
"""Seconds from the check of the credential until nothing may be chosen any more."""

_HEADER = {"alg": "HS256", "kid": "continuation", "typ": "continuation+jwt"}


@dataclass(frozen=True, slots=True)
class Seen:
    """An account as it was when the player was asked to choose; nobody's has an empty `sub`."""

    sub: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a token says. `grant` is the public id of the session's grant, empty without a session.

    `current` is the session's account, `owner` the one that has the platform account. `code` are the parameters of the
    code that may come of it. `id` tells the token from every other one.
    """

    client_id: str
    grant: str
    proof: Proof
    wishes: Wishes
    choices: tuple[Choice, ...]
    current: Seen
    owner: Seen
    code: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    @property
    def expires_at(self) -> int:
        """Counted from the check of the credential, however often the player is asked again."""
        return self.proof.checked_at + LIFETIME

    def use(self) -> UseOnce:
        """What makes the token count once."""
        return UseOnce(digest(f"continuation {self.id}"), self.expires_at)


class ContinuationTokens:
    """Makes and reads them. `key` is a secret of this server; `random` gives bytes for the ids."""

    def __init__(self, issuer: str, key: bytes, random: Callable[[int], bytes]) -> None:
        self._issuer = issuer
        self._audience = f"{issuer}/v1/identity/continue"
        self._key = key
        self._random = random

    def issue(self, continuation: Continuation) -> str:
        """The token, with an id of its own."""
        claims = {"iss": self._issuer, "aud": self._audience, "jti": self._random(16).hex(), **_claims(continuation)}
        return jwt.encode(claims, self._key, algorithm="HS256", headers=_HEADER)

    def read(self, text: str, now: int) -> Continuation:
        """What a token says that has not expired. Raises `NotOurs`."""
        claims = self._verified(text)
        if claims["iss"] != self._issuer or claims["aud"] != self._audience:
            raise NotOurs("another issuer or audience")
        found = _continuation(claims)
        if claims["exp"] != found.expires_at or not found.proof.checked_at - LEEWAY <= now < found.expires_at:
            raise NotOurs("not in time")
        return found

    def _verified(self, text: str) -> Mapping[str, Any]:
        try:
            token = take_apart(text, MAX_LENGTH)
        except ValueError as error:
            raise NotOurs(str(error)) from None
        if token.header != _HEADER:
            raise NotOurs("another type, key or algorithm")
        if not hmac.compare_digest(hmac.digest(self._key, token.signing_input, "sha256"), token.signature):
            raise NotOurs("the signature is wrong")
        if not _has_our_shape(token.unverified):
            raise NotOurs("a claim is missing, unknown, or of another type")
        return token.unverified


def _claims(continuation: Continuation) -> dict[str, Any]:
    proof, wishes, key = continuation.proof, continuation.wishes, continuation.proof.key
    session = {"sub": continuation.current.sub, "gid": continuation.grant} if continuation.grant else {}
    return session | {
        "iat": proof.checked_at,
        "exp": continuation.expires_at,
        "client_id": continuation.client_id,
        "identity": [key.project, key.kind, key.environment, key.subject],
        "proof": [proof.platform, proof.display_name, proof.age_group],
        "anonymous": proof.anonymous,
        "choices": list(continuation.choices),
        "version": continuation.current.version,
        "owner": continuation.owner.sub,
        "owner_version": continuation.owner.version,
        "flags": [one.name for one in fields(wishes.flags) if getattr(wishes.flags, one.name)],
        "segments": wishes.segments,
        "request": wishes.request,
        "code": dict(continuation.code),
    }


def _continuation(claims: Mapping[str, Any]) -> Continuation:
    platform, display_name, age_group = claims["proof"]
    key = IdentityKey(*claims["identity"])
    set_flags = {one.name: one.name in claims["flags"] for one in fields(ConnectFlags)}
    return Continuation(
        client_id=claims["client_id"],
        grant=claims.get("gid", ""),
        proof=Proof(platform, key, claims["iat"], display_name, age_group, claims["anonymous"]),
        wishes=Wishes(ConnectFlags(**set_flags), claims["segments"], claims["request"]),
        choices=tuple(choice for choice in get_args(Choice) if choice in claims["choices"]),
        current=Seen(claims.get("sub", ""), claims["version"]),
        owner=Seen(claims["owner"], claims["owner_version"]),
        code=claims["code"],
        id=claims["jti"],
    )


def _has_our_shape(claims: Mapping[str, Any]) -> bool:
    wanted = _SHAPE if "gid" in claims else {name: fits for name, fits in _SHAPE.items() if name not in {"gid", "sub"}}
    return claims.keys() == wanted.keys() and all(fits(claims[name]) for name, fits in wanted.items())


def _text(value: object) -> bool:
    return type(value) is str


def _named(value: object) -> bool:
    return type(value) is str and bool(value)


def _number(value: object) -> bool:
    return type(value) is int  # a bool is an int to isinstance


def _texts(value: object) -> bool:
    return type(value) is list and all(map(_text, value))


_SHAPE: Mapping[str, Callable[[Any], bool]] = {
    "iss": _named,
    "aud": _named,
    "jti": _named,
    "iat": _number,
    "exp": _number,
    "sub": _named,
    "gid": _named,
    "client_id": _named,
    "identity": lambda value: _texts(value) and len(value) == 4,
    "proof": lambda value: _texts(value) and len(value) == 3,
    "anonymous": lambda value: type(value) is bool,
    "choices": _texts,
    "version": _number,
    "owner": _text,
    "owner_version": _number,
    "flags": _texts,
    "segments": lambda value: value is None or type(value) is str,
    "request": _text,
    "code": lambda value: type(value) is dict and _texts(list(value.values())),
}
"""Our claims, each with its type: a token that says anything else, or says it otherwise, is none of ours."""
