"""How long a ban lasts, as requests and operators write it. Pure."""

import re
from datetime import UTC, datetime

from authsrv.errors import InvalidRequest
from authsrv.models import NEVER

LATEST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
"""The last second that can be written as a date."""

_NUMBER = re.compile(r"[0-9]{1,12}")


def end_of(until: str, seconds: str, now: int) -> int:
    """When something ends that lasts until a time, in Unix seconds or as in RFC 3339, or for so many seconds.

    `NEVER` if both are empty. Raises `InvalidRequest` for both at once, and for what cannot be read.
    """
    if until and seconds:
        raise InvalidRequest("Send until or seconds, not both.", parameter="seconds")
    if seconds:
        return _possible(now + _number(seconds, "seconds"), "seconds")
    return _possible(_moment(until), "until") if until else NEVER


def _moment(text: str) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise _unreadable("until") from None
    if found.tzinfo is None:
        raise InvalidRequest("A time needs its offset from UTC, such as Z.", parameter="until")
    return int(found.timestamp())


def _number(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _unreadable(name)
    return int(text)


def _possible(moment: int, name: str) -> int:
    if moment > LATEST:
        raise InvalidRequest("Times beyond the year 9999 are none; leave it out for good.", parameter=name)
    return moment


def _unreadable(name: str) -> InvalidRequest:
    return InvalidRequest("This is no number of seconds, and no time as in RFC 3339.", parameter=name)
