"""Accounts and occasions for tests of plans, and a storage that holds accounts."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from authsrv.account_models import Account, Ban, Doer, LinkedIdentity
from authsrv.accounts.journal import Occasion, Planned
from authsrv.models import AccountRules, IdentityKey, Project
from authsrv.oauth.marks import IdentityMarks
from authsrv.storage.account_changes import AddBan, BarPlayer, MarkIdentity, MergePlayers
from authsrv.storage.base import Storage
from authsrv.storage.changes import AddBrowser, AddPlayer, Change, LinkIdentity, StartSession
from tests.support.storage import NOW, player
from tests.support.storage_browsers import browser, session

MARKS = IdentityMarks(bytes(32))
ADMIN, BACKEND = Doer("admin", "operator"), Doer("client", "backend", "backend", "203.0.113.0")
next_id = count(1000).__next__
PROJECT = Project("skyforge", "00000000-0000-4000-8000-000000000000", "Skyforge", platforms=frozenset({"steam"}))


def key(kind: str, subject: str = "", environment: str = "") -> IdentityKey:
    return IdentityKey("skyforge", kind, environment, subject or f"{kind}-1")


def account(number: int, *kinds: str | IdentityKey, aliases: Iterable[int] = (), bans: Iterable[Ban] = ()) -> Account:
    """A player with an identity of each kind, linked one second after the other since `NOW`."""
    keys = [kind if isinstance(kind, IdentityKey) else key(kind, f"{kind}-{number}") for kind in kinds]
    linked = tuple(LinkedIdentity(one, number, NOW + at, NOW + at) for at, one in enumerate(keys))
    merged = tuple(replace(player(alias), merged_into=number) for alias in aliases)
    banned = tuple(bans)
    until = max((ban.until for ban in banned), default=0)
    barred = replace(player(number), barred_until=until, barred_as=banned[0].kind if banned else "")
    return Account(barred, linked, merged, banned)


def occasion(doer: Doer = BACKEND, now: int = NOW + 100, **rules: object) -> Occasion:
    """Something done in the project, whose accounts have these rules."""
    project = replace(PROJECT, accounts=AccountRules(**rules))  # type: ignore[arg-type]  # the names are its own
    return Occasion(project, doer, now, next_id, "asked for it")


def born(account: Account) -> list[Change]:
    """What makes an account as it is."""
    made: list[Change] = [AddPlayer(replace(account.player, barred_until=0, barred_as="", merged_into=None))]
    made += [LinkIdentity(linked.key, linked.player_id, linked.linked_at) for linked in account.identities]
    for alias in account.aliases:
        made += [AddPlayer(replace(alias, merged_into=None)), MergePlayers(alias.id, account.player.id)]
    return [*made, *banned(account)]


def banned(account: Account) -> list[Change]:
    """What makes the bans of an account as they are."""
    made: list[Change] = []
    for ban in account.bans:
        made += [AddBan(ban), BarPlayer(account.player.id, ban.until, ban.kind)]
        made += [MarkIdentity(MARKS.of(linked.key), ban.id) for linked in account.identities]
    return made


async def stored(storage: Storage, *accounts: Account) -> None:
    """Put accounts into a storage."""
    await storage.apply([change for account in accounts for change in born(account)])


async def done(storage: Storage, planned: Planned) -> None:
    """Carry out a plan."""
    await storage.apply(list(planned.changes))


async def signed_in(storage: Storage, *by: tuple[int, str, str]) -> None:
    """A session for each player, kind and subject, each in a browser of its own; they are numbered from 1."""
    for number, (player_id, idp, subject) in enumerate(by, 1):
        started = replace(session(number, browser_id=number, player_id=player_id), idp=idp, idp_subject=subject)
        await storage.apply([AddBrowser(browser(number)), StartSession(started)])


async def ending_of(storage: Storage, number: int) -> str:
    """Why a session ended; empty for one in force."""
    found = await storage.load_session(number)
    assert found is not None
    return found.session.ended_reason


async def reloaded(storage: Storage, number: int) -> Account:
    """An account as the storage has it now."""
    found = await storage.load_account(number)
    assert found is not None
    return found
