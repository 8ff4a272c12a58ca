"""What every storage backend must keep when fifty want the same thing at once. Needs the fixture `storage`."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from authsrv.storage.account_changes import AddIdentityBan, MarkIdentity
from authsrv.storage.base import Conflict, Storage
from authsrv.storage.changes import (
    AddBrowser,
    AddGrant,
    AddPlayer,
    AddRequest,
    AddTrip,
    BindRequest,
    CompleteRequest,
    EndSession,
    LinkIdentity,
    RedeemCode,
    RevokeGrant,
    RotateBrowser,
    RotateRefreshToken,
    StartSession,
    UseSession,
    UseTrip,
)
from tests.support.storage import NOW, digest, grant, identity, player, reservation
from tests.support.storage_accounts import ban
from tests.support.storage_browsers import browser, pending, session, trip

RACERS = 50


async def outcomes(calls: list[Coroutine[Any, Any, None]]) -> Counter[str]:
    """How the calls ended when they ran at the same time."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    return Counter("written" if result is None else type(result).__name__ for result in results)


async def test_R25_fifty_redeem_one_code(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant())])
    calls = [storage.apply([RedeemCode(1, NOW, digest(f"r{n}"), NOW + 50)]) for n in range(RACERS)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}


async def test_each_of_many_identities_is_given_to_a_player_or_banned_as_nobodys_and_never_both(
    storage: Storage,
) -> None:
    numbers = range(1, 26)
    linked = [
        storage.apply(
            [
                AddPlayer(player(n)),
                LinkIdentity(identity(str(n)), n, NOW, digest(f"m{n}")),
                AddGrant(grant(n, player_id=n)),
            ]
        )
        for n in numbers
    ]
    banned = [
        storage.apply([AddIdentityBan(ban(n, player_id=0), identity(str(n))), MarkIdentity(digest(f"m{n}"), n)])
        for n in numbers
    ]
    both = [call for pair in zip(linked, banned, strict=True) for call in pair]
    assert await outcomes(both) == {"written": len(numbers), "Conflict": len(numbers)}
    for n in numbers:
        found = await storage.load_ownership(identity(str(n)), digest(f"m{n}"), NOW)
        assert (found.player is None) is (found.ban is not None)


async def test_fifty_players_who_log_in_first_at_once_all_do(storage: Storage) -> None:
    calls = [
        storage.apply(
            [
                AddPlayer(player(n)),
                LinkIdentity(identity(str(n)), n, NOW, digest(f"m{n}")),
                AddGrant(grant(n, player_id=n)),
            ]
        )
        for n in range(1, RACERS + 1)
    ]
    assert await outcomes(calls) == {"written": RACERS}


async def test_R26_fifty_rotate_one_refresh_token(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant()), RedeemCode(1, NOW, digest("first"), NOW + 50)])
    calls = [
        storage.apply([RotateRefreshToken(1, digest("first"), digest(f"r{n}"), b"sealed", NOW, NOW + 50)])
        for n in range(RACERS)
    ]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert loaded.grant.refresh_generation == 2


async def test_R27_fifty_first_logins_make_one_player(storage: Storage) -> None:
    calls = [
        storage.apply([AddPlayer(player(n)), LinkIdentity(identity(), n, NOW), AddGrant(grant(n, player_id=n))])
        for n in range(1, RACERS + 1)
    ]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}
    grants = [await storage.load_grant(n) for n in range(1, RACERS + 1)]
    owner = await storage.load_player(identity())
    assert [loaded.player for loaded in grants if loaded is not None] == [owner]


async def test_fifty_reserve_one_credential(storage: Storage) -> None:
    wanted = [reservation(holder=f"request {n}") for n in range(RACERS)]
    found = await asyncio.gather(*(storage.reserve(each, take_over=True) for each in wanted))
    assert len({each.holder for each in found}) == 1
    assert sum(mine == theirs for mine, theirs in zip(wanted, found, strict=True)) == 1


async def test_fifty_take_over_one_dead_lease(storage: Storage) -> None:
    await storage.reserve(reservation(holder="dead"), take_over=False)
    wanted = [reservation(holder=f"request {n}", now=NOW + 60) for n in range(RACERS)]
    found = await asyncio.gather(*(storage.reserve(each, take_over=True) for each in wanted))
    assert sum(mine == theirs for mine, theirs in zip(wanted, found, strict=True)) == 1
    assert b"dead" not in {each.holder for each in found}


