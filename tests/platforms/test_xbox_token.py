"""Reading and decrypting: everything that `parse` decides without keys of Microsoft's."""

import base64
import json
import tracemalloc
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from authsrv.emulator.xbox.keys import base64url, x5t
from authsrv.emulator.xbox.tokens import OAEP_SHA1, oaep, raw_deflate
from authsrv.platforms.base import CredentialRejected, Submission
from authsrv.platforms.xbox.envelope import MAX_INFLATED
from authsrv.platforms.xbox.token import (
    MAX_TOKEN,
    InnerToken,
    decrypt,
    read_authorization,
    read_inner,
    read_parameter,
    thumbprint,
)
from tests.support.xbox import AMBER, Xbox, keys, vendor

FIVE = "aaaa.bbbb.cccc.dddd.eeee"
Spoil = Callable[[str], str]


def refusal(call: Callable[..., object], *arguments: object) -> tuple[str, str]:
    with pytest.raises(CredentialRejected) as refused:
        call(*arguments)
    return refused.value.reason, refused.value.hint


def reading(text: str) -> str:
    try:
        return read_parameter(text).jwe
    except CredentialRejected as refused:
        return refused.reason


@cache
def reader() -> Xbox:
    """One for all tests that only read; reading keeps nothing."""
    return Xbox()


def rp_ring() -> Mapping[bytes, rsa.RSAPrivateKey]:
    return {thumbprint(x5t(keys().rp_certificate)) or b"": keys().rp_key}


def parse(text: str) -> InnerToken:
    return reader().platform.parse(Submission(value=text)).token


def parse_inner(inner: str) -> InnerToken:
    return parse(reader().inner(inner))


class TestForms:
    @pytest.mark.parametrize(
        ("text", "user_hash"),
        [
            pytest.param(f"XBL3.0 x=18026470712427541036;{FIVE}", "18026470712427541036", id="as-consoles-send-it"),
            pytest.param(f"xbl3.0 x=1;{FIVE}", "1", id="scheme-ignores-case"),
            pytest.param(base64.b64encode(f"XBL3.0 x=1;{FIVE}".encode()).decode(), "1", id="base64"),
            pytest.param(f"2814600000000009;77;{FIVE}", "77", id="xuid-is-ignored"),
            pytest.param(FIVE, None, id="bare"),
        ],
    )
    def test_a_parameter_has_one_of_four_forms(self, text: str, user_hash: str | None) -> None:
        found = read_parameter(text)
        assert (found.user_hash, found.jwe) == (user_hash, FIVE)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param(f"XBL3.0 x=*;{FIVE}", id="D25-all-users"),
            pytest.param(f"XBL3.0 x=-;{FIVE}", id="D25-no-user"),
            pytest.param(f"XBL3.0 x=;{FIVE}", id="empty-hash"),
            pytest.param(f"XBL3.0 x={'1' * 33};{FIVE}", id="33-digits"),
            pytest.param(f"XBL3.0 x=1a;{FIVE}", id="not-digits"),
            pytest.param(f"XBL3.0 x=\u0661;{FIVE}", id="arabic-digit"),
            pytest.param(f"XBL2.0 x=1;{FIVE}", id="wrong-scheme"),
            pytest.param(f"Bearer {FIVE}", id="bearer"),
            pytest.param(f" XBL3.0 x=1;{FIVE}", id="leading-space"),
            pytest.param(f"XBL3.0 x=1;{FIVE}\n", id="trailing-newline"),
            pytest.param("XBL3.0 x=1;a.b.c.d", id="four-parts"),
            pytest.param("XBL3.0 x=1;a.b.c.d.e.f", id="six-parts"),
            pytest.param("XBL3.0 x=1;a.b..d.e", id="empty-part"),
            pytest.param("XBL3.0 x=1;a.b.c.d.e=", id="padding"),
            pytest.param("XBL3.0 x=1;a.b.c+.d.e", id="plain-base64"),
            pytest.param(f"XBL3.0 x=1;{'.' * 100_000}", id="C13-dots"),
            pytest.param("." * 100_000, id="C13-only-dots"),
            pytest.param(f"XBL3.0 x=1;a.b.c.d.{'e' * (MAX_TOKEN - 7)}", id="C13-one-over-64K"),
            pytest.param(f"a.b.c.d.{'e' * (MAX_TOKEN - 7)}", id="C13-bare-one-over-64K"),
            pytest.param(f"1;1;a.b.c.d.{'e' * (MAX_TOKEN - 7)}", id="C13-with-xuid-one-over-64K"),
            pytest.param("A" * 1_000_000, id="C13-1MB"),
            pytest.param('{"protected":"e30","ciphertext":"","recipients":[]}', id="C06-json-serialization"),
        ],
    )
    def test_anything_else_is_malformed(self, text: str) -> None:
        assert refusal(read_parameter, text)[0] == "credential_malformed"

    def test_a_token_of_64K_is_read(self) -> None:
        longest = f"a.b.c.d.{'e' * (MAX_TOKEN - 8)}"
        assert read_authorization(f"XBL3.0 x={'1' * 32};{longest}").jwe == longest
        assert read_parameter(base64.b64encode(f"XBL3.0 x={'1' * 32};{longest}".encode()).decode()).jwe == longest

    @pytest.mark.parametrize("text", [FIVE, f"1;1;{FIVE}", base64.b64encode(f"XBL3.0 x=1;{FIVE}".encode()).decode()])
    def test_the_header_has_one_form_only(self, text: str) -> None:
        assert refusal(read_authorization, text)[0] == "credential_malformed"

    @given(st.text())
    def test_any_text_is_read_or_malformed(self, text: str) -> None:
        assert reading(text) in {text, "credential_malformed"}

    @given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True), min_size=5, max_size=5))
    def test_no_five_parts_are_more_than_refused(self, parts: list[str]) -> None:
        with pytest.raises(CredentialRejected):
            decrypt(".".join(parts), {})


