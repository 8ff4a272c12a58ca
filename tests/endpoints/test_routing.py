"""A fixed address is found by one look-up, and by the same route that trying them in order would find."""

from typing import cast
from unittest.mock import MagicMock

import httpx
import pytest
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from authsrv.endpoints.routes import Served, routes
from authsrv.endpoints.routing import RouteTable


class Named:
    """Answers with its name and what the scope says of the route."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        found = scope.get("route")
        text = f"{self._name} {found.path if found else '-'} {scope.get('path_params', {})}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/fixed", "fixed /fixed {}"),
        ("/twice", "first /twice {}"),
        ("/fixed/", "nobody - {}"),
        ("/things/7", "thing /things/{id} {'id': '7'}"),
        ("/things", "nobody - {}"),
    ],
)
async def test_the_route_of_an_address_answers_and_is_left_in_the_scope(path: str, answer: str) -> None:
    fixed = [Route("/fixed", Named("fixed")), Route("/twice", Named("first")), Route("/twice", Named("second"))]
    table = RouteTable([Route("/things/{id}", Named("thing")), *fixed], Named("nobody"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(table), base_url="http://test") as client:
        assert (await client.get(path)).text == answer


def test_no_address_with_parameters_comes_before_a_fixed_one_that_it_covers() -> None:
    table = routes(cast("Served", MagicMock()))
    fixed = [route for route in table if isinstance(route, Route) and "{" not in route.path]
    assert len(fixed) > 30
    assert {route.path: first_of(table, route.path) for route in fixed} == {route.path: route for route in fixed}


def first_of(table: list[BaseRoute], path: str) -> BaseRoute:
    scope = {"type": "http", "method": "GET", "path": path}
    return next(route for route in table if route.matches(scope)[0] is not Match.NONE)
