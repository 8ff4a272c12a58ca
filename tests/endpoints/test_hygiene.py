import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import Message, Scope

from authsrv.addresses import AddressResolver
from authsrv.endpoints.hosts import HostCheck
from authsrv.endpoints.hygiene import Hygiene
from authsrv.errors import AuthsrvError, InvalidGrant, ServerError
from authsrv.log import request_id

ISSUER = "https://login.studio.example"
ALLOWED = frozenset({"https://spa.studio.example"})


def rendered(scope: Scope, error: AuthsrvError, reference: str) -> Response:
    body = {"error": error.error, "error_description": error.description, "reference": reference, "at": scope["path"]}
    return JSONResponse(body, status_code=error.status)


async def fine(request: Request) -> Response:
    state = request.state
    return JSONResponse([state.request_id, request_id.get(), state.client_address.address, state.client_address.bucket])


async def own_headers(_request: Request) -> Response:
    headers = {"Cache-Control": "public, max-age=60", "Content-Security-Policy": "default-src 'self'"}
    return PlainTextResponse("x" * 1000, headers=headers)


async def broken(_request: Request) -> Response:
    secret = "hush-local"
    raise RuntimeError(f"no such table: {len(secret)}")


async def refusing(_request: Request) -> Response:
    raise InvalidGrant(reason="credential_expired", detail="ticket too old")


async def misconfigured(_request: Request) -> Response:
    raise ServerError(detail="key refused")


async def unreadable(_request: Request) -> Response:
    raise HTTPException(400, "the framework's words")


