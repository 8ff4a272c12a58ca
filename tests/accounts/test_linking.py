"""A platform account that is nobody's becomes a player's."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from authsrv.account_models import JournalEvent, LinkedIdentity
from authsrv.accounts.effects import Effect, Held, Move, effect_of
from authsrv.accounts.linking import is_full, link, require_rested
from authsrv.errors import AccessDenied, AuthsrvError, LinkLimit, RelinkCooldown, StateChanged, UserNotFound
from authsrv.models import NEVER, AccountRules
from authsrv.storage.account_changes import AddBan, MarkIdentity
from authsrv.storage.base import Conflict, Storage
from authsrv.strict_json import strict_json
from tests.support.accounts import BACKEND, MARKS, account, done, key, occasion, reloaded, stored
from tests.support.storage import NOW, memory_storage
from tests.support.storage_accounts import ban, event

STEAM = key("steam")
ANN = account(1, "epic")
UNLINKED = replace(event(1, player_id=2), kind="unlinked", at=NOW)


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    opened = memory_storage()
    await opened.open()
    yield opened
    await opened.close()


async def test_the_player_has_it_from_then_on_and_the_journal_tells_what_takes_it_back(storage: Storage) -> None:
    await stored(storage, ANN)
    planned = link(STEAM, ANN, occasion(), MARKS, {"request": "abc"})
    await done(storage, planned)
    linked = await reloaded(storage, 1)
    assert linked.identities[1] == LinkedIdentity(STEAM, 1, NOW + 100, NOW + 100)
    assert linked.player.version == 2
    told = await storage.load_event(planned.event.id)
    assert told == planned.event
    assert (told.kind, told.player_id, told.identity, told.client_id) == ("linked", 1, STEAM, BACKEND.client_id)
    assert told.reversible_until == NOW + 100 + 14 * 86400
    facts = strict_json(told.facts)
    assert effect_of("skyforge", facts) == Effect((Move(STEAM, None, Held(1, NOW + 100)),))
    assert facts["request"] == "abc"


async def test_of_two_links_of_one_account_one_is_written(storage: Storage) -> None:
    await stored(storage, ANN, account(2, "epic"))
    planned = [link(STEAM, await reloaded(storage, number), occasion(), MARKS) for number in (1, 2)]
    await done(storage, planned[0])
    with pytest.raises(Conflict):
        await done(storage, planned[1])


async def test_a_ban_that_came_since_it_was_looked_up_keeps_it_from_being_linked(storage: Storage) -> None:
    await stored(storage, ANN)
    planned = link(STEAM, ANN, occasion(), MARKS)
    await storage.apply([AddBan(ban(1, player_id=0)), MarkIdentity(MARKS.of(STEAM), 1)])
    with pytest.raises(Conflict):
        await done(storage, planned)


@pytest.mark.parametrize(
    ("player", "refusal"),
    [
        pytest.param(account(1, "steam"), LinkLimit, id="has one of the kind"),
        pytest.param(account(1, "epic", bans=[ban(1)]), AccessDenied, id="is banned"),
        pytest.param(replace(ANN, player=replace(ANN.player, merged_into=3)), StateChanged, id="is an alias"),
        pytest.param(replace(ANN, player=replace(ANN.player, project="ironkeep")), UserNotFound, id="elsewhere"),
    ],
)
def test_who_may_not_link(player: object, refusal: type[AuthsrvError]) -> None:
    assert isinstance(player, type(ANN))
    with pytest.raises(refusal):
        link(STEAM, player, occasion(), MARKS)


@pytest.mark.parametrize(
    ("has", "most", "full"),
    [
        pytest.param([], 1, False, id="none"),
        pytest.param(["epic", "xbox"], 1, False, id="others"),
        pytest.param([key("steam", "another")], 1, True, id="one of the kind"),
        pytest.param([STEAM], 1, False, id="itself"),
        pytest.param([key("steam", "another", "DEV")], 1, False, id="one of another environment"),
        pytest.param([key("steam", "another")], 2, False, id="room for one more"),
        pytest.param([key("steam", "another"), key("steam", "third")], 2, True, id="as many as allowed"),
    ],
)
def test_accounts_of_one_kind_and_environment_are_counted(has: list[object], most: int, full: bool) -> None:
    assert is_full(account(1, *has), STEAM, AccountRules(identities=most)) is full  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(None, id="never unlinked"),
        pytest.param(replace(UNLINKED, player_id=1), id="unlinked by the same player"),
        pytest.param(replace(UNLINKED, reversed_by=9), id="the unlink was undone"),
        pytest.param(replace(UNLINKED, at=NOW - 200), id="long ago"),
    ],
)
def test_what_may_be_linked_again_at_once(last: JournalEvent | None) -> None:
    require_rested(ANN, last, occasion(relink_cooldown=300))


@pytest.mark.parametrize(("cooldown", "at"), [(101, NOW), (NEVER, NOW), (1, NOW + 100)])
def test_what_was_unlinked_from_another_player_must_rest(cooldown: int, at: int) -> None:
    with pytest.raises(RelinkCooldown) as refused:
        require_rested(ANN, replace(UNLINKED, at=at), occasion(relink_cooldown=cooldown))
    assert refused.value.facts == {"retry_at": at + cooldown}
