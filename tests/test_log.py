import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsrv.audit import Audit, AuditEvent
from authsrv.log import FLOORS, LogPipeline, PipelineHandler, configure, request_id, traceback_text
from authsrv.redaction import MAX_TEXT, REDACTED, redact, redact_text

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlLWJ5dGVz"


class Log:
    """The configured pipeline over a text in memory."""

    def __init__(self, **options: Any) -> None:
        self.sink = io.StringIO()
        self.pipeline = configure(sink=self.sink, **options)

    def text(self) -> str:
        self.pipeline.stop()
        return self.sink.getvalue()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    names = ["", "uvicorn.error", *FLOORS]
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_our_events_and_the_standard_library_give_the_same_kind_of_line() -> None:
    log = Log()
    log.pipeline.emit({"event": "key retired", "logger": "authsrv.keys", "level": "warning", "kid": "k1"})
    logging.getLogger("authsrv.outbound").warning("call failed after %d tries", 2, extra={"host": "api.example"})
    first, second = log.lines()
    assert first | {"time": ""} == {
        "time": "",
        "event": "key retired",
        "kid": "k1",
        "level": "warning",
        "logger": "authsrv.keys",
    }
    assert second["event"] == "call failed after 2 tries"
    assert (second["level"], second["logger"], second["host"]) == ("warning", "authsrv.outbound", "api.example")
    assert second["time"].endswith("Z")


def test_the_current_request_is_named_in_every_line() -> None:
    log = Log()
    token = request_id.set("0123456789abcdef")
    log.pipeline.emit({"event": "one"})
    logging.getLogger("b").info("two")
    request_id.reset(token)
    log.pipeline.emit({"event": "three"})
    assert [line.get("request_id") for line in log.lines()] == ["0123456789abcdef", "0123456789abcdef", None]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("/cb?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj", "SplxlOBe"),
        ("/cb?code=SplxlOBeZQQYbYS6WxSbIA&state=af0ifjsldkj", "af0ifjsldkj"),
        ("/cross_auth?session_ticket=14000000D5C1&app_id=480", "14000000D5C1"),
        ("/login/steam/callback?openid.sig=W0u5DRbtHE1GG0ZKXjer", "W0u5DRbt"),
        ("GET https://api.example/?key=0123456789ABCDEF&appid=480", "0123456789ABCDEF"),
        ("client_secret=hush&grant_type=x", "hush"),
        ("{'refresh_token': 'hush', 'expires_in': 3600}", "hush"),
        ('{"access_token": "hush"}', "hush"),
        ('{"assertion":"hush', "hush"),
        ("{'code': b'hush'}", "hush"),
        ("Authorization: Basic aHVzaDpodXNo", "aHVzaDpodXNo"),
        ("sent Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("XBL3.0 x=123456789;token-text", "token-text"),
        ("Cookie: authsrv_sid=hush; a=b", "hush"),
        (JWT, "eyJzdWIi"),
        (f"got {JWT} back", "eyJzdWIi"),
        ("token asr_AbCdEfGhIjKlMnOpQrSt is old", "AbCdEfGh"),
        ("asc_AbCdEfGhIjKlMnOpQrSt", "AbCdEfGh"),
        ("ticket " + "0A" * 120, "0A0A0A"),
        ("from authsrv_guest_QbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_QbCdE", "QbCdEfGh"),
    ],
)
def test_I01_I02_secrets_in_texts_are_redacted(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact_text(text)
    assert REDACTED in redact_text(text)


@given(st.lists(st.sampled_from([*"eyJasc_r=\"':. bearBEARxl30hicdpo", "authsrv_guest_", "0" * 16])).map("".join))
def test_the_quick_look_misses_nothing_that_the_pattern_finds(text: str) -> None:
    text = text[:99]
    assert redact_text(text) == redact_text(text + " " * 100).removesuffix(" " * 100)


def test_what_is_no_secret_stays_readable() -> None:
    text = "GET /oauth2/token 200, app_id=480, status code 400, grant 0190d9a2-3a1c-7000-8000-000000000000"
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "session_ticket",
        "login_url",
        "code",
        "refresh_token",
        "access_token",
        "id_token",
        "client_secret",
        "code_verifier",
        "authorization",
        "Authorization",
        "signature",
        "ticket",
        "password",
        "assertion",
        "set-cookie",
        "SECRET",
    ],
)
def test_I01_a_fact_under_a_secrets_name_is_redacted_whole(name: str) -> None:
    assert redact({"deep": [{name: {"a": "hush"}}]}) == {"deep": [{name: REDACTED}]}


def test_redaction_ends_on_bytes_deep_and_long_values() -> None:
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    assert "[too deep]" in json.dumps(redact(deep))
    assert redact(b"hush") == "[4 bytes]"
    assert len(redact("word " * 10_000)) == MAX_TEXT


def test_I01_no_secret_passes_through_any_door_of_the_pipeline() -> None:
    log = Log()
    logging.getLogger("x").info("got %s", JWT, extra={"client_secret": "hush-1", "body": {"ticket": "hush-2"}})
    log.pipeline.emit({"event": "code=hush-3&x", "password": "hush-4", "nested": [{"assertion": "hush-5"}]})
    log.pipeline.emit({"event": "asr_hush6hush6hush6hush6", "level": "info", "signature": "hush-7"})
    text = log.text()
    assert "hush" not in text
    assert "eyJzdWIi" not in text
    assert text.count("\n") == 3


def test_I02_http_client_addresses_are_not_logged_even_in_debug_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("httpx", "httpcore.http11"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [])  # those of a server that another test started
    log = Log(level="debug")
    logging.getLogger("httpx").info("HTTP Request: GET https://api.example/?key=hush")
    logging.getLogger("httpcore.http11").setLevel(logging.DEBUG)
    logging.getLogger("httpcore.http11").debug("send_request_headers hush")
    logging.getLogger("httpx").warning("heard")
    assert [line["event"] for line in log.lines()] == ["heard"]


