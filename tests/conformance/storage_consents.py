"""What every storage backend must do for consents, profiles and logout notices.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

from dataclasses import replace

from authsrv.models import Consent, Visit
from authsrv.storage.account_changes import MergePlayers
from authsrv.storage.base import Storage
from authsrv.storage.changes import (
    AddGrant,
    AddNotice,
    AddPlayer,
    GiveConsent,
    PostponeNotice,
    RemoveNotice,
    SetProfile,
    UseConsent,
    WithdrawConsent,
)
from tests.conformance.storage_browsers import refused
from tests.conformance.storage_sessions import CODE, END, REFRESHED, grant_of, signed_in
from tests.support.storage import NOW, full_grant, grant, player
from tests.support.storage_browsers import PROFILE, browser, notice

# --- consents ---


async def consented(storage: Storage, browser_id: int, client_id: str) -> frozenset[str]:
    """What the player who is signed in in this browser granted to the client."""
    visit = await storage.load_visit(browser_id, "skyforge", client_id)
    assert visit is not None
    return visit.consented


async def test_a_consent_takes_the_place_of_the_one_before(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([GiveConsent(1, "shop", ("openid", "email"), NOW)])
    await storage.apply([GiveConsent(1, "shop", ("openid", "phone"), NOW + 1)])
    assert await consented(storage, 1, "shop") == {"openid", "phone"}


async def test_a_consent_is_of_one_player_and_to_one_client(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([GiveConsent(1, "shop", ("openid",), NOW), GiveConsent(2, "forum", (), NOW)])
    assert await consented(storage, 1, "shop") == {"openid"}
    for number, client_id in ((1, "forum"), (2, "shop"), (2, "forum")):
        assert await consented(storage, number, client_id) == frozenset()


async def test_without_a_session_nobodys_consent_is_told(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([GiveConsent(1, "shop", ("openid",), NOW), END])
    assert await storage.load_visit(1, "skyforge", "shop") == Visit(browser(1), None, frozenset())


async def test_a_consent_of_a_player_that_is_not_there_is_a_conflict(storage: Storage) -> None:
    await refused(storage, GiveConsent(1, "shop", ("openid",), NOW))


async def test_a_consent_is_used_while_it_is_there_and_stays_as_it_is(storage: Storage) -> None:
    await signed_in(storage)
    await refused(storage, UseConsent(1, "shop"))
    await storage.apply([GiveConsent(1, "shop", ("openid",), NOW), UseConsent(1, "shop")])
    assert await storage.load_consents(1) == (Consent("shop", ("openid",), NOW),)
    for other in (UseConsent(2, "shop"), UseConsent(1, "forum")):
        await refused(storage, other)
    await storage.apply([WithdrawConsent(1, "shop", NOW + 1)])
    await refused(storage, UseConsent(1, "shop"))


async def test_what_a_player_lets_clients_have_is_told_with_its_time(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([GiveConsent(1, "shop", ("openid", "email"), NOW), GiveConsent(2, "shop", ("phone",), NOW)])
    await storage.apply([GiveConsent(1, "forum", (), NOW + 1), GiveConsent(1, "shop", ("openid",), NOW + 2)])
    found = (Consent("forum", (), NOW + 1), Consent("shop", ("openid",), NOW + 2))
    assert await storage.load_consents(1) == found
    await storage.apply([WithdrawConsent(1, "forum", NOW + 3)])
    assert await storage.load_consents(1) == found[1:]
    assert await storage.load_consents(3) == ()


async def test_withdrawing_ends_every_grant_to_the_client_and_forgets_the_consent(storage: Storage) -> None:
    await signed_in(storage)
    for number, client_id in ((1, "launcher"), (1, "shop"), (2, "launcher")):
        await storage.apply([GiveConsent(number, client_id, ("email",), NOW)])
    mine = [CODE, replace(REFRESHED, id=2), replace(grant(3), session_id=0)]
    others = [replace(grant(4), client_id="shop"), grant(5, player_id=2)]
    ended_before = replace(grant(6), revoked_at=NOW, revoked_reason="logout")
    await storage.apply([AddGrant(each) for each in (*mine, *others, ended_before)])
    await storage.apply([WithdrawConsent(1, "launcher", NOW + 5)])
    found = [await grant_of(storage, number) for number in range(1, 7)]
    ended = [replace(each, revoked_at=NOW + 5, revoked_reason="consent_withdrawn") for each in mine]
    assert found == [*ended, *others, ended_before]
    assert await consented(storage, 1, "launcher") == frozenset()
    assert await consented(storage, 1, "shop") == await consented(storage, 2, "launcher") == {"email"}


async def test_withdrawing_what_was_never_given_still_ends_the_grants(storage: Storage) -> None:
    """A first-party client is asked for no consent; its player may be done with it all the same."""
    await storage.apply([AddPlayer(player()), AddGrant(grant()), WithdrawConsent(1, "launcher", NOW + 5)])
    assert (await grant_of(storage, 1)).revoked_reason == "consent_withdrawn"
    await storage.apply([WithdrawConsent(8, "launcher", NOW)])


async def test_what_was_let_before_a_merge_is_told_and_withdrawn_with_the_rest(storage: Storage) -> None:
    await signed_in(storage)
    await storage.apply([GiveConsent(1, "launcher", ("email", "openid"), NOW + 1), GiveConsent(1, "shop", (), NOW + 2)])
    await storage.apply([GiveConsent(2, "launcher", ("openid", "phone"), NOW), AddGrant(grant(1)), MergePlayers(1, 2)])
    both = Consent("launcher", ("openid", "phone", "email"), NOW)
    assert await storage.load_consents(2) == (both, Consent("shop", (), NOW + 2))
    await storage.apply([WithdrawConsent(2, "launcher", NOW + 5)])
    assert await storage.load_consents(2) == (Consent("shop", (), NOW + 2),)
    assert (await grant_of(storage, 1)).revoked_reason == "consent_withdrawn"


# --- profiles ---


async def test_a_grant_is_loaded_with_the_profile_of_its_player(storage: Storage) -> None:
    await storage.apply([AddPlayer(player(1)), AddPlayer(player(2)), AddGrant(full_grant(1)), SetProfile(1, PROFILE)])
    await storage.apply([AddGrant(full_grant(2, player_id=2))])
    found = [await storage.load_grant(number) for number in (1, 2)]
    assert [await storage.load_profile(number) for number in (1, 2, 3)] == [PROFILE, "", ""]
    assert [(each and each.profile, each and each.player) for each in found] == [(PROFILE, player(1)), ("", player(2))]


async def test_a_profile_is_replaced_and_forgotten(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant()), SetProfile(1, PROFILE), SetProfile(1, '{"name":"B"}')])
    replaced = await storage.load_grant(1)
    await storage.apply([SetProfile(1, ""), SetProfile(1, "")])
    forgotten = await storage.load_grant(1)
    assert [each and each.profile for each in (replaced, forgotten)] == ['{"name":"B"}', ""]


async def test_a_profile_of_a_player_that_is_not_there_is_a_conflict(storage: Storage) -> None:
    await refused(storage, SetProfile(1, PROFILE))
    await storage.apply([SetProfile(1, "")])


# --- logout notices ---


async def test_a_notice_comes_back_field_by_field_once_it_is_due(storage: Storage) -> None:
    await storage.apply([AddNotice(notice(4))])
    assert await storage.load_due_notices(NOW + 6, 10) == ()
    assert await storage.load_due_notices(NOW + 7, 10) == (notice(4),)


async def test_the_longest_due_come_first_and_no_more_than_asked_for(storage: Storage) -> None:
    due = {1: NOW + 30, 2: NOW + 10, 3: NOW + 20, 4: NOW + 10, 5: NOW + 99}
    await storage.apply([AddNotice(replace(notice(number), next_attempt_at=at)) for number, at in due.items()])
    found = [[each.id for each in await storage.load_due_notices(NOW + 50, limit)] for limit in (0, 3, 10)]
    assert found == [[], [2, 4, 3], [2, 4, 3, 1]]


async def test_a_notice_id_is_given_once(storage: Storage) -> None:
    await storage.apply([AddNotice(notice())])
    await refused(storage, AddNotice(replace(notice(), client_id="forum")))
    assert await storage.load_due_notices(NOW + 7, 10) == (notice(),)


async def test_a_postponed_notice_comes_later_and_counts(storage: Storage) -> None:
    await storage.apply([AddNotice(notice(1)), AddNotice(notice(2)), PostponeNotice(1, 3, NOW + 100)])
    assert await storage.load_due_notices(NOW + 99, 10) == (notice(2),)
    later = replace(notice(1), next_attempt_at=NOW + 100, attempts=4)
    assert await storage.load_due_notices(NOW + 100, 10) == (notice(2), later)


async def test_a_notice_is_claimed_by_one_of_two_deliverers(storage: Storage) -> None:
    await storage.apply([AddNotice(notice(1)), PostponeNotice(1, 3, NOW + 100)])
    await refused(storage, PostponeNotice(1, 3, NOW + 100))


async def test_a_notice_that_is_gone_stays_gone(storage: Storage) -> None:
    await storage.apply([AddNotice(notice(1)), AddNotice(notice(2)), RemoveNotice(1)])
    await refused(storage, PostponeNotice(1, 3, NOW))
    await storage.apply([RemoveNotice(1)])
    assert await storage.load_due_notices(NOW + 100, 10) == (notice(2),)