class TestOuterHeader:
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"enc": "A128CBC+HS256"}, id="D27-row11-legacy-enc"),
            pytest.param({"alg": "dir"}, id="D27-symmetric"),
            pytest.param({"alg": "RSA-OAEP-256"}, id="oaep-256"),
            pytest.param({"alg": "RSA1_5"}, id="C10-rsa1_5"),
            pytest.param({"alg": "none"}, id="C01-none"),
            pytest.param({"alg": ["RSA-OAEP"]}, id="C01-list"),
            pytest.param({"alg": None}, id="C01-null"),
            pytest.param({"alg": "PBES2-HS256+A128KW", "p2c": 2**31 - 1, "p2s": "YQ"}, id="C09-pbes2"),
            pytest.param({"p2c": 2**31 - 1}, id="C09-p2c"),
            pytest.param({"alg": "ECDH-ES", "epk": {"kty": "EC"}}, id="C11-ecdh"),
            pytest.param({"epk": {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}}, id="C11-epk"),
            pytest.param({"enc": "A256GCM"}, id="gcm"),
            pytest.param({"zip": None}, id="no-zip"),
            pytest.param({"zip": "GZIP"}, id="gzip"),
            pytest.param({"cty": "text"}, id="cty"),
            pytest.param({"crit": ["exp"]}, id="C04-crit"),
            pytest.param({"jwk": {"kty": "RSA"}}, id="C03-jwk"),
            pytest.param({"jku": "https://xsts-keys.auth.xboxlive.com/keys"}, id="C03-jku"),
            pytest.param({"x5c": ["MIIB"]}, id="C03-x5c"),
            pytest.param({"x5u": "https://xsts.auth.xboxlive.com/"}, id="C03-x5u"),
            pytest.param({"x5t": None}, id="no-x5t"),
            pytest.param({"x5t": 7}, id="x5t-number"),
            pytest.param({"x5t": "AAAA"}, id="x5t-short"),
            pytest.param({"x5t": "\u00e9" * 27}, id="x5t-not-ascii"),
            pytest.param({"pad": "x" * 1024}, id="over-1KiB"),
        ],
    )
    def test_everything_but_the_documented_header_is_unsupported(self, change: Mapping[str, Any]) -> None:
        tokens = reader().tokens
        token = tokens.encrypt(tokens.sign(tokens.claims(tokens.user(AMBER))), header=change)
        assert refusal(parse, f"XBL3.0 x=1;{token}")[0] == "credential_unsupported"

    @pytest.mark.parametrize(
        "header",
        [
            pytest.param(b'{"alg":"RSA-OAEP","alg":"RSA-OAEP"}', id="C14-duplicate"),
            pytest.param(b'\xef\xbb\xbf{"alg":"RSA-OAEP"}', id="C14-byte-order-mark"),
            pytest.param('{"alg":"RSA-OAEP"}'.encode("utf-16"), id="C14-utf16"),
            pytest.param(b'{"alg":"\\ud800"}', id="C14-lone-surrogate"),
            pytest.param(b"[" * 1000, id="C13-nested"),
            pytest.param(b"[]", id="array"),
            pytest.param(b"\xff", id="no-utf8"),
        ],
    )
    def test_a_header_that_is_no_strict_json_object_is_unsupported(self, header: bytes) -> None:
        assert refusal(parse, f"XBL3.0 x=1;{base64url(header)}.b.c.d.e")[0] == "credential_unsupported"

    def test_the_legacy_refusal_tells_the_operator_where_to_look(self) -> None:
        token = reader().emulator.mint(AMBER, case="legacy-enc").text
        with pytest.raises(CredentialRejected, match="Partner Center"):
            parse(token)

    def test_D21_an_unknown_thumbprint_is_another_audience(self) -> None:
        text = reader().emulator.mint(AMBER, case="unknown-x5t").text
        assert refusal(parse, text)[0] == "credential_wrong_audience"

    def test_the_thumbprint_is_compared_by_its_bytes(self) -> None:
        tokens = reader().tokens
        padded = {"x5t": x5t(keys().rp_certificate) + "="}
        assert parse("XBL3.0 x=1;" + tokens.encrypt(tokens.sign(tokens.claims()), header=padded)).unverified["iss"]
        assert thumbprint(padded["x5t"]) == thumbprint(padded["x5t"][:-1])


