"""Single requests to a running server, for what a round needs before it begins, such as access tokens."""

import http.client
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from bench.orders import Request


def answers(port: int, host: str, requests: Iterable[Request]) -> list[dict[str, Any]]:
    """The JSON bodies, one after the other over one connection. Raises `Refused` for any status but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return [_answer(connection, host, request) for request in requests]
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, host: str, request: Request) -> dict[str, Any]:
    form = {"Content-Type": "application/x-www-form-urlencoded"} if request.method == "POST" else {}
    headers = {"Host": host, **form, **request.headers}
    connection.request(request.method, request.path, urlencode(request.form) or None, headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise Refused(f"{request.path}: {response.status} {body[:300]!r}")
    answer: dict[str, Any] = json.loads(body)
    return answer


class Refused(Exception):
    """A server did not do what every round depends on."""
