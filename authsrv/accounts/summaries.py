"""What is told of accounts in JSON, to their players, to games and to servers.

Owns the names and forms of the members. An e-mail address, a real name or a network address is never among them.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from authsrv.account_models import GUEST, Account, JournalEvent, LinkedIdentity
from authsrv.accounts.journal import can_be_undone
from authsrv.errors import AuthsrvError
from authsrv.models import IdentityKey


class Summaries:
    """Tells of accounts. `provider_of` gives the name of the platform that vouches for a kind of identity."""

    def __init__(self, provider_of: Callable[[str], str]) -> None:
        self._provider_of = provider_of

    def account(self, account: Account) -> dict[str, Any]:
        """A player with their platform accounts. Times are as in RFC 3339."""
        player = account.player
        return {
            "sub": player.sub,
            "display_name": player.display_name,
            "created_at": moment(player.created_at),
            "last_login": moment(player.last_login_at),
            "guest": self.is_guest(account),
            "identities": [self.linked(linked) for linked in account.identities],
            "segments": json.loads(account.segments or "{}"),
            "merged_from": [alias.sub for alias in account.aliases],
        }

    def user(self, account: Account) -> dict[str, Any]:
        """A player and their platform accounts, to themselves."""
        player = account.player
        identities = [self.linked(linked) for linked in account.identities]
        return {"sub": player.sub, "display_name": player.display_name, "identities": identities}

    def summary(self, account: Account) -> dict[str, Any]:
        """A player about whom somebody must choose."""
        told = self.account(account)
        names = ("sub", "display_name", "created_at", "last_login", "guest")
        return {name: told[name] for name in names} | {"identities": [self.brief(one) for one in account.identities]}

    def brief(self, linked: LinkedIdentity) -> dict[str, str]:
        """A platform account in a summary; of a guest's device it says nothing more."""
        told = self.identity(linked.key)
        return {"provider": GUEST} if told["provider"] == GUEST else told

    def is_guest(self, account: Account) -> bool:
        """Whether a device is all that the player has."""
        return {self._provider_of(linked.key.kind) for linked in account.identities} == {GUEST}

    def linked(self, linked: LinkedIdentity) -> dict[str, str]:
        """A platform account of a player, and since when."""
        return {**self.identity(linked.key), "linked_at": moment(linked.linked_at)}

    def identity(self, key: IdentityKey) -> dict[str, str]:
        """A platform account."""
        return {
            "provider": self._provider_of(key.kind),
            "kind": key.kind,
            "environment": key.environment,
            "subject": key.subject,
        }


def undo_of(event: JournalEvent, public_id: str, now: int) -> dict[str, str] | None:
    """By which id, and until when, something can be undone; None if it cannot be."""
    if not can_be_undone(event, now):
        return None
    return {"event": public_id, "until": moment(event.reversible_until)}


def blocked(error: AuthsrvError) -> dict[str, Any]:
    """What a preview tells of something that would be refused."""
    return {
        "outcome": "blocked",
        "error": error.error,
        "error_description": error.description,
        **({"reason": error.reason} if error.reason else {}),
        **error.facts,
    }


def moment(seconds: int) -> str:
    """A time as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
