"""What must hold for the secrets of one client, and which of them will soon be of no use.

Owns the rules for length, number and repetition. Knows no other client, and never repeats a secret.
"""

from collections.abc import Iterator
from typing import Final

from authsrv.config.client_checks import MAX_SECRET, MIN_SECRET, SECRET_SETTINGS, Check, ClientEntry
from authsrv.config.client_secrets import DAY, moment_text, secret_digest
from authsrv.config.clients import ClientSettings
from authsrv.config.problems import Finding, Path, key_text
from authsrv.models import MOST_SECRETS, ClientSecret

WARN_BEFORE: Final = 30 * DAY
"""How long before its end a secret is warned of, in seconds."""
_NO_SECRET = secret_digest("")


def _lengths(entry: ClientEntry) -> Iterator[Finding]:
    if entry.dev:
        return
    for path, secret in zip(_paths(entry.settings), entry.settings.known_secrets, strict=False):
        if not MIN_SECRET <= len(secret.get_secret_value()) <= MAX_SECRET:
            yield Finding(
                path,
                f"the secret has fewer than {MIN_SECRET} or more than {MAX_SECRET} characters",
                "make one with: openssl rand -hex 32",
            )


def _number(entry: ClientEntry) -> Iterator[Finding]:
    if len(entry.settings.all_secrets) > MOST_SECRETS:
        yield Finding(
            ("secret_hashes",),
            f"the client has more than {MOST_SECRETS} secrets",
            "remove those that have expired or that nothing uses any more",
        )


def _repetitions(entry: ClientEntry) -> Iterator[Finding]:
    seen: dict[bytes, Path] = {}
    for path, secret in _placed(entry.settings):
        if secret.digest in seen:
            yield Finding(path, f"this is the same secret as {key_text(seen[secret.digest])}", "remove one of the two")
        seen.setdefault(secret.digest, path)


def _empty(entry: ClientEntry) -> Iterator[Finding]:
    for path, secret in _placed(entry.settings):
        if path[0] == "secret_hashes" and secret.digest == _NO_SECRET:
            yield Finding(
                path,
                "this is the SHA-256 of an empty text",
                "make secret and hash with: authsrv clients secret new " + entry.client_id,
            )


CLIENT_SECRET_CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    (SECRET_SETTINGS, _lengths),
    (SECRET_SETTINGS, _number),
    (SECRET_SETTINGS, _repetitions),
    (SECRET_SETTINGS, _empty),
)
"""As `CLIENT_CHECKS`."""


def client_secret_warnings(entry: ClientEntry, now: int) -> Iterator[Finding]:
    """Secrets that have expired, and those that will within `WARN_BEFORE`. `now` is in Unix seconds."""
    soon = now + WARN_BEFORE
    has_another = any(secret.works(soon) for secret in entry.settings.all_secrets)
    for path, secret in _placed(entry.settings):
        if secret.expires_at is not None and not secret.works(soon):
            yield Finding(path, *_told(entry.client_id, secret.expires_at, now, has_another=has_another))


def _told(client_id: str, expires_at: int, now: int, *, has_another: bool) -> tuple[str, str]:
    """What is about to happen to a client, or has happened, and what helps."""
    has_expired = expires_at <= now
    what = f"this secret {'expired' if has_expired else 'expires'} on {moment_text(expires_at)}"
    if not has_another:
        return f"{what}, and no other lasts longer", f"make one with: authsrv clients secret new {client_id}"
    return what, "remove it" if has_expired else "let the client use another one of its secrets before that day"


def _placed(settings: ClientSettings) -> Iterator[tuple[Path, ClientSecret]]:
    return zip(_paths(settings), settings.all_secrets, strict=True)


def _paths(settings: ClientSettings) -> Iterator[Path]:
    """Where each of `all_secrets` stands."""
    if settings.secret:
        yield ("secret",)
    yield from (("secrets", place) for place in range(len(settings.secrets)))
    yield from (("secret_hashes", place) for place in range(len(settings.secret_hashes)))