async def halfway(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("then broken")

    return StreamingResponse(parts())


async def gone(_request: Request) -> Response:
    raise ClientDisconnect


async def endless(_request: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


def routes() -> list[Route]:
    return [
        Route("/fine", fine),
        Route("/own", own_headers),
        Route("/broken", broken),
        Route("/refusing", refusing),
        Route("/misconfigured", misconfigured),
        Route("/unreadable", unreadable),
        Route("/halfway", halfway),
        Route("/gone", gone),
        Route("/endless", endless),
        Route("/health/live", fine),
        Route("/players/{sub}", fine),
        Route("/oauth2/authorize", fine),
        Route("/oauth2/token", fine, methods=["POST"]),
        Route("/oauth2/jwks", fine),
        Route("/api/oauth2/token", fine, methods=["POST"]),
        Route("/api/oauth2/social/steam/login_redirect", fine),
        Route("/api/projects/{id}/keys", fine),
    ]


@dataclass
class Site:
    """The wrapped application with what it logged."""

    issuer: str = ISSUER
    options: Mapping[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> Hygiene:
        return Hygiene(
            Router(routes(), redirect_slashes=False),
            issuer=self.issuer,
            render_error=rendered,
            emit=self.events.append,
            allowed_origins=lambda: ALLOWED,
            **self.options,
        )

    async def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, peer: str = "203.0.113.77"
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app(), client=(peer, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=self.issuer) as client:
            return await client.request(method, path, headers=headers)


@pytest.mark.parametrize("path", ["/fine", "/broken", "/refusing", "/nothing", "/unreadable", "/oauth2/token"])
async def test_A30_E13_E14_E15_B39_every_answer_has_the_security_headers(path: str) -> None:
    answer = await Site().ask(path)
    expected = {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=63072000; includeSubDomains",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    assert {name: answer.headers.get_list(name) for name in expected} == {n: [v] for n, v in expected.items()}
    assert answer.headers["cross-origin-resource-policy"] == (
        "cross-origin" if path == "/oauth2/token" else "same-origin"
    )


async def test_an_answer_may_set_its_own_caching_and_content_policy() -> None:
    answer = await Site().ask("/own")
    assert answer.headers.get_list("cache-control") == ["public, max-age=60"]
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_E14_transport_security_is_promised_only_over_https() -> None:
    answer = await Site(issuer="http://login.studio.example").ask("/fine")
    assert "strict-transport-security" not in answer.headers


async def test_each_request_has_an_id_that_its_code_its_answer_and_its_log_share() -> None:
    site = Site()
    first, second = await site.ask("/fine"), await site.ask("/fine")
    reference = first.headers["x-request-id"]
    assert first.json()[:2] == [reference, reference]
    assert site.events[0]["request_id"] == reference
    assert len(bytes.fromhex(reference)) == 8
    assert reference != second.headers["x-request-id"]
    assert request_id.get() == ""


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("login.studio.example", 200),
        ("LOGIN.studio.example", 200),
        ("login.studio.example:443", 200),
        ("inner.example:8080", 200),
        ("evil.example", 421),
        ("login.studio.example:80", 421),
        ("login.studio.example.evil.example", 421),
        ("localhost", 421),
        ("a/b?", 400),
        ("login.studio.example, evil.example", 400),
        ("user@login.studio.example", 400),
        ("", 400),
    ],
)
async def test_A39_only_the_issuers_host_is_answered_for(host: str, status: int) -> None:
    site = Site(options={"hosts": HostCheck(ISSUER, ["inner.example:8080"])})
    answer = await site.ask("/fine", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:9", "[::1]:8080", "[::1]", "localhost"])
async def test_in_development_loopback_names_are_answered_for(host: str) -> None:
    issuer = "http://localhost:8080"
    site = Site(issuer=issuer, options={"hosts": HostCheck(issuer, dev=True)})
    assert (await site.ask("/fine", headers={"Host": host})).status_code == 200
    assert (await site.ask("/fine", headers={"Host": "evil.example"})).status_code == 421


def test_A39_an_issuer_in_ipv6_answers_for_its_bracketed_address() -> None:
    HostCheck("http://[::1]:8080").require({"path": "/", "headers": [(b"host", b"[::1]:8080")]})
    HostCheck("http://[::1]").require({"path": "/", "headers": [(b"host", b"[::1]")]})
    with pytest.raises(AuthsrvError) as refused:
        HostCheck(ISSUER).require({"path": "/", "headers": [(b"host", b"login.studio.example")] * 2})
    assert refused.value.status == 400


async def test_health_is_answered_whatever_the_host() -> None:
    assert (await Site().ask("/health/live", headers={"Host": "10.1.2.3:8080"})).status_code == 200


async def test_A39_F18_the_address_comes_from_the_proxy_only_when_it_is_ours() -> None:
    addresses = AddressResolver([ipaddress.ip_network("10.0.0.0/8")])
    site = Site(options={"addresses": addresses})
    forwarded = {"X-Forwarded-For": "6.6.6.6, 2001:db8:1:2:3:4:5:6", "X-Forwarded-Host": "evil.example"}
    assert (await site.ask("/fine", headers=forwarded)).json()[2] == "203.0.113.77"
    ours = await site.ask("/fine", headers=forwarded, peer="10.0.0.1")
    assert ours.json()[2:] == ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"]
    assert [event["client"] for event in site.events] == ["203.0.113.0/24", "2001:db8:1::/48"]


async def test_I01_the_access_log_has_the_route_and_no_query() -> None:
    site = Site()
    await site.ask("/players/0b7c?code=hush&state=hush&session_ticket=hush")
    (event,) = site.events
    assert event.pop("duration_ms") >= 0
    assert len(event.pop("request_id")) == 16
    assert event == {
        "event": "request",
        "logger": "authsrv.access",
        "level": "info",
        "method": "GET",
        "path": "/players/{sub}",
        "status": 200,
        "client": "203.0.113.0/24",
        "bytes": event["bytes"],
    }
    assert event["bytes"] > 50


async def test_I01_an_unknown_path_is_logged_short_and_without_its_query() -> None:
    site = Site()
    await site.ask("/" + "x" * 5000 + "?code=hush")
    assert site.events[0]["path"] == "/" + "x" * 99


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        pytest.param("/v1/me/identities/steam/76561202255232001/", "/v1/me/identities/steam/*/", id="SteamID"),
        pytest.param("/v1/me/x/a11ce0000000000000000000000000a1", "/v1/me/x/*", id="Epic account id"),
        pytest.param("/v1/me/xbox/2814600000000001/x", "/v1/me/xbox/*/x", id="XUID"),
        pytest.param("/oauth2/tokens", "/oauth2/tokens", id="none"),
    ],
)
async def test_I01_an_unknown_path_is_logged_without_what_may_be_an_identifier(path: str, logged: str) -> None:
    site = Site()
    await site.ask(path)
    assert site.events[0]["path"] == logged


async def test_I04_an_exception_becomes_a_reference_and_its_cause_goes_to_the_log() -> None:
    site = Site()
    answer = await site.ask("/broken")
    assert answer.status_code == 500
    assert answer.json()["error"] == "server_error"
    assert answer.json()["reference"] == answer.headers["x-request-id"] == site.events[0]["request_id"]
    assert "table" not in answer.text
    assert "RuntimeError: no such table" in site.events[0]["exception"]
    assert "hush-local" not in site.events[0]["exception"].replace('secret = "hush-local"', "")
    assert site.events[0]["level"] == "error"


async def test_a_refusal_is_rendered_and_its_detail_is_logged_only() -> None:
    site = Site()
    answer = await site.ask("/refusing")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "too old" not in answer.text
    event = site.events[0]
    assert (event["error"], event["reason"], event["detail"]) == (
        "invalid_grant",
        "credential_expired",
        "ticket too old",
    )
    assert (event["level"], "exception" in event) == ("info", False)


async def test_our_misconfiguration_is_an_alert_in_the_log() -> None:
    site = Site()
    assert (await site.ask("/misconfigured")).status_code == 503
    assert (site.events[0]["level"], site.events[0]["detail"]) == ("error", "key refused")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/oauth2/token", 405, "invalid_request"),
        ("PUT", "/fine", 405, "invalid_request"),
        ("GET", "/unreadable", 400, "invalid_request"),
    ],
)
async def test_B37_A42_the_frameworks_errors_have_our_shape(method: str, path: str, status: int, error: str) -> None:
    answer = await Site().ask(path, method=method)
    assert (answer.status_code, answer.json()["error"], answer.json()["at"]) == (status, error, path)
    assert "words" not in answer.text
    if status == 405:
        allowed = set(answer.headers["allow"].split(", "))
        assert allowed == ({"POST"} if path == "/oauth2/token" else {"GET", "HEAD"})


