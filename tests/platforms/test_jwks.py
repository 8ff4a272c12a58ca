import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from authsrv.platforms.base import OutboundError, OutboundResponse, PlatformUnavailable
from authsrv.platforms.jwks import KeySource, RsaJwk, parse_jwk_set

URL = "https://keys.example/jwks"


def b64u(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def public_key() -> rsa.RSAPublicKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()


@pytest.fixture(scope="session")
def entry(public_key: rsa.RSAPublicKey) -> dict[str, Any]:
    numbers = public_key.public_numbers()
    return {"kty": "RSA", "kid": "k1", "n": b64u(numbers.n), "e": b64u(numbers.e)}


def jwk_set(*entries: Any) -> bytes:
    return json.dumps({"keys": entries}).encode()


class TestParse:
    def test_a_bare_entry_gives_its_key_with_empty_alg_and_use(
        self, entry: dict[str, Any], public_key: rsa.RSAPublicKey
    ) -> None:
        assert parse_jwk_set(jwk_set(entry)) == {"k1": RsaJwk("k1", "", "", public_key)}

    def test_alg_and_use_are_kept_and_unknown_members_ignored(
        self, entry: dict[str, Any], public_key: rsa.RSAPublicKey
    ) -> None:
        found = parse_jwk_set(jwk_set(entry | {"alg": "RS256", "use": "sig", "nbf": 1, "x5c": ["junk"]}))
        assert found == {"k1": RsaJwk("k1", "RS256", "sig", public_key)}

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"kty": "EC"}, id="not-rsa"),
            pytest.param({"kty": None}, id="no-type"),
            pytest.param({"kid": 7}, id="C22-integer-kid"),
            pytest.param({"kid": ["k1"]}, id="C22-list-kid"),
            pytest.param({"kid": ""}, id="empty-kid"),
            pytest.param({"kid": "k" * 257}, id="C22-long-kid"),
            pytest.param({"n": 5}, id="n-not-text"),
            pytest.param({"n": "AQAB"}, id="tiny-modulus"),
            pytest.param({"n": b64u(2**1023 + 1)}, id="1024-bit-modulus"),
            pytest.param({"n": b64u(2**2046 + 1)}, id="2047-bit-modulus"),
            pytest.param({"n": b64u(2**16384 + 1)}, id="modulus-too-large-to-be-cheap"),
            pytest.param({"n": b64u(2**2047 + 2)}, id="even-modulus"),
            pytest.param({"n": "+/" * 200}, id="n-in-plain-base64"),
            pytest.param({"e": "Ag"}, id="even-exponent"),
            pytest.param({"e": "AQ"}, id="exponent-one"),
            pytest.param({"e": "AQAB" * 80}, id="huge-exponent"),
            pytest.param({"e": "AQAB="}, id="padded"),
            pytest.param({"e": None}, id="no-exponent"),
            pytest.param({"alg": 5}, id="alg-not-text"),
            pytest.param({"use": ["sig"]}, id="use-not-text"),
        ],
    )
    def test_an_unusable_entry_is_ignored_and_the_others_stay(
        self, entry: dict[str, Any], change: dict[str, Any]
    ) -> None:
        assert list(parse_jwk_set(jwk_set(entry | change, entry | {"kid": "good"}))) == ["good"]

    @pytest.mark.parametrize("junk", [None, 5, "text", []])
    def test_an_entry_that_is_no_object_is_ignored(self, entry: dict[str, Any], junk: Any) -> None:
        assert list(parse_jwk_set(jwk_set(junk, entry))) == ["k1"]

    def test_an_ec_key_under_the_same_kid_does_not_hide_the_rsa_key(self, entry: dict[str, Any]) -> None:
        assert list(parse_jwk_set(jwk_set({"kty": "EC", "kid": "k1"}, entry))) == ["k1"]

    def test_of_two_keys_with_one_kid_the_first_counts(self, entry: dict[str, Any]) -> None:
        assert parse_jwk_set(jwk_set(entry | {"alg": "RS256"}, entry | {"alg": "PS256"}))["k1"].alg == "RS256"

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"<html>sign in</html>", id="html"),
            pytest.param(b"[]", id="array"),
            pytest.param(b"{}", id="no-keys"),
            pytest.param(b'{"keys": {}}', id="keys-not-a-list"),
            pytest.param(b'{"keys": [], "keys": []}', id="C14-duplicate-name"),
            pytest.param('{"keys": []}'.encode("utf-16"), id="C14-utf-16"),
            pytest.param(b'{"keys": ' + b"[" * 50_000, id="C13-deep"),
        ],
    )
    def test_a_document_that_is_no_key_set_is_an_error(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"JWK set|JSON"):
            parse_jwk_set(body)


