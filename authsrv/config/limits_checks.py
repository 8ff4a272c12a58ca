"""What must hold for the Redis or Valkey that nodes count rate limits in.

Owns the settings `store` of `[limits]`. Makes no connection, and never repeats an address that may hold a password.
"""

import re
from collections.abc import Iterator

from authsrv.config.file_checks import FileCheck
from authsrv.config.outbound_checks import certificates_problem
from authsrv.config.problems import Finding, Path
from authsrv.config.schema import Config
from authsrv.config.web_addresses import HOST, is_loopback

_STORE = re.compile(
    rf"redis(?P<tls>s?)://(?:[A-Za-z0-9._-]+@)?(?P<host>{HOST})(?::[1-9][0-9]{{0,4}})?(?:/[0-9]{{1,4}})?"
)
_PATH: Path = ("limits", "store")
_PASSWORD_INSIDE = re.compile(r"[a-z]+://[^/]*:[^/]*@")


def _store(config: Config, _dev: bool) -> Iterator[Finding]:
    store = config.limits.store
    if _PASSWORD_INSIDE.match(store):
        yield Finding(_PATH, "the address holds a password", 'write it as store_password = { env = "NAME" }')
    elif store and not _STORE.fullmatch(store):
        remedy = "write redis://host:6379/0 or rediss://user@host:6379/0"
        yield Finding(_PATH, "this is no address of a Redis or Valkey", remedy)


def _beside_store(config: Config, _dev: bool) -> Iterator[Finding]:
    limits = config.limits
    if limits.store_password and not limits.store:
        yield Finding(("limits", "store_password"), "there is no store that it is for", "name the store, or remove it")
    if limits.store_ca and not limits.store.startswith("rediss:"):
        yield Finding(("limits", "store_ca"), "only a store with TLS has one", "write rediss://, or remove it")


def _store_ca(config: Config, _dev: bool) -> Iterator[Finding]:
    problem = certificates_problem(config.limits.store_ca) if config.limits.store_ca else None
    if problem:
        yield problem.below(("limits", "store_ca"))


LIMITS_CHECKS: tuple[tuple[tuple[Path, ...], FileCheck], ...] = (
    ((_PATH,), _store),
    ((_PATH, ("limits", "store_password"), ("limits", "store_ca")), _beside_store),
    ((("limits", "store_ca"),), _store_ca),
)
"""The settings a check reads, and the check: one whose settings could not be read is left out."""


def limits_warnings(config: Config) -> Iterator[Finding]:
    """A password that travels in clear."""
    found = _STORE.fullmatch(config.limits.store)
    if found and not found["tls"] and not is_loopback(found["host"]) and config.limits.store_password:
        yield Finding(_PATH, "the password for this address travels in clear", "use rediss://")
