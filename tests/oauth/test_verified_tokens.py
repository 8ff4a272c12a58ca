"""A token that was verified is not verified again, and is believed no longer and no further for that."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import jwt
import pytest

from authsrv.compact_jws import take_apart
from authsrv.models import Client, StoredKey
from authsrv.oauth.key_material import Vault, prepared, public_der
from authsrv.oauth.keys import KeyRing
from authsrv.oauth.own_tokens import LEEWAY, AccessToken, NotOurs, OwnTokens
from authsrv.oauth.tokens import TokenFacts, TokenIssuer
from authsrv.oauth.verified_tokens import VerifiedTokens
from tests.support.ending import introspect, is_active, revoke, void_before, with_everybody
from tests.support.oauth import ISSUER, LAUNCHER, Clock, stored_keys
from tests.support.server import Server, running
from tests.support.storage import NOW

HOUR, DAY = 3600, 86400
XSOLLA = replace(LAUNCHER, client_id="40", profile="xsolla")


class Reader:
    """A reader of tokens beside their issuer; `verified` counts the signatures that were verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
        self.clock = Clock()
        self.ring = KeyRing(stored_keys(), Vault("", os.urandom), self.clock)
        self.memory = VerifiedTokens[AccessToken](self.ring.verifier, **bounds)
        self.own = OwnTokens(ISSUER, self.ring, self.memory)
        self.issuer = TokenIssuer(ISSUER, self.ring, os.urandom)
        self.verified: Counter[str] = Counter()

        def counted(text: str, longest: int) -> object:
            self.verified[text] += 1
            return take_apart(text, longest)

        monkeypatch.setattr("authsrv.oauth.own_tokens.take_apart", counted)

    def token(self, client: Client = LAUNCHER, gid: str = "") -> str:
        facts = TokenFacts(client, "sub-1", ("openid",), gid=gid, platform="steam", idp="steam", idp_subject="1")
        return self.issuer.access_token(facts, int(self.clock.now))

    def read(self, text: str, *, either_profile: bool = False) -> AccessToken:
        return self.own.access_token(text, int(self.clock.now), either_profile=either_profile)

    def refusal(self, text: str) -> str:
        with pytest.raises(NotOurs) as refused:
            self.read(text)
        return str(refused.value)

    def exchange(self, **changes: object) -> None:
        """Take the same keys, the one for ES256 changed."""
        keys = [replace(key, **changes) if key.alg == "ES256" else key for key in self.ring.stored]  # type: ignore[arg-type]
        self.ring.take(keys)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    return Reader(monkeypatch)


def of_es256() -> StoredKey:
    return next(key for key in stored_keys() if key.alg == "ES256")


# --- what is spared ---


def test_a_token_that_is_shown_again_is_verified_once(reader: Reader) -> None:
    token = reader.token()
    assert [reader.read(token) for _ in range(3)] == [reader.read(token)] * 3
    assert reader.verified == {token: 1}


