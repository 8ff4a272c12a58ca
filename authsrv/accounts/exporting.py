"""What a player is given when they ask for their data: the names and forms of the members, which docs/players.md tells.

Owns what is never among it: digests, secrets, rows, and what is another player's. Reads nothing.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from authsrv.account_models import (
    GUEST,
    AccountRecord,
    Ban,
    Dossier,
    GrantRecord,
    JournalEvent,
    LinkedIdentity,
    SessionRecord,
)
from authsrv.accounts.summaries import moment
from authsrv.models import NEVER, Client, Consent, IdentityKey, Project, Retention
from authsrv.records import dataclass

FORMAT = "authsrv-player"
VERSION = 1
"""Raised when a member changes its meaning or goes; further members come without."""

_DAY = 86400
_CONSENTS = frozenset({"consent_given", "consent_withdrawn"})
"""Events whose facts are about the player alone."""

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """How platforms and clients are called: a platform by the kind of an identity, a client by its id, if it is there
    still.
    """

    provider_of: Callable[[str], str]
    client: Callable[[str], Client | None]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when an export is made, and for how long things are kept there."""

    issuer: str
    project: Project
    retention: Retention
    now: int


def exported(dossier: Dossier, setting: Setting, names: Names) -> Told:
    """Everything in a dossier, as JSON has it. Times are as in RFC 3339."""
    own, records = dossier.own.account, (dossier.own, *dossier.merged)
    player, project = own.player, setting.project
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": moment(setting.now),
        "issuer": setting.issuer,
        "project": {"id": project.id, "name": project.name},
        "account": {
            "sub": player.sub,
            "display_name": player.display_name,
            "display_name_from": player.name_from or None,
            "created_at": moment(player.created_at),
            "last_login": moment(player.last_login_at),
            "kept_out_until": _end(player.barred_until) if player.is_barred(setting.now) else None,
            "kept_out_as": player.barred_as if player.is_barred(setting.now) else None,
        },
        "aliases": [_alias(record) for record in dossier.merged],
        "age_group": player.age_group or "unknown",
        "profile": json.loads(own.profile or "{}"),
        "segments": json.loads(own.segments or "{}"),
        "identities": [_linked(linked, names) for record in records for linked in record.account.identities],
        "consents": [_consent(consent, names) for record in records for consent in record.consents],
        "sessions": [_session(session, names) for record in records for session in record.sessions],
        "grants": [_grant(grant, names) for record in records for grant in record.grants],
        "bans": [_ban(ban) for record in records for ban in record.account.bans],
        "journal": [_event(event, records, names) for event in dossier.events],
        "recipients": _recipients(records, names),
        "retention_days": {name: seconds // _DAY or None for name, seconds in asdict(setting.retention).items()},
    }


def _alias(record: AccountRecord) -> Told:
    """An account that was merged into this one, with what is still its own."""
    player = record.account.player
    return {
        "sub": player.sub,
        "display_name": player.display_name,
        "created_at": moment(player.created_at),
        "last_login": moment(player.last_login_at),
        "profile": json.loads(record.account.profile or "{}"),
        "segments": json.loads(record.account.segments or "{}"),
    }


def _linked(linked: LinkedIdentity, names: Names) -> Told:
    times = {"linked_at": moment(linked.linked_at), "last_used_at": moment(linked.last_used_at)}
    return {**_identity(linked.key, names), **times}


def _identity(key: IdentityKey, names: Names) -> Told:
    return {**_platform(key.kind, key.subject, names), "environment": key.environment}


def _platform(kind: str, subject: str, names: Names) -> Told:
    """A platform account. That of a guest is the digest of a secret that the device keeps."""
    return {"platform": names.provider_of(kind), "kind": kind, "subject": None if kind == GUEST else subject}


def _client(client_id: str, names: Names) -> Told:
    found = names.client(client_id)
    return {"client_id": client_id, "client_name": found.name if found else None}


def _consent(consent: Consent, names: Names) -> Told:
    return {**_client(consent.client_id, names), "scope": list(consent.scope), "given_at": moment(consent.given_at)}


def _session(record: SessionRecord, names: Names) -> Told:
    session = record.session
    return {
        **_platform(session.idp, session.idp_subject, names),
        "clients": [_client(client_id, names) for client_id in record.clients],
        "begun_at": moment(session.created_at),
        "signed_in_at": moment(session.auth_time),
        "last_used_at": moment(session.used_at),
        "expires_at": moment(min(session.expires_at, session.absolute_expires_at)),
        "ended_at": _moment(session.ended_at),
        "ended_reason": session.ended_reason or None,
    }


def _grant(grant: GrantRecord, names: Names) -> Told:
    return {
        **_client(grant.client_id, names),
        **_platform(grant.idp, grant.idp_subject, names),
        "scope": list(grant.scope),
        "audience": list(grant.audience),
        "signed_in_at": moment(grant.auth_time),
        "given_at": moment(grant.created_at),
        "refresh_tokens": grant.is_offline,
        "refreshed_at": moment(grant.refreshed_at) if grant.refreshed_at else None,
        "expires_at": moment(grant.expires_at),
        "ends_at": moment(grant.absolute_expires_at),
        "ended_at": _moment(grant.revoked_at),
        "ended_reason": grant.revoked_reason or None,
    }


def _ban(ban: Ban) -> Told:
    return {
        "kind": ban.kind,
        "reason": ban.reason,
        "decided_at": moment(ban.created_at),
        "until": _end(ban.until),
        "lifted_at": _moment(ban.lifted_at),
    }


def _event(event: JournalEvent, records: Iterable[AccountRecord], names: Names) -> Told:
    """An event. Where another player took part, it tells nothing that is theirs: who they are, what they gained, from
    which address.
    """
    own = {record.account.player.id for record in records}
    alone = {event.player_id, event.other_id} <= own | {0}
    told: Told = {
        "kind": event.kind,
        "at": moment(event.at),
        "actor": event.actor,
        **_client(event.client_id, names),
        "address": event.address or None if alone else None,
        "reason": event.reason or None if alone else None,
        "consent": json.loads(event.facts) if event.facts and event.kind in _CONSENTS else None,
        "identity": None,
    }
    if event.identity is None:
        return told
    whole, gained = _identity(event.identity, names), event.player_id in own
    return {**told, "identity": whole if gained else {**whole, "subject": None}}


def _recipients(records: Iterable[AccountRecord], names: Names) -> list[Told]:
    """Every client that was given something about the player, as far as it is still known."""
    found = {
        client_id
        for record in records
        for client_id in (
            *(grant.client_id for grant in record.grants),
            *(consent.client_id for consent in record.consents),
            *(client_id for session in record.sessions for client_id in session.clients),
        )
    }
    return [_recipient(client_id, names) for client_id in sorted(found)]


def _recipient(client_id: str, names: Names) -> Told:
    client = names.client(client_id)
    links: Mapping[str, str | None] = {
        "client_uri": client.links.client_uri or None if client else None,
        "policy_uri": client.links.policy_uri or None if client else None,
    }
    return {**_client(client_id, names), "first_party": client.first_party if client else None, **links}


def _end(moment_: int) -> str | None:
    return None if moment_ >= NEVER else moment(moment_)


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else moment(seconds)
