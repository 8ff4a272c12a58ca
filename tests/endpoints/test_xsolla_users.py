"""`GET /api/users/me` as the SDKs decode it: the strict models of iOS, Android, Unity and Unreal, and Unity's habit of
looking for words.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from authsrv.demo.players import PROFILE
from authsrv.emulator.base import PLAYERS
from authsrv.models import IdentityKey, NotBeforeKind
from authsrv.storage.account_changes import MergePlayers, MoveIdentity, UnlinkIdentity
from authsrv.storage.changes import LinkIdentity, SetProfile
from tests.support.banning import ban
from tests.support.ending import Block, Kept, reload, void_before
from tests.support.refusals import clients, tables
from tests.support.server import Server, running
from tests.support.xsolla import Game, change_player, is_error_to_unity, player_id, refusal

NOW = "2026-09-21T14:13:20+00:00"
EVERY_SCOPE = "offline profile email address phone"
IN_PORTUGAL = {**PROFILE, "address": {"country": "PT"}}
NASTY = (
    "error code description",
    "Error Code Description",
    "errorCode errorMessage statusCode",
    "terror, encode, descriptions",
    'ERROR "code" description',
)
"""Names that hold the words by which Unity's SDK knows an error."""


def edit(block: Block) -> None:
    clients(block)["40"] |= {
        "scopes": ["openid", "profile", "email", "address", "phone", "offline"],
        "extra_scopes": "*",
    }
    clients(block)["41"] = {"compat": "xsolla", "type": "server", "secret": "forty-one-secret"}


@pytest.fixture
def kept() -> Kept:
    return Kept(edit)


@pytest.fixture
async def server(kept: Kept) -> AsyncIterator[Server]:
    async with running(edit=kept) as started:
        yield started


@pytest.fixture
def game(server: Server) -> Game:
    return Game(server)


async def told(game: Game, access_token: str) -> dict[str, Any]:
    answer = await game.me(access_token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


async def with_profile(game: Game, profile: Mapping[str, Any], scope: str = EVERY_SCOPE) -> dict[str, Any]:
    """What is told of a player with this profile to a game with this scope."""
    token = await game.access_token(scope=scope)
    await change_player(game.server, SetProfile(await player_id(game.server), json.dumps(dict(profile))))
    return await told(game, token)


# --- the models of the SDKs: which members each needs, and of which form ---

Check = Callable[[object], bool]


def text(value: object) -> bool:
    return isinstance(value, str)


def boolean(value: object) -> bool:
    return isinstance(value, bool)


def integer(value: object) -> bool:
    return type(value) is int


def time(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value))


def date(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value))


def gender(value: object) -> bool:
    return value in {"f", "m", "other", "prefer not to answer"}


def optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def array(members: Mapping[str, Check], needed: set[str]) -> Check:
    return lambda value: isinstance(value, list) and all(_fits(one, members, needed) for one in value)


def object_of(members: Mapping[str, Check], needed: set[str]) -> Check:
    return lambda value: _fits(value, members, needed)


def _fits(value: object, members: Mapping[str, Check], needed: set[str]) -> bool:
    if not isinstance(value, dict) or not needed <= value.keys():
        return False
    return all(check(value[name]) for name, check in members.items() if name in value)


GROUP: Mapping[str, Check] = {"id": integer, "name": text, "is_default": boolean, "is_deletable": boolean}
BAN: Mapping[str, Check] = {"date_from": time, "date_to": optional(time), "reason": optional(text)}
NAMES: Mapping[str, Check] = {
    name: optional(text)
    for name in (
        *("username", "nickname", "name", "first_name", "last_name", "tag"),
        *("email", "phone", "picture", "country", "external_id", "connection_information", "phone_auth"),
    )
}
MEMBERS: Mapping[str, Check] = {
    **NAMES,
    "id": text,
    "is_anonymous": boolean,
    "is_user_active": boolean,
    "registered": time,
    "last_login": time,
    "birthday": optional(date),
    "gender": optional(gender),
    "ban": optional(object_of(BAN, {"date_from"})),
    "is_last_email_confirmed": optional(boolean),
    "presence": optional(lambda value: value in {"online", "offline"}),
}


