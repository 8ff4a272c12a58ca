"""`authsrv nodes`: which nodes serve the database, and whether they have one configuration.

Holds no rules: it gives one order and prints what came of it, beside the file's own fingerprint.
"""

import json

import typer

from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, load, moment, order, table

HEAD = ("NODE", "CONFIGURATION", "WORK OF ALL", "THERE UNTIL")
ALONE = "The database is in one file, which one process serves; there are no nodes to be told of."


def list_nodes(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    """List the nodes of the database.

    Each with its configuration, and whether it does the work of all. A node that died is listed for 20 seconds more.
    """
    from authsrv.config.fingerprint import fingerprint  # noqa: PLC0415 - heavy

    own, found = fingerprint(load(config)), order(config, "nodes.list")
    if as_json:
        typer.echo(json.dumps({"configuration": own, **found}, indent=2))
    elif not found["shared"]:
        typer.echo(ALONE)
    else:
        rows = [
            (node["name"], node["configuration"], "yes" if node["works"] else "no", moment(node["until"]))
            for node in found["nodes"]
        ]
        typer.echo(table(HEAD, rows))
        typer.echo(f"\n{_judged(own, [node['configuration'] for node in found['nodes']])}")


def _judged(own: str, theirs: list[str]) -> str:
    others = sum(one != own for one in theirs)
    if others:
        return f"This file is {own}: {others} of {len(theirs)} nodes have another one."
    return f"This file is {own}, as every node has it." if theirs else f"This file is {own}. No node serves."
