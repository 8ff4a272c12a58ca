"""What every storage backend must do for a database that was restored from a backup: end all that was given out.

A backend's test module imports every name of this module and gives the fixture `storage`: open, empty, migrated.
"""

import pytest

from authsrv.models import LoadedGrant, Standing
from authsrv.storage.account_changes import AddBan, AddLinkCode, MarkIdentity, UseLinkCode
from authsrv.storage.base import RESTORED, Conflict, Cut, Storage, StorageError
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddKeys,
    AddPlayer,
    AddRequest,
    AddTrip,
    DeclaredClient,
    GiveConsent,
    LinkIdentity,
    RedeemCode,
    RevokeGrant,
    RotateRefreshToken,
    SetNotBefore,
    SettleCredential,
    StartSession,
    SyncClients,
)
from tests.support.storage import NOW, digest, grant, identity, player, reservation, signing_key
from tests.support.storage_accounts import ban, link_code
from tests.support.storage_browsers import browser, pending, session, trip

CUT = NOW + 100
NOTHING_CUT = Cut(0, 0, 0, 0, 0)


async def granted(storage: Storage, number: int) -> LoadedGrant:
    found = await storage.load_grant(number)
    assert found is not None
    return found


async def given_out(storage: Storage) -> None:
    """A grant whose code waits, one that was refreshed, a session with a request and a trip, and a link code."""
    await storage.reserve(reservation(), take_over=False)
    await storage.apply(
        [
            AddPlayer(player()),
            LinkIdentity(identity(), 1, NOW),
            AddGrant(grant(1)),
            AddGrant(grant(2)),
            RedeemCode(2, NOW + 5, digest("first"), NOW + 500),
            RotateRefreshToken(2, digest("first"), digest("second"), b"sealed second", NOW + 9, NOW + 900),
            SettleCredential(digest("ticket"), b"request", identity(), 1, NOW + 2),
            AddBrowser(browser()),
            StartSession(session()),
            AddRequest(pending()),
            AddTrip(trip()),
            AddLinkCode(link_code()),
        ]
    )


async def test_R24_a_cut_tells_what_it_ended_and_finds_nothing_the_second_time(storage: Storage) -> None:
    await given_out(storage)
    assert await storage.cut([], CUT) == Cut(grants=2, sessions=1, requests=1, link_codes=1, credentials=1)
    assert await storage.cut([], CUT + 1) == NOTHING_CUT


async def test_R24_a_preview_tells_as_much_and_ends_nothing(storage: Storage) -> None:
    await given_out(storage)
    told = await storage.cut(["ironkeep"], CUT, preview=True)
    assert (await granted(storage, 1)).grant.revoked_at is None
    assert RESTORED not in await storage.load_versions()
    assert await storage.cut(["ironkeep"], CUT) == told


async def test_R24_after_a_cut_no_code_is_redeemed_and_no_refresh_token_rotated(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    with pytest.raises(Conflict):
        await storage.apply([RedeemCode(1, CUT, digest("first"), CUT + 9)])
    with pytest.raises(Conflict):
        await storage.apply([RotateRefreshToken(2, digest("second"), digest("3"), b"", CUT, CUT + 9)])
    for number in (1, 2):
        found = (await granted(storage, number)).grant
        assert (found.revoked_at, found.revoked_reason, found.refresh_successor) == (CUT, RESTORED, None)


async def test_R24_what_ended_before_keeps_its_reason(storage: Storage) -> None:
    await given_out(storage)
    await storage.apply([RevokeGrant(1, NOW + 50, "logout")])
    await storage.cut([], CUT)
    found = (await granted(storage, 1)).grant
    assert (found.revoked_at, found.revoked_reason) == (NOW + 50, "logout")


async def test_R24_after_a_cut_no_browser_is_known_and_nobody_is_signed_in(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    assert await storage.load_visit(1, "skyforge", "launcher") is None
    assert await storage.load_player_sessions(1) == ()
    assert await storage.load_request(1, 1) is None
    assert await storage.load_trip(1, 1) is None
    ended = await storage.load_session(1)
    assert ended
    assert (ended.session.ended_at, ended.session.ended_reason) == (CUT, RESTORED)


async def test_R24_after_a_cut_no_link_code_is_known(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    assert await storage.load_link_code(link_code().code_hash) is None
    with pytest.raises(Conflict):
        await storage.apply([UseLinkCode(1, CUT)])


async def test_R24_a_credential_of_before_is_refused_and_tells_nobody_whom_it_proved(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    found = await storage.reserve(reservation(holder="another"), take_over=True)
    assert (found.state, found.outcome, found.identity, found.grant_id) == ("refused", "", None, 0)


async def test_R24_everything_of_every_project_is_void(storage: Storage) -> None:
    await given_out(storage)
    await storage.apply([SyncClients((DeclaredClient("stall", "market", "Stall"),), NOW)])
    await storage.cut(["ironkeep"], CUT)
    assert (await granted(storage, 1)).not_before == CUT + 1
    for client_id, project in (("stall", "market"), ("shop", "ironkeep"), ("launcher", "skyforge")):
        assert await storage.load_standing(client_id, project, "") == Standing(CUT + 1)
    assert await storage.load_standing("shop", "elsewhere", "") == Standing()


async def test_R24_a_later_time_before_which_everything_is_void_stays(storage: Storage) -> None:
    await given_out(storage)
    await storage.apply([SetNotBefore("project", "skyforge", CUT + 500)])
    await storage.cut(["skyforge"], CUT)
    assert (await granted(storage, 1)).not_before == CUT + 500


async def test_R24_the_feed_tells_of_the_project_and_not_of_each_grant(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    told = await storage.load_revocations(NOW, CUT)
    assert told.grants == ()
    assert told.not_befores == {("project", "skyforge"): CUT + 1}


async def test_R24_players_and_what_is_theirs_stay(storage: Storage) -> None:
    await given_out(storage)
    await storage.apply(
        [
            AddBan(ban(11)),
            MarkIdentity(digest("m1"), 11),
            AddKeys((signing_key(),)),
            GiveConsent(1, "shop", ("openid",), NOW),
        ]
    )
    before = await storage.load_account(1)
    await storage.cut([], CUT)
    assert await storage.load_account(1) == before
    assert await storage.load_player(identity()) == player()
    assert (await storage.load_ownership(identity(), digest("m1"), CUT)).ban == ban(11)
    assert await storage.load_keys() == (signing_key(),)
    assert [consent.client_id for consent in await storage.load_consents(1)] == ["shop"]


async def test_R24_when_it_was_restored_is_known_and_only_ever_rises(storage: Storage) -> None:
    assert RESTORED not in await storage.load_versions()
    await storage.cut([], CUT)
    await storage.cut([], CUT - 50)
    assert (await storage.load_versions())[RESTORED] == CUT


async def test_a_project_without_a_name_is_refused_and_nothing_is_cut(storage: Storage) -> None:
    await given_out(storage)
    with pytest.raises(StorageError):
        await storage.cut([""], CUT)
    assert RESTORED not in await storage.load_versions()
    assert (await granted(storage, 1)).grant.revoked_at is None


async def test_R24_life_goes_on_after_a_cut(storage: Storage) -> None:
    await given_out(storage)
    await storage.cut([], CUT)
    await storage.apply([AddBrowser(browser(2)), AddGrant(grant(storage.next_id()))])
    assert (await storage.load_player(identity())) == player()
