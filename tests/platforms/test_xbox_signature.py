"""The Signature header: the published vector, its variants that must fail, and the three modes."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from authsrv.emulator.xbox.keys import proof_jwk
from authsrv.emulator.xbox.tokens import ClientSigner
from authsrv.platforms.base import CredentialRejected, RejectionReason, RequestProof, Submission
from authsrv.platforms.xbox.signature import Policy, ProofKey, proof_key, read_header, read_request, signed_data
from tests.support.xbox import AMBER, NOW, TARGET, Xbox, keys, vendor

VECTOR = vendor("xbox_signature_vector.json")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HEADER = base64.b64decode(VECTOR["signature_header"])


def vector_request(**changes: Any) -> RequestProof:
    request = RequestProof(
        VECTOR["method"],
        VECTOR["path_and_query"].encode(),
        VECTOR["authorization"].encode(),
        VECTOR["body"].encode(),
        (VECTOR["signature_header"].encode(),),
    )
    return replace(request, **changes)


def key_of(jwk: Mapping[str, Any]) -> ProofKey | None:
    return proof_key({"cnf": {"jwk": dict(jwk)}})


def vector_key() -> ProofKey:
    key = key_of(VECTOR["public_jwk"])
    assert key is not None
    return key


def refusal(request: RequestProof, now: float = VECTOR["unix_time"], policy: Policy | None = None) -> RejectionReason:
    with pytest.raises(CredentialRejected) as refused:
        read_request(request, vector_key(), policy or Policy()).verify(now, 300)
    return refused.value.reason


def encoded(raw: bytes) -> tuple[bytes]:
    return (base64.b64encode(raw),)


def as_der() -> bytes:
    r, s = int.from_bytes(HEADER[12:44], "big"), int.from_bytes(HEADER[44:], "big")
    return HEADER[:12] + encode_dss_signature(r, s)


class TestVector:
    def test_it_verifies_over_the_documented_bytes(self) -> None:
        request = read_request(vector_request(), vector_key(), Policy())
        assert request.data.hex() == VECTOR["data_to_sign_hex"]
        assert request.header.unix_time == VECTOR["unix_time"]
        request.verify(VECTOR["unix_time"], 300)

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"signatures": encoded(HEADER[:12] + b"\xff" + HEADER[13:])}, id="first-byte-of-r-is-ff"),
            pytest.param({"method": "GET"}, id="method"),
            pytest.param({"target": b"/path"}, id="row17-path-without-query"),
            pytest.param({"target": b"/path?query=2"}, id="query"),
            pytest.param({"target": b"/Path?query=1"}, id="path"),
            pytest.param({"authorization": b"XBL3.0 x=userid;othertoken"}, id="authorization"),
            pytest.param({"authorization": b""}, id="no-authorization"),
            pytest.param({"body": b"thebodygoesthere"}, id="body"),
            pytest.param({"body": b""}, id="no-body"),
            pytest.param({"body": b"\0" * 8}, id="row18-eight-zero-bytes"),
            pytest.param({"signatures": encoded(as_der())}, id="row19-der"),
            pytest.param({"signatures": encoded(b"\0\0\0\2" + HEADER[4:])}, id="version-2"),
            pytest.param({"signatures": encoded(HEADER[:11] + b"\x81" + HEADER[12:])}, id="other-timestamp"),
            pytest.param({"signatures": encoded(HEADER[:12] + bytes(64))}, id="C26-zero-signature"),
            pytest.param({"signatures": encoded(HEADER[:-1])}, id="75-bytes"),
            pytest.param({"signatures": encoded(HEADER + b"\0")}, id="77-bytes"),
            pytest.param({"signatures": (base64.urlsafe_b64encode(HEADER).replace(b"+", b"-") + b" ",)}, id="space"),
            pytest.param({"signatures": (VECTOR["signature_header"].rstrip("=").encode(),)}, id="no-padding"),
            pytest.param({"signatures": (b"",)}, id="empty"),
            pytest.param({"signatures": (VECTOR["signature_header"].encode(),) * 2}, id="two-headers"),
        ],
    )
    def test_it_fails_when_anything_is_changed(self, change: Mapping[str, Any]) -> None:
        assert refusal(vector_request(**change)) == "signature_invalid"

    def test_it_fails_with_another_key(self) -> None:
        other = key_of(proof_jwk(keys().device_key.public_key()))
        assert other is not None
        with pytest.raises(CredentialRejected, match="does not fit"):
            read_request(vector_request(), other, Policy()).verify(VECTOR["unix_time"], 300)

    @pytest.mark.parametrize("policy", [Policy(version=2), Policy(extra_headers=("x-a",)), Policy(max_body_bytes=4)])
    def test_it_fails_under_another_policy(self, policy: Policy) -> None:
        assert refusal(vector_request(), policy=policy) == "signature_invalid"

    @pytest.mark.parametrize("offset", [-301, 301, 86400])
    def test_row21_a_wrong_clock_has_its_own_reason(self, offset: int) -> None:
        assert refusal(vector_request(), VECTOR["unix_time"] + offset) == "signature_clock_skew"

    @pytest.mark.parametrize("offset", [-300, 300])
    def test_a_clock_may_differ_by_the_skew(self, offset: int) -> None:
        request = read_request(vector_request(), vector_key(), Policy())
        request.verify(VECTOR["unix_time"] + offset, 300)
        assert request.header.unix_time == VECTOR["unix_time"]


def device_signer() -> ClientSigner:
    return ClientSigner(keys().device_key, lambda: NOW)


def device_proof_key() -> ProofKey:
    key = key_of(proof_jwk(keys().device_key.public_key()))
    assert key is not None
    return key


def signed_by_device(request: RequestProof, signature: str) -> RequestProof:
    return replace(request, signatures=(signature.encode(),))


class TestSignedData:
    def test_row19_halves_are_padded_to_32_bytes(self) -> None:
        # One signature in 256 has a half with a leading zero byte; this finds one.
        request = RequestProof("POST", TARGET, b"token", b"")
        for attempt in range(4000):
            tried = replace(request, target=f"/{attempt}".encode())
            signature = device_signer().sign(tried.method, tried.target, tried.authorization)
            if base64.b64decode(signature)[12] == 0:
                read_request(signed_by_device(tried, signature), device_proof_key(), Policy()).verify(NOW, 300)
                return
        pytest.fail("no signature with a leading zero byte was found")

    def test_the_body_is_covered_as_far_as_the_policy_says(self) -> None:
        request = RequestProof("POST", TARGET, b"token", b"b" * 10_000)
        signature = device_signer().sign("POST", TARGET, b"token", request.body)
        changed_behind = replace(request, body=b"b" * 8192 + b"x")
        read_request(signed_by_device(changed_behind, signature), device_proof_key(), Policy()).verify(NOW, 300)
        changed_inside = replace(request, body=b"b" * 8191 + b"x" + b"b" * 1808)
        with pytest.raises(CredentialRejected):
            read_request(signed_by_device(changed_inside, signature), device_proof_key(), Policy()).verify(NOW, 300)

    def test_extra_headers_count_in_the_order_of_the_policy_and_a_missing_one_is_empty(self) -> None:
        policy = Policy(extra_headers=("x-one", "x-two", "x-three"))
        request = RequestProof("POST", TARGET, b"token", b"", extra={"x-three": b"3", "x-one": b"1", "x-four": b"4"})
        signature = device_signer().sign("POST", TARGET, b"token", b"", (b"1", b"", b"3"))
        read_request(signed_by_device(request, signature), device_proof_key(), policy).verify(NOW, 300)
        assert signed_data(request, 0, policy).endswith(b"\0token\x001\0\x003\0\0")

    def test_the_method_counts_in_upper_case(self) -> None:
        request = RequestProof("post", TARGET, b"token", b"")
        signature = device_signer().sign("POST", TARGET, b"token")
        read_request(signed_by_device(request, signature), device_proof_key(), Policy()).verify(NOW, 300)
        assert b"\0POST\0" in signed_data(request, 0, Policy())

    @given(st.binary(max_size=200))
    def test_no_header_is_more_than_refused(self, value: bytes) -> None:
        with pytest.raises(CredentialRejected) as refused:
            read_header(value)
        assert refused.value.reason == "signature_invalid"


class TestProofKey:
    jwk = proof_jwk(keys().device_key.public_key())

    def test_its_thumbprint_is_that_of_rfc_7638(self) -> None:
        digest = hashes.Hash(hashes.SHA256())
        x, y = self.jwk["x"], self.jwk["y"]
        digest.update(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode())
        assert device_proof_key().thumbprint == digest.finalize()

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"d": "AQ"}, id="private-part"),
            pytest.param({"kty": "RSA"}, id="another-type"),
            pytest.param({"kty": ["EC"]}, id="type-is-a-list"),
            pytest.param({"crv": "P-384"}, id="another-curve"),
            pytest.param({"alg": "ES384"}, id="another-algorithm"),
            pytest.param({"use": "enc"}, id="for-encryption"),
            pytest.param({"x": "A" * 43}, id="C11-not-on-the-curve"),
            pytest.param({"x": "_" * 43}, id="C11-beyond-the-field"),
            pytest.param({"y": "AQ"}, id="short"),
            pytest.param({"y": None}, id="missing"),
            pytest.param({"y": 5}, id="number"),
        ],
    )
    def test_anything_but_a_public_p256_key_is_none(self, change: Mapping[str, Any]) -> None:
        assert key_of(self.jwk | dict(change)) is None

    @pytest.mark.parametrize("claims", [{}, {"cnf": None}, {"cnf": []}, {"cnf": {"jwk": "x"}}, {"cnf": {"jkt": "x"}}])
    def test_a_token_without_key_has_none(self, claims: Mapping[str, Any]) -> None:
        assert proof_key(claims) is None


async def reason(xbox: Xbox, text: str, **changes: Any) -> RejectionReason:
    with pytest.raises(CredentialRejected) as refused:
        await xbox.signed_login(text, **changes)
    return refused.value.reason


class TestModes:
    @pytest.mark.parametrize("mode", ["off", "if_sent", "required"])
    async def test_a_signed_request_logs_in_in_every_mode(self, mode: str) -> None:
        xbox = Xbox(signature=mode)
        assert (await xbox.signed_login(xbox.good())).subject == AMBER.partner_xuid

    @pytest.mark.parametrize(("mode", "admitted"), [("off", True), ("if_sent", False), ("required", False)])
    async def test_row2_D24_a_wrong_signature_counts_unless_it_is_ignored(self, mode: str, admitted: bool) -> None:
        xbox = Xbox(signature=mode)
        if admitted:
            assert (await xbox.signed_login(xbox.good(), body=b"changed")).subject == AMBER.partner_xuid
        else:
            assert await reason(xbox, xbox.good(), body=b"changed") == "signature_invalid"

    @pytest.mark.parametrize(("mode", "admitted"), [("off", True), ("if_sent", True), ("required", False)])
    async def test_an_unsigned_request_is_refused_only_where_a_signature_is_demanded(
        self, mode: str, admitted: bool
    ) -> None:
        xbox = Xbox(signature=mode)
        if admitted:
            assert (await xbox.signed_login(xbox.good(), signatures=())).subject == AMBER.partner_xuid
        else:
            assert await reason(xbox, xbox.good(), signatures=()) == "signature_required"

    async def test_a_token_as_parameter_cannot_be_signed(self) -> None:
        xbox = Xbox(signature="required")
        with pytest.raises(CredentialRejected) as refused:
            await xbox.login(xbox.good())
        assert refused.value.reason == "signature_required"

    @pytest.mark.parametrize(("mode", "code"), [("if_sent", "signature_invalid"), ("required", "signature_required")])
    async def test_a_token_without_proof_key_cannot_be_signed_for(self, mode: str, code: str) -> None:
        xbox = Xbox(signature=mode)
        assert await reason(xbox, xbox.good(cnf=None)) == code

    async def test_row21_a_slow_clock_is_told_apart(self) -> None:
        xbox = Xbox(signature_skew=100)
        text = xbox.good()
        signature = xbox.emulator.signer(lambda: NOW - 101).sign("POST", TARGET, text.encode(), b"client_id=launcher")
        assert await reason(xbox, text, signatures=(signature.encode(),)) == "signature_clock_skew"

    async def test_the_tokens_own_signature_is_judged_first(self) -> None:
        xbox = Xbox()
        forged = xbox.emulator.mint(AMBER, case="bad-inner-signature").text
        assert await reason(xbox, forged, body=b"changed") == "credential_rejected"

    async def test_the_public_path_is_what_was_signed(self) -> None:
        xbox = Xbox(public_path_prefix="/login")
        text = xbox.good()
        assert await reason(xbox, text) == "signature_invalid"
        behind_proxy = TARGET.removeprefix(b"/oauth2")
        prefixed = Xbox(public_path_prefix="/oauth2")
        assert (await prefixed.signed_login(text, target=behind_proxy)).subject == AMBER.partner_xuid

    async def test_the_token_is_read_from_the_request_that_was_signed(self) -> None:
        xbox = Xbox()
        good, other = xbox.good(), xbox.emulator.mint(AMBER, case="wrong-title").text
        with pytest.raises(CredentialRejected) as refused:
            await xbox.login(good, proof=xbox.proof(other))
        assert refused.value.reason == "credential_wrong_title"

    @pytest.mark.parametrize("authorization", [b"", b"Basic YTpi", b"\xff\xfe", b"Bearer a.b.c.d.e"])
    async def test_another_authorization_is_malformed(self, authorization: bytes) -> None:
        xbox = Xbox()
        assert await reason(xbox, xbox.good(), authorization=authorization) == "credential_malformed"


class TestReplay:
    def test_D24_a_signed_request_logs_in_once(self) -> None:
        xbox = Xbox(signature_skew=100)
        text = xbox.good()
        found = xbox.platform.parse(Submission(value=text, proof=xbox.proof(text))).single_use
        assert found is not None
        assert found.keep == 2 * 100 + 60

    def test_row20_D24_the_other_form_of_a_signature_is_the_same_request(self) -> None:
        xbox = Xbox()
        text = xbox.good()
        proof = xbox.proof(text)
        mirrored = replace(proof, signatures=(mirror(proof.signatures[0]),))
        assert mirrored.signatures != proof.signatures
        first, again = (xbox.platform.parse(Submission(value=text, proof=sent)) for sent in (proof, mirrored))
        assert again.signed is not None
        again.signed.verify(NOW, 300)
        assert first.single_use == again.single_use

    def test_two_requests_with_one_token_are_different(self) -> None:
        xbox = Xbox()
        text = xbox.good()
        digests = set()
        for second in range(3):
            xbox.now = NOW + second
            digests.add(xbox.platform.parse(Submission(value=text, proof=xbox.proof(text))).single_use)
        assert len(digests) == 3

    def test_another_proof_key_makes_another_request(self) -> None:
        other = key_of(proof_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
        assert other is not None
        request = read_request(vector_request(), vector_key(), Policy())
        assert request.digest != replace(request, key=other).digest


def mirror(header: bytes) -> bytes:
    """(r, n - s): a second valid signature for the same data, which anybody can compute."""
    raw = base64.b64decode(header)
    s = P256_ORDER - int.from_bytes(raw[44:], "big")
    return base64.b64encode(raw[:44] + s.to_bytes(32, "big"))


def test_the_mirrored_signature_is_really_valid() -> None:
    raw = base64.b64decode(mirror(VECTOR["signature_header"].encode()))
    der = encode_dss_signature(int.from_bytes(raw[12:44], "big"), int.from_bytes(raw[44:], "big"))
    vector_key().public.verify(der, bytes.fromhex(VECTOR["data_to_sign_hex"]), ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(der)[1] != int.from_bytes(HEADER[44:], "big")
