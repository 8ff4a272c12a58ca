"""PlayFab, emulated: one title with one secret key, and an account for every player that it is told of.

State is in memory and bounded. There is no credential to mint, so a case is set, and holds until another is.
"""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import UnknownCase
from authsrv.emulator.playfab.cases import (
    CASES,
    SECRET_KEY,
    TITLE,
    Account,
    Answer,
    not_authenticated,
    refusal,
    unknown_title,
)

_REMEMBERED = 50_000


class PlayFabEmulator:
    """See `ServiceEmulator`."""

    name = "playfab"

    def __init__(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.cases: Mapping[str, str] = {name: case.summary for name, case in CASES.items()}
        self.calls: Counter[str] = Counter()
        self._case = CASES["good"]
        self._accounts: dict[str, tuple[str, str]] = {}
        self._sleep = sleep

    def routes(self) -> list[BaseRoute]:
        """The title's API below `/playfab/<title>`."""
        return [Route("/playfab/{title}/Server/LoginWithServerCustomId", self._log_in, methods=["POST"])]

    def meet(self, case: str) -> None:
        """Answer like this from now on. Raises `UnknownCase`."""
        if case not in CASES:
            raise UnknownCase(f"PlayFab has no case {case!r}; choose one of: {', '.join(CASES)}")
        self._case = CASES[case]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The `[projects.X.playfab]` block."""
        return {"title_id": TITLE, "secret_key": SECRET_KEY, "base_url": f"{base_url}/playfab/{TITLE.lower()}"}

    async def _log_in(self, request: Request) -> Response:
        self.calls["LoginWithServerCustomId"] += 1
        answer = self._judge(request, await request.body())
        if answer.delay:
            await self._sleep(answer.delay)
        return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)

    def _judge(self, request: Request, body: bytes) -> Answer:
        key = request.headers.get("x-secretkey", "")
        if request.path_params["title"].upper() != TITLE:
            return unknown_title()
        if key != SECRET_KEY:
            return not_authenticated()
        sent = _object(body)
        custom_id = sent.get("ServerCustomId")
        if not isinstance(custom_id, str) or not custom_id:
            return refusal(400, "InvalidParams", 1000)
        if custom_id not in self._accounts and sent.get("CreateAccount") is not True:
            return refusal(400, "AccountNotFound", 1001)
        return self._case.answer(self._account(custom_id, key))

    def _account(self, custom_id: str, key: str) -> Account:
        known = self._accounts.get(custom_id)
        if known is None:
            if len(self._accounts) >= _REMEMBERED:
                del self._accounts[next(iter(self._accounts))]
            self._accounts[custom_id] = secrets.token_hex(8).upper(), secrets.token_hex(8).upper()
        playfab_id, entity_id = self._accounts[custom_id]
        return Account(playfab_id, entity_id, newly_created=known is None, key=key)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
