"""What a registration must look like on the wire: one strict JSON object of a limited size."""

from collections.abc import AsyncIterator

import pytest

from tests.support.registration import bearer, error_of, register, registering
from tests.support.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(edit=registering()) as started:
        yield started


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b'{"redirect_uris":["https://page.example/callback"]', id="cut off"),
        pytest.param(b'{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}', id="repeats"),
        pytest.param(b'{"redirect_uris":["https://a.example/"],"x":{"y":1,"y":2}}', id="repeats below"),
        pytest.param(b'{"redirect_uris":["https://a.example/"],"x":NaN}', id="NaN"),
        pytest.param(b'{"client_name":"\xff"}', id="no UTF-8"),
        pytest.param(b'{"client_name":"\\ud800"}', id="lone surrogate"),
        pytest.param(b"[" * 60_000, id="nested"),
        pytest.param(b'{"x":' * 10_000 + b"1" + b"}" * 10_000, id="nested objects"),
    ],
)
async def test_RFC7591_3_1_what_is_no_strict_json_object_is_refused(server: Server, body: bytes) -> None:
    headers = {"content-type": "application/json", **bearer("partner-token")}
    answer = await server.http.post("/oauth2/register", content=body, headers=headers)
    assert error_of(answer) == (400, "invalid_client_metadata", "")


@pytest.mark.parametrize(
    ("size", "status"), [pytest.param(64 * 1024, 400, id="64 KiB"), pytest.param(64 * 1024 + 1, 413, id="more")]
)
async def test_a_body_of_64_kib_is_read_and_no_larger_one(server: Server, size: int, status: int) -> None:
    body = b'{"redirect_uris":[]}'.ljust(size)
    headers = {"content-type": "application/json", **bearer("partner-token")}
    assert (await server.http.post("/oauth2/register", content=body, headers=headers)).status_code == status


async def test_what_would_fill_the_database_is_refused(server: Server) -> None:
    many = [f"https://page.example/{number}/{'x' * 900}" for number in range(20)]
    answer = await register(server, redirect_uris=many)
    assert error_of(answer) == (400, "invalid_client_metadata", "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"content-type": "application/json; charset=utf-8"}, 201, id="charset"),
        pytest.param({"content-type": "application/x-www-form-urlencoded"}, 415, id="form"),
        pytest.param({"content-type": "text/json"}, 415, id="other type"),
        pytest.param({"content-type": "application/json", "content-encoding": "gzip"}, 415, id="compressed"),
    ],
)
async def test_the_body_is_plain_json_by_its_type(server: Server, headers: dict[str, str], status: int) -> None:
    body = b'{"redirect_uris":["https://page.example/callback"]}'
    answer = await server.http.post("/oauth2/register", content=body, headers=headers | bearer("partner-token"))
    assert answer.status_code == status


async def test_who_may_not_register_learns_it_before_the_body_is_read(server: Server) -> None:
    headers = {"content-type": "text/plain", **bearer("other-token")}
    answer = await server.http.post("/oauth2/register", content=b"x" * 100_000, headers=headers)
    assert answer.status_code == 401
