"""What a scrape tells: what happened, in labels of ours alone, and of nobody in particular."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from unittest.mock import MagicMock
from uuid import uuid4

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from starlette.routing import Route

from authsrv.endpoints.routes import Served, routes
from authsrv.jobs.clock_check import INTERVAL as CLOCK_LOOKED_AT
from authsrv.log import Event
from authsrv.metrics.seen import Seen
from authsrv.models import TOKEN_EXCHANGE
from authsrv.outbound.figures import HostVitals
from authsrv.storage.base import Conflict, StorageUnavailable
from authsrv.storage.node_changes import TakeLease
from authsrv.storage.postgres.storage import PostgresStorage
from authsrv.storage.schema import REVISIONS
from authsrv.storage.vitals import PoolVitals
from tests.support.metrics import exposed, families, measured, rendered, samples, value
from tests.support.nodes import Home, nodes, storage_of
from tests.support.server import ManualClock, Server, client, running, running_on


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running(tmp_path, edit=measured) as started:
        yield started


@pytest.fixture
async def on_postgres(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_on("postgres", tmp_path, edit=measured) as started:
        yield started


async def test_a_scrape_is_text_that_prometheus_reads(server: Server) -> None:
    await server.login("steam")
    found = {family.name for family in families(await exposed(server))}
    assert {"authsrv_http_requests", "authsrv_storage_wal_bytes", "process_cpu_seconds"} <= found


async def test_who_accepts_openmetrics_gets_it_whole(server: Server) -> None:
    await server.login("steam")
    text = await exposed(server, OPEN)
    assert text.endswith("# EOF\n")
    found = openmetrics.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    assert {family.name for family in found} == {family.name for family in families(await exposed(server))}


PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
ACCEPTED = [
    pytest.param("", PLAIN, id="nothing"),
    pytest.param("*/*", PLAIN, id="anything"),
    pytest.param("application/openmetrics-text", OPEN, id="OpenMetrics"),
    pytest.param(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN,
        id="as Prometheus sends it",
    ),
    pytest.param("application/openmetrics-text;version=abc", OPEN, id="a version that is no number"),
    pytest.param("text/plain;version=x.y", PLAIN, id="another one"),
    pytest.param('application/openmetrics-text;version=1.0.0"; a=b', OPEN, id="a quote"),
    pytest.param("application/openmetrics-text;version=99.0.0", OPEN, id="a version of the future"),
    pytest.param(";;;,,,=" * 500, PLAIN, id="signs"),
    pytest.param("text/plain;version=" + "1." * 3000, PLAIN, id="long"),
]


@pytest.mark.parametrize(("accept", "media_type"), ACCEPTED)
async def test_whatever_is_accepted_there_is_an_answer(accept: str, media_type: str) -> None:
    async with running(edit=measured) as server:
        body, found = await rendered(server, accept)
    assert (found, b"authsrv_build_info" in body) == (media_type, True)


async def test_requests_are_counted_by_template_method_and_class(server: Server) -> None:
    await server.http.get("/v1/users/7b1c3a52-0000-4000-8000-000000000000")
    await server.http.get("/health/live")
    labels = {"endpoint": "/v1/users/{sub}", "method": "GET", "code": "4xx"}
    assert await value(server, "authsrv_http_requests_total", **labels) == 1
    assert await value(server, "authsrv_http_request_duration_seconds_count", endpoint="/health/live") == 1


async def test_token_requests_are_counted_by_grant_and_outcome(server: Server) -> None:
    tokens = await server.login("steam")
    await server.refresh(tokens["refresh_token"])
    await server.redeem("no-code")
    await server.token(grant_type="password", client_id="launcher")
    await server.token(client_id="launcher")
    found = {
        (one.labels["grant_type"], one.labels["outcome"]): one.value
        for one in await samples(server)
        if one.name == "authsrv_token_requests_total" and one.value
    }
    assert found == {
        ("authorization_code", "success"): 1,
        ("authorization_code", "invalid_grant"): 1,
        ("refresh_token", "success"): 1,
        ("other", "unsupported_grant_type"): 1,
        ("other", "invalid_request"): 1,
    }


async def test_silent_logins_are_counted_by_platform_and_outcome_also_where_a_redirect_tells_it(server: Server) -> None:
    minted = server.mint("steam")
    await server.code("steam", minted)
    await server.silent("steam", minted, code_challenge="c" * 43)
    await server.silent("xbox", None, session_ticket="no ticket", is_redirect="true")
    found = {
        (one.labels["platform"], one.labels["outcome"]): one.value
        for one in await samples(server)
        if one.name == "authsrv_silent_logins_total" and one.value
    }
    assert found == {("steam", "success"): 1, ("steam", "invalid_grant"): 1, ("xbox", "invalid_request"): 1}
    assert await value(server, "authsrv_logins_total", platform="steam", outcome="success") == 1
    assert await value(server, "authsrv_logins_total", platform="steam", outcome="credential_replayed") == 1


async def test_a_redirect_that_tells_an_error_stands_in_the_access_log_with_it(server: Server) -> None:
    await server.silent("xbox", None, session_ticket="no ticket", is_redirect="true")
    line = [event for event in server.events if event["logger"] == "authsrv.access"][-1]
    assert (line["status"], line["error"], line["provider"]) == (303, "invalid_request", "xbox")


async def test_a_refresh_token_that_is_used_again_is_counted(server: Server) -> None:
    name, event = "authsrv_audit_events_total", "refresh.reused"
    assert await value(server, name, event=event) == 0
    assert f'{name}{{event="{event}"}} 0.0' in await exposed(server)
    first = (await server.login("steam"))["refresh_token"]
    second = (await server.refresh(first)).json()["refresh_token"]
    await server.refresh(second)
    server.clock.now += 3600
    await server.refresh(first)
    assert await value(server, name, event=event) == 1


async def test_what_a_rate_limit_refuses_is_counted_by_its_rule() -> None:
    def strict(block: dict[str, object]) -> None:
        measured(block)
        block["limits"] = {"secret_failures_per_minute": 1}

    async with running(edit=strict) as server:
        for _ in range(3):
            await server.token(grant_type="client_credentials", client_id="backend", client_secret="wrong")
        assert await value(server, "authsrv_rate_limited_requests_total", rule="secret-failures") == 2


async def test_R13_an_open_circuit_is_seen(server: Server) -> None:
    labels = {"platform": "steam", "host": "platform.test"}
    server.outbounds["steam"].state = "open"
    assert await value(server, "authsrv_platform_circuit_state", **labels, state="open") == 1
    assert await value(server, "authsrv_platform_circuit_state", **labels, state="closed") == 0
    assert await value(server, "authsrv_part_up", part="steam") == 0
    assert await value(server, "authsrv_state", state="ready") == 1


async def test_the_worst_circuit_of_several_projects_counts_and_their_places_add_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [HostVitals("api.test", "half_open", 3, 32), HostVitals("api.test", "closed", 4, 32)]
    monkeypatch.setattr(server.outbounds["steam"], "vitals", lambda: both)
    labels = {"platform": "steam", "host": "api.test"}
    assert await value(server, "authsrv_platform_circuit_state", **labels, state="half_open") == 1
    assert await value(server, "authsrv_platform_calls_in_flight", **labels) == 7
    assert await value(server, "authsrv_platform_call_places", **labels) == 64


async def test_S8_the_write_ahead_log_is_seen_to_grow(server: Server) -> None:
    before = await value(server, "authsrv_storage_wal_bytes")
    await server.login("steam")
    assert await value(server, "authsrv_storage_wal_bytes") > before


@pytest.mark.postgres
async def test_on_postgresql_the_pool_is_seen_and_no_file(on_postgres: Server) -> None:
    server, storage = on_postgres, on_postgres.app.storage
    assert isinstance(storage, PostgresStorage)
    told = await exposed(server)
    assert "authsrv_storage_wal_bytes" not in told
    assert f'authsrv_storage_info{{backend="postgresql",schema_revision="{REVISIONS[-1]}"}} 1.0' in told
    assert 'libpq=""' not in told

    async def look(_: object) -> PoolVitals | None:
        return storage.vitals().pool

    pool = await storage._on_connection(look)
    assert pool is not None
    assert 1 <= pool.in_use <= pool.size <= pool.most == server.app.config.database.pool_size
    assert await value(server, "authsrv_storage_pool_connections_max") == pool.most


@pytest.mark.postgres
async def test_on_postgresql_operations_conflicts_and_outages_are_counted(on_postgres: Server) -> None:
    server, storage = on_postgres, on_postgres.app.storage
    await server.login("steam")
    name = "authsrv_storage_operations_total"
    before = {kind: await value(server, name, kind=kind, outcome="done") for kind in ("read", "write")}
    assert min(before.values()) > 0
    await storage.apply([TakeLease("metrics", "me", 0, 2**40)])
    with pytest.raises(Conflict):
        await storage.apply([TakeLease("metrics", "somebody", 0, 2**40)])
    assert await value(server, name, kind="write", outcome="conflict") == 1
    await storage.close()
    with pytest.raises(StorageUnavailable):
        await storage.load_keys()
    assert await value(server, name, kind="read", outcome="unavailable") == 1


async def test_a_database_that_does_not_do_it_is_counted_and_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone() -> None:
        raise StorageUnavailable("gone")

    monkeypatch.setitem(server.app.readiness._checks, "storage", gone)
    assert await value(server, "authsrv_part_up", part="storage") == 0
    assert await value(server, "authsrv_state", state="failing") == 1


async def test_a_rotation_that_is_overdue_is_below_nothing(server: Server) -> None:
    assert await value(server, "authsrv_signing_key_rotation_seconds", alg="ES256") == 90 * 86400
    server.clock.now += 91 * 86400
    assert await value(server, "authsrv_signing_key_rotation_seconds", alg="ES256") == -86400


async def test_a_reload_is_seen(server: Server) -> None:
    before = await value(server, "authsrv_config_loaded_timestamp_seconds")
    server.clock.now += 60
    await server.app.reload(server.app.config)
    assert await value(server, "authsrv_config_loaded_timestamp_seconds") == before + 60


async def test_one_node_holds_the_lease_and_a_node_alone_has_none(server: Server) -> None:
    assert "authsrv_lease_held" not in await exposed(server)
    async with nodes(2, [measured, measured]) as several:
        await several.time.pass_by(6)
        assert sorted([await value(one, "authsrv_lease_held", lease="work") for one in several]) == [0, 1]


async def test_S12_a_clock_that_is_off_is_seen_by_how_much() -> None:
    async with nodes(2, [measured, measured]) as several:
        wrong = storage_of(several[1])
        wrong.home = Home(ManualClock(several.home.clock.now - 30), wrong.home.tables)
        await several.time.pass_by(CLOCK_LOOKED_AT)
        assert await value(several[1], "authsrv_clock_offset_seconds") > 25
        assert await value(several[1], "authsrv_part_up", part="clock") == 0
        assert await value(several[0], "authsrv_part_up", part="clock") == 1
        parts = (await several[1].http.get("/health/ready")).json()["parts"]
        assert (parts["clock"], parts["configuration"], parts["limits"]) == ("differs", "ok", "ok")


async def test_a_store_of_rate_limits_that_is_away_degrades_and_does_not_make_it_red() -> None:
    async with nodes(1, [measured]) as several:
        server = several[0]
        assert server.app.rate_exchange
        server.app.rate_exchange.alone = True
        answer = await server.http.get("/health/ready")
        assert (answer.status_code, answer.json()["degraded"]) == (200, ["limits"])
        assert answer.json()["parts"]["limits"] == "away"
        assert await value(server, "authsrv_part_up", part="limits") == 0


HOSTILE = ["x" * 200, "amber", "{sub}", "\u00e9", 'a"b', "a\\b", "\n", "00000000-0000-4000-8000-000000000000"]


async def everything_strange(server: Server) -> None:
    """Paths, methods, clients, platforms, grants and user agents that nobody knows."""
    for number, text in enumerate(HOSTILE):
        unique = f"{number}-{uuid4()}"
        headers = {"user-agent": unique, "x-forwarded-for": f"203.0.113.{number}"}
        for path in (f"/{unique}", f"/v1/users/{unique}", f"/login/{unique}/go", f"/oauth2/social/{unique}/cross_auth"):
            await server.http.get(path, headers=headers)
        await server.http.request(f"M{number}", "/oauth2/token", headers=headers)
        for client_id in (unique, text):
            await server.token(grant_type=text, client_id=client_id, client_secret=unique)
            await server.silent("steam", None, client_id=client_id)
            await server.silent("steam", None, session_ticket=unique)
        await server.http.get("/oauth2/authorize", params={"client_id": unique, "redirect_uri": text})


async def test_nothing_that_callers_send_makes_another_series(server: Server) -> None:
    await everything_strange(server)
    before = {(one.name, *sorted(one.labels.items())) for one in await samples(server)}
    for _ in range(2):
        await everything_strange(server)
    assert {(one.name, *sorted(one.labels.items())) for one in await samples(server)} == before


async def test_every_label_is_a_word_of_ours(server: Server) -> None:
    await everything_strange(server)
    await server.login("steam")
    table = [route.path for route in routes(cast("Served", MagicMock())) if isinstance(route, Route)]
    words = {
        "endpoint": {*table, "other"},
        "method": {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"},
        "platform": {"steam", "xbox", "epicgames", "guest", "playfab", "other"},
        "grant_type": {"authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE, "other"},
        "code": {"2xx", "3xx", "4xx", "5xx"},
    }
    found = [(name, text) for one in await samples(server) for name, text in one.labels.items()]
    assert {(name, text) for name, text in found if name in words and text not in words[name]} == set()


async def test_nobody_can_be_found_in_it(server: Server) -> None:
    secrets: set[str] = set()
    for provider in ("steam", "xbox", "epicgames", "guest"):
        minted = server.mint(provider)
        tokens = await server.login(provider, minted)
        claims = server.claims(tokens["access_token"])
        await server.refresh(tokens["refresh_token"])
        await server.userinfo(tokens["access_token"])
        await server.http.get("/v1/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
        secrets |= {claims["sub"], claims["jti"], claims["gid"], claims.get("idp_sub", claims["sub"])}
        secrets |= {minted.text, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]}
    async with client(server.app, "198.51.100.77") as elsewhere:
        await elsewhere.get("/health/live", headers={"user-agent": "canary-agent"})
        await elsewhere.post("/oauth2/token", data={"grant_type": "canary-grant", "client_id": "canary-client"})
    secrets |= {"198.51.100", "canary", "launcher", "amber", "Amber", "demo", server.events[-1]["request_id"]}
    told = await exposed(server) + await exposed(server, OPEN)
    assert {text for text in secrets if text in told} == set()


def event(**facts: object) -> Event:
    return {"logger": "authsrv.access", "path": "/a", "method": "GET", "status": 200, "duration_ms": 1.0, **facts}


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param({"logger": "authsrv.audit", "event": "unheard.of"}, id="audit event nobody knows"),
        pytest.param({"logger": "authsrv.audit", "event": "login.refused"}, id="login of no platform"),
        pytest.param({"event": "a line of another library"}, id="no logger"),
        pytest.param(event(status=0), id="no answer was sent"),
        pytest.param(event(error="rate_limited", detail="no rule"), id="limit of no rule"),
        pytest.param(event(provider="unknown"), id="no platform"),
    ],
)
def test_no_event_costs_a_request_its_answer(strange: Event) -> None:
    passed: list[Event] = []
    Seen(["steam"], []).passing(passed.append)(strange)
    assert passed == [strange]
