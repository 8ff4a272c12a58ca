"""The same for the snippet with a thread of its own."""

import sys

from tokens import check  # type: ignore[import-not-found]  # the page's program

from authsrv.verify import AccessTokenError, Unavailable


def answer(token: str) -> str:
    try:
        return f"player {check(token, scope='match:join').sub}"
    except Unavailable:
        return "unavailable"
    except AccessTokenError:
        return "refused"


for line in sys.stdin:
    print(answer(line.strip()), flush=True)  # noqa: T201 - a program
