"""A ledger of what clients were told around a backup, and a checker that holds the restored server to it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from authsrv.account_models import Doer
from authsrv.accounts.forgetting import Order
from authsrv.config import Config
from authsrv.restoring import Plan, Restored, Restorer
from tests.support.refusals import token_error
from tests.support.residents import Resident
from tests.support.server import ManualClock, Server

OPERATOR = Order(Doer("admin", "otto"))


@dataclass
class Ledger:
    """What clients were told after the backup was made, and may hold the server to."""

    used_codes: list[str] = field(default_factory=list)
    unused_codes: list[str] = field(default_factory=list)
    dead_refresh_tokens: list[str] = field(default_factory=list)
    live_refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    subs: dict[str, str] = field(default_factory=dict)


async def back_up(server: Server, directory: Path) -> Path:
    """A backup of what the server serves."""
    path = directory / "backup"
    await asyncio.to_thread(Restorer(server.app.config, ignore, server.clock).back_up, path)
    return path


async def restore(config: Config, backup: Path, clock: ManualClock, plan: Plan | None = None) -> Restored:
    restorer = Restorer(config, ignore, clock)
    return await asyncio.to_thread(restorer.restore, backup, plan or Plan(replace=True))


def ignore(_: object) -> None:
    """Nobody listens."""


async def check(server: Server, ledger: Ledger) -> None:
    """No used code works, no token of before is live, the erased are gone, and the others are who they were."""
    for code in (*ledger.used_codes, *ledger.unused_codes):
        assert token_error(await server.redeem(code)) == "invalid_grant"
    for refresh_token in (*ledger.dead_refresh_tokens, *ledger.live_refresh_tokens):
        assert token_error(await server.refresh(refresh_token)) == "invalid_grant"
    for access_token in ledger.access_tokens:
        assert (await server.userinfo(access_token)).status_code == 401
    for sub in ledger.erased:
        assert await server.app.storage.load_subject(sub) is None
    for player, sub in ledger.subs.items():
        again = await server.login("steam", server.mint("steam", player))
        assert server.claims(again["access_token"])["sub"] == sub
        assert (await server.userinfo(again["access_token"])).status_code == 200


async def live_on(server: Server, amber: Resident, birch: Resident, code: str, ledger: Ledger) -> None:
    """What happens after a backup: a code is used, tokens are refreshed and revoked, a player is erased."""
    ledger.access_tokens += [amber.tokens["access_token"], birch.tokens["access_token"]]
    redeemed = (await server.redeem(code)).json()
    ledger.used_codes.append(code)
    ledger.access_tokens.append(redeemed["access_token"])
    ledger.dead_refresh_tokens.append(redeemed["refresh_token"])
    refreshed = (await server.refresh(redeemed["refresh_token"])).json()
    ledger.live_refresh_tokens.append(refreshed["refresh_token"])
    ledger.access_tokens.append(refreshed["access_token"])
    revoked = amber.tokens["refresh_token"]
    await server.http.post("/oauth2/revoke", data={"client_id": "launcher", "token": revoked})
    assert token_error(await server.refresh(revoked)) == "invalid_grant"
    ledger.dead_refresh_tokens.append(revoked)
    await server.app.desk.forgetting.erase(birch.sub, OPERATOR)
    ledger.erased.append(birch.sub)
    ledger.dead_refresh_tokens.append(birch.tokens["refresh_token"])
