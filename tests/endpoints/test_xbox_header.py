"""The Xbox login as consoles send it: the token in `Authorization`, proof of possession in `Signature`, over HTTP."""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from authsrv.emulator.base import PLAYERS
from tests.support.server import Server, launcher_request, running

PATH = "/oauth2/social/xbox/cross_auth"
ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
INVALID = (401, "invalid_token", "signature_invalid")
SKEW = (401, "invalid_token", "signature_clock_skew")
REQUIRED = (401, "invalid_token", "signature_required")
REPLAYED = (401, "invalid_token", "credential_replayed")
EXPIRED = (401, "invalid_token", "credential_expired")


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it goes over the wire. Changed with `replace`, it keeps the signature over what it was before."""

    authorization: str
    signature: str
    target: str
    body: str
    method: str = "POST"


def body(**changes: str | None) -> str:
    return urlencode({name: value for name, value in (launcher_request() | changes).items() if value})


def signed(server: Server, token: str = "", target: str = PATH, sent: str = "", **changes: Any) -> Signed:
    """A good request of the emulated console; `changes` are of the signer."""
    xbox: Any = server.platforms["xbox"]
    authorization, sent = token or server.mint("xbox").text, sent or body()
    method = changes.pop("method", "POST")
    signature = xbox.signer(**changes).sign(method, target.encode(), authorization.encode(), sent.encode())
    return Signed(authorization, signature, target, sent)


async def send(server: Server, request: Signed, **headers: str) -> httpx.Response:
    proof = {"signature": request.signature} if request.signature else {}
    return await server.http.request(
        request.method,
        request.target,
        content=request.body,
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "authorization": request.authorization,
            **proof,
            **headers,
        },
    )


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    told = answer.json()
    return answer.status_code, told["error"], told.get("reason", "")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as started:
        yield started


@pytest.fixture
async def strict() -> AsyncIterator[Server]:
    """A server whose project demands signatures."""

    def required(block: dict[str, Any]) -> None:
        block["projects"]["demo"]["platforms"]["xbox"]["signature"] = "required"

    async with running(edit=required) as started:
        yield started


# Good requests


async def test_a_signed_request_logs_in(server: Server) -> None:
    answer = await send(server, signed(server))
    code = httpx.URL(answer.json()["login_url"]).params["code"]
    tokens = (await server.redeem(code)).json()
    access = server.claims(tokens["access_token"])
    assert (access["idp"], access["idp_sub"]) == ("xbox", PLAYERS["amber"].partner_xuid)


async def test_the_header_and_the_parameter_lead_to_the_same_player(server: Server) -> None:
    by_header = httpx.URL((await send(server, signed(server))).json()["login_url"]).params["code"]
    access = [(await server.redeem(by_header)).json(), await server.login("xbox")]
    assert len({server.claims(tokens["access_token"])["sub"] for tokens in access}) == 1


async def test_the_header_alone_is_enough_where_signatures_are_optional(server: Server) -> None:
    assert (await send(server, replace(signed(server), signature=""))).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(PATH + "?sdk=1&x=%41&x=%41", id="query"),
        pytest.param("/oauth2/social/xbox/cross%5Fauth", id="percent-encoded path"),
    ],
)
async def test_the_target_is_signed_exactly_as_sent(strict: Server, target: str) -> None:
    assert (await send(strict, signed(strict, target=target))).status_code == 200


async def test_the_answer_may_be_a_redirect(strict: Server) -> None:
    answer = await send(strict, signed(strict, sent=body(is_redirect="true")))
    assert answer.status_code == 303
    assert "code" in httpx.URL(answer.headers["location"]).params


async def test_only_the_first_8192_bytes_of_the_body_are_signed(strict: Server) -> None:
    request = signed(strict, sent=body(ignored="x" * 9000))
    assert (await send(strict, replace(request, body=request.body + "&more=1"))).status_code == 200


# Changed after signing


def longer_body(request: Signed) -> Signed:
    return replace(request, body=request.body + "&x=1")


def _with(part: str, value: Any) -> Callable[[Signed], Signed]:
    return lambda request: replace(request, **{part: value(getattr(request, part))})


def with_flipped_byte(signature: str) -> str:
    raw = bytearray(b64decode(signature))
    raw[12] ^= 0xFF
    return b64encode(raw).decode()


def later(signature: str) -> str:
    raw = bytearray(b64decode(signature))
    raw[11] ^= 1
    return b64encode(raw).decode()


TAMPERED = [
    pytest.param(longer_body, id="body longer"),
    pytest.param(_with("body", lambda text: text.replace("openid", "profile")), id="scope"),
    pytest.param(_with("body", lambda text: text.replace("af0ifjsldkj", "af0ifjsldkk")), id="state"),
    pytest.param(_with("body", lambda text: text + "&"), id="body of the same meaning"),
    pytest.param(_with("target", lambda text: text + "?x=1"), id="query added"),
    pytest.param(_with("target", lambda text: text.replace("_", "%5F")), id="path spelt differently"),
    pytest.param(_with("authorization", lambda text: text.replace("XBL3.0", "xbl3.0")), id="scheme spelt differently"),
    pytest.param(_with("signature", with_flipped_byte), id="signature"),
    pytest.param(_with("signature", later), id="timestamp"),
    pytest.param(_with("signature", str.lower), id="signature in lower case"),
    pytest.param(_with("signature", lambda text: text[:-2]), id="signature without padding"),
    pytest.param(_with("signature", lambda text: text + "="), id="signature with more padding"),
    pytest.param(_with("signature", lambda text: " , ".join([text, text])), id="two signatures in one header"),
]


@pytest.mark.parametrize("tamper", TAMPERED)
async def test_whatever_changes_after_signing_is_seen(server: Server, tamper: Callable[[Signed], Signed]) -> None:
    request = signed(server)
    assert refusal(await send(server, tamper(request))) == INVALID
    assert (await send(server, request)).status_code == 200


async def test_the_query_is_signed_too(server: Server) -> None:
    request = signed(server, target=PATH + "?build=1")
    for target in (PATH, PATH + "?build=2"):
        assert refusal(await send(server, replace(request, target=target))) == INVALID


async def test_the_method_is_signed_too(server: Server) -> None:
    assert refusal(await send(server, signed(server, method="PUT"))) == INVALID
    assert (await send(server, replace(signed(server), method="PUT"))).status_code == 405


async def test_the_signature_of_one_token_does_not_fit_another(server: Server) -> None:
    mine, yours = signed(server), server.mint("xbox", "birch").text
    assert refusal(await send(server, replace(mine, authorization=yours))) == INVALID


async def test_a_signature_by_another_console_is_refused(server: Server) -> None:
    xbox: Any = server.platforms["xbox"]
    foreign = xbox.tokens.text(xbox.tokens.user(PLAYERS["amber"]), cnf={"jwk": FOREIGN_JWK})
    assert refusal(await send(server, signed(server, foreign))) == INVALID


FOREIGN_JWK = {  # the public key of RFC 7515, appendix A.3
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


@pytest.mark.parametrize("version", [0, 2])
async def test_another_policy_version_is_refused(server: Server, version: int) -> None:
    assert refusal(await send(server, signed(server, version=version))) == INVALID


@pytest.mark.parametrize("off", [-301, 301, -86400])
async def test_a_clock_too_far_off_is_its_own_reason(server: Server, off: int) -> None:
    request = signed(server, clock=lambda: server.clock.now + off)
    assert refusal(await send(server, request)) == SKEW
    near = signed(server, clock=lambda: server.clock.now + (299 if off > 0 else -299))
    assert (await send(server, near)).status_code == 200


async def test_two_signature_headers_are_refused(server: Server) -> None:
    request = signed(server)
    fields = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"authorization", request.authorization.encode()),
        *[(b"signature", request.signature.encode())] * 2,
    ]
    answer = await server.http.post(request.target, content=request.body, headers=httpx.Headers(fields))
    assert refusal(answer) == INVALID


# Signatures demanded


async def test_where_a_signature_is_demanded_nothing_else_logs_in(strict: Server) -> None:
    assert (await send(strict, signed(strict))).status_code == 200
    assert refusal(await send(strict, replace(signed(strict), signature=""))) == REQUIRED
    unbound = strict.mint("xbox", case="unbound").text
    assert refusal(await send(strict, signed(strict, unbound))) == REQUIRED
    assert refusal(await strict.silent("xbox")) == (400, "invalid_grant", "signature_required")


async def test_a_signature_beside_a_parameter_proves_nothing(strict: Server) -> None:
    minted = strict.mint("xbox")
    request = signed(strict, minted.text, sent=body(session_ticket=minted.text))
    answer = await strict.http.post(
        PATH,
        content=request.body,
        headers={"content-type": "application/x-www-form-urlencoded", "signature": request.signature},
    )
    assert refusal(answer) == (400, "invalid_grant", "signature_required")


# 401 here, 400 elsewhere


@pytest.mark.parametrize(
    ("case", "error", "reason"),
    [
        ("expired", "invalid_token", "credential_expired"),
        ("not-yet-valid", "invalid_token", "credential_not_yet_valid"),
        ("bad-inner-signature", "invalid_token", "credential_rejected"),
        ("wrong-audience", "invalid_token", "credential_wrong_audience"),
        ("wrong-title", "invalid_token", "credential_wrong_title"),
    ],
)
async def test_an_invalid_token_is_401_in_the_header_and_400_as_a_parameter(
    server: Server, case: str, error: str, reason: str
) -> None:
    minted = server.mint("xbox", case=case)
    answer = await send(server, signed(server, minted.text))
    assert refusal(answer) == (401, error, reason)
    assert answer.headers["www-authenticate"].startswith("XBL3.0 ")
    assert refusal(await server.silent("xbox", minted)) == (400, "invalid_grant", reason)


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("malformed", (400, "invalid_request", "credential_malformed")),
        ("legacy-enc", (400, "invalid_request", "credential_unsupported")),
        ("no-matching-user", (400, "invalid_request", "credential_malformed")),
        ("child", (403, "access_denied", "age_restricted")),
        ("keys-down", (503, "temporarily_unavailable", "provider_unavailable")),
        ("no-ptx", (503, "server_error", "provider_misconfigured")),
    ],
)
async def test_what_a_new_token_would_not_cure_is_no_401(
    server: Server, case: str, outcome: tuple[int, str, str]
) -> None:
    assert refusal(await send(server, signed(server, server.mint("xbox", case=case).text))) == outcome


async def test_a_refusal_that_goes_by_redirect_is_no_401(server: Server) -> None:
    expired = server.mint("xbox", case="expired").text
    answer = await send(server, signed(server, expired, sent=body(is_redirect="true")))
    assert answer.status_code == 303
    told = httpx.URL(answer.headers["location"]).params
    assert (told["error"], told["reason"]) == ("access_denied", "credential_expired")


async def test_on_the_xsolla_surface_a_bad_ticket_is_422_however_it_came(server: Server) -> None:
    expired = server.mint("xbox", case="expired").text
    sent = body(client_id="40", redirect_uri="http://127.0.0.1/blank")
    answer = await send(server, signed(server, expired, "/api" + PATH, sent))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "010-015")
    assert answer.json()["error"]["details"] == {"reason": "ticket_expired"}


# The same request again


async def test_D24_a_captured_request_works_once(strict: Server) -> None:
    request = signed(strict)
    assert (await send(strict, request)).status_code == 200
    strict.clock.now += 30
    assert refusal(await send(strict, request)) == REPLAYED


async def test_D24_a_lost_answer_may_be_asked_for_again_and_the_first_code_is_dead(strict: Server) -> None:
    request = signed(strict)
    first, second = [httpx.URL((await send(strict, request)).json()["login_url"]).params["code"] for _ in range(2)]
    assert (await strict.redeem(first)).json()["error"] == "invalid_grant"
    assert (await strict.redeem(second)).status_code == 200


async def test_D24_the_other_valid_spelling_of_a_signature_is_the_same_request(strict: Server) -> None:
    request = signed(strict)
    raw = b64decode(request.signature)
    twin = raw[:44] + (ORDER_OF_P256 - int.from_bytes(raw[44:], "big")).to_bytes(32, "big")
    assert (await send(strict, request)).status_code == 200
    strict.clock.now += 31
    assert refusal(await send(strict, replace(request, signature=b64encode(twin).decode()))) == REPLAYED


async def test_D24_the_same_token_signed_anew_logs_in_again(strict: Server) -> None:
    token = strict.mint("xbox").text
    for _ in range(3):
        assert (await send(strict, signed(strict, token))).status_code == 200
        strict.clock.now += 31


async def test_D24_a_request_is_remembered_for_as_long_as_its_time_would_be_accepted(strict: Server) -> None:
    request = signed(strict, clock=lambda: strict.clock.now + 299)
    assert (await send(strict, request)).status_code == 200
    strict.clock.now += 598
    await strict.app.storage.sweep(int(strict.clock.now), 100)
    assert refusal(await send(strict, request)) == REPLAYED
    strict.clock.now += 2
    assert refusal(await send(strict, request)) in {REPLAYED, SKEW}


async def test_D24_an_outage_of_the_key_hosts_does_not_use_a_request_up(strict: Server) -> None:
    token = strict.mint("xbox", case="keys-down").text
    request = signed(strict, token)
    for _ in range(2):
        assert refusal(await send(strict, request)) == (503, "temporarily_unavailable", "provider_unavailable")


async def test_a_forged_signature_does_not_use_up_the_true_one(strict: Server) -> None:
    request = signed(strict)
    forged = replace(request, signature=with_flipped_byte(request.signature))
    assert refusal(await send(strict, forged)) == INVALID
    assert (await send(strict, request)).status_code == 200


# The header itself


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic bGF1bmNoZXI6", id="Basic"),
        pytest.param("Bearer x", id="Bearer"),
        pytest.param("XBL3.0", id="scheme alone"),
        pytest.param("XBL2.0 x=1;a.b.c.d.e", id="another version"),
    ],
)
async def test_another_scheme_is_a_malformed_request(server: Server, authorization: str) -> None:
    answer = await send(server, replace(signed(server), authorization=authorization))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("hash_", ["*", "-", "1", ""])
async def test_D25_D26_the_header_names_one_user_of_the_token(server: Server, hash_: str) -> None:
    token = server.mint("xbox").text.partition(";")[2]
    answer = await send(server, signed(server, f"XBL3.0 x={hash_};{token}"))
    assert refusal(answer) == (400, "invalid_request", "credential_malformed")


async def test_two_authorization_headers_are_refused(server: Server) -> None:
    request = signed(server)
    fields = [
        (b"content-type", b"application/x-www-form-urlencoded"),
        *[(b"authorization", request.authorization.encode())] * 2,
    ]
    answer = await server.http.post(request.target, content=request.body, headers=httpx.Headers(fields))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["session_ticket", "code"])
async def test_a_credential_in_the_header_and_another_in_the_body_is_refused(server: Server, name: str) -> None:
    request = signed(server, sent=body(**{name: server.mint("xbox", "birch").text}))
    answer = await send(server, request)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "login_url" not in answer.json()


async def test_a_get_takes_no_credential_from_the_header(server: Server) -> None:
    request = signed(server)
    answer = await server.http.get(f"{PATH}?{request.body}", headers={"authorization": request.authorization})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "session_ticket")


async def test_the_header_is_for_xbox_alone(server: Server) -> None:
    answer = await send(server, signed(server, target="/oauth2/social/steam/cross_auth"))
    assert refusal(answer) == (400, "invalid_request", "credential_malformed")


async def test_no_answer_repeats_token_or_signature(server: Server) -> None:
    for case in ("good", "expired", "malformed", "wrong-title", "keys-down"):
        request = signed(server, server.mint("xbox", case=case).text)
        answer = await send(server, request)
        told = f"{answer.headers}{answer.text}"
        assert request.signature not in told
        assert not [part for part in request.authorization.split(";") if part in told]
