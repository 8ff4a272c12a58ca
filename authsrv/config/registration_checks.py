"""What must hold for the registration of clients, inside a project and between all of them.

Owns the rules for initial access tokens. Knows no line numbers, and never repeats a token.
"""

import re
from collections.abc import Iterator

from authsrv.config.client_checks import MAX_SECRET, MIN_SECRET, RUNTIME_PREFIX, scope_problems
from authsrv.config.problems import Finding, Path
from authsrv.config.registration import RegistrationSettings
from authsrv.config.schema import Config

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1


def registration_problems(config: Config, dev: bool) -> Iterator[Finding]:
    """Every mistake beyond types."""
    yield from _modes(config)
    yield from _scopes(config)
    yield from _tokens(config, dev=dev)
    yield from _blocked(config)


def registration_warnings(config: Config) -> Iterator[Finding]:
    """What is allowed but risky."""
    for path, block in _blocks(config):
        if block.mode == "open":
            yield Finding(
                (*path, "mode"),
                "anybody on the Internet can register a client, and fill the project's list of them",
                'write mode = "token", and give an initial access token to whom you know',
            )


def _blocks(config: Config) -> Iterator[tuple[Path, RegistrationSettings]]:
    for key, project in config.projects.items():
        yield ("projects", key, "registration"), project.registration


def _modes(config: Config) -> Iterator[Finding]:
    open_to_all = ""
    for path, block in _blocks(config):
        if block.mode == "token" and not block.initial_tokens:
            yield Finding(
                (*path, "initial_tokens"),
                "nobody can register a client without an initial access token, and there is none",
                'add initial_tokens = { partner = { env = "NAME" } }, or write mode = "off"',
            )
        if block.mode == "open" and open_to_all:
            yield Finding(
                (*path, "mode"),
                f"project {open_to_all} is open already, and a registration without a token must belong to one project",
                'write mode = "token" in one of them',
            )
        open_to_all = open_to_all or (str(path[1]) if block.mode == "open" else "")


def _scopes(config: Config) -> Iterator[Finding]:
    for path, block in _blocks(config):
        if not block.scopes:
            yield Finding((*path, "scopes"), "the list of scopes is empty", "leave it out for the default")
        for place, scope in enumerate(block.scopes):
            yield from scope_problems((*path, "scopes", place), scope)


def _tokens(config: Config, *, dev: bool) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for path, block in _blocks(config):
        for name, secret in block.initial_tokens.items():
            place: Path = (*path, "initial_tokens", name)
            yield from (finding.below(place) for finding in _token_problems(name, secret.get_secret_value(), dev=dev))
            if secret.get_secret_value() in seen:
                yield Finding(
                    place,
                    f"{seen[secret.get_secret_value()]} is the same token, so that neither can be told from the other",
                    "make another one with: openssl rand -hex 32",
                )
            seen.setdefault(secret.get_secret_value(), name)


def _blocked(config: Config) -> Iterator[Finding]:
    for path, block in _blocks(config):
        for place, client_id in enumerate(block.blocked):
            if not client_id.startswith(RUNTIME_PREFIX):
                yield Finding(
                    (*path, "blocked", place),
                    f"this is no id of a registered client: those begin with {RUNTIME_PREFIX}",
                    "remove a client of the file from the file",
                )


def _token_problems(name: str, token: str, *, dev: bool) -> Iterator[Finding]:
    if not _NAME.fullmatch(name):
        yield Finding((), "the name of the token has odd characters", "use up to 64 letters, digits, and . _ - between")
    if not _BEARER.fullmatch(token) or len(token) > MAX_SECRET or (len(token) < MIN_SECRET and not dev):
        yield Finding(
            (),
            f"the token has fewer than {MIN_SECRET} or more than {MAX_SECRET} characters, or some that a header cannot "
            "carry",
            "make one with: openssl rand -hex 32",
        )
