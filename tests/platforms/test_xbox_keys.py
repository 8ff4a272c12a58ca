"""Microsoft's signing keys: which addresses are asked, how often, and what happens when they do not answer."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette

from authsrv.emulator.xbox.keys import certificate_pem, self_signed, x5t
from authsrv.platforms.base import CredentialRejected, PlatformUnavailable, Submission
from authsrv.platforms.jwks import RsaJwk, parse_jwk_set
from authsrv.platforms.xbox.keys import MAX_OTHER_FETCHES, MAX_OTHER_PATHS, KeyHost, parse_certificates
from authsrv.platforms.xbox.platform import XboxPlatform
from authsrv.platforms.xbox.token import thumbprint
from tests.support.outbound import AsgiOutbound
from tests.support.xbox import AMBER, NOW, Xbox, keys

KEYS = "https://xsts-keys.auth.xboxlive.com"


def signed_at(xbox: Xbox, path: str, kid: str = "") -> str:
    """A good token, whose key is said to be at this path."""
    user = xbox.tokens.user(AMBER)
    header = xbox.tokens.jku_header(jku=KEYS + path, **({"kid": kid} if kid else {}))
    return f"XBL3.0 x={user['uhs']};{xbox.tokens.encrypt(xbox.tokens.sign(xbox.tokens.claims(user), header))}"


async def background() -> None:
    """Let background work go on; against an emulator in the same process it needs a few turns of the loop."""
    for _ in range(200):
        await asyncio.sleep(0)


@pytest.mark.parametrize("case", ["good", "jku-keys", "jku-rs256", "certificate-path"])
async def test_row3_row6_a_login_after_the_start_makes_no_fetch(case: str) -> None:
    xbox = Xbox()
    await xbox.platform.start()
    await background()
    assert sorted(xbox.fetched) == ["/keys-host/keys", "/keys-host/psskeys", "/xsts/xsts/signingkeys"]
    await xbox.login(xbox.emulator.mint(AMBER, case=case).text)
    assert len(xbox.fetched) == 3
    await xbox.platform.stop()


async def test_a_start_without_keys_is_not_fatal() -> None:
    xbox = Xbox()
    xbox.outbound.outage = "connect_failure"
    await xbox.platform.start()
    await background()
    xbox.outbound.outage = None
    assert (await xbox.login(xbox.good())).subject == AMBER.partner_xuid
    await xbox.platform.stop()


async def test_logins_share_one_fetch() -> None:
    xbox = Xbox()
    await asyncio.gather(*(xbox.login(xbox.good()) for _ in range(5)))
    assert xbox.emulator.calls == {"psskeys": 1}


@pytest.mark.parametrize("case", ["keys-down", "keys-garbage"])
async def test_a_key_list_that_fails_is_the_platforms_outage(case: str) -> None:
    xbox = Xbox()
    with pytest.raises(PlatformUnavailable):
        await xbox.login(xbox.emulator.mint(AMBER, case=case).text)


async def test_known_keys_carry_logins_through_an_outage() -> None:
    xbox = Xbox()
    await xbox.login(xbox.good())
    xbox.outbound.outage = "server_error"
    xbox.now += 7200
    assert (await xbox.login(xbox.good())).subject == AMBER.partner_xuid


@pytest.mark.parametrize("case", ["good", "certificate-path"])
async def test_a_rotation_is_followed_by_one_fetch(case: str) -> None:
    xbox = Xbox()
    before = xbox.emulator.mint(AMBER, case=case).text
    await xbox.login(before)
    xbox.emulator.rotate()
    xbox.now += 61
    calls = len(xbox.fetched)
    assert (await xbox.login(xbox.emulator.mint(AMBER, case=case).text)).subject == AMBER.partner_xuid
    assert (await xbox.login(before)).subject == AMBER.partner_xuid
    assert len(xbox.fetched) == calls + 1


async def test_C21_a_flood_of_unknown_ids_causes_one_fetch_a_minute() -> None:
    xbox = Xbox()
    for number in range(50):
        with pytest.raises(CredentialRejected):
            await xbox.login(signed_at(xbox, "/psskeys", f"kid-{number}"))
    assert xbox.emulator.calls == {"psskeys": 1}
    assert (await xbox.login(xbox.good())).subject == AMBER.partner_xuid


@pytest.mark.parametrize("kid", ["../../etc/passwd", "' OR 1=1", "\x00", "k" * 256])
async def test_C22_an_odd_key_id_is_only_looked_up(kid: str) -> None:
    xbox = Xbox()
    with pytest.raises(CredentialRejected) as refused:
        await xbox.login(signed_at(xbox, "/psskeys", kid))
    assert refused.value.reason == "credential_rejected"
    assert xbox.fetched == ["/keys-host/psskeys"]


async def test_invented_paths_cause_few_fetches_and_hurt_no_genuine_login() -> None:
    xbox = Xbox()
    for number in range(30):
        with pytest.raises(PlatformUnavailable):
            await xbox.login(signed_at(xbox, f"/invented-{number}"))
    assert len(xbox.fetched) == MAX_OTHER_FETCHES
    assert (await xbox.login(xbox.good())).subject == AMBER.partner_xuid


def host(xbox: Xbox) -> KeyHost[RsaJwk]:
    """A key host for which every path but /keys is one that a token invented."""
    return KeyHost(xbox.settings.hosts.keys, ("/keys",), parse_jwk_set, xbox.outbound, xbox.clock)


async def test_a_flood_of_paths_does_not_push_out_the_one_that_real_tokens_name() -> None:
    xbox = Xbox()
    subject = host(xbox)
    assert await subject.key("/psskeys", keys().jwk_kid)
    for number in range(3 * MAX_OTHER_PATHS):
        with pytest.raises(PlatformUnavailable):
            await subject.key(f"/invented-{number}", "kid")
    assert await subject.key("/psskeys", keys().jwk_kid)
    assert xbox.emulator.calls["psskeys"] == 1


async def test_unknown_ids_on_many_paths_share_the_minutes_fetches() -> None:
    xbox = Xbox()
    subject = host(xbox)
    paths = [f"/psskeys?set={number}" for number in range(2 * MAX_OTHER_FETCHES)]
    for place, path in enumerate(paths):
        xbox.now = NOW + 60 * (place // MAX_OTHER_FETCHES)
        assert await subject.key(path, keys().jwk_kid)
    xbox.now += 60
    for path in paths:
        with suppress(PlatformUnavailable):
            assert await subject.key(path, "unknown") is None
        assert await subject.key(path, keys().jwk_kid)
    assert len(xbox.fetched) == 3 * MAX_OTHER_FETCHES


async def test_only_so_many_other_paths_are_kept() -> None:
    xbox = Xbox()
    subject = host(xbox)
    for number in range(MAX_OTHER_PATHS + 1):
        xbox.now += 60
        assert await subject.key(f"/psskeys?set={number}", keys().jwk_kid)
    xbox.now += 60
    assert await subject.key("/psskeys?set=0", keys().jwk_kid)
    assert await subject.key(f"/psskeys?set={MAX_OTHER_PATHS}", keys().jwk_kid)
    assert len(xbox.fetched) == MAX_OTHER_PATHS + 2


async def test_the_next_minute_allows_other_paths_again() -> None:
    xbox = Xbox()
    for _ in range(2):
        for number in range(MAX_OTHER_FETCHES + 1):
            with pytest.raises(PlatformUnavailable):
                await xbox.login(signed_at(xbox, f"/invented-{xbox.now}-{number}"))
        xbox.now += 60
    assert len(xbox.fetched) == 2 * MAX_OTHER_FETCHES


async def test_the_certificate_of_an_own_path_is_found_where_the_list_lacks_it() -> None:
    xbox = Xbox()
    await xbox.login(xbox.emulator.mint(AMBER, case="certificate-path").text)
    xbox.emulator.rotate()
    assert (await xbox.login(xbox.emulator.mint(AMBER, case="certificate-path").text)).subject == AMBER.partner_xuid
    assert xbox.emulator.calls == {"signingkeys": 1, "certificate": 1}


async def test_the_certificate_of_an_own_path_is_found_while_the_list_is_down() -> None:
    xbox = Xbox()
    routes = [route for route in xbox.emulator.routes() if "signingkeys" not in str(route)]
    platform = XboxPlatform(xbox.settings, AsgiOutbound(Starlette(routes=routes)), xbox.clock)
    text = xbox.emulator.mint(AMBER, case="certificate-path").text
    assert (await platform.verify(platform.parse(Submission(value=text)))).subject == AMBER.partner_xuid


async def test_a_withdrawn_key_is_rejected() -> None:
    xbox = Xbox()
    text = xbox.good()
    xbox.emulator.rotate(keep_previous=False)
    with pytest.raises(CredentialRejected) as refused:
        await xbox.login(text)
    assert refused.value.reason == "credential_rejected"


async def test_a_certificate_token_without_address_uses_the_list() -> None:
    xbox = Xbox()
    user = xbox.tokens.user(AMBER)
    inner = xbox.tokens.sign(xbox.tokens.claims(user), xbox.tokens.certificate_header(x5u=None))
    assert (await xbox.login(xbox.inner(inner, user["uhs"]))).subject == AMBER.partner_xuid
    xbox.now += 720 * 3600 + 1
    xbox.outbound.outage = "timeout"
    with pytest.raises(PlatformUnavailable):
        await xbox.login(xbox.inner(inner, user["uhs"]))


def weak_certificate() -> str:
    return certificate_pem(self_signed(rsa.generate_private_key(65537, 1024), "weak"))  # noqa: S505 - on purpose


class TestCertificates:
    name = x5t(keys().certificate)
    pem = certificate_pem(keys().certificate)
    sha1 = (thumbprint(name) or b"").hex()

    def test_both_published_forms_are_read(self) -> None:
        der = b64encode(keys().certificate.public_bytes(Encoding.DER)).decode()
        from_list, from_object = (
            parse_certificates(json.dumps(document).encode()) for document in ([der], {self.name: self.pem})
        )
        assert from_list == from_object == {self.sha1: keys().certificate_key.public_key()}

    def test_a_certificate_is_known_by_its_own_thumbprint_only(self) -> None:
        assert list(parse_certificates(json.dumps({"AAAAAAAAAAAAAAAAAAAAAAAAAAA": self.pem}).encode())) == [self.sha1]

    @pytest.mark.parametrize(
        "entry",
        [
            pytest.param(lambda: "junk", id="junk"),
            pytest.param(lambda: 7, id="number"),
            pytest.param(lambda: None, id="null"),
            pytest.param(weak_certificate, id="1024-bits"),
        ],
    )
    def test_entries_without_a_usable_key_are_ignored(self, entry: Callable[[], object]) -> None:
        document = {"a": entry(), "b": self.pem}
        assert list(parse_certificates(json.dumps(document).encode())) == [self.sha1]
        assert parse_certificates(json.dumps([entry()]).encode()) == {}

    @pytest.mark.parametrize("body", [b"", b"7", b'"text"', b"<html>", b'{"a":"b","a":"b"}', b"[" * 50_000])
    def test_another_document_is_an_error(self, body: bytes) -> None:
        with pytest.raises(ValueError, match=r"JSON|list of certificates"):
            parse_certificates(body)
