"""Steam, emulated: its Web API on two hosts, and tickets that the Web API then knows, refuses or answers oddly.

State is in memory and bounded; only the keys are worth keeping. The browser sign-in stands in the module beside it.
"""

import asyncio
import re
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from authsrv.emulator.base import PLAYERS, MintedCredential, TestPlayer, UnknownCase
from authsrv.emulator.steam import answers
from authsrv.emulator.steam.answers import Account, Answer
from authsrv.emulator.steam.cases import APP_ID, ENCRYPTED_CASES, IDENTITY, SESSION_CASES, EncryptedCase, SessionCase
from authsrv.emulator.steam.openid import SteamOpenIdProvider
from authsrv.emulator.steam.openid_cases import OPENID_CASES, OpenIdCase
from authsrv.emulator.steam.tickets import SteamKeys, TicketFacts, encrypted_ticket

__all__ = ["SteamEmulator", "SteamKeys"]

SESSION: Final = "session_ticket"
ENCRYPTED: Final = "encrypted_app_ticket"
PUBLISHER_KEY = "5AFE0D15C0DED0D0CAFE0000A0715E0F"
USER_KEY = "0B5E55ED0DDBA11D0DECADE0000B1A5E"

_AUTHENTICATED = 52
_LICENCE = 21 * 86400
_REMEMBERED = 50_000
_HEX = re.compile(r"[0-9A-Fa-f]+")

Params = Mapping[str, str]