def flipped(place: int, byte: int) -> Spoil:
    """Change one byte of one of the five parts."""

    def spoil(token: str) -> str:
        parts = token.split(".")
        raw = bytearray(base64.urlsafe_b64decode(parts[place] + "=="))
        raw[byte] ^= 1
        parts[place] = base64url(bytes(raw))
        return ".".join(parts)

    return spoil


class TestDecryption:
    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(flipped(1, 100), id="encrypted-key"),
            pytest.param(flipped(2, 0), id="iv"),
            pytest.param(flipped(3, 0), id="first-of-ciphertext"),
            pytest.param(flipped(3, -1), id="last-of-ciphertext"),
            pytest.param(flipped(4, 0), id="tag"),
            pytest.param(flipped(4, -1), id="last-of-tag"),
            pytest.param(lambda token: token[:-4], id="short-tag"),
            pytest.param(lambda token: f"{token}AAAA", id="long-tag"),
            pytest.param(lambda token: ".".join([*token.split(".")[:2], "AA", *token.split(".")[3:]]), id="short-iv"),
            pytest.param(lambda token: ".".join([*token.split(".")[:3], "AAAA", token.split(".")[4]]), id="short-text"),
            pytest.param(lambda token: ".".join([token.split(".")[0], "A", *token.split(".")[2:]]), id="one-character"),
        ],
    )
    def test_C10_every_failure_looks_the_same(self, spoil: Spoil) -> None:
        tokens = reader().tokens
        good = tokens.encrypt(tokens.sign(tokens.claims(tokens.user(AMBER))))
        bad_inflation = tokens.encrypt("inner", compress=lambda plain: plain)
        assert refusal(parse, f"XBL3.0 x=1;{spoil(good)}") == refusal(parse, f"XBL3.0 x=1;{bad_inflation}")

    @pytest.mark.parametrize("length", [16, 31, 33])
    def test_a_content_key_of_another_length_is_rejected(self, length: int) -> None:
        tokens = reader().tokens
        token = tokens.encrypt(tokens.sign(tokens.claims()), cek=b"k" * length)
        assert refusal(parse, f"XBL3.0 x=1;{token}")[0] == "credential_rejected"

    @pytest.mark.parametrize(
        "compress",
        [
            pytest.param(zlib.compress, id="row8-zlib-header"),
            pytest.param(lambda plain: plain, id="not-compressed"),
            pytest.param(lambda plain: raw_deflate(plain) + b"more", id="trailing-data"),
            pytest.param(lambda plain: raw_deflate(plain)[:-8], id="cut"),
            pytest.param(lambda _: raw_deflate(bytes(MAX_INFLATED + 1)), id="one-over-the-cap"),
            pytest.param(lambda _: raw_deflate(bytes(2**20)), id="row9-C08-1MiB-of-zeros"),
        ],
    )
    def test_only_complete_raw_deflate_below_the_cap_is_inflated(self, compress: Callable[[bytes], bytes]) -> None:
        tokens = reader().tokens
        token = tokens.encrypt(tokens.sign(tokens.claims()), compress=compress)
        assert refusal(decrypt, token, rp_ring())[0] == "credential_rejected"

    def test_C08_a_zip_bomb_costs_no_memory(self) -> None:
        xbox = reader()
        bomb = f"XBL3.0 x=1;{xbox.tokens.encrypt('', compress=lambda _: raw_deflate(bytes(2**24)))}"
        tracemalloc.start()
        assert refusal(xbox.platform.parse, Submission(value=bomb))[0] == "credential_rejected"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 * 2**20

    def test_a_text_of_exactly_the_cap_is_inflated(self) -> None:
        tokens = reader().tokens
        token = tokens.encrypt("a" * MAX_INFLATED)
        assert len(decrypt(token, rp_ring())) == MAX_INFLATED