async def test_R28_no_rotation_survives_a_revocation(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddGrant(grant()), RedeemCode(1, NOW, digest("r0"), NOW + 50)])
    rotations = [
        storage.apply([RotateRefreshToken(1, digest(f"r{n}"), digest(f"r{n + 1}"), b"sealed", NOW, NOW + 50)])
        for n in range(10)
    ]
    calls = [*rotations[:5], storage.apply([RevokeGrant(1, NOW, "ban")]), *rotations[5:]]
    done = await outcomes(calls)
    assert done["written"] + done["Conflict"] == 11
    loaded = await storage.load_grant(1)
    assert loaded is not None
    assert (loaded.grant.refresh_hash, loaded.grant.revoked_reason) == (digest(f"r{done['written'] - 1}"), "ban")


async def test_fifty_tabs_start_one_session(storage: Storage) -> None:
    """And whoever lost has issued no code either: both stand in one `apply`."""
    await storage.apply([AddPlayer(player()), AddBrowser(browser())])
    ids = range(1, RACERS + 1)
    calls = [
        storage.apply(
            [AddGrant(replace(grant(n), session_id=n)), StartSession(session(n)), UseSession(n, "shop", NOW, NOW)]
        )
        for n in ids
    ]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}
    (open_one,) = await storage.load_sessions(1)
    winner = [open_one.session.id]
    assert [n for n in ids if await storage.load_grant(n) is not None] == winner
    assert [n for n in ids if await storage.load_session_clients(n)] == winner


async def test_fifty_answer_one_request(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddRequest(pending())])
    calls = [storage.apply([AddGrant(grant(n)), CompleteRequest(1, NOW + n)]) for n in range(1, RACERS + 1)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}
    loaded = await storage.load_request(1, 0)
    assert loaded is not None
    issued = [n for n in range(1, RACERS + 1) if await storage.load_grant(n) is not None]
    assert [NOW + n for n in issued] == [loaded.request.completed_at]


async def test_fifty_come_back_from_one_trip(storage: Storage) -> None:
    await storage.apply([AddRequest(pending()), AddTrip(trip())])
    calls = [storage.apply([UseTrip(1, NOW + n)]) for n in range(RACERS)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}


async def test_fifty_change_one_cookie(storage: Storage) -> None:
    await storage.apply([AddBrowser(browser())])
    calls = [storage.apply([RotateBrowser(1, browser().secret_hash, digest(f"c{n}"), NOW + n)]) for n in range(RACERS)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}
    visit = await storage.load_visit(1, "skyforge", "shop")
    assert visit is not None
    assert visit.browser.secret_hash == digest(f"c{visit.browser.expires_at - NOW}")


async def test_fifty_browsers_come_for_one_request(storage: Storage) -> None:
    await storage.apply([AddRequest(pending(browser_id=0))])
    calls = [storage.apply([BindRequest(1, n)]) for n in range(1, RACERS + 1)]
    assert await outcomes(calls) == {"written": 1, "Conflict": RACERS - 1}


async def test_of_fifty_requests_in_one_browser_at_once_eight_wait_after_the_next(storage: Storage) -> None:
    # On several nodes those that come at once need not see each other; whoever comes then clears up after them.
    await outcomes([storage.apply([AddRequest(pending(n))]) for n in range(1, RACERS + 1)])
    await storage.apply([AddRequest(pending(RACERS + 1))])
    found = [n for n in range(1, RACERS + 2) if await storage.load_request(n, 0) is not None]
    assert found == list(range(RACERS - 6, RACERS + 2))


async def test_no_code_is_issued_by_a_session_after_its_end(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), AddBrowser(browser()), StartSession(session())])
    uses = [
        storage.apply([UseSession(1, f"client-{n}", NOW, NOW), AddGrant(replace(grant(n), session_id=1))])
        for n in range(1, 11)
    ]
    found = await outcomes([*uses[:5], storage.apply([EndSession(1, NOW, "logout")]), *uses[5:]])
    grants = [loaded.grant for n in range(1, 11) if (loaded := await storage.load_grant(n)) is not None]
    assert found == Counter(written=1 + len(grants), Conflict=10 - len(grants))
    assert {each.revoked_reason for each in grants} <= {"session_ended"}


async def test_one_conflict_among_many_stops_nobody_else(storage: Storage) -> None:
    await storage.apply([AddPlayer(player()), *(AddGrant(grant(n)) for n in range(1, 11))])
    calls = [storage.apply([RedeemCode(n, NOW, None, NOW)]) for n in [*range(1, 11), *range(1, 11)]]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert results[:10] == [None] * 10
    assert all(isinstance(result, Conflict) for result in results[10:])


async def test_ids_are_given_once_to_concurrent_callers(storage: Storage) -> None:
    async def some() -> list[int]:
        return [storage.next_id() for _ in range(20)]

    ids = [id_ for given in await asyncio.gather(*(some() for _ in range(RACERS))) for id_ in given]
    assert len(set(ids)) == 20 * RACERS
