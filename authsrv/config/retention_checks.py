"""What must hold for how long things are kept: no longer than data protection allows, and as long as an undo needs.

Owns what is said about times that are too long.
"""

from collections.abc import Iterator

from authsrv.config.client_secrets import DAY
from authsrv.config.file_checks import FileCheck
from authsrv.config.problems import Finding, Path
from authsrv.config.retention import LONGEST
from authsrv.config.schema import Config

_LONGEST_SESSION = 30 * DAY


def _lengths(config: Config, _dev: bool) -> Iterator[Finding]:
    if not config.retention.beyond_limits:
        yield from _too_long(config, "shorten it to {longest} days, or set beyond_limits = true if you may keep it")


def _undo_windows(config: Config, _dev: bool) -> Iterator[Finding]:
    kept = config.retention.journal_days * DAY
    for key, project in config.projects.items():
        if project.accounts.undo_window > kept:
            yield Finding(
                ("projects", key, "accounts", "undo_window"),
                "this is longer than the journal is kept, without which nothing can be undone",
                "shorten it, or lengthen retention.journal_days",
            )


RETENTION_CHECKS: tuple[tuple[tuple[Path, ...], FileCheck], ...] = (
    ((("retention",),), _lengths),
    ((("retention",),), _undo_windows),
)


def retention_warnings(config: Config) -> Iterator[Finding]:
    """Times that are longer than usual, although allowed."""
    if config.retention.beyond_limits:
        yield from _too_long(config, "be sure that you may; {longest} days are usual at most")
    if config.sessions.absolute > _LONGEST_SESSION:
        yield Finding(
            ("sessions", "absolute"),
            "players stay signed in, and their sessions stored, for more than 30 days",
            f"write {_LONGEST_SESSION} or less",
        )


def _too_long(config: Config, remedy: str) -> Iterator[Finding]:
    for name, longest in LONGEST.items():
        if getattr(config.retention, name) > longest:
            what = f"this is kept for longer than {longest} days"
            yield Finding(("retention", name), what, remedy.format(longest=longest))