class TestVendorToken:
    """Microsoft's own bytes, re-wrapped: the content key is published, the relying party's private key is not."""

    sample = vendor("xbox_sample_token.json")

    def rewrapped(self, *, cek: bytes = b"", key_wrapping: padding.OAEP = OAEP_SHA1) -> str:
        content_key = cek or bytes.fromhex(self.sample["cek_hex"])
        wrapped = keys().rp_key.public_key().encrypt(content_key, key_wrapping)
        parts = self.sample["jwe"].split(".")
        return ".".join([parts[0], base64url(wrapped), *parts[2:]])

    def platform_of_the_sample(self) -> Xbox:
        xbox = reader()
        block = {"key": xbox.settings.rp_private_keys[0].key, "thumbprint": self.sample["outer_header"]["x5t"]}
        return Xbox(
            rp_private_keys=[block],
            relying_party=self.sample["expected_claims"]["aud"],
            allowed_sandboxes=["XDKS.1"],
            allowed_titles=[2009169745],
        )

    def decrypted(self, token: str) -> bytes:
        return decrypt(token, {thumbprint(self.sample["outer_header"]["x5t"]) or b"": keys().rp_key})

    def test_row7_row8_it_decrypts_and_inflates_to_the_documented_claims(self) -> None:
        inner = self.decrypted(self.rewrapped())
        assert inner.decode() == self.sample["inner_jws"]
        token = read_inner(inner)
        assert token.unverified == self.sample["expected_claims"]
        assert (token.place.path, token.place.key_id) == ("/psskeys", self.sample["inner_header"]["kid"])

    @pytest.mark.parametrize("place", [0, 2, 3, 4])
    @pytest.mark.parametrize("byte", [0, 7, -1])
    def test_it_fails_with_any_changed_byte(self, place: int, byte: int) -> None:
        assert refusal(self.decrypted, flipped(place, byte)(self.rewrapped()))

    def test_it_fails_with_the_same_header_written_otherwise(self) -> None:
        header = json.dumps(self.sample["outer_header"], indent=1).encode()
        token = ".".join([base64url(header), *self.rewrapped().split(".")[1:]])
        assert refusal(self.decrypted, token)[0] == "credential_rejected"

    def test_row7_it_fails_when_wrapped_with_sha256(self) -> None:
        assert refusal(self.decrypted, self.rewrapped(key_wrapping=oaep(hashes.SHA256())))[0] == "credential_rejected"

    def test_it_fails_with_a_cut_content_key(self) -> None:
        token = self.rewrapped(cek=bytes.fromhex(self.sample["cek_hex"])[:16])
        assert refusal(self.decrypted, token)[0] == "credential_rejected"

    async def test_row1_it_is_no_login_because_its_inner_key_is_unknown(self) -> None:
        xbox = self.platform_of_the_sample()
        xbox.now = self.sample["expected_claims"]["nbf"] + 60
        credential = xbox.platform.parse(Submission(value=self.sample["authorization_prefix"] + self.rewrapped()))
        assert credential.claimed_subject == self.sample["expected_claims"]["xui"][0]["ptx"]
        with pytest.raises(CredentialRejected) as refused:
            await xbox.platform.verify(credential)
        assert refused.value.reason == "credential_rejected"