def test_I03_authlib_is_capped_even_if_a_child_logger_is_opened() -> None:
    log = Log(level="debug")
    child = logging.getLogger("authlib.oauth2.rfc6749.grants.refresh_token")
    child.setLevel(logging.DEBUG)
    child.debug("Issue token {'access_token': 'hush'} to client")
    logging.getLogger("aiosqlite").debug("executing functools.partial(..., ('hush',))")
    logging.getLogger("authsrv.test").debug("ours")
    child.setLevel(logging.NOTSET)
    assert [line["event"] for line in log.lines()] == ["ours"]


def fail(part: str) -> None:
    local = "hush-" + part
    raise ValueError("bad row in refresh_token=abc"[: len(local) * 10])


def test_I04_tracebacks_carry_no_local_variables_and_no_secrets() -> None:
    log = Log()
    try:
        fail("local")
    except ValueError as error:
        log.pipeline.emit({"event": "failed", "exception": traceback_text(error)})
        logging.getLogger("x").exception("failed too")
    first, second = log.lines()
    for line in (first, second):
        assert "in fail" in line["exception"]
        assert "refresh_token=[redacted]" in line["exception"]
        assert "hush-local" not in line["exception"]


def test_I05_line_breaks_and_terminal_sequences_are_escaped() -> None:
    log = Log()
    logging.getLogger("x").info("a\r\nINFO forged\x1b[31m\x7f\u2028\x9b")
    text = log.text()
    assert text.count("\n") == 1
    assert text.isascii()
    assert not any(letter in text for letter in "\r\x1b\x7f")


def test_I05_the_pretty_form_escapes_them_too() -> None:
    log = Log(pretty=True)
    logging.getLogger("x").info("a\r\nforged\x1b[31m", extra={"agent": "b\nforged\x9b"})
    log.pipeline.emit({"event": "c", "agent": "d\x1b[0m"})
    text = log.text()
    assert text.count("\n") == 2
    assert not any(letter in text for letter in "\r\x1b\x9b")


def test_a_record_with_wrong_arguments_is_reported_not_raised() -> None:
    log = Log()
    wrong = logging.makeLogRecord({"msg": "%d and %d", "args": (1,), "name": "x"})
    PipelineHandler(log.pipeline.emit).emit(wrong)
    log.pipeline.emit({"event": "odd", "level": "info", "value": object()})
    assert [line["event"] for line in log.lines()] == ["record not shown", "odd"]


class Blocked:
    """A sink that takes nothing until it is released."""

    def __init__(self) -> None:
        self.entered, self.release, self.lines = threading.Event(), threading.Event(), ""

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.release.wait(10)
        self.lines += text
        return len(text)

    def flush(self) -> None:
        assert self.lines


def test_R32_a_blocked_sink_blocks_nobody_and_losses_are_counted() -> None:
    sink = Blocked()
    pipeline = LogPipeline(sink, capacity=10)
    pipeline.emit({"event": "first"})
    assert sink.entered.wait(10)
    for number in range(30):
        pipeline.emit({"event": str(number)})
    assert pipeline.dropped == 20
    pipeline.stop(timeout=0.01)  # does not wait for a sink that never comes back
    sink.release.set()
    pipeline.stop()
    lines = [json.loads(line) for line in sink.lines.splitlines()]
    assert [line["event"] for line in lines] == ["first", "events dropped", *map(str, range(10))]
    assert lines[1]["count"] == 20


def test_R32_a_full_sink_costs_lines_only() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    pipeline = LogPipeline(Full())
    pipeline.emit({"event": "lost"})
    pipeline.stop()
    assert pipeline.dropped == 1


def test_R32_a_pipe_that_nobody_reads_does_not_hold_up_the_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with (tmp_path / "log").open("w", encoding="utf-8") as sink:
        pipeline = LogPipeline(sink, capacity=100)
        for _ in range(1000):
            pipeline.emit({"event": "x" * 1000})
        assert pipeline.dropped > 0
        pipeline.stop(timeout=0.01)
        while pipeline_is_writing(pipeline):
            os.read(reader, 65536)
    os.close(reader)


def pipeline_is_writing(pipeline: LogPipeline) -> bool:
    pipeline.stop(timeout=0.01)
    return pipeline._writer.is_alive()


def test_what_was_queued_is_written_at_the_stop() -> None:
    log = Log()
    for number in range(1000):
        log.pipeline.emit({"event": "n", "number": number})
    assert [line["number"] for line in log.lines()] == list(range(1000))


def test_an_audit_event_is_one_line_with_the_facts_that_are_known() -> None:
    events: list[dict[str, Any]] = []
    audit = Audit(events.append, now=lambda: 1_800_000_000.0)
    audit.record(AuditEvent("login.refused", project="skyforge", platform="steam", reason="credential_expired"))
    assert events == [
        {
            "event": "login.refused",
            "logger": "authsrv.audit",
            "level": "info",
            "time": 1_800_000_000.0,
            "project": "skyforge",
            "platform": "steam",
            "reason": "credential_expired",
        }
    ]


def test_audit_lines_keep_their_request_and_their_time() -> None:
    log = Log()
    Audit(log.pipeline.emit, now=lambda: 0.5).record(AuditEvent("server.started", request_id="r1", address="::/48"))
    assert log.lines() == [
        {
            "time": "1970-01-01T00:00:00.500Z",
            "event": "server.started",
            "logger": "authsrv.audit",
            "level": "info",
            "request_id": "r1",
            "address": "::/48",
        }
    ]
