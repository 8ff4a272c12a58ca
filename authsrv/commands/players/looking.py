"""The commands that look for players and at them."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from authsrv.commands.console import CONFIG, STATUSES, ConfigOption, JsonOption, moment, order, printable, table
from authsrv.commands.players.naming import AccountOption, PlatformOption, ProjectOption, SubArgument, named

Told = Mapping[str, Any]


def find(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="How the display name begins, in whatever case.", show_default=False)
    ] = "",
    project: ProjectOption = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, by name.")] = 50,
    after: Annotated[
        str, typer.Option(metavar="SUB", help="The page of names after this player.", show_default=False)
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Look for players.

    By the sub, by a platform account, or by how the display name begins. The exit status is 3 if there is none.
    """
    if not name:
        with _a_name_is_no_sub(sub):
            found = order(config, "players.find", **named(sub, platform, account, project))
    elif sub or platform or account:
        raise typer.BadParameter("look for the sub, for a platform account, or for a name")
    else:
        found = order(config, "players.find", name=name, project=project, limit=limit, after=after)
    typer.echo(json.dumps(found, indent=2) if as_json else _listed(found))


@contextmanager
def _a_name_is_no_sub(sub: str) -> Iterator[None]:
    """Tell those who look for nobody's sub how to look for a name."""
    try:
        yield
    except typer.Exit as ended:
        if sub and ended.exit_code == STATUSES["unknown_player"]:
            typer.echo(f"This looked for a sub. To look for a name: --name {shlex.quote(printable(sub))}", err=True)
        raise


def show(
    *,
    sub: SubArgument = "",
    platform: PlatformOption = "",
    account: AccountOption = "",
    project: ProjectOption = "",
    events: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest events to show.")] = 10,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Show a player.

    Who they are, their platform accounts, bans, sign-ins in browsers, consents, and what was done to the account.
    """
    found = order(config, "players.show", **named(sub, platform, account, project), events=events)
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(_shown(found)))


def _listed(found: Told) -> str:
    head = ("SUB", "NAME", "PROJECT", "CREATED", "LAST LOGIN", "STATE")
    rows = [
        (
            one["sub"],
            one["display_name"] or "-",
            one["project"],
            moment(one["created_at"]),
            moment(one["last_login_at"]),
            state(one),
        )
        for one in found["players"]
    ]
    more = f"\n\nThere are more: --after {found['next']}" if found["next"] else ""
    return table(head, rows) + more


def state(player: Told) -> str:
    """What there is to know of a player before anything else."""
    if player["merged_into"]:
        return f"merged into {player['merged_into']}"
    if player["alias"]:
        return f"{player['alias']} was merged into it"
    return barred(player["barred"])


def barred(told: Told | None) -> str:
    """Whether somebody is kept out, and until when."""
    if told is None:
        return "-"
    end = "for good" if told["until"] is None else f"until {moment(told['until'])}"
    return f"{told['as']} {end}"


def _shown(player: Told) -> Iterator[str]:
    if player["alias"]:
        yield f"{player['alias']} was merged into this player.\n"
    yield from _facts(player)
    yield from _section(
        "Platform accounts", ("PLATFORM", "ACCOUNT", "ENVIRONMENT", "LINKED", "LAST USED"), _linked(player)
    )
    yield from _section("Bans", ("KIND", "SINCE", "UNTIL", "LIFTED", "BY", "REASON"), _bans(player))
    yield from _section("Sign-ins in browsers", ("PLATFORM", "SINCE", "LAST USED"), _sessions(player))
    yield from _section("Consents", ("CLIENT", "SINCE", "SCOPE"), _consents(player))
    yield from _section("Events", ("AT", "EVENT", "BY", "ABOUT", "UNDO"), _events(player))


def _facts(player: Told) -> Iterator[str]:
    follows = f" (follows {player['name_from']})" if player["name_from"] else ""
    facts = {
        "sub": player["sub"],
        "name": (player["display_name"] or "-") + follows,
        "project": player["project"],
        "state": barred(player["barred"]),
        "created": moment(player["created_at"]),
        "last login": moment(player["last_login_at"]),
        "age group": player["age_group"],
        "merged in": ", ".join(player["merged_from"]),
        "segments": ", ".join(f"{key}={value}" for key, value in player["segments"].items()),
    }
    return (f"{name:<12}{printable(text)}" for name, text in facts.items() if text)


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield f"\n{title}"
        yield table(head, rows)


def _linked(player: Told) -> Sequence[Sequence[str]]:
    return [
        (
            one["platform"],
            one["account"],
            one["environment"] or "-",
            moment(one["linked_at"]),
            moment(one["last_used_at"]),
        )
        for one in player["identities"]
    ]


def _bans(player: Told) -> Sequence[Sequence[str]]:
    return [
        (
            one["kind"],
            moment(one["created_at"]),
            "for good" if one["until"] is None else moment(one["until"]),
            moment(one["lifted_at"]),
            one["decided_by"] or "-",
            one["reason"] or "-",
        )
        for one in player["bans"]
    ]


def _sessions(player: Told) -> Sequence[Sequence[str]]:
    return [(one["platform"], moment(one["auth_time"]), moment(one["used_at"])) for one in player["sessions"]]


def _consents(player: Told) -> Sequence[Sequence[str]]:
    return [(one["client_id"], moment(one["given_at"]), " ".join(one["scope"])) for one in player["consents"]]


def _events(player: Told) -> Sequence[Sequence[str]]:
    return [(moment(one["at"]), one["kind"], _doer(one), _about(one), _undo(one)) for one in player["events"]]


def _doer(event: Told) -> str:
    return " ".join(word for word in (event["actor"], event["actor_name"] or event["client_id"]) if word)


def _about(event: Told) -> str:
    identity = event["identity"]
    words = (f"{identity['platform']} {identity['account']}" if identity else "", event["other"], event["reason"])
    return ", ".join(word for word in words if word) or "-"


def _undo(event: Told) -> str:
    if event["reversed_by"]:
        return f"was undone by {event['reversed_by']}"
    return f"{event['event']} until {moment(event['reversible_until'])}" if event["reversible_until"] else "-"
