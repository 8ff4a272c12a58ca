"""Two nodes over one storage: whatever was done on one is so on the other, at once or within the poll."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import jwt
import pytest

from authsrv.models import KeyRules
from authsrv.oauth.key_keeper import first_keys
from authsrv.oauth.key_material import Vault
from authsrv.oauth.key_schedule import LONGEST_CACHE
from authsrv.orders.keys import revoke as revoke_key
from authsrv.orders.keys import rotate as rotate_keys
from authsrv.orders.tokens import revoke_tokens
from tests.support.banning import ban, is_dead, sub_of, unban
from tests.support.ending import feed, is_active, revoke, with_everybody
from tests.support.nodes import Nodes, nodes, settle, storage_of
from tests.support.registration import CALLBACK, Registered, register, registering
from tests.support.server import Server

DAY = 86400


def edit(block: dict[str, Any]) -> None:
    with_everybody(block)
    registering()(block)


@pytest.fixture
async def pair() -> AsyncIterator[Nodes]:
    async with nodes(2, [edit, edit]) as several:
        yield several


async def kids(server: Server) -> list[str]:
    answer = await server.http.get("/oauth2/jwks")
    return [key["kid"] for key in answer.json()["keys"]]


async def in_time(several: Nodes, waiting: Any) -> Any:
    """What comes of something that waits for time to pass."""
    task = asyncio.ensure_future(waiting)
    for _ in range(100):
        await several.time.pass_by(0.5)
        if task.done():
            return task.result()
    raise AssertionError("it still waits")


# --- tokens, sessions, bans: at once ---


async def test_a_code_of_one_node_is_redeemed_once_at_the_other(pair: Nodes) -> None:
    code = await pair[0].code("steam")
    answers = await asyncio.gather(*(node.redeem(code) for node in (pair[0], pair[1]) * 5))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 9}


async def test_a_repeated_refresh_gets_the_same_successor_at_the_other_node(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    first, second = [await node.refresh(tokens["refresh_token"]) for node in pair]
    assert first.json()["refresh_token"] == second.json()["refresh_token"]


async def test_fifty_refreshes_at_both_nodes_at_once_leave_one_successor(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    answers = await asyncio.gather(*(node.refresh(tokens["refresh_token"]) for node in (pair[0], pair[1]) * 25))
    assert len({answer.json().get("refresh_token") for answer in answers}) == 1


async def test_a_player_who_comes_to_both_nodes_at_once_is_one_player(pair: Nodes) -> None:
    logins = await asyncio.gather(*(node.login("steam") for node in pair))
    assert len({sub_of(pair[0], tokens) for tokens in logins}) == 1


async def test_a_token_revoked_at_one_node_is_dead_at_the_other_at_once(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    assert await is_active(pair[1], tokens["access_token"])
    assert (await revoke(pair[0], tokens["access_token"])).status_code == 200
    assert not await is_active(pair[1], tokens["access_token"])
    assert (await pair[1].userinfo(tokens["access_token"])).status_code == 401


async def test_an_order_at_a_node_whose_clock_is_behind_ends_what_one_ahead_of_it_just_gave(pair: Nodes) -> None:
    pair.time.clock.now += 8
    tokens = await pair[0].login("steam")
    pair.time.clock.now -= 8
    order = {"kind": "player", "subject": sub_of(pair[0], tokens)}
    assert (await revoke_tokens(pair[1].app.desk, order))["done"]
    pair.time.clock.now += 9
    assert (await pair[0].refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_ban_at_one_node_acts_at_the_other_at_once_and_so_does_its_end(pair: Nodes) -> None:
    tokens = await pair[0].login("steam")
    assert not await is_dead(pair[1], tokens)
    await ban(pair[0], sub_of(pair[0], tokens))
    pair.time.clock.now += 1  # the feed is read once a second
    assert await is_dead(pair[1], tokens)
    assert (await pair[1].silent("steam")).status_code == 403
    await unban(pair[0], sub_of(pair[0], tokens))
    pair.time.clock.now += 1
    assert (await pair[1].silent("steam")).status_code == 200


# --- the revocation feed: a verifier that meets the nodes in turn takes each one's ---


async def test_feeds_of_two_nodes_are_never_older_than_each_other(pair: Nodes) -> None:
    told = []
    for step in range(12):
        for node in pair:
            pair.time.clock.now += 7
            told.append(await feed(node))
        if step == 5:
            tokens = await pair[0].login("steam")
            await revoke(pair[1], tokens["access_token"])
    assert [one["iat"] for one in told] == sorted(one["iat"] for one in told)
    assert all(one["exp"] - one["iat"] == 600 for one in told)


# --- keys ---


async def test_R22_a_rotation_ordered_at_both_nodes_at_once_makes_one_new_key_for_each_algorithm(pair: Nodes) -> None:
    before = len(await storage_of(pair[0]).load_keys())
    await asyncio.gather(*(rotate_keys(node.app.desk, {}) for node in (pair[0], pair[1]) * 3))
    keys = await storage_of(pair[0]).load_keys()
    assert len(keys) == before + 2
    assert Counter(key.alg for key in keys if key.use == "sig") == {"ES256": 2, "RS256": 2}
    for node in pair:
        await node.app.node.news.look()
    assert await kids(pair[0]) == await kids(pair[1])


async def test_R22_the_rounds_of_both_nodes_at_the_moment_a_key_is_due_make_one(pair: Nodes) -> None:
    pair.time.clock.now += 80 * DAY
    await asyncio.gather(*(node.app.desk.keys.round() for node in (pair[0], pair[1]) * 3))
    found = Counter(key.alg for key in await storage_of(pair[0]).load_keys() if key.use == "sig")
    assert found == {"ES256": 2, "RS256": 2}


async def test_R22_H12_three_nodes_that_start_at_once_upon_nothing_have_one_ring() -> None:
    vault, rules = Vault("", os.urandom), KeyRules(("ES256", "RS256"), 90 * DAY, 14 * DAY)
    async with nodes(0) as several:
        with patch("tests.support.server._signing_keys", lambda now: first_keys(rules, vault, now)):
            await asyncio.gather(*(several.start(edit) for _ in range(3)))
        (stored,) = {server.app.desk.keys.ring.stored for server in several}
        assert Counter(key.alg for key in stored) == {"ES256": 1, "RS256": 1, "HKDF": 1}
        tokens = await several[0].login("steam")
        assert (await several[1].userinfo(tokens["access_token"])).status_code == 200
        assert (await several[2].refresh(tokens["refresh_token"])).status_code == 200


async def test_R21_a_key_announced_at_one_node_is_published_by_the_other_within_the_poll(pair: Nodes) -> None:
    before = await kids(pair[1])
    await rotate_keys(pair[0].app.desk, {})
    assert await kids(pair[1]) == before
    await pair[1].app.node.news.look()
    assert await kids(pair[1]) == await kids(pair[0])
    assert set(before) < set(await kids(pair[1]))


async def test_R21_both_nodes_change_to_the_next_key_at_the_same_moment_without_a_word(pair: Nodes) -> None:
    await rotate_keys(pair[0].app.desk, {})
    await pair[1].app.node.news.look()
    for node in pair:
        storage_of(node).is_away = True
    pair.time.clock.now += LONGEST_CACHE + 3660
    signing = [node.app.desk.keys.ring.signer("RS256").kid for node in pair]
    assert signing[0] == signing[1]
    assert signing[0] != (await kids(pair[0]))[-1]


async def test_a_key_revoked_at_one_node_signs_nothing_and_proves_nothing_at_the_other_within_the_poll(
    pair: Nodes,
) -> None:
    await rotate_keys(pair[0].app.desk, {})
    await pair[1].app.node.news.look()
    tokens = await pair[1].login("steam")
    kid = jwt.get_unverified_header(tokens["access_token"])["kid"]
    await revoke_key(pair[0].app.desk, {"kid": kid})
    await pair[1].app.node.news.look()
    assert kid not in await kids(pair[1])
    assert (await pair[1].userinfo(tokens["access_token"])).status_code == 401
    again = (await pair[1].refresh(tokens["refresh_token"])).json()["access_token"]
    assert jwt.get_unverified_header(again)["kid"] != kid
    assert (await pair[0].userinfo(again)).status_code == 200


async def test_the_feed_is_signed_anew_by_a_node_that_hears_that_its_key_was_revoked(pair: Nodes) -> None:
    await rotate_keys(pair[0].app.desk, {})
    await pair[1].app.node.news.look()
    kid = pair[1].app.desk.keys.ring.signer("RS256").kid
    await revoke_key(pair[0].app.desk, {"kid": kid})
    early = await pair[1].http.get("/oauth2/revocations")
    await pair[1].app.node.news.look()
    pair.time.clock.now += 1
    late = await pair[1].http.get("/oauth2/revocations")
    assert jwt.get_unverified_header(early.text)["kid"] == kid
    assert jwt.get_unverified_header(late.text)["kid"] != kid


# --- clients that registered themselves ---


async def test_a_client_is_told_its_id_when_the_other_node_knows_it(pair: Nodes) -> None:
    task = asyncio.ensure_future(register(pair[0]))
    await settle()
    assert not task.done()
    answer = await in_time(pair, task)
    assert answer.status_code == 201
    page = await Registered(pair[1], answer.json()).browser().sign_in("steam")
    assert 'id="allow"' in page.html


async def test_a_client_is_known_to_the_other_node_after_one_look(pair: Nodes) -> None:
    task = asyncio.ensure_future(register(pair[0]))
    await settle()
    (row,) = await storage_of(pair[1]).load_registered_clients()
    assert pair[1].app.desk.server.registry.get(row.client_id) is None
    await pair[1].app.node.news.look()
    assert pair[1].app.desk.server.registry.get(row.client_id) is not None
    await in_time(pair, task)


async def test_an_update_and_a_removal_are_known_to_the_other_node_when_they_are_answered(pair: Nodes) -> None:
    client = Registered(pair[0], (await in_time(pair, register(pair[0]))).json())
    other = f"{CALLBACK}/2"
    assert (await in_time(pair, client.update(redirect_uris=[other]))).status_code == 200
    known = pair[1].app.desk.server.registry.get(client.client_id)
    assert known is not None
    assert [*known.redirect_uris] == [other]
    assert (await in_time(pair, client.delete())).status_code == 204
    assert pair[1].app.desk.server.registry.get(client.client_id) is None


async def test_what_was_read_before_a_registration_here_does_not_undo_it(pair: Nodes) -> None:
    """The look of this node begins, then a client registers at this node, then the look ends."""
    storage, begun, go_on = storage_of(pair[0]), asyncio.Event(), asyncio.Event()
    load = storage.load_registered_clients

    async def slow() -> Any:
        found = await load()
        begun.set()
        await go_on.wait()
        return found

    pair[0].app.node.news._taken.pop("clients", None)
    with patch.object(storage, "load_registered_clients", slow):
        look = asyncio.ensure_future(pair[0].app.node.news.look())
        await begun.wait()
        task = asyncio.ensure_future(register(pair[0]))
        await settle()
        go_on.set()
        await look
    (row,) = await load()
    assert pair[0].app.desk.server.registry.get(row.client_id) is not None
    await in_time(pair, task)


# --- a database that is away ---


async def test_a_node_without_its_database_goes_on_with_what_it_knows_and_hears_of_the_rest_later(pair: Nodes) -> None:
    before = await kids(pair[1])
    storage_of(pair[1]).is_away = True
    await rotate_keys(pair[0].app.desk, {})
    await pair.time.pass_by(3)
    assert await kids(pair[1]) == before
    storage_of(pair[1]).is_away = False
    await pair.time.pass_by(2)
    await asyncio.sleep(0.2)  # keys are opened in a thread
    assert await kids(pair[1]) == await kids(pair[0])
