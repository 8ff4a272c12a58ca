"""How a time is written below /api."""

from datetime import UTC, datetime


def moment(seconds: int) -> str:
    """Unix seconds as `2026-09-21T14:13:20+00:00`: iOS reads neither a fraction nor a zone by letter."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
