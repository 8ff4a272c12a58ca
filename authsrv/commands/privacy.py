"""`authsrv privacy ...`: what the records of processing need to know of this server.

Holds no rules: it gives one order, reads the configuration, and prints both.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, load, moment, order, table

if TYPE_CHECKING:
    from authsrv.config import Config

app = typer.Typer(name="privacy", help="Tell what is kept, for how long, and where data goes.", no_args_is_help=True)

Told = Mapping[str, Any]


@app.callback()
def group() -> None:
    """Keeps `report` a command of its own while there is no other."""


@app.command()
def report(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    """Report what is kept.

    For how long, and whether the file says so; how old the oldest of everything is; which addresses are called; and
    how many logout notices wait. There is nobody in it, so that it can be filed with the records of processing.
    """
    found = {**_of_the_file(load(config)), **order(config, "privacy.census")}
    typer.echo(json.dumps(found, indent=2) if as_json else "\n\n".join(_sections(found)))


def _of_the_file(config: "Config") -> Told:
    settings, written = config.retention.model_dump(), config.retention.model_fields_set
    called = {
        f"{key}.{name}": list(block.addresses())
        for key, project in config.projects.items()
        for name, block in (*project.platforms.items(), *((("playfab", project.playfab),) if project.playfab else ()))
        if block.addresses()
    }
    notified = {client_id: client.logout.backchannel_logout_uri for client_id, client in config.clients().items()}
    return {
        "issuer": config.issuer,
        "retention": {
            name: {"value": value, "from": "file" if name in written else "default"} for name, value in settings.items()
        },
        "called": called,
        "notified": {client_id: uri for client_id, uri in notified.items() if uri},
    }


def _sections(found: Told) -> Iterator[str]:
    yield f"{found['issuer']}, {moment(found['now'])}"
    kept = [(name, str(one["value"]), one["from"]) for name, one in found["retention"].items()]
    yield table(("RETENTION", "VALUE", "FROM"), kept)
    ages = [(name, moment(at), f"{(found['now'] - at) // 86400} d") for name, at in sorted(found["oldest"].items())]
    yield table(("TABLE", "OLDEST ROW", "AGE"), ages) if ages else "Nothing is stored."
    called = [(place, address) for place, addresses in found["called"].items() for address in addresses]
    called += [(f"client {client_id}", uri) for client_id, uri in found["notified"].items()]
    yield table(("CALLED FOR", "ADDRESS"), called) if called else "Nothing is called."
    yield f"Logout notices that wait: {found['undelivered']}."