class TestInnerToken:
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"alg": "none"}, id="C01-none"),
            pytest.param({"alg": "nOnE"}, id="C01-none-in-mixed-case"),
            pytest.param({"alg": None}, id="C01-null"),
            pytest.param({"alg": ["PS256"]}, id="C01-list"),
            pytest.param({"alg": "HS256"}, id="C02-hs256"),
            pytest.param({"alg": "ES256"}, id="es256"),
            pytest.param({"alg": "PS384"}, id="ps384"),
            pytest.param({"jwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}}, id="C03-jwk"),
            pytest.param({"x5c": ["MIIB"]}, id="C03-x5c"),
            pytest.param({"crit": ["exp"]}, id="C04-crit"),
            pytest.param({"b64": False, "crit": ["b64"]}, id="C05-b64"),
            pytest.param({"b64": False}, id="C05-b64-not-critical"),
            pytest.param({"typ": "at+jwt"}, id="C18-typ"),
            pytest.param({"kid": None}, id="C22-no-kid"),
            pytest.param({"kid": 7}, id="C22-integer"),
            pytest.param({"kid": "k" * 257}, id="C22-long"),
            pytest.param({"kid": "k" * 10_240}, id="C22-10KB"),
            pytest.param({"jku": None}, id="no-jku"),
            pytest.param({"jku": 7}, id="jku-number"),
            pytest.param({"x5t": "AAAA", "alg": "RS256"}, id="x5t-short"),
        ],
    )
    def test_anything_but_the_documented_header_is_rejected(self, change: Mapping[str, Any]) -> None:
        tokens = reader().tokens
        inner = tokens.sign(tokens.claims(tokens.user(AMBER)), tokens.jku_header(**change))
        assert refusal(parse_inner, inner)[0] == "credential_rejected"

    def test_the_certificate_path_takes_rs256_only(self) -> None:
        tokens = reader().tokens
        inner = tokens.sign(tokens.claims(tokens.user(AMBER)), tokens.certificate_header(alg="PS256"))
        assert refusal(parse_inner, inner)[0] == "credential_rejected"

    @pytest.mark.parametrize(
        "url",
        [
            "http://xsts-keys.auth.xboxlive.com/keys",
            "https://evil.test/keys",
            "https://xsts-keys.auth.xboxlive.com.evil.test/keys",
            "https://evil.test/xsts-keys.auth.xboxlive.com/keys",
            "https://xsts-keys.auth.xboxlive.com@evil.test/keys",
            "https://user@xsts-keys.auth.xboxlive.com/keys",
            "https://xsts-keys.auth.xboxlive.com:8443/keys",
            "https://xsts-keys.auth.xboxlive.com:443@evil.test/keys",
            "https://xsts-keys.auth.xboxlive.com",
            "https://xsts-keys.auth.xboxlive.com./keys",
            "https://xsts-keys.auth.xboxlive.com/keys#fragment",
            "https://xsts-keys.auth.xboxlive.com\\@evil.test/keys",
            "https://xsts-keys.auth.xboxlive.com/../keys",
            "https://xsts-keys.auth.xboxlive.com/a/..",
            "https://xsts-keys.auth.xboxlive.com/./keys",
            "https://xsts-keys.auth.xboxlive.com/%2e%2e/keys",
            "https://xsts-keys.auth.xboxlive.com/ke ys",
            "https://xsts-keys.auth.xboxlive.com/keys\r\nHost: evil.test",
            "https://xsts-keys.auth.xboxlive.com/" + "k" * 128,
            "https://xsts-key\u017f.auth.xboxlive.com/keys",
            "https://xsts.auth.xboxlive.com/keys",
            "//xsts-keys.auth.xboxlive.com/keys",
            "/keys",
            "",
        ],
    )
    def test_row5_C03_a_foreign_key_address_is_rejected_before_any_fetch(self, url: str) -> None:
        tokens = reader().tokens
        inner = tokens.sign(tokens.claims(tokens.user(AMBER)), tokens.jku_header(jku=url))
        assert refusal(parse_inner, inner)[0] == "credential_rejected"

    @pytest.mark.parametrize(
        "url",
        [
            "https://xsts-keys.auth.xboxlive.com/keys",
            "https://xsts.auth.xboxlive.com.evil.test/certificate",
            "http://xsts.auth.xboxlive.com/certificate",
            7,
        ],
    )
    def test_row5_C03_a_foreign_certificate_address_is_rejected_before_any_fetch(self, url: object) -> None:
        tokens = reader().tokens
        inner = tokens.sign(tokens.claims(tokens.user(AMBER)), tokens.certificate_header(x5u=url))
        assert refusal(parse_inner, inner)[0] == "credential_rejected"

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("https://xsts-keys.auth.xboxlive.com/keys", "/keys"),
            ("https://xsts-keys.auth.xboxlive.com:443/psskeys", "/psskeys"),
            ("HTTPS://XSTS-keys.auth.xboxLive.com/Keys", "/Keys"),
            ("https://xsts-keys.auth.xboxlive.com/v2/keys?set=a-1", "/v2/keys?set=a-1"),
            ("https://xsts-keys.auth.xboxlive.com/" + "k" * 127, "/" + "k" * 127),
        ],
    )
    def test_row6_of_an_allowed_address_only_the_path_counts(self, url: str, path: str) -> None:
        tokens = reader().tokens
        place = parse_inner(tokens.sign(tokens.claims(), tokens.jku_header(jku=url))).place
        assert (place.host, place.path) == ("keys", path)

    def test_a_thumbprint_means_the_certificate_path_even_beside_a_jku(self) -> None:
        tokens = reader().tokens
        header = tokens.certificate_header(jku="https://xsts.auth.xboxlive.com/xsts/keys")
        place = parse_inner(tokens.sign(tokens.claims(), header)).place
        assert (place.host, place.key_id) == ("xsts", (thumbprint(x5t(keys().certificate)) or b"").hex())

    @pytest.mark.parametrize(
        "inner",
        [
            pytest.param('{"iss":"xsts.auth.xboxlive.com"}', id="C07-D22-only-encrypted"),
            pytest.param("e30.e30.", id="C01-no-signature"),
            pytest.param("e30.e30", id="two-parts"),
            pytest.param("e30.e30.AA.AA.AA", id="another-jwe"),
            pytest.param("e30..AA", id="C05-detached"),
            pytest.param('{"payload":"e30","signatures":[]}', id="C06-json-serialization"),
            pytest.param("e30.e30.AA\n", id="newline"),
            pytest.param("e30.A.AA", id="impossible-base64"),
            pytest.param("\u00e9.e30.AA", id="not-ascii"),
            pytest.param("", id="empty"),
        ],
    )
    def test_a_text_that_is_no_signed_token_is_rejected(self, inner: str) -> None:
        assert refusal(parse_inner, inner)[0] == "credential_rejected"

    @pytest.mark.parametrize(
        "claims",
        [
            pytest.param(b'{"aud":"a","aud":"b"}', id="C14-duplicate"),
            pytest.param(b'{"exp":NaN}', id="C14-nan"),
            pytest.param(b'{"exp":1e999}', id="C14-C19-infinite"),
            pytest.param(b'{"exp":' + b"9" * 5000 + b"}", id="C14-C19-5000-digits"),
            pytest.param('{"aud":"a"}'.encode("utf-16"), id="C14-utf16"),
            pytest.param(b'\xef\xbb\xbf{"aud":"a"}', id="C14-byte-order-mark"),
            pytest.param(b'{"aud":"\\ud800"}', id="C14-lone-surrogate"),
            pytest.param(b"[" * 50_000, id="C13-nested"),
            pytest.param(b'{"a":' * 20_000 + b"1" + b"}" * 20_000, id="C13-nested-objects"),
            pytest.param(b"[]", id="array"),
        ],
    )
    def test_C14_claims_that_are_no_strict_json_object_are_rejected(self, claims: bytes) -> None:
        header = base64url(json.dumps(reader().tokens.jku_header()).encode())
        assert refusal(parse_inner, f"{header}.{base64url(claims)}.AA")[0] == "credential_rejected"

    @given(st.binary(max_size=200))
    def test_no_bytes_are_more_than_rejected(self, inner: bytes) -> None:
        assert refusal(read_inner, inner)[0] == "credential_rejected"

    @given(
        st.dictionaries(
            st.sampled_from(["alg", "kid", "jku", "x5t", "x5u", "typ", "crit"]),
            st.one_of(st.none(), st.integers(), st.text(max_size=40), st.sampled_from(["PS256", "RS256", "JWT"])),
        )
    )
    def test_no_header_is_more_than_rejected(self, header: dict[str, Any]) -> None:
        inner = f"{base64url(json.dumps(header).encode())}.e30.AA"
        assert refusal(read_inner, inner.encode())[0] == "credential_rejected"


def test_the_kind_is_never_guessed() -> None:
    submission = Submission(kind="session_ticket", value=reader().good())
    assert refusal(reader().platform.parse, submission)[0] == "credential_unsupported"


def test_what_was_read_shows_no_token() -> None:
    text = reader().good()
    assert text[40:80] not in repr(reader().platform.parse(Submission(value=text)))