@dataclass(frozen=True)
class Model:
    """A strict decoder: members it cannot do without, and those of which it needs all members of a group."""

    needed: frozenset[str]
    group: frozenset[str]

    def decode(self, body: bytes) -> None:
        found = json.loads(body)
        groups = array(GROUP, set(self.group))
        assert _fits(found, {**MEMBERS, "groups": groups}, set(self.needed)), found


MODELS = {
    "iOS": Model(
        frozenset({"id", "is_anonymous", "is_user_active", "groups", "registered", "last_login"}), frozenset(GROUP)
    ),
    "Android": Model(frozenset({"id"}), frozenset(GROUP)),
    "Unity": Model(frozenset({"id"}), frozenset({"id"})),
    "Unreal": Model(frozenset({"id"}), frozenset()),
}
in_every_model = pytest.mark.parametrize("sdk", MODELS)


async def decoded(game: Game, access_token: str, sdk: str) -> None:
    MODELS[sdk].decode((await game.me(access_token)).content)


@in_every_model
async def test_a_player_of_whom_nothing_is_known_is_decoded(game: Game, sdk: str) -> None:
    await decoded(game, await game.access_token(scope=None), sdk)


@in_every_model
async def test_a_player_with_a_whole_profile_is_decoded(game: Game, sdk: str) -> None:
    token = await game.access_token(scope=EVERY_SCOPE)
    await change_player(game.server, SetProfile(await player_id(game.server), json.dumps(dict(PROFILE))))
    await decoded(game, token, sdk)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"is_user_active": ...}, id="a member that iOS needs is missing"),
        pytest.param({"registered": "2026-09-21T14:13:20.5+00:00"}, id="a fraction of a second"),
        pytest.param({"last_login": "2026-09-21T14:13:20Z"}, id="a zone by letter"),
        pytest.param({"groups": None}, id="no list of groups"),
        pytest.param({"groups": [{"id": "1", "name": "a", "is_default": True, "is_deletable": False}]}, id="group id"),
        pytest.param({"gender": "female"}, id="a gender that Android does not know"),
        pytest.param({"ban": {"reason": "x"}}, id="a ban without its beginning"),
    ],
)
async def test_the_models_of_these_tests_are_strict(game: Game, broken: dict[str, Any]) -> None:
    found = await told(game, await game.access_token()) | broken
    body = json.dumps({name: value for name, value in found.items() if value is not ...})
    with pytest.raises(AssertionError):
        MODELS["iOS"].decode(body.encode())


# --- what is told ---


async def test_without_a_scope_the_player_is_told_by_id_and_name(game: Game) -> None:
    token = await game.access_token(scope=None)
    assert await told(game, token) == {
        "id": game.server.claims(token)["sub"],
        "is_anonymous": False,
        "is_user_active": True,
        "groups": [],
        "registered": NOW,
        "last_login": NOW,
        "nickname": "Amber",
        "name": "Amber",
        **dict.fromkeys(
            (
                *("username", "first_name", "last_name", "tag", "email", "phone", "picture", "country"),
                *("external_id", "connection_information", "is_last_email_confirmed", "phone_auth", "presence"),
                *("birthday", "gender", "ban"),
            )
        ),
    }


async def test_what_the_scope_promises_is_told_beside_it(game: Game) -> None:
    found = await with_profile(game, IN_PORTUGAL)
    known = {name: found[name] for name in ("name", "nickname", "first_name", "last_name", "picture")}
    assert known == {
        "name": "Amber Vale",
        "nickname": "Amber",
        "first_name": "Amber",
        "last_name": "Vale",
        "picture": "https://players.example/amber.png",
    }
    assert (found["birthday"], found["gender"], found["country"]) == ("1996-02-29", "f", "PT")
    assert (found["email"], found["is_last_email_confirmed"]) == ("amber@players.example", True)
    assert found["phone"] == "+12025550143"