def test_nothing_of_a_tokens_text_is_kept(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    kept = repr(vars(reader.memory))
    assert not any(part in kept for part in token.split("."))


# --- what is judged anew ---


def test_a_remembered_token_expires_to_the_second(reader: Reader) -> None:
    token = reader.token()
    ends = reader.read(token).exp
    reader.clock.now = ends - 1
    assert reader.read(token).exp == ends
    reader.clock.now = ends
    assert reader.refusal(token) == "expired"
    assert len(reader.memory) == 0


def test_a_clock_that_is_set_back_makes_a_remembered_token_one_of_the_future(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    reader.clock.now -= LEEWAY + 1
    assert reader.refusal(token) == "not valid yet"


def test_a_token_of_the_other_profile_is_refused_at_a_door_for_one_although_another_door_remembers_it(
    reader: Reader,
) -> None:
    token = reader.token(XSOLLA)
    assert reader.read(token, either_profile=True).profile == "xsolla"
    assert reader.refusal(token) == "another type"
    assert reader.read(token, either_profile=True).profile == "xsolla"


def test_what_one_caller_is_told_no_caller_changes(reader: Reader) -> None:
    told = reader.read(reader.token()).claims
    with pytest.raises(TypeError):
        told["sub"] = "sub-2"  # type: ignore[index]


# --- keys ---


def test_what_a_revoked_key_had_verified_is_forgotten(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    reader.exchange(revoked_at=NOW)
    assert reader.refusal(token) == "unknown key or another algorithm"


def test_what_a_key_had_verified_that_is_no_longer_there_is_forgotten(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    reader.ring.take([key for key in reader.ring.stored if key.alg != "ES256"])
    assert reader.refusal(token) == "unknown key or another algorithm"


def test_a_remembered_token_ends_with_the_publication_of_its_key(reader: Reader) -> None:
    token = reader.token()
    reader.exchange(retires_at=NOW + 60)
    reader.clock.now = NOW + 59
    reader.read(token)
    reader.clock.now = NOW + 60
    assert reader.refusal(token) == "unknown key or another algorithm"


def test_what_was_verified_by_another_key_of_the_same_id_is_verified_again(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    reader.exchange(material=Vault("", os.urandom).new_key("ES256", "ES256", NOW, NOW).material)
    assert reader.refusal(token) == "the signature is wrong"


def test_a_key_that_signs_no_more_and_was_erased_still_verifies(reader: Reader) -> None:
    token, key = reader.token(), of_es256()
    reader.read(token)
    reader.exchange(material=public_der(prepared(key, key.material)), erased_at=NOW)
    assert [reader.read(token).sub for _ in range(2)] == ["sub-1"] * 2
    assert reader.verified == {token: 2}  # once by the key as it is now


def test_other_keys_come_and_go_without_a_signature_verified_anew(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    reader.ring.take([*reader.ring.stored, Vault("", os.urandom).new_key("EdDSA", "EdDSA", NOW, NOW)])
    reader.read(token)
    assert reader.verified == {token: 1}


# --- who gets in ---


def test_every_changed_character_of_a_remembered_token_is_found(reader: Reader) -> None:
    token = reader.token()
    reader.read(token)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        reader.refusal(token[:place] + other + token[place + 1 :])
    assert len(reader.memory) == 1


@pytest.mark.parametrize("text", ["", "a.b.c", "\udc80.\udc80.\udc80", "\x00" * 40, "x" * 20_000])
def test_what_is_no_token_is_never_remembered(reader: Reader, text: str) -> None:
    for _ in range(2):
        reader.refusal(text)
    assert len(reader.memory) == 0


def test_a_token_signed_by_somebody_else_is_never_remembered(reader: Reader) -> None:
    header, claims = jwt.get_unverified_header(reader.token()), reader.read(reader.token()).claims
    stranger = prepared(key := Vault("", os.urandom).new_key("ES256", "ES256", NOW, NOW), key.material)
    assert stranger.private
    forged = jwt.encode(dict(claims), stranger.private, "ES256", header)
    for _ in range(2):
        assert reader.refusal(forged) == "the signature is wrong"
    assert len(reader.memory) == 1


def test_an_id_token_is_not_remembered_and_opens_no_door_after_it_was_a_hint(reader: Reader) -> None:
    facts = TokenFacts(LAUNCHER, "sub-1", ("openid",), gid="g", platform="steam", idp="steam", idp_subject="1")
    token = reader.issuer.id_token(facts, reader.token(), NOW)
    for _ in range(2):
        assert reader.own.hint(token, NOW).sub == "sub-1"
        reader.refusal(token)
    assert len(reader.memory) == 0


def test_an_expired_token_is_never_remembered(reader: Reader) -> None:
    token = reader.token()
    reader.clock.now += DAY
    reader.refusal(token)
    assert len(reader.memory) == 0


def test_a_token_of_another_issuer_with_the_same_keys_is_never_remembered(reader: Reader) -> None:
    facts = TokenFacts(LAUNCHER, "sub-1", ("openid",))
    token = TokenIssuer("https://other.example", reader.ring, os.urandom).access_token(facts, NOW)
    assert reader.refusal(token) == "another issuer"
    assert len(reader.memory) == 0


# --- how many ---


def test_beyond_the_bound_the_token_that_was_not_shown_for_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = Reader(monkeypatch, most=3)
    first, second, third, fourth = (reader.token() for _ in range(4))
    for token in (first, second, third, first, fourth):
        reader.read(token)
    assert len(reader.memory) == 3
    for token in (first, third, fourth):
        reader.read(token)
    assert reader.verified == {first: 1, second: 1, third: 1, fourth: 1}
    reader.read(second)
    assert reader.verified[second] == 2


def test_a_full_memory_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(monkeypatch, most=2)
    tokens = [reader.token() for _ in range(20)]
    assert [reader.read(token).sub for token in tokens * 2] == ["sub-1"] * 40
    assert len(reader.memory) == 2


def test_long_tokens_take_the_place_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(monkeypatch, most_characters=4_000)
    short = [reader.token() for _ in range(4)]
    for token in short:
        reader.read(token)
    assert len(reader.memory) == 4
    reader.read(reader.token(gid="g" * 2_000))
    assert len(reader.memory) < 4
    for token in short * 3:  # what went out is not counted any more
        reader.read(token)
    assert len(reader.memory) == 4


# --- what the server looks up whatever it remembers ---


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=with_everybody) as started:
        yield started


async def opens(server: Server, token: str) -> tuple[bool, bool]:
    """Whether UserInfo and introspection take the token."""
    return (await server.userinfo(token)).status_code == 200, await is_active(server, token)


async def shown(server: Server) -> dict[str, str]:
    """Tokens of a login that both have taken."""
    tokens: dict[str, str] = await server.login("steam")
    assert await opens(server, tokens["access_token"]) == (True, True)
    return tokens


async def test_a_token_that_was_taken_is_refused_once_it_is_revoked(server: Server) -> None:
    token = (await shown(server))["access_token"]
    assert (await revoke(server, token)).status_code == 200
    assert await opens(server, token) == (False, False)


async def test_a_token_that_was_taken_is_refused_once_its_grant_has_ended(server: Server) -> None:
    tokens = await shown(server)
    assert (await revoke(server, tokens["refresh_token"])).status_code == 200
    assert await opens(server, tokens["access_token"]) == (False, False)


async def test_a_token_that_was_taken_is_refused_once_its_player_is_void(server: Server) -> None:
    token = (await shown(server))["access_token"]
    await void_before(server, "player", server.claims(token)["sub"])
    assert await opens(server, token) == (False, False)


async def test_a_token_that_was_taken_is_refused_once_its_key_is_revoked(server: Server) -> None:
    token = (await shown(server))["access_token"]
    await server.app.desk.keys.revoke(jwt.get_unverified_header(token)["kid"])
    assert await opens(server, token) == (False, False)


async def test_a_token_that_was_taken_is_refused_when_it_expires(server: Server) -> None:
    token = (await shown(server))["access_token"]
    server.clock.now = server.claims(token)["exp"]
    assert await opens(server, token) == (False, False)


async def test_introspection_tells_of_a_remembered_token_what_it_told_of_a_new_one(server: Server) -> None:
    token = (await server.login("steam"))["access_token"]
    first, second = [(await introspect(server, token)).json() for _ in range(2)]
    assert first == second
