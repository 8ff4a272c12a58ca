"""What orders that change players have in common: who orders it and why, in which project, and how it is refused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from authsrv.account_models import Doer
from authsrv.errors import AuthsrvError, TemporarilyUnavailable, UserNotFound
from authsrv.models import Project
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.orders.players.naming import nobody, text_of

_LONGEST_NAME = 100
_LONGEST_REASON = 500


def doer(arguments: Mapping[str, Any]) -> Doer:
    """The operator who gives the order, for the journal. Raises `OrderRefused`."""
    return Doer("admin", _words(arguments, "operator", _LONGEST_NAME))


def reason(arguments: Mapping[str, Any], *, required: bool = False) -> str:
    """Why it is ordered. Raises `OrderRefused`."""
    if not required and not arguments.get("reason"):
        return ""
    return _words(arguments, "reason", _LONGEST_REASON)


def is_dry(arguments: Mapping[str, Any]) -> bool:
    """Whether it is only to be said what would happen."""
    return bool(arguments.get("dry_run"))


def project_of(desk: Desk, key: str) -> Project:
    """A project of the configuration. Raises `OrderRefused`."""
    project = desk.projects().get(key)
    if project is None:
        raise OrderRefused(f"the configuration has no project {key}, and what it wants of accounts is not known")
    return project


@contextmanager
def refusals_told() -> Iterator[None]:
    """What accounts are refused by, in words for operators. Raises `OrderRefused`."""
    try:
        yield
    except UserNotFound as error:
        raise nobody() from error
    except TemporarilyUnavailable as error:
        raise OrderRefused(f"{error.description} ({error.detail})") from error
    except AuthsrvError as error:
        raise OrderRefused(_told(error), "not_possible") from error


def _told(error: AuthsrvError) -> str:
    facts = "; ".join(f"{name}: {_listed(value)}" for name, value in error.facts.items())
    return f"{error.description} ({facts})" if facts else error.description


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _words(arguments: Mapping[str, Any], name: str, longest: int) -> str:
    text = text_of(arguments, name)
    if not text.strip() or not text.isprintable() or len(text) > longest:
        raise OrderRefused(f"{name} is a text of at most {longest} printable characters")
    return text
