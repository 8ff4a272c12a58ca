"""The log pipeline: events, ours and the standard library's, become JSON lines, written by a thread of its own.

Owns levels, the reference to the current request, redaction of every line, and the rule that a slow or full sink
costs lines, never requests. Knows no event by name.
"""

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Any, Final, Literal, Protocol

from authsrv.redaction import redact

Event = dict[str, Any]
Emit = Callable[[Event], None]
"""Takes an event: `event` is its name, `logger` and `level` where it comes from, the rest are its facts."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The current request, added to every event that is logged while it is served."""

FLOORS: Final[Mapping[str, int]] = {
    "aiosqlite": logging.INFO,
    "authlib": logging.INFO,
    "asyncio": logging.INFO,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
}
"""Libraries that print tokens, addresses with secrets or statement values below these levels, whatever ours is."""

_CAPACITY = 10_000
_BATCH = 1_000
_GATHER_SECONDS = 0.05
_LINES = json.JSONEncoder(default=str)


class Sink(Protocol):
    """Where lines go: an open text file, or anything like it."""

    def write(self, text: str, /) -> object:
        """Take some lines."""

    def flush(self) -> object:
        """Pass on what was taken."""


class LogPipeline:
    """Where all events go. `emit` never blocks and never raises; a full queue drops the event and counts it."""

    def __init__(self, sink: Sink, *, pretty: bool = False, capacity: int = _CAPACITY) -> None:
        self._sink = sink
        self._render = _pretty_line if pretty else _json_line
        self._capacity = capacity
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._dropped = 0
        self._reported = 0
        self._stopping = threading.Event()
        self._writer = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._writer.start()

    @property
    def dropped(self) -> int:
        """How many events were lost because the sink did not keep up."""
        return self._dropped

    def emit(self, event: Event) -> None:
        """Queue an event; `time` (Unix seconds) and `request_id` are added unless it has them."""
        if self._queue.qsize() >= self._capacity:
            self._dropped += 1
            return
        event.setdefault("time", time.time())
        current = request_id.get()
        if current:
            event.setdefault("request_id", current)
        self._queue.put(event)

    def stop(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most `timeout` seconds. Events that come later are dropped."""
        self._capacity = 0
        self._stopping.set()
        self._queue.put(None)
        self._writer.join(timeout)

    def _write_all(self) -> None:
        running = True
        while running:
            events = self._next_events()
            running = None not in events
            self._write("".join([self._render(event) for event in events if event is not None]))

    def _next_events(self) -> list[Event | None]:
        events = [self._queue.get()]
        if self._queue.qsize() < _BATCH:
            # Waking up for each event would take the interpreter from the requests thousands of times a second.
            self._stopping.wait(_GATHER_SECONDS)
        try:
            while len(events) < _BATCH and events[-1] is not None:
                events.append(self._queue.get_nowait())
        except Empty:
            pass
        if self._dropped > self._reported:
            events.insert(0, _loss(self._dropped - self._reported))
            self._reported = self._dropped
        return events

    def _write(self, lines: str) -> None:
        try:
            self._sink.write(lines)
            self._sink.flush()
        except (OSError, ValueError):  # the sink is full, gone or closed; the requests go on
            self._dropped += lines.count("\n")


def _loss(count: int) -> Event:
    return {"event": "events dropped", "logger": "authsrv.log", "level": "warning", "time": time.time(), "count": count}


def _json_line(event: Event) -> str:
    try:
        return _LINES.encode(_document(event)).replace("\x7f", "\\u007f") + "\n"
    except Exception as error:
        return json.dumps({"event": "event not shown", "level": "error", "error": type(error).__name__}) + "\n"


def _pretty_line(event: Event) -> str:
    try:
        document = _document(event)
        head = f"{document.pop('time')} {document.pop('level', 'info'):<8} {_printable(document.pop('event', ''))}"
        trace = document.pop("exception", "")
        facts = "".join(f" {key}={_printable(value)}" for key, value in document.items())
        lines = "".join(f"\n    {_printable(line)}" for line in str(trace).splitlines())
    except Exception as error:
        return f"event not shown: {type(error).__name__}\n"
    return f"{head}{facts}{lines}\n"


def _printable(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _document(event: Event) -> Event:
    facts = {name: redact(value, name=name) for name, value in event.items() if name != "time"}
    return {"time": _moment(event["time"]), **facts}


def _moment(time: float) -> str:
    """RFC 3339 with milliseconds."""
    second, part = divmod(time, 1)
    return f"{_second(int(second))}.{int(part * 1000):03d}Z"


@lru_cache(maxsize=8)
def _second(time: int) -> str:
    """The same for all lines of a second, and the dearest part of each."""
    return datetime.fromtimestamp(time, UTC).replace(tzinfo=None).isoformat()


class PipelineHandler(logging.Handler):
    """Routes the standard library's loggers into the pipeline, libraries only from their floor upwards."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse what a library says below its floor, also through a child logger with a level of its own."""
        return record.levelno >= floor_of(record.name) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record over. Its extra attributes become facts."""
        try:
            event = {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
            event |= {"event": record.getMessage(), "logger": record.name, "level": record.levelname.lower()}
            event["time"] = record.created
            if record.exc_info and record.exc_info[1]:
                event["exception"] = traceback_text(record.exc_info[1])
        except Exception as error:
            event = {
                "event": "record not shown",
                "logger": record.name,
                "level": "error",
                "cause": type(error).__name__,
            }
        self._emit(event)


_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def floor_of(name: str) -> int:
    """The level below which a logger is never heard."""
    while name:
        if name in FLOORS:
            return FLOORS[name]
        name = name.rpartition(".")[0]
    return logging.NOTSET


def traceback_text(error: BaseException) -> str:
    """A traceback without the values of local variables. Redaction happens when the line is written."""
    return "".join(traceback.format_exception(error))


LevelName = Literal["debug", "info", "warning", "error"]


def configure(
    *, level: LevelName = "info", pretty: bool = False, sink: Sink | None = None, capacity: int = _CAPACITY
) -> LogPipeline:
    """Make the standard library's root logger write to one new pipeline (stderr by default).

    Called once by the composition; `pretty` is for people at a terminal. The caller stops the pipeline last.
    """
    pipeline = LogPipeline(sink or sys.stderr, pretty=pretty, capacity=capacity)
    number = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    for handler in [found for found in root.handlers if isinstance(found, PipelineHandler)]:
        root.removeHandler(handler)
    root.addHandler(PipelineHandler(pipeline.emit))
    root.setLevel(number)
    for name, floor in FLOORS.items():
        logging.getLogger(name).setLevel(max(number, floor))
    logging.getLogger("uvicorn.error").setLevel(max(number, logging.INFO))
    return pipeline
