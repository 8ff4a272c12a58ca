"""When something was or will be, in the words of a language: a day, a moment, or how long ago it was.

`engine` imports this module with the first page, as Babel takes a while to load. Knows no page.
"""

from datetime import UTC, datetime, timedelta

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta

_MINUTE = 60


def day(when: int, locale: str) -> str:
    """The day in UTC of a Unix second, as people write it."""
    return format_date(datetime.fromtimestamp(when, UTC), "long", _locale(locale))


def moment(when: int, locale: str) -> str:
    """A Unix second in UTC, with the day."""
    return format_datetime(datetime.fromtimestamp(when, UTC), "long", locale=_locale(locale))


def ago(when: int, now: int, locale: str) -> str:
    """How long before `now` it was, in its largest unit; a minute at least."""
    passed = timedelta(seconds=max(now - when, _MINUTE))
    return format_timedelta(-passed, granularity="minute", add_direction=True, locale=_locale(locale))


def iso(when: int) -> str:
    """A Unix second for machines (RFC 3339)."""
    return datetime.fromtimestamp(when, UTC).isoformat()


def _locale(tag: str) -> Locale:
    return Locale.parse(tag, sep="-")