@dataclass
class FakePlatform:
    """Time, the key URL and the sleeping of one source."""

    kids: str = "a"
    now: float = 1_000_000.0
    down: bool = False
    status: int = 200
    fetches: int = 0
    hold: asyncio.Event | None = None
    asked: list[tuple[str, int, bool]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    wake: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.wake.get()

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - the protocol's
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - the protocol's
        max_body: int = 64 * 1024,
        retry: bool = False,
    ) -> OutboundResponse:
        self.fetches += 1
        self.asked.append((url, max_body, retry))
        if self.hold:
            await self.hold.wait()
        if self.down:
            raise OutboundError("refused", sent=False)
        return OutboundResponse(self.status, {}, self.kids.encode())

    async def post(self, url: str, **_ignored: Any) -> OutboundResponse:  # noqa: ARG002 - the protocol's
        raise AssertionError("keys are only ever fetched by GET")

    def source(self, parse: Callable[[bytes], Mapping[str, str]] | None = None, *, retire: int = 0) -> KeySource[str]:
        return KeySource(URL, self, self.clock, parse or words, retire=retire, sleep=self.sleep)

    async def refresh_now(self) -> None:
        self.wake.put_nowait(None)
        await settle()


def words(body: bytes) -> Mapping[str, str]:
    """Stands for a key list: the ids are words, the key of "a" is "key a"."""
    if body == b"garbage":
        raise ValueError("not a list")
    return {word: f"key {word}" for word in body.decode().split()}


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


async def test_a_known_key_is_answered_without_a_second_fetch(platform: FakePlatform) -> None:
    source = platform.source()
    assert [await source.key("a"), await source.key("a")] == ["key a", "key a"]
    assert platform.asked == [(URL, 256 * 1024, True)]


async def test_start_loads_ahead_so_that_the_first_login_fetches_nothing(platform: FakePlatform) -> None:
    source = platform.source()
    await source.start()
    await settle()
    assert await source.key("a") == "key a"
    assert (platform.fetches, platform.slept) == (1, [3600])
    await source.stop()


async def test_the_list_is_refreshed_in_the_background(platform: FakePlatform) -> None:
    source = platform.source()
    await source.start()
    await settle()
    platform.kids = "b"
    await platform.refresh_now()
    assert await source.key("b") == "key b"
    assert platform.fetches == 2
    await source.stop()


async def test_a_failed_first_load_is_not_fatal_and_is_tried_again_soon(platform: FakePlatform) -> None:
    platform.down = True
    source = platform.source()
    await source.start()
    await settle()
    platform.down = False
    await platform.refresh_now()
    assert platform.slept == [60, 3600]
    assert await source.key("a") == "key a"
    await source.stop()


async def test_starting_twice_refreshes_once_and_stopping_twice_is_safe(platform: FakePlatform) -> None:
    source = platform.source()
    await source.start()
    await source.start()
    await settle()
    assert platform.fetches == 1
    await source.stop()
    await source.stop()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_stop_ends_a_fetch_under_way(platform: FakePlatform) -> None:
    platform.hold = asyncio.Event()
    source = platform.source()
    await source.start()
    await settle()
    await source.stop()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_rotated_key_is_fetched_on_its_first_use(platform: FakePlatform) -> None:
    source = platform.source()
    await source.key("a")
    platform.kids = "a b"
    platform.now += 61
    assert await source.key("b") == "key b"
    assert platform.fetches == 2


async def test_an_unknown_kid_right_after_a_scheduled_refresh_may_still_fetch(platform: FakePlatform) -> None:
    source = platform.source()
    await source.start()
    await settle()
    platform.kids = "a b"
    assert await source.key("b") == "key b"
    await source.stop()


async def test_C21_ten_thousand_random_kids_cause_one_fetch_per_cooldown(platform: FakePlatform) -> None:
    source = platform.source()
    assert [await source.key(f"kid-{number}") for number in range(5000)] == [None] * 5000
    platform.now += 59.9
    assert [await source.key(f"kid-{number}") for number in range(5000, 10_000)] == [None] * 5000
    assert platform.fetches == 1
    platform.now += 0.2
    assert await source.key("kid-0") is None
    assert platform.fetches == 2
    assert await source.key("a") == "key a"


async def test_C21_concurrent_callers_share_one_fetch(platform: FakePlatform) -> None:
    platform.hold = asyncio.Event()
    source = platform.source()
    calls = [asyncio.create_task(source.key(kid)) for kid in ["a", "x", "a", "y"] * 50]
    await settle()
    platform.hold.set()
    assert await asyncio.gather(*calls) == ["key a", None, "key a", None] * 50
    assert platform.fetches == 1


async def test_a_caller_shares_the_first_load_under_way(platform: FakePlatform) -> None:
    platform.hold = asyncio.Event()
    source = platform.source()
    await source.start()
    await settle()
    call = asyncio.create_task(source.key("a"))
    await settle()
    platform.hold.set()
    assert await call == "key a"
    assert platform.fetches == 1
    await source.stop()


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others(platform: FakePlatform) -> None:
    platform.hold = asyncio.Event()
    source = platform.source()
    impatient, patient = asyncio.create_task(source.key("a")), asyncio.create_task(source.key("a"))
    await settle()
    impatient.cancel()
    await settle()
    platform.hold.set()
    assert await patient == "key a"
    assert platform.fetches == 1


