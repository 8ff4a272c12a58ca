"""Bans, events and link codes for tests of storages."""

from authsrv.account_models import Ban, JournalEvent, LinkCode
from authsrv.models import NEVER
from tests.support.storage import NOW, digest, identity


def ban(number: int = 1, *, player_id: int = 1, until: int = NEVER) -> Ban:
    return Ban(number, "skyforge", player_id, "banned", "cheating", "operator", NOW, until)


def event(number: int = 1, *, player_id: int = 1, other_id: int = 0) -> JournalEvent:
    return JournalEvent(number, "skyforge", "linked", NOW, player_id, other_id)


def full_event(number: int = 1) -> JournalEvent:
    """An event in which no field has its default."""
    return JournalEvent(
        id=number,
        project="skyforge",
        kind="merged",
        at=NOW + 1,
        player_id=2,
        other_id=3,
        identity=identity(),
        actor="admin",
        actor_name="operator",
        client_id="launcher",
        address="203.0.113.0",
        rule="7",
        reason="asked for it",
        facts='{"aliases":[]}',
        reversible_until=NOW + 2,
        reversed_by=9,
    )


def link_code(number: int = 1, *, player_id: int = 1) -> LinkCode:
    return LinkCode(number, digest(f"code {number}"), "skyforge", player_id, "launcher", 5, "42", "", NOW, NOW + 600)