@pytest.mark.parametrize(
    ("scope", "told_of"),
    [
        pytest.param("offline", set(), id="none"),
        pytest.param("offline email", {"email", "is_last_email_confirmed"}, id="email"),
        pytest.param("offline phone", {"phone"}, id="phone"),
        pytest.param("offline address", {"country"}, id="address"),
        pytest.param("offline profile", {"first_name", "last_name", "picture", "birthday", "gender"}, id="profile"),
    ],
)
async def test_nothing_is_told_beyond_the_scope(game: Game, scope: str, told_of: set[str]) -> None:
    found = await with_profile(game, IN_PORTUGAL, scope)
    personal = {"first_name", "last_name", "picture", "birthday", "gender", "country", "phone", "email"}
    assert {name for name in personal | {"is_last_email_confirmed"} if found[name] is not None} == told_of


@pytest.mark.parametrize(
    ("claim", "value", "member", "expected"),
    [
        ("gender", "male", "gender", "m"),
        ("gender", "non-binary", "gender", "other"),
        ("gender", "prefer not to answer", "gender", "prefer not to answer"),
        ("birthdate", "0000-02-29", "birthday", None),
        ("birthdate", "1996", "birthday", None),
        ("address", {"country": "Utopia"}, "country", None),
        ("address", "PT", "country", None),
        ("email", "", "email", None),
        ("picture", 5, "picture", None),
    ],
)
async def test_a_claim_that_no_sdk_could_read_is_told_otherwise_or_not_at_all(
    game: Game, claim: str, value: object, member: str, expected: str | None
) -> None:
    assert (await with_profile(game, {claim: value}))[member] == expected


async def test_the_times_are_those_of_the_first_and_of_the_last_login(game: Game) -> None:
    await game.tokens()
    game.server.clock.now += 3600.75
    found = await told(game, await game.access_token())
    assert (found["registered"], found["last_login"]) == (NOW, "2026-09-21T15:13:20+00:00")


async def test_a_player_who_has_nothing_but_a_device_is_anonymous_until_a_platform_is_linked(game: Game) -> None:
    token, row = await game.access_token(), await player_id(game.server)
    steam = IdentityKey("demo", "steam", "", PLAYERS["amber"].steam_id)
    device = IdentityKey("demo", "guest", "", "d" * 43)
    await change_player(game.server, LinkIdentity(device, row, 1))
    assert (await told(game, token))["is_anonymous"] is False
    await change_player(game.server, UnlinkIdentity(steam, row))
    assert (await told(game, token))["is_anonymous"] is True


async def test_a_player_who_was_merged_keeps_the_id_that_the_token_has(game: Game) -> None:
    old, new = await game.access_token(player="birch"), await game.access_token()
    survivor = await player_id(game.server)
    birch = IdentityKey("demo", "steam", "", PLAYERS["birch"].steam_id)
    loser = await player_id(game.server, "birch")
    await change_player(game.server, MoveIdentity(birch, loser, survivor, 1), MergePlayers(loser, survivor))
    found = [await told(game, token) for token in (old, new)]
    assert [one["id"] for one in found] == [game.server.claims(token)["sub"] for token in (old, new)]
    assert [one["nickname"] for one in found] == ["Amber", "Amber"]


# --- Unity takes a body with certain words for an error ---


@pytest.mark.parametrize("name", NASTY)
async def test_no_name_makes_a_success_look_like_an_error_to_unity(game: Game, name: str) -> None:
    token = await game.access_token(scope=EVERY_SCOPE)
    await change_player(game.server, SetProfile(await player_id(game.server), json.dumps({"nickname": name})))
    answer = await game.me(token)
    assert answer.json()["nickname"] == name
    assert not is_error_to_unity(answer.text)
    assert not is_error_to_unity(answer.text.casefold())


@pytest.mark.parametrize("name", NASTY)
async def test_neither_does_a_state_in_the_answer_of_a_silent_login(game: Game, name: str) -> None:
    asked = {"client_id": "40", "response_type": "code", "state": name, "is_redirect": "false"}
    answer = await game.get("/api/oauth2/social/steam/cross_auth", **asked, **game.server.mint("steam").parameters)
    assert httpx.URL(answer.json()["login_url"]).params["state"] == name
    assert not is_error_to_unity(answer.text)