async def test_C21_an_unknown_kid_during_an_outage_is_an_outage_and_the_old_keys_stay(platform: FakePlatform) -> None:
    source = platform.source()
    await source.key("a")
    platform.down = True
    platform.now += 61
    with pytest.raises(PlatformUnavailable) as caught:
        await source.key("new")
    platform.now += 20.5
    with pytest.raises(PlatformUnavailable) as again:
        await source.key("newer")
    assert (caught.value.retry_after, again.value.retry_after) == (60, 40)
    assert await source.key("a") == "key a"
    assert platform.fetches == 2


async def test_nothing_loaded_and_nothing_to_be_had_is_an_outage_not_an_unknown_key(platform: FakePlatform) -> None:
    platform.down = True
    source = platform.source()
    with pytest.raises(PlatformUnavailable):
        await source.key("a")
    with pytest.raises(PlatformUnavailable):
        await source.key("a")
    assert platform.fetches == 1


FAILURES: list[Any] = [
    pytest.param({"down": True}, id="unreachable"),
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 302}, id="redirect"),
    pytest.param({"kids": "garbage"}, id="unreadable"),
    pytest.param({"kids": ""}, id="no-usable-key"),
]


@pytest.mark.parametrize("failure", FAILURES)
async def test_R15_the_last_good_keys_serve_through_a_day_without_the_key_endpoint(
    platform: FakePlatform, failure: dict[str, Any]
) -> None:
    source = platform.source()
    await source.start()
    await settle()
    for name, value in failure.items():
        setattr(platform, name, value)
    for _ in range(24):
        platform.now += 3600
        await platform.refresh_now()
        assert await source.key("a") == "key a"
    assert platform.fetches == 25
    platform.now += 1
    with pytest.raises(PlatformUnavailable):
        await source.key("a")
    await source.stop()


async def test_a_parser_that_breaks_unexpectedly_neither_ends_the_refreshing_nor_loses_keys(
    platform: FakePlatform,
) -> None:
    def parse(body: bytes) -> Mapping[str, str]:
        if body != b"a":
            raise LookupError("nobody foresaw this")
        return {"a": "key a"}

    source = platform.source(parse)
    await source.start()
    await settle()
    platform.kids = "surprise"
    await platform.refresh_now()
    assert await source.key("a") == "key a"
    assert platform.slept == [3600, 60]
    await source.stop()


async def test_keys_come_back_with_the_endpoint(platform: FakePlatform) -> None:
    platform.down = True
    source = platform.source()
    with pytest.raises(PlatformUnavailable):
        await source.key("a")
    platform.down = False
    platform.now += 60
    assert await source.key("a") == "key a"


async def test_a_clock_set_back_does_not_stretch_the_pause(platform: FakePlatform) -> None:
    source = platform.source()
    await source.key("x")
    platform.now -= 7200
    platform.kids = "a b"
    assert await source.key("b") == "key b"


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "a\0", "k" * 10_240, "", "https://evil.example/", "\ud800", "__class__"]
)
async def test_C22_a_kid_is_only_ever_looked_up(platform: FakePlatform, kid: str) -> None:
    source = platform.source()
    assert await source.key(kid) is None
    assert platform.asked == [(URL, 256 * 1024, True)]


def test_C03_the_source_takes_its_url_from_us_alone() -> None:
    methods: list[Callable[..., Awaitable[Any]]] = [KeySource.key, KeySource.start, KeySource.stop]
    assert [set(method.__annotations__) - {"return"} for method in methods] == [{"kid"}, set(), set()]


async def test_a_key_that_left_the_list_is_used_until_its_last_token_has_expired(platform: FakePlatform) -> None:
    platform.kids = "old stays"
    source = platform.source(retire=100)
    assert await source.key("old") == "key old"
    platform.kids = "stays new"
    platform.now += 60
    left_at = platform.now
    assert await source.key("new") == "key new"
    platform.now = left_at + 100
    assert await source.key("old") == "key old"
    platform.now = left_at + 101
    assert await source.key("old") is None


async def test_a_key_that_comes_back_is_no_longer_leaving(platform: FakePlatform) -> None:
    source = platform.source(retire=100)
    for kids in ("a b", "b", "a b"):
        platform.kids = kids
        platform.now += 60
        await source.key("unknown")
    platform.now += 3600
    assert await source.key("a") == "key a"


async def test_without_a_retirement_a_key_that_left_is_gone(platform: FakePlatform) -> None:
    source = platform.source()
    assert await source.key("a") == "key a"
    platform.kids = "b"
    platform.now += 60
    assert await source.key("b") == "key b"
    assert await source.key("a") is None
