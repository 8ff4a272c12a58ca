"""What an attacker makes of a good token: one table, by the rows of group C of the security checklist."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from tests.support.jwt_forging import (
    OMIT,
    PUBLIC_FORMS,
    Maker,
    ahead,
    bad_padding,
    bad_tag,
    bare_claims,
    beyond_the_order,
    by_a_stranger,
    by_hmac,
    chain_of_actors,
    claims,
    crowd,
    deflated,
    der,
    detached,
    embedded,
    encrypted,
    five_parts,
    flattened,
    for_audience,
    for_issuer,
    general,
    header,
    next_character,
    numbers,
    off_the_curve,
    order_of,
    otherwise_signed,
    pretending,
    raw_claims,
    raw_header,
    reencoded,
    replaced,
    respelt,
    signature,
    stranger,
    unsigned,
    unsigned_under_the_old_signature,
    with_signature,
)

Kind = Literal["access", "own", "id", "xsolla", "continuation"]
"""An access token of a player, one that a client has for itself, an id_token, a player's in the Xsolla profile, and
the token that a conflict of accounts is answered by.
"""
ALGORITHMS = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES256K",
    "PS256",
    "PS512",
    "EdDSA",
)
NONE: tuple[Any, ...] = ("none", "nOnE", "NONE", "", None, OMIT, ["none"], 0, {})
FUTURE = {"61 s": 61, "a day": 86400, "a century": 3_000_000_000}
TIMES = {
    "text": "1790000900",
    "true": True,
    "fraction": 1_790_000_900.5,
    "null": None,
    "list": [1_790_000_900],
    "whole float": 1_790_000_900.0,
}
NUMBERS = {
    "10^400": b"1" + b"0" * 400,
    "1e400": b"1e400",
    "infinity": b"Infinity",
    "5000 digits": b"9" * 5000,
    "NaN": b"NaN",
}
KIDS = {
    "path": "../../etc/passwd",
    "SQL": "' OR 1=1 --",
    "NUL": "\0",
    "10 KB": "k" * 10240,
    "number": 1,
    "null": None,
    "list": ["k"],
    "object": {"k": "k"},
    "true": True,
    "empty": "",
    "none": OMIT,
}


EVERYWHERE: Mapping[str, Mapping[str, Maker]] = {
    "C01": {
        **{f"{alg!r} without signature": unsigned(alg) for alg in NONE},
        **{f"{alg!r} above the old signature": unsigned_under_the_old_signature(alg) for alg in NONE},
        **{f"{alg!r} and well signed": header(alg=alg) for alg in NONE},
        "the own algorithm in a list": lambda good: good.made(header=good.header | {"alg": [good.key.alg]}),
        "no last part": respelt(lambda parts: ".".join(parts[:2])),
        "no signature": respelt(lambda parts: f"{parts[0]}.{parts[1]}."),
    },
    "C02": {
        f"{alg} by the {form}": by_hmac(alg, secret)
        for alg in ("HS256", "HS384", "HS512")
        for form, secret in PUBLIC_FORMS.items()
    },
    "C03": {
        "jwk": by_a_stranger("RS256", jwk=embedded(stranger("RS256"))),
        "jwk without kid": by_a_stranger("RS256", kid=OMIT, jwk=embedded(stranger("RS256"))),
        "jku": by_a_stranger("RS256", kid="theirs", jku="http://169.254.169.254/keys"),
        "x5u": by_a_stranger("RS256", x5u="https://evil.example/cert.pem"),
        "x5c": by_a_stranger("RS256", x5c=["MIIB"]),
        "jwk, well signed": header(jwk=embedded(stranger("RS256"))),
        "jku, well signed": header(jku="file:///etc/passwd"),
    },
    "C04": {f"crit {value!r}": header(crit=value, x=1) for value in (["x"], ["exp"], [], "x", None, [1], {"x": 1})},
    "C05": {
        "empty middle": detached(0),
        "clear middle": detached(9000),
        "10 MB of it": detached(10_000_000),
        "not critical": detached(0, crit=OMIT),
        "b64 true": header(b64=True, crit=["b64"]),
        "b64 false, yet encoded": header(b64=False),
    },
    "C06": {"flattened": flattened, "general": general(signatures=1), "no signatures": general(signatures=0)},
    "C07": {
        "the token in a JWE": encrypted("RSA-OAEP"),
        "bare claims in a JWE": encrypted("RSA-OAEP", plain=bare_claims),
        "bare claims under a shared key": encrypted("dir", plain=bare_claims),
    },
    "C08": {
        "a bomb in a JWE": encrypted("dir", plain=lambda _: "0" * 8_000_000, zipped=True),
        "a compressed JWS": deflated,
    },
    "C09": {
        "JWE": five_parts({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": "YWFhYWFhYWE"}),
        "JWS": header(alg="PBES2-HS256+A128KW", p2c=2**31 - 1, p2s="YWFhYWFhYWE"),
        "well signed": header(p2c=2**31 - 1),
    },
    "C10": {"bad padding": bad_padding, "bad tag": bad_tag},
    "C11": {"ECDH-ES off the curve": off_the_curve, "epk, well signed": header(epk={"kty": "EC", "crv": "P-256"})},
    "C12": {"a thousand recipients": crowd},
    "C13": {
        "17 KB, well signed": claims(padding="x" * 12_500),
        "a megabyte": claims(padding="x" * 1_000_000),
        "a megabyte of one part": lambda _: "A" * 1_000_000,
        "100,000 dots": lambda _: "." * 100_000,
        "as many dots as fit": lambda _: "." * 16_000,
        "as many parts as fit": lambda _: "A." * 8_000,
        "one character too long": lambda good: good.text + "A" * (16 * 1024 + 1 - len(good.text)),
        "a deep header": lambda good: good.made(header=b'{"a":' + b"[" * 8_000),
        "a very deep header": lambda good: good.made(header=b'{"a":' + b"[" * 50_000),
        "deep claims": lambda good: good.made(claims=b'{"a":' * 1_500 + b"1" + b"}" * 1_500),
        "nothing": lambda _: "x",
    },
    "C14": {
        "a header's name twice": raw_header(lambda raw: raw[:-1] + b', "alg": "none"}'),
        "kid twice, the same": lambda good: good.made(
            header=json.dumps(good.header).encode()[:-1] + f', "kid": "{good.key.kid}"}}'.encode()
        ),
        "a claim twice": raw_claims(lambda raw: raw[:-1] + b', "sub": "other"}'),
        "the first sub counts": raw_claims(lambda raw: b'{"sub": "other", ' + raw[1:]),
        **{f"{name} in passing": raw_claims(replaced("x", number)) for name, number in NUMBERS.items()},
        "UTF-16": raw_claims(lambda raw: raw.decode().encode("utf-16")),
        "UTF-16 without a mark": raw_claims(lambda raw: raw.decode().encode("utf-16-le")),
        "UTF-32": raw_claims(lambda raw: raw.decode().encode("utf-32-be")),
        "byte order mark": raw_claims(lambda raw: b"\xef\xbb\xbf" + raw),
        "byte order mark in the header": raw_header(lambda raw: b"\xef\xbb\xbf" + raw),
        "a lone surrogate": raw_claims(lambda raw: raw[:-1] + b', "x": "\\ud800"}'),
        "invalid UTF-8": raw_claims(lambda raw: raw[:-1] + b', "x": "\xff"}'),
        "something behind it": raw_claims(lambda raw: raw + b"{}"),
        "a comment": raw_claims(lambda raw: b"/**/" + raw),
        "a list": raw_claims(lambda raw: b"[" + raw + b"]"),
        "a text": raw_claims(lambda _: b'"x"'),
        "null": raw_claims(lambda _: b"null"),
        "nothing": raw_claims(lambda _: b""),
        "a header of a list": raw_header(lambda raw: b"[" + raw + b"]"),
        "an empty header": raw_header(lambda _: b"{}"),
    },
    "C15": {
        f"{name} ahead by {label}": ahead(name, seconds) for name in ("iat", "nbf") for label, seconds in FUTURE.items()
    },
    "C16": {
        f"{what} {name}": claims(**{name: value})
        for name in ("iss", "sub", "aud", "iat", "exp")
        for what, value in (("no", OMIT), ("null for", None))
    },
    "C17": {
        "issuer with a slash": for_issuer(lambda iss: f"{iss}/"),
        "issuer in other case": for_issuer(lambda iss: iss.upper()),
        "a prefix of the issuer": for_issuer(lambda iss: iss[:-1]),
        "the issuer as a prefix": for_issuer(lambda iss: f"{iss}.evil.example"),
        "the issuer inside": for_issuer(lambda iss: f"https://evil.example/{iss}"),
        "issuers in a list": for_issuer(lambda iss: [iss]),
        "an empty issuer": for_issuer(lambda _: ""),
        "an empty audience": for_audience(lambda _: ""),
        "an audience that is a number": for_audience(lambda _: 7),
        "an audience that is an object": for_audience(lambda aud: {str(aud): 1}),
        "an audience with a number in it": for_audience(lambda aud: [aud, 7]),
        "an audience with nothing in it": for_audience(lambda aud: [aud, ""]),
    },
    "C18": {
        f"type {typ!r}": header(typ=typ)
        for typ in (
            "logout+jwt",
            "dpop+jwt",
            "revocations+jwt",
            "JOSE",
            "",
            None,
            OMIT,
            ["JWT"],
            "jwt",
            "AT+JWT",
            "application/at+jwt",
        )
    },
    "C19": {
        **{
            f"{name} as {what}": claims(**{name: value})
            for name in ("exp", "iat", "nbf")
            for what, value in TIMES.items()
        },
        **{
            f"{name} as {what}": raw_claims(replaced(name, number))
            for name in ("exp", "iat", "nbf")
            for what, number in NUMBERS.items()
        },
    },
    "C20": {
        **{f"{alg} in the header": pretending(alg) for alg in ALGORITHMS},
        "the kid of another kind of key": by_a_stranger("ES384"),
    },
    "C22": {f"kid {what}": header(kid=value) for what, value in KIDS.items()}
    | {"kid in other case": lambda good: good.made(header=good.header | {"kid": good.key.kid.swapcase()})}
    | {"a prefix of the kid": lambda good: good.made(header=good.header | {"kid": good.key.kid[:-1]})}
    | {"the kid and a NUL": lambda good: good.made(header=good.header | {"kid": f"{good.key.kid}\0"})},
    "C24": {f"{alg} by the same key": otherwise_signed(alg) for alg in ("RS256", "PS256", "RS384", "RS512", "ES384")},
    "C25": {
        "padding": respelt(lambda parts: ".".join(parts) + "=="),
        "padding of one": respelt(lambda parts: ".".join(parts) + "="),
        "padding in the header": respelt(lambda parts: f"{parts[0]}==.{parts[1]}.{parts[2]}"),
        "left-over bits": respelt(lambda parts: f"{parts[0]}.{parts[1]}.{next_character(parts[2])}"),
        "a character more": respelt(lambda parts: ".".join(parts) + "A"),
        "a header with spaces": reencoded,
        "a part more": respelt(lambda parts: ".".join(parts) + ".AA"),
        "no first part": respelt(lambda parts: f".{parts[1]}.{parts[2]}"),
    },
    "C26": {
        "zeros": with_signature(lambda _, __, old: bytes(len(old))),
        "ones": with_signature(lambda _, __, old: bytes(len(old) - 1) + b"\1"),
        "all bits": with_signature(lambda _, __, old: b"\xff" * len(old)),
        "too short": with_signature(lambda _, __, old: old[:-1]),
        "too long": with_signature(lambda _, __, old: b"\0" + old),
        "DER": with_signature(der),
        "a number beyond the order": with_signature(beyond_the_order),
        "r = n, s = n": with_signature(lambda good, _, __: numbers(order_of(good.key), order_of(good.key))),
        "r = 1, s = 0": with_signature(lambda _, __, ___: numbers(1, 0)),
        "another curve's": with_signature(lambda _, signed, __: signature("ES384", stranger("ES384"), signed)),
        "of other claims": with_signature(lambda good, _, __: signature(good.key.alg, good.key.private, "a.b")),
        "a stranger's": by_a_stranger(),
    },
    "C29": {f"sub {value!r}": claims(sub=value) for value in (1, 0, "", None, True, ["a"], {"a": 1}, OMIT)},
    "C33": {
        "of another server by its own key": by_a_stranger(kid="theirs"),
        "of another server by our kid": by_a_stranger(),
        "of another server, well signed": claims(iss="https://login.other.example"),
        "without audience and expiry": claims(iss="https://login.other.example", aud=OMIT, exp=OMIT),
    },
}
"""For every kind of token."""

OF_ACCESS_TOKENS: Mapping[str, Mapping[str, Maker]] = {
    "C15": {"expired": ahead("exp", 0), "expired long ago": claims(exp=1)},
    "C16": {
        **{f"no {name}": claims(**{name: OMIT}) for name in ("jti", "client_id", "scope")},
        **{
            f"{name} as {value!r}": claims(**{name: value})
            for name in ("jti", "client_id", "scope", "gid")
            for value in (7, None, True, ["openid"], {"openid": 1})
        },
        **{f"{name} empty": claims(**{name: ""}) for name in ("jti", "client_id", "gid")},
        **{f"act as {value!r}": claims(act=value) for value in (7, None, True, "backend", ["backend"], {}, {"sub": 7})},
        **{
            f"origin {jti!r} of {client!r}": claims(origin_jti=jti, origin_client_id=client)
            for jti, client in ((7, "shop"), ("", "shop"), (None, "shop"), ("j", 7), ("j", ""), ("j", OMIT))
        },
        "an odd actor behind a good one": claims(act={"sub": "backend", "act": 7}),
        "actors without end": claims(act=chain_of_actors(900)),
    },
    "C17": {"an audience of nobody": for_audience(lambda _: [])},
    "C18": {"an id_token's type": header(typ="JWT")},
    "C19": {"exp before the epoch": claims(exp=-1)},
}

OF_XSOLLAS: Mapping[str, Mapping[str, Maker]] = {
    "C15": {"expired": ahead("exp", 0), "expired long ago": claims(exp=1)},
    "C16": {
        **{f"no {name}": claims(**{name: OMIT}) for name in ("jti", "client_id", "scp")},
        **{
            f"{name} as {value!r}": claims(**{name: value})
            for name in ("jti", "client_id", "gid")
            for value in (7, None, True, ["openid"], "")
        },
        **{
            f"scp as {value!r}": claims(scp=value)
            for value in (7, None, True, "openid", {"a": 1}, [7], [""], ["a", None])
        },
    },
    "C18": {
        "an RFC 9068 token's type": header(typ="at+jwt"),
        **{
            f"token_use {value!r}": claims(token_use=value)
            for value in (OMIT, "id", "ACCESS", "", None, ["access"], True)
        },
    },
    "C19": {"exp before the epoch": claims(exp=-1)},
}

OF_CONTINUATIONS: Mapping[str, Mapping[str, Maker]] = {
    "C15": {
        "expired": ahead("exp", 0),
        "good for longer": ahead("exp", 301),
        "checked long ago": claims(iat=1, exp=301),
        "checked lately, good for longer": ahead("iat", -60),
        "a time before which it is not good": ahead("nbf", 0),
    },
    "C16": {
        **{
            f"no {name}": claims(**{name: OMIT})
            for name in (
                "jti",
                "gid",
                "client_id",
                "identity",
                "proof",
                "anonymous",
                "choices",
                "version",
                "owner",
                "owner_version",
                "flags",
                "segments",
                "request",
                "code",
            )
        },
        **{
            f"{name} as {value!r}": claims(**{name: value})
            for name in ("jti", "gid", "client_id", "identity", "proof", "choices", "flags", "code")
            for value in (7, None, True, [7], [["a"]], {"a": 7})
        },
        **{f"anonymous as {value!r}": claims(anonymous=value) for value in (0, None, "false")},
        **{f"version as {value!r}": claims(version=value) for value in ("1", None, True, 1.0)},
        "without a session": claims(sub=OMIT, gid=OMIT),
        "a claim more": claims(scope="openid"),
    },
    "C18": {"an access token's type": header(typ="at+jwt"), "an id_token's type": header(typ="JWT")},
    "C22": {"a header more": header(cty="JWT")},
}

OF_ITS_KIND: Mapping[Kind, Mapping[str, Mapping[str, Maker]]] = {
    "access": OF_ACCESS_TOKENS,
    "own": OF_ACCESS_TOKENS,
    "xsolla": OF_XSOLLAS,
    "continuation": OF_CONTINUATIONS,
    "id": {
        "C16": {
            "no at_hash": claims(at_hash=OMIT),
            **{
                f"{name} as {value!r}": claims(**{name: value})
                for name in ("at_hash", "sid")
                for value in (7, None, True, ["x"], "")
            },
        },
        "C17": {
            "an audience of nobody": for_audience(lambda _: []),
            "another audience": for_audience(lambda _: "older"),
            "audiences in a list": for_audience(lambda aud: [aud, "older"]),
            "the audience in other case": for_audience(lambda aud: aud.upper()),
            "the audience as a prefix": for_audience(lambda aud: f"{aud}x"),
        },
        "C18": {"an access token's type": header(typ="at+jwt"), "an access token's claim": claims(token_use="access")},
    },
}

ROWS = tuple(sorted(EVERYWHERE))


def attacks(row: str, kind: Kind) -> Mapping[str, Maker]:
    """The attacks of a row against a door for this kind of token, by what is wrong."""
    return {**EVERYWHERE[row], **OF_ITS_KIND[kind].get(row, {})}
