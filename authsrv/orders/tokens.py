"""Orders about tokens: everything that a player, a client or a whole project was given is void from now on.

Knows neither how a token is checked nor how an order is given.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from authsrv.audit import AuditEvent
from authsrv.models import NotBeforeKind, Player
from authsrv.oauth.revocation import REVOKED
from authsrv.oauth.server import TokenServer
from authsrv.oauth.voiding import void_player_until_now, void_until_now
from authsrv.orders.desk import Desk, OrderRefused
from authsrv.records import dataclass


@dataclass(frozen=True, slots=True)
class _Concerned:
    """Whose tokens it is about, and the key of the project that they are in.

    A player may have several subjects: tokens made before a merge still name the account that was merged, and verifiers
    know no other name. The first one is that of the account that remains.
    """

    kind: NotBeforeKind
    subjects: tuple[str, ...]
    project: str
    players: tuple[Player, ...] = ()


async def revoke_tokens(desk: Desk, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Void everything that `subject`, a `kind` of player, client or project, was given until now.

    The answer has both, the `project` where they are, and `not_before`: what was issued before that time, in Unix
    seconds, is void. With `dry_run` nothing is changed.
    """
    server, kind, subject = desk.server, arguments.get("kind"), arguments.get("subject")
    if not isinstance(kind, str) or kind not in _FIND or not isinstance(subject, str):
        raise OrderRefused("name a player by its sub, a client by its id, or a project by its key")
    concerned = await _FIND[kind](server, subject)
    not_before = server.now() + 1
    if not arguments.get("dry_run"):
        not_before = await _void(server, concerned)
        server.audit.record(_event(concerned))
    told = {"kind": concerned.kind, "subject": subject, "project": concerned.project}
    return {**told, "not_before": not_before, "done": not arguments.get("dry_run")}


async def _void(server: TokenServer, concerned: _Concerned) -> int:
    if concerned.players:
        return await void_player_until_now(server, concerned.players, REVOKED)
    return await void_until_now(server, concerned.kind, concerned.subjects)


def _event(concerned: _Concerned) -> AuditEvent:
    named = {"player": "sub", "client": "client_id"}.get(concerned.kind)
    return AuditEvent(
        "tokens.revoked_before", project=concerned.project, **({named: concerned.subjects[0]} if named else {})
    )


async def _player(server: TokenServer, sub: str) -> _Concerned:
    player = await server.storage.load_subject(sub)
    account = await server.storage.load_account(player.merged_into or player.id) if player else None
    if account is None:
        raise OrderRefused("no player has this sub; it stands in access tokens and in the audit trail")
    players = (account.player, *account.aliases)
    return _Concerned("player", tuple(one.sub for one in players), account.player.project, players)


async def _client(server: TokenServer, client_id: str) -> _Concerned:
    """One of the file, also one that left it, or one that registered itself."""
    client = server.registry.get(client_id)
    if client is not None:
        return _Concerned("client", (client_id,), client.project.key)
    left = {stored.client.client_id: stored.client.project for stored in await server.storage.load_clients()}
    registered = await server.storage.load_registered_client(client_id)
    project = registered.project if registered else left.get(client_id)
    if project is None:
        raise OrderRefused("no client has or had this client_id")
    return _Concerned("client", (client_id,), project)


async def _project(server: TokenServer, key: str) -> _Concerned:
    if server.registry.of_project(key):
        return _Concerned("project", (key,), key)
    if any(stored.client.project == key for stored in await server.storage.load_clients()):
        return _Concerned("project", (key,), key)
    raise OrderRefused("no project with clients has this key; it is the name of its table in the configuration")


_FIND: Mapping[str, Callable[[TokenServer, str], Awaitable[_Concerned]]] = {
    "player": _player,
    "client": _client,
    "project": _project,
}
