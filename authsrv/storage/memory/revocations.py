"""What the changes about tokens that end before their time do to the memory backend's tables, and what is read of them.

Owns guards and row changes; the model that `statements/revocations.py` is held against. Knows no transaction.
"""

from collections.abc import Iterator, Sequence

from authsrv.models import Grant, NotBeforeKind, Revocations, Standing
from authsrv.storage.base import RESTORED
from authsrv.storage.changes import RevokeToken, SetNotBefore
from authsrv.storage.memory.tables import Tables, write
from authsrv.storage.steps.revocations import revocations_of


@write.register
def _(change: RevokeToken, tables: Tables) -> None:
    tables.revoked_tokens.setdefault(change.jti, change.expires_at)


@write.register
def _(change: SetNotBefore, tables: Tables) -> None:
    tables.raise_not_before(change.kind, change.subject, change.not_before)


def standing(tables: Tables, client_id: str, project: str, jtis: Sequence[str], subs: Sequence[str] = ()) -> Standing:
    """The strictest not-before over a token, and whether it or what it was made of was revoked by itself."""
    over: list[tuple[NotBeforeKind, str]] = [("project", project), ("client", client_id)]
    over += [("player", sub) for sub in subs]
    return Standing(
        max(tables.not_befores.get(key, 0) for key in over), not tables.revoked_tokens.keys().isdisjoint(jtis)
    )


def revocations(tables: Tables, since: int, now: int) -> Revocations:
    """What ended lately."""
    return revocations_of(_rows(tables, since, now))


def _rows(tables: Tables, since: int, now: int) -> Iterator[tuple[str, str, int]]:
    yield from (("jti", jti, 0) for jti, expires_at in tables.revoked_tokens.items() if expires_at > now)
    yield from (("grant", "", grant.id) for grant in tables.grants.values() if _ended_after(grant, since))
    yield from ((kind, subject, at) for (kind, subject), at in tables.not_befores.items() if at > since)
    for client_id, client in tables.clients.items():
        if client.disabled_at is not None and client.disabled_at > since:
            yield "disabled", client_id, client.disabled_at
    for key in tables.keys.values():
        if key.revoked_at is not None and key.revoked_at > since:
            yield "kid", key.kid, key.revoked_at


def _ended_after(grant: Grant, since: int) -> bool:
    gave_tokens = grant.code_hash is None or grant.code_used_at is not None
    ended = grant.revoked_at is not None and grant.revoked_at > since
    return ended and gave_tokens and grant.revoked_reason != RESTORED
