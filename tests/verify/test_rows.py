"""The rows of group C that concern a verifier, each against the verifier as a backend runs it."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authsrv.verify import InvalidToken, Unavailable
from tests.support.loop_cpu import cpu_of_both
from tests.support.token_source import (
    AUDIENCE,
    JWKS,
    NOW,
    TokenSource,
    b64,
    compact,
    private_key,
    public_jwk,
)

SHAPE = "not a compact JWS, or too long"
ORDER = int("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)  # of P-256
Header = dict[str, Any]


async def outcome(source: TokenSource, text: Any, **how: Any) -> str:
    """`accepted`, or which check refused."""
    async with source.verifier(**how) as verifier:
        try:
            await verifier.verify(text)
        except InvalidToken as refused:
            return refused.reason
    return "accepted"


def spelled(header: bytes, payload: bytes) -> str:
    """A token of exactly these bytes under a true signature of the key k1."""
    return compact(header, payload, "k1", "ES256")


def json_of(source: TokenSource, **changes: Any) -> bytes:
    return json.dumps(source.claims(**changes)).encode()


HEADER = b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}'


async def test_a_token_as_the_server_makes_it_is_accepted() -> None:
    source = TokenSource()
    assert await outcome(source, source.token()) == "accepted"
    assert await outcome(source, spelled(HEADER, json_of(source))) == "accepted"


@pytest.mark.parametrize("signed", [True, False], ids=["with-signature", "without"])
@pytest.mark.parametrize("alg", ["none", "nOnE", "", None, ["ES256"], "HS256", "es256", "ES256K"], ids=str)
async def test_C01_no_algorithm_or_a_foreign_one(alg: Any, signed: bool) -> None:
    source = TokenSource()
    token = source.token("k1", "ES256", {"alg": alg})
    text = token if signed else token.rpartition(".")[0] + "."
    assert await outcome(source, text) in {
        "an algorithm that is not allowed",
        "a header member is missing or no text",
        SHAPE,
    }


async def test_C01_a_header_without_any_algorithm() -> None:
    source = TokenSource()
    assert "missing" in await outcome(source, spelled(b'{"kid":"k1","typ":"at+jwt"}', json_of(source)))


def public_spellings(kid: str, alg: str) -> dict[str, bytes]:
    public = private_key(kid, alg).public_key()
    return {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "SSH": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "JWK": json.dumps(public_jwk(kid, alg)).encode(),
    }


@pytest.mark.parametrize(("kid", "alg"), [("k1", "ES256"), ("r1", "RS256")])
@pytest.mark.parametrize("spelling", ["PEM", "DER", "SSH", "JWK"])
async def test_C02_a_public_key_as_shared_secret(kid: str, alg: str, spelling: str) -> None:
    source = TokenSource()
    signed = f"{b64(json.dumps({'alg': 'HS256', 'kid': kid, 'typ': 'at+jwt'}).encode())}.{b64(json_of(source))}"
    hmac: Any = jwt.algorithms.get_default_algorithms()["HS256"]
    text = f"{signed}.{b64(hmac.sign(signed.encode(), public_spellings(kid, alg)[spelling]))}"
    assert await outcome(source, text) == "an algorithm that is not allowed"


@pytest.mark.parametrize("kid", ["k1", "attacker"])
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("jwk", public_jwk("attacker", "ES256")),
        ("jku", "https://attacker.example/keys"),
        ("x5u", "https://attacker.example/chain.pem"),
        ("x5c", ["MIIB"]),
    ],
)
async def test_C03_a_key_by_header(kid: str, member: str, value: Any) -> None:
    source = TokenSource()
    text = source.token("attacker", "ES256", {"kid": kid, member: value})
    assert await outcome(source, text) == "a header member that is not allowed"
    assert len(source.requests) == 3  # metadata, keys, feed: nothing because of the token


async def test_C04_unknown_crit() -> None:
    source = TokenSource()
    assert (
        await outcome(source, source.token("k1", "ES256", {"crit": ["x"], "x": 1}))
        == "a header member that is not allowed"
    )


@pytest.mark.parametrize("member", [{"b64": False}, {"b64": True}, {"b64": False, "crit": ["b64"]}], ids=str)
async def test_C05_an_unencoded_payload(member: Header) -> None:
    source = TokenSource()
    assert await outcome(source, source.token("k1", "ES256", member)) == "a header member that is not allowed"


async def test_C05_a_detached_or_an_endless_payload() -> None:
    source = TokenSource()
    header, _, signature = source.token().split(".")
    assert await outcome(source, f"{header}..{signature}") == SHAPE
    assert await outcome(source, f"{header}.{'A' * 10_000_000}.{signature}") == SHAPE


async def test_C06_a_json_serialization() -> None:
    source = TokenSource()
    header, payload, signature = source.token().split(".")
    one = {"protected": header, "signature": signature}
    serializations: list[Header] = [
        {**one, "payload": payload},
        {"payload": payload, "signatures": [one]},
        {"payload": payload, "signatures": []},
    ]
    for serialized in serializations:
        assert await outcome(source, json.dumps(serialized)) == SHAPE
        assert await outcome(source, serialized) == "not a text"


def under(header: bytes) -> str:
    """A text with this header whose signature never comes to be looked at."""
    return f"{b64(header)}.e30.AAAA"


def wide(members: int) -> str:
    """The same with so many members in the header."""
    return under(HEADER[:-1] + b"".join(b',"%d":1' % number for number in range(members)) + b"}")


OVERSIZE = {
    "1-mb": "A" * 1_000_000,
    "100000-dots": "." * 100_000,
    "dots-within-the-limit": "." * 16_000,
    "nested-header": under(b"[" * 50_000),
    "nested-header-within-the-limit": under(b"[" * 6_000),
    "nested-member-within-the-limit": under(HEADER[:-1] + b',"x":' + b"[" * 6_000),
    "wide-header": wide(1300),
    "wide-header-within-the-limit": wide(700),
}


@pytest.mark.parametrize("oversize", OVERSIZE.values(), ids=OVERSIZE.keys())
async def test_C13_size_and_shape_cost_less_than_a_few_signatures(oversize: str) -> None:
    source = TokenSource()
    async with source.verifier() as verifier:

        async def refused() -> None:
            with pytest.raises(InvalidToken):
                await verifier.verify(oversize)

        found, reference = await cpu_of_both(refused, partial(verifier.verify, source.token()), rounds=12)
    assert found < 10 * reference


ODD_MEMBERS = {
    "duplicate": (b'"x":1,"x":2', "duplicate name"),
    "escaped-duplicate": (b'"x":1,"\\u0078":2', "duplicate name"),
    "NaN": (b'"x":NaN', "NaN or Infinity"),
    "infinite": (b'"x":1e999', "number out of range"),
    "endless-integer": (b'"x":' + b"9" * 5000, "number out of range"),
    "lone-surrogate": (b'"x":"\\ud800"', "not valid UTF-8"),
    "not-UTF-8": (b'"x":"\xff"', "not valid UTF-8"),
}


@pytest.mark.parametrize(("member", "why"), ODD_MEMBERS.values(), ids=ODD_MEMBERS.keys())
async def test_C14_json_that_two_readers_read_differently(member: bytes, why: str) -> None:
    source = TokenSource()
    odd_header = HEADER[:-1] + b"," + member + b"}"
    odd_payload = json_of(source)[:-1] + b"," + member + b"}"
    assert await outcome(source, spelled(odd_header, json_of(source))) == f"not strict JSON: {why}"
    assert await outcome(source, spelled(HEADER, odd_payload)) == f"not strict JSON: {why}"


async def test_C14_two_values_of_one_claim() -> None:
    source = TokenSource()
    payload = json_of(source)[:-1] + b',"sub":"somebody-else"}'
    assert await outcome(source, spelled(HEADER, payload)) == "not strict JSON: duplicate name"


@pytest.mark.parametrize("encoded", ["utf-16", "utf-8-sig", "utf-32"])
async def test_C14_other_encodings(encoded: str) -> None:
    source = TokenSource()
    for text in (
        spelled(HEADER.decode().encode(encoded), json_of(source)),
        spelled(HEADER, json_of(source).decode().encode(encoded)),
    ):
        assert (await outcome(source, text)).startswith("not strict JSON: ")


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null", b"", b"{"], ids=str)
async def test_C14_a_payload_that_is_no_object(payload: bytes) -> None:
    source = TokenSource()
    assert await outcome(source, spelled(HEADER, payload)) in {
        "a part is not a JSON object",
        "not strict JSON: syntax error at character 1",
        SHAPE,
    }


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": NOW - 59}, "accepted"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": NOW - 86400}, "expired"),
        ({"iat": NOW + 60}, "accepted"),
        ({"iat": NOW + 61}, "not valid yet"),
        ({"nbf": NOW + 60}, "accepted"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"nbf": NOW - 5}, "accepted"),
        ({"iat": 0}, "accepted"),
        ({"exp": -1}, "expired"),
    ],
    ids=str,
)
async def test_C15_times_with_a_minute_of_leeway(claims: Header, expected: str) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(**claims)) == expected


async def test_C15_less_leeway_may_be_asked_for() -> None:
    source = TokenSource()
    assert await outcome(source, source.token(exp=NOW), leeway=0) == "expired"
    assert await outcome(source, source.token(exp=NOW + 1), leeway=0) == "accepted"
    assert await outcome(source, source.token(iat=NOW + 1), leeway=0) == "not valid yet"


@pytest.mark.parametrize("name", ["exp", "iat", "iss", "aud", "sub", "jti", "client_id"])
async def test_C16_a_missing_claim(name: str) -> None:
    source = TokenSource()
    reason = await outcome(source, source.token(**{name: None}))
    assert reason.startswith(f"{name} is missing")


@pytest.mark.parametrize("name", ["scope", "gid", "auth_time"])
async def test_C16_a_token_may_lack_what_not_every_token_has(name: str) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(**{name: None})) == "accepted"


LOOSE = ("/", "/.", "?", "#", ".evil.example", " ", "%2F")


@pytest.mark.parametrize(
    "iss",
    [*(TokenSource.issuer + more for more in LOOSE), TokenSource.issuer[:-1], TokenSource.issuer.upper(), "", [], 1],
    ids=str,
)
async def test_C17_an_issuer_that_is_almost_ours(iss: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(iss=iss)) in {"another issuer", "iss is missing or no text"}


@pytest.mark.parametrize(
    "aud",
    [*(AUDIENCE + more for more in LOOSE), AUDIENCE[:-1], AUDIENCE.upper(), "", [], [AUDIENCE + "/"], [[AUDIENCE]]],
    ids=str,
)
async def test_C17_an_audience_that_is_almost_ours(aud: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(aud=aud)) in {
        "for another audience",
        "aud is missing or no list of texts",
        "aud is missing or no text",
    }


@pytest.mark.parametrize("aud", [[AUDIENCE, 1], [AUDIENCE, ""], {AUDIENCE: 1}, True], ids=str)
async def test_C17_an_audience_that_is_no_list_of_texts(aud: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(aud=aud)) == "aud is missing or no list of texts"


async def test_C17_a_token_for_several_backends_is_taken_by_each_that_it_names() -> None:
    source = TokenSource()
    text = source.token(aud=["https://shop.studio.example", AUDIENCE])
    assert await outcome(source, text) == "accepted"
    assert await outcome(source, text, audience="https://chat.studio.example") == "for another audience"


OTHER_JWTS: dict[str, tuple[str, Header]] = {
    "id-token": ("JWT", {"aud": AUDIENCE, "at_hash": "x", "nonce": "n", "client_id": None, "scope": None}),
    "id-token-with-every-claim": ("JWT", {}),
    "logout-token": ("logout+jwt", {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    "dpop-proof": ("dpop+jwt", {"htm": "GET", "htu": AUDIENCE}),
    "userinfo": ("JWT", {"exp": None}),
    "feed": ("revocations+jwt", {"poll": 30, "not_before": {}, "clients": {}}),
    "upper-case": ("AT+JWT", {}),
    "no-type": ("", {}),
}


@pytest.mark.parametrize(("typ", "claims"), OTHER_JWTS.values(), ids=OTHER_JWTS.keys())
async def test_C18_another_jwt_of_the_same_issuer(typ: str, claims: Header) -> None:
    source = TokenSource()
    for how in ({}, {"xsolla_project": "5b3a1c52-0000-4000-8000-000000000001"}):
        assert await outcome(source, source.token("k1", "ES256", {"typ": typ}, **claims), **how) != "accepted"


async def test_C18_the_registered_type_may_be_written_in_full() -> None:
    source = TokenSource()
    assert await outcome(source, source.token("k1", "ES256", {"typ": "application/at+jwt"})) == "accepted"
    assert "missing" in await outcome(source, source.token("k1", "ES256", {"typ": None}))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [str(NOW + 900), True, float(NOW + 900), [NOW], {}, "Infinity"], ids=str)
async def test_C19_a_time_that_is_no_whole_number(name: str, value: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(**{name: value})) == f"{name} is missing or no whole number"


@pytest.mark.parametrize("value", [b"1" + b"0" * 400, b"1e400", b"-1e400"], ids=["10^400", "1e400", "-1e400"])
async def test_C19_a_time_beyond_every_number(value: bytes) -> None:
    source = TokenSource()
    payload = json_of(source, exp=None)[:-1] + b',"exp":' + value + b"}"
    assert await outcome(source, spelled(HEADER, payload)) == "not strict JSON: number out of range"


@pytest.mark.parametrize(
    ("published", "said", "signed_by"),
    [
        ("PS256", "RS256", "RS256"),
        ("RS256", "PS256", "PS256"),
        ("RS256", "PS256", "RS256"),
        ("ES256", "RS256", "ES256"),
        ("EdDSA", "ES256", "EdDSA"),
    ],
)
async def test_C20_another_algorithm_than_the_key_is_for(published: str, said: str, signed_by: str) -> None:
    source = TokenSource(keys={"k1": "ES256", "k2": published})
    text = source.token("k2", signed_by, {"alg": said})
    assert await outcome(source, text) == "another algorithm than the key is for"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA"])
async def test_C20_each_algorithm_works_with_its_key(alg: str) -> None:
    source = TokenSource(keys={"k1": "ES256", "k2": alg})
    assert await outcome(source, source.token("k2", alg)) == "accepted"
    assert await outcome(source, source.token("k3", alg, {"kid": "k2"})) == "a wrong signature"


async def test_C21_a_flood_of_unknown_keys_costs_one_fetch_per_cool_down() -> None:
    source = TokenSource()
    async with source.verifier() as verifier:
        for number in range(10_000):
            with pytest.raises(InvalidToken, match="an unknown key"):
                await verifier.verify(flooding(number))
        assert source.asked(JWKS) == 2  # at the begin, and for the first of them
        source.now += 60
        with pytest.raises(InvalidToken, match="an unknown key"):
            await verifier.verify(flooding(0))
        assert source.asked(JWKS) == 3
        source.down, source.now = True, source.now + 60
        with pytest.raises(Unavailable):
            await verifier.verify(flooding(0))
        assert (await verifier.verify(source.token())).client_id == "launcher"


def flooding(number: int) -> str:
    """A token of a key that nobody has."""
    return under(json.dumps({"alg": "ES256", "kid": f"k{number}-", "typ": "at+jwt"}).encode())


@pytest.mark.parametrize(
    "kid",
    ["../../etc/passwd", "' OR 1=1", "k1\x00", "\x00", "k" * 6_000, "", " k1", "K1", "http://k.example"],
    ids=lambda kid: repr(kid[:16]),
)
async def test_C22_a_kid_is_looked_up_and_nothing_else(kid: str) -> None:
    source = TokenSource()
    assert await outcome(source, source.token("k1", "ES256", {"kid": kid})) == "an unknown key"
    assert {path for path, _ in source.requests} == {"/.well-known/openid-configuration", JWKS, "/oauth2/revocations"}


@pytest.mark.parametrize("kid", [1, None, ["k1"], {"k1": 1}, True], ids=str)
async def test_C22_a_kid_that_is_no_text(kid: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token("k1", "ES256", {"kid": kid})) == "a header member is missing or no text"


async def test_C25_another_spelling_of_a_token_is_refused() -> None:
    source = TokenSource()
    header, payload, signature = source.token().split(".")
    unused = signature[:-1] + chr(ord(signature[-1]) + 1)  # the last of 86 characters has four bits that say nothing
    assert urlsafe_b64decode(unused + "==") == urlsafe_b64decode(signature + "==")
    for text in (
        f"{header}.{payload}.{signature}==",
        f"{header}.{payload}.{unused}",
        f"{header}=.{payload}.{signature}",
        f" {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}\n",
        f"{header}.{payload}.{signature}.",
        f"{header}.{payload}.\N{FULLWIDTH LATIN CAPITAL LETTER A}{signature[1:]}",
        f"{b64(HEADER + b' ')}.{payload}.{signature}",
    ):
        assert await outcome(source, text) in {SHAPE, "a part is not canonical base64url", "a wrong signature"}


async def test_C25_a_revoked_token_with_another_signature_is_still_revoked() -> None:
    source = TokenSource(revoked={"jti": ["Fc5lVtozXHveZOKRabnfn0m9"]})
    signed, _, signature = source.token().rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    s = ORDER - int.from_bytes(raw[32:])
    twin = f"{signed}.{b64(raw[:32] + s.to_bytes(32))}"  # ECDSA: (r, n - s) signs the same
    assert await outcome(source, twin) == "revoked"
    source.revoked = {}
    assert await outcome(source, twin) == "accepted"


def with_signature(source: TokenSource, signature: bytes) -> str:
    return f"{source.token().rpartition('.')[0]}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_C26_signatures_that_are_none() -> None:
    source = TokenSource()
    signed, _, signature = source.token().rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    key = private_key("k1", "ES256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    der = key.sign(signed.encode(), ec.ECDSA(SHA256()))
    r, _ = decode_dss_signature(der)
    for bad in (
        bytes(64),
        bytes(32) + raw[32:],
        raw[:32] + bytes(32),
        ORDER.to_bytes(32) * 2,
        der,
        encode_dss_signature(r, 1),
        raw[:63],
        raw + b"\x00",
        raw[:1],
        raw * 40,
    ):
        assert await outcome(source, with_signature(source, bad)) == "a wrong signature"


async def test_C26_a_key_on_another_curve() -> None:
    stranger = ec.generate_private_key(ec.SECP384R1())
    algorithm: Any = jwt.algorithms.get_default_algorithms()["ES384"]
    jwk = algorithm.to_jwk(stranger.public_key(), as_dict=True)
    source = TokenSource()
    entries = [*json.loads(source.key_set())["keys"], {**jwk, "kid": "wide", "alg": "ES256", "use": "sig"}]
    source.answers = {JWKS: source.document(JWKS)}
    source.answers[JWKS].body = json.dumps({"keys": entries}).encode()
    assert await outcome(source, source.token("k1", "ES256", {"kid": "wide"})) == "an unknown key"
    assert await outcome(source, source.token()) == "accepted"


@pytest.mark.parametrize("name", ["sub", "client_id", "jti", "gid"])
@pytest.mark.parametrize("value", [7, "", [], True, {"id": "x"}, 1.5], ids=str)
async def test_C29_an_id_is_a_text_and_is_never_made_one(name: str, value: Any) -> None:
    source = TokenSource()
    assert await outcome(source, source.token(**{name: value})) == f"{name} is missing or no text"


async def test_C33_a_jwt_of_somebody_else() -> None:
    source, other = TokenSource(), TokenSource(issuer="https://other.example", keys={"k1": "ES256"})
    strangers = {"kid": "k1"}
    assert await outcome(source, other.token("strangers", "ES256", strangers)) == "a wrong signature"
    assert await outcome(source, source.token("strangers", "ES256", strangers)) == "a wrong signature"
    assert await outcome(source, other.token("strangers")) == "an unknown key"
    for name in ("aud", "exp"):
        assert (
            await outcome(source, source.token("strangers", "ES256", strangers, **{name: None})) == "a wrong signature"
        )
        assert await outcome(source, source.token(**{name: None})) != "accepted"


async def test_no_refusal_holds_any_part_of_the_token() -> None:
    source = TokenSource()
    secret = "c2VjcmV0LW9mLXRoZS1wbGF5ZXI"
    texts = [
        source.token(sub=secret, exp=1),
        source.token("k1", "ES256", {"kid": secret}),
        source.token("k1", "ES256", {"typ": secret}),
        spelled(b'{"alg":"' + secret.encode(), json_of(source)),
        spelled(HEADER, b'{"' + secret.encode()),
        secret,
    ]
    async with source.verifier() as verifier:
        for text in texts:
            with pytest.raises(InvalidToken) as refused:
                await verifier.verify(text)
            told = f"{refused.value!r} {refused.value.challenge} {refused.value.__cause__!r}"
            assert secret not in told
            assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_private_helper_signs_as_the_platform_does() -> None:
    """What the rows above call a true signature is one for PyJWT too."""
    source = TokenSource()
    public = serialization.load_pem_public_key(public_spellings("k1", "ES256")["PEM"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    options: Any = {"verify_exp": False, "verify_iat": False}
    assert jwt.decode(source.token(), public, ["ES256"], audience=AUDIENCE, options=options)["client_id"] == "launcher"