class SteamEmulator:
    """See `PlatformEmulator`. The publisher key works on both hosts, the user key only on `public`, as at Steam."""

    name = "steam"
    everywhere: Mapping[str, str] = MappingProxyType(
        {
            "expired": "expired-ownership",
            "forged": "forged",
            "other-app": "other-app",
            "replayed": "replayed",
            "banned": "banned",
        }
    )
    kinds: Sequence[str] = (SESSION, ENCRYPTED)

    def __init__(
        self,
        keys: SteamKeys | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.keys = keys or SteamKeys.generate()
        self.cases: Mapping[str, str] = {
            **{name: case.summary for name, case in SESSION_CASES.items()},
            **{name: case.summary for name, case in ENCRYPTED_CASES.items()},
            **{name: case.summary for name, case in OPENID_CASES.items()},
        }
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._sleep = sleep
        self._tickets: dict[int, tuple[bytes, Account]] = {}
        self._players: dict[int, Account] = {}
        self.openid = SteamOpenIdProvider(calls=self.calls, clock=clock, sleep=sleep, meets=self._meet)

    def routes(self) -> list[BaseRoute]:
        """The Web API below `/steam/partner` and `/steam/public`, and the sign-in page below `/steam/openid`."""
        calls = {
            "ISteamUserAuth/AuthenticateUserTicket/v1": self._authenticate,
            "ISteamUser/CheckAppOwnership/v4": self._check_app_ownership,
            "ISteamUser/GetPublisherAppOwnership/v4": self._publisher_app_ownership,
            "ISteamUser/GetPlayerSummaries/v2": self._player_summaries,
            "ISteamUser/GetPlayerBans/v1": self._player_bans,
        }
        web_api = [
            Route(f"/steam/{host}/{call}{slash}", self._endpoint(call, handler, _accepted_keys(host, call)))
            for host in ("partner", "public")
            for call, handler in calls.items()
            for slash in ("/", "")
        ]
        return [*web_api, *self.openid.routes()]

    def mint(self, player: TestPlayer, *, kind: str = "", case: str = "good") -> MintedCredential:
        """A fresh ticket. Encrypted cases have names with `encrypted-`, which may be left out when `kind` says it.

        Cases with `openid-` are not minted: they happen on the sign-in page.
        """
        if kind not in {"", *self.kinds}:
            raise UnknownCase(f"Steam has no kind {kind!r}; choose one of: {', '.join(self.kinds)}")
        name = case if kind != ENCRYPTED or case.startswith("encrypted-") else f"encrypted-{case}"
        if name in ENCRYPTED_CASES and kind != SESSION:
            return self._mint_encrypted(player, name, ENCRYPTED_CASES[name])
        if name in SESSION_CASES and kind != ENCRYPTED:
            return self._mint_session(player, name, SESSION_CASES[name])
        if name in OPENID_CASES:
            raise UnknownCase(f"{name} shows itself in a browser: choose it on the emulated sign-in page")
        raise UnknownCase(f"Steam has no case {case!r} of this kind; choose one of: {', '.join(self.cases)}")

    def mint_with_user_data(self, player: TestPlayer, user_data: bytes) -> MintedCredential:
        """A good encrypted app ticket into which the game put some bytes of its own, such as a nonce."""
        raw = encrypted_ticket(self._facts(player, age=5), self.keys.app, user_data=user_data)
        return _minted(ENCRYPTED, "encrypted-good", raw.hex())

    def settings(self, base_url: str) -> dict[str, Any]:
        """A block that demands everything, so that every case shows its error."""
        return {
            "app_ids": [APP_ID],
            "web_api_key": PUBLISHER_KEY,
            "identity": IDENTITY,
            "reject_vac": True,
            "allow_family_sharing": False,
            "require_ownership": True,
            "fetch_profile": True,
            "encrypted_ticket_key": self.keys.app.hex(),
            "system_public_key": self.keys.system_public_key,
            "hosts": {
                "partner": f"{base_url}/steam/partner",
                "public": f"{base_url}/steam/public",
                "community": f"{base_url}/steam",
            },
        }

    # Minting

    def _mint_session(self, player: TestPlayer, name: str, case: SessionCase) -> MintedCredential:
        facts = case.facts(self._facts(player, age=300))
        raw = case.make(facts, self.keys)
        if case.account:
            self._register(raw, case.account(Account(facts, identity=IDENTITY, owner=facts.steam_id)))
        return _minted(SESSION, name, case.text(raw))

    def _mint_encrypted(self, player: TestPlayer, name: str, case: EncryptedCase) -> MintedCredential:
        facts = self._facts(player, age=5)
        self._players[facts.steam_id] = case.account(Account(facts, identity="", owner=facts.steam_id))
        return _minted(ENCRYPTED, name, case.make(facts, self.keys).hex())

    def _meet(self, player: TestPlayer, case: OpenIdCase) -> None:
        self._players[int(player.steam_id)] = case.account(self._ordinary(player))

    def _facts(self, player: TestPlayer, *, age: int) -> TicketFacts:
        made = int(self._clock()) - age
        return TicketFacts(int(player.steam_id), APP_ID, issued=made, expires=made + _LICENCE, token_time=made)

    def _register(self, raw: bytes, account: Account) -> None:
        if len(self._tickets) >= _REMEMBERED:
            del self._tickets[next(iter(self._tickets))]
        self._tickets[zlib.crc32(raw[:_AUTHENTICATED])] = (raw[:_AUTHENTICATED], account)

    # Answering

    def _endpoint(
        self, call: str, handler: Callable[[Params], Answer], keys: frozenset[str]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self.calls[call.split("/")[1]] += 1
            key = request.headers.get("x-webapi-key") or request.query_params.get("key", "")
            answer = handler(request.query_params) if key in keys else answers.wrong_key()
            return await answers.give(answer, self._sleep)

        return endpoint

    def _authenticate(self, params: Params) -> Answer:
        ticket = params.get("ticket", "")
        if not params.get("appid") or not ticket:
            return answers.html_answer(400, "Bad Request")
        if len(ticket) % 2 or not _HEX.fullmatch(ticket):
            return answers.refused(3)
        account = self._known(bytes.fromhex(ticket))
        if account is None:
            return answers.refused(101)
        self._players[account.facts.steam_id] = account
        return account.odd or _judge(account, params)

    def _known(self, raw: bytes) -> Account | None:
        """What Steam knows by the CRC of the first 52 bytes; whatever follows does not matter."""
        first, account = self._tickets.get(zlib.crc32(raw[:_AUTHENTICATED]), (b"", None))
        if account is None or first != raw[:_AUTHENTICATED] or self._clock() < account.known_from:
            return None
        return account

    def _check_app_ownership(self, params: Params) -> Answer:
        account = self._player(params.get("steamid", ""))
        if account is None or params.get("appid") != str(APP_ID):
            return answers.html_answer(400, "Bad Request")
        if account.ownership_down:
            return answers.html_answer(500, "Internal Server Error")
        return answers.app_ownership(account)

    def _publisher_app_ownership(self, params: Params) -> Answer:
        account = self._player(params.get("steamid", ""))
        return answers.publisher_ownership(account) if account else answers.html_answer(400, "Bad Request")

    def _player_summaries(self, params: Params) -> Answer:
        found = self._listed(params)
        if any(account.profile_down for account in found.values()):
            return answers.html_answer(500, "Internal Server Error")
        names = {int(player.steam_id): player.display_name for player in PLAYERS.values()}
        return answers.player_summaries({steam_id: names[steam_id] for steam_id in found if steam_id in names})

    def _player_bans(self, params: Params) -> Answer:
        return answers.player_bans(self._listed(params))

    def _listed(self, params: Params) -> dict[int, Account]:
        accounts = [self._player(text) for text in params.get("steamids", "").split(",")[:100]]
        return {account.facts.steam_id: account for account in accounts if account}

    def _player(self, steam_id: str) -> Account | None:
        """What the last ticket presented made known of a player; else an ordinary owner of the app."""
        player = next((player for player in PLAYERS.values() if player.steam_id == steam_id), None)
        if player is None:
            return None
        return self._players.get(int(steam_id), self._ordinary(player))

    def _ordinary(self, player: TestPlayer) -> Account:
        return Account(self._facts(player, age=0), identity=IDENTITY, owner=int(player.steam_id))


def _accepted_keys(host: str, call: str) -> frozenset[str]:
    for_users = host == "public" and not call.endswith("AppOwnership/v4")
    return frozenset({PUBLISHER_KEY, USER_KEY}) if for_users else frozenset({PUBLISHER_KEY})


def _judge(account: Account, params: Params) -> Answer:
    identity = params.get("identity", "")
    if account.error is not None:
        return answers.refused(account.error, echo=params["ticket"])
    if identity and (account.facts.type == 2 or identity != account.identity):
        return answers.refused(101)
    if params["appid"] != str(account.facts.app_id):
        return answers.refused(102)
    return answers.confirmed(account)


def _minted(kind: str, case: str, text: str) -> MintedCredential:
    chosen = {} if kind == SESSION else {"credential_type": kind}
    return MintedCredential(
        platform="steam",
        kind=kind,
        case=case,
        text=text,
        parameters={"session_ticket": text, "app_id": str(APP_ID), **chosen},
    )
