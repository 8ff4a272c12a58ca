"""What orders tell of players, as JSON has it. Times are Unix seconds, null for what has no end or did not happen.

Owns names and forms of the members, on which operators' scripts rely. Reads nothing.
"""

import json
from collections.abc import Callable
from typing import Any

from authsrv.account_models import Account, Ban, JournalEvent, LinkedIdentity
from authsrv.models import NEVER, Consent, IdentityKey, Player, SignedIn
from authsrv.records import dataclass

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """How others know events and platforms: an event by its public id, a platform by the kind of an identity."""

    event: Callable[[int], str]
    provider_of: Callable[[str], str]


def player(found: Player, now: int, merged_into: str | None = None) -> Told:
    """A player in short. `merged_into` is the `sub` of the account that they are part of."""
    return {
        "sub": found.sub,
        "project": found.project,
        "display_name": found.display_name,
        "created_at": found.created_at,
        "last_login_at": found.last_login_at,
        "barred": barred(found.barred_until, found.barred_as, now),
        "merged_into": merged_into,
    }


def barred(until: int, kind: str, now: int) -> Told | None:
    """What keeps a player out, if anything does."""
    return {"as": kind, "until": end(until)} if now < until else None


def account(found: Account, now: int) -> Told:
    """A player with all that is theirs alone."""
    one = found.player
    return {
        **player(one, now),
        "age_group": one.age_group,
        "name_from": one.name_from,
        "merged_from": [alias.sub for alias in found.aliases],
        "segments": json.loads(found.segments or "{}"),
    }


def identity(key: IdentityKey, names: Names) -> Told:
    """A platform account."""
    return {
        "platform": names.provider_of(key.kind),
        "kind": key.kind,
        "environment": key.environment,
        "account": key.subject,
    }


def linked(found: LinkedIdentity, names: Names) -> Told:
    """A platform account of a player."""
    times = {"linked_at": found.linked_at, "last_used_at": found.last_used_at}
    return {**identity(found.key, names), **times}


def ban(found: Ban, now: int) -> Told:
    """A ban or a restriction, also one that ended or was lifted."""
    return {
        "kind": found.kind,
        "reason": found.reason,
        "decided_by": found.decided_by,
        "created_at": found.created_at,
        "until": end(found.until),
        "lifted_at": found.lifted_at,
        "in_force": found.is_in_force(now),
    }


def session(found: SignedIn, public_id: str) -> Told:
    """A sign-in in a browser."""
    one = found.session
    return {"id": public_id, "platform": one.platform, "auth_time": one.auth_time, "used_at": one.used_at}


def consent(found: Consent) -> Told:
    """What a player lets a client have."""
    return {"client_id": found.client_id, "scope": list(found.scope), "given_at": found.given_at}


def event(found: JournalEvent, other: str | None, names: Names) -> Told:
    """An event of the journal. `other` is the `sub` of the second player that it is about."""
    return {
        "event": names.event(found.id),
        "kind": found.kind,
        "at": found.at,
        "identity": identity(found.identity, names) if found.identity else None,
        "other": other,
        "actor": found.actor,
        "actor_name": found.actor_name,
        "client_id": found.client_id,
        "address": found.address,
        "rule": found.rule,
        "reason": found.reason,
        "reversible_until": found.reversible_until or None,
        "reversed_by": names.event(found.reversed_by) if found.reversed_by else None,
    }


def end(until: int) -> int | None:
    """When something ends."""
    return None if until >= NEVER else until