async def test_neither_does_a_scope_in_the_answer_of_the_token_endpoint(game: Game) -> None:
    scope = "error code description statusCode errorCode errorMessage"
    answer = await game.redeem(await game.code(scope=scope))
    assert answer.json()["scope"] == scope
    assert not is_error_to_unity(answer.text)


async def test_an_error_still_looks_like_one(game: Game) -> None:
    assert is_error_to_unity((await game.me("none")).text)


# --- refused tokens ---


async def own_token(server: Server) -> str:
    form = {"grant_type": "client_credentials", "client_id": "41", "client_secret": "forty-one-secret"}
    token: str = (await server.http.post("/api/oauth2/token", data=form)).json()["access_token"]
    return token


async def assert_refused(game: Game, token: str) -> None:
    answer = await game.me(token)
    assert refusal(answer) == (401, "010-017", {})
    assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv", error="invalid_token"'


async def test_without_a_token_nothing_is_told(game: Game) -> None:
    for header in ({}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}):
        answer = await game.server.http.get("/api/users/me", headers=header)
        assert refusal(answer) == (401, "010-017", {"reason": "no_token"})
        assert answer.headers["www-authenticate"] == 'Bearer realm="authsrv"'


async def test_a_token_in_the_query_is_none(game: Game) -> None:
    answer = await game.get("/api/users/me", access_token=await game.access_token())
    assert refusal(answer)[:2] == (401, "010-017")


async def test_a_token_that_is_no_players_of_this_surface_is_refused(game: Game) -> None:
    standard = await game.server.login("steam")
    tokens = [standard["access_token"], standard["id_token"], standard["refresh_token"]]
    for token in (*tokens, await own_token(game.server), "junk", (await game.tokens())["refresh_token"]):
        await assert_refused(game, token)


async def test_a_token_out_of_time_is_refused(game: Game) -> None:
    token = await game.access_token()
    game.server.clock.now += 3599
    assert (await game.me(token)).status_code == 200
    game.server.clock.now += 1
    await assert_refused(game, token)


@pytest.mark.parametrize("kind", ["player", "client", "project"])
async def test_a_token_from_before_a_not_before_is_refused(game: Game, kind: NotBeforeKind) -> None:
    token = await game.access_token()
    subject = {"player": game.server.claims(token)["sub"], "client": "40", "project": "demo"}[kind]
    await void_before(game.server, kind, subject)
    await assert_refused(game, token)


async def test_a_token_of_a_client_that_left_the_file_is_refused(game: Game, kept: Kept) -> None:
    token = await game.access_token()
    await reload(game.server, kept.changed(lambda block: clients(block).pop("40")))
    await assert_refused(game, token)


async def test_a_token_of_a_player_who_is_gone_is_refused(game: Game) -> None:
    token = await game.access_token()
    found = tables(game.server)
    found.players.clear()
    found.grants.clear()
    await assert_refused(game, token)


async def test_a_banned_player_is_told_until_when(game: Game) -> None:
    token = await game.access_token()
    await ban(game.server, game.server.claims(token)["sub"], seconds=60)
    details = {"reason": "banned", "date_to": "2026-09-21T14:14:20+00:00"}
    assert refusal(await game.me(token)) == (401, "002-040", details)
    game.server.clock.now += 61
    await assert_refused(game, token)
    assert (await game.me(await game.access_token())).status_code == 200


async def test_a_restricted_player_is_told_nothing(game: Game) -> None:
    token = await game.access_token()
    await ban(game.server, game.server.claims(token)["sub"], kind="restricted")
    await assert_refused(game, token)


async def test_two_authorization_headers_are_refused(game: Game) -> None:
    token = await game.access_token()
    headers = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
    answer = await game.server.http.get("/api/users/me", headers=headers)
    assert refusal(answer) == (400, "0", {"reason": "invalid_parameter"})


async def test_what_the_sdks_append_to_the_address_is_ignored(game: Game) -> None:
    token = await game.access_token()
    appended = {"engine": "unity", "sdk_v": "1.0", "id": "somebody-else"}
    answer = await game.get("/api/users/me", token, **appended)
    assert answer.json()["id"] == game.server.claims(token)["sub"]