async def test_a_fault_after_the_first_byte_is_logged_and_sends_nothing_more() -> None:
    site = Site()
    sent: list[Message] = []
    await asgi(site.app(), "/halfway", sent)
    assert [message.get("body") for message in sent] == [None, b"begun"]
    assert "then broken" in site.events[0]["exception"]


async def asgi(app: Hygiene, path: str, sent: list[Message]) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"login.studio.example")]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b"", "client": None}
    await app(scope, receive, send)


async def test_a_client_that_went_away_gets_nothing_and_is_no_error() -> None:
    site = Site()
    sent: list[Message] = []
    await asgi(site.app(), "/gone", sent)
    assert sent == []
    assert (site.events[0]["status"], site.events[0]["level"], site.events[0]["client"]) == (499, "info", "")


async def test_R20_a_request_cut_short_by_the_stop_is_told_to_come_again() -> None:
    site = Site()
    sent: list[Message] = []
    task = asyncio.ensure_future(asgi(site.app(), "/endless", sent))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["error"] == "temporarily_unavailable"
    assert site.events[0]["status"] == 503


async def test_the_lifespan_is_passed_on() -> None:
    seen = []

    async def app(scope: Scope, _receive: object, _send: object) -> None:
        seen.append(scope["type"])

    wrapped = Hygiene(app, issuer=ISSUER, render_error=rendered, emit=seen.append)
    await wrapped({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # the app reads neither
    assert seen == ["lifespan"]


SPA = {"Origin": "https://spa.studio.example"}
EVIL = {"Origin": "https://evil.example"}
WANTS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


COMPATIBLE_HEADERS = (
    "Authorization, Content-Type, X-SERVER-AUTHORIZATION, X-ENGINE, X-ENGINE-V, X-SDK, X-SDK-V, X-BUILD-PLATFORM, "
    "X-REF, X-REF-V"
)


def cors_headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", ["/oauth2/jwks", "/api/projects/1/keys"])
@pytest.mark.parametrize("headers", [SPA, EVIL, {}])
async def test_H13_open_documents_are_for_everybody_without_credentials(path: str, headers: Mapping[str, str]) -> None:
    answer = await Site().ask(path, headers=headers)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("path", ["/oauth2/token", "/api/oauth2/token"])
async def test_token_paths_are_open_to_the_clients_own_origins_only(path: str) -> None:
    allowed = await Site().ask(path, method="POST", headers=SPA)
    assert allowed.headers["access-control-allow-origin"] == "https://spa.studio.example"
    assert "access-control-allow-credentials" not in allowed.headers
    for headers in (EVIL, {}, {"Origin": "null"}, {"Origin": "https://spa.studio.example.evil.example"}):
        refused = await Site().ask(path, method="POST", headers=headers)
        assert cors_headers(refused) == {}
        assert refused.headers.get_list("vary") == ["Origin"]


async def test_a_browser_client_may_read_its_errors() -> None:
    answer = await Site().ask("/oauth2/token", headers=SPA)
    assert answer.status_code == 405
    assert answer.headers["access-control-allow-origin"] == "https://spa.studio.example"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/oauth2/token", "Authorization, Content-Type"),
        (
            "/api/oauth2/token",
            COMPATIBLE_HEADERS,
        ),
    ],
)
async def test_a_preflight_names_what_is_allowed(path: str, names: str) -> None:
    answer = await Site().ask(path, method="OPTIONS", headers={**SPA, **WANTS})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers.get_list("access-control-allow-origin") == ["https://spa.studio.example"]
    assert answer.headers["access-control-allow-headers"] == names
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers.get_list("vary") == ["Origin"]
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_denied_preflight_has_no_permission() -> None:
    answer = await Site().ask("/oauth2/token", method="OPTIONS", headers={**EVIL, **WANTS})
    assert (answer.status_code, cors_headers(answer)) == (204, {})
    assert answer.headers.get_list("vary") == ["Origin"]
    opened = await Site().ask("/oauth2/jwks", method="OPTIONS", headers={**EVIL, **WANTS})
    assert (opened.status_code, opened.headers.get_list("access-control-allow-origin")) == (204, ["*"])


@pytest.mark.parametrize("path", ["/oauth2/authorize", "/fine", "/api/oauth2/social/steam/login_redirect"])
async def test_A32_other_paths_never_allow_another_origin(path: str) -> None:
    assert cors_headers(await Site().ask(path, headers=SPA)) == {}
    preflight = await Site().ask(path, method="OPTIONS", headers={**SPA, **WANTS})
    assert preflight.status_code == 405
    assert cors_headers(preflight) == {}
    assert preflight.headers["cross-origin-resource-policy"] == "same-origin"


async def test_an_options_request_that_is_no_preflight_is_the_applications() -> None:
    assert (await Site().ask("/oauth2/token", method="OPTIONS", headers=SPA)).status_code == 405
    assert (await Site().ask("/oauth2/token", method="OPTIONS", headers=WANTS)).status_code == 405
