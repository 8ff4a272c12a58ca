"""`authsrv keys ...`: look at the signing keys, change them soon, give one up.

Holds no rules: every command gives one order and prints what came of it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import typer

from authsrv.commands.console import CONFIG, ConfigOption, JsonOption, moment, order, table

app = typer.Typer(name="keys", help="Look at the signing keys, change them, give one up.", no_args_is_help=True)

Key = Mapping[str, Any]

REVOKED = """\
Tokens of this key are refused here at once. Verifiers that read the revocation feed refuse them within 30 seconds,
others when they fetch the key set again: an hour by its headers, up to a day. Refresh tokens and sessions go on.
docs/keys.md says what else to do if the whole database has leaked."""


@app.command(name="list")
def list_keys(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    """List the signing keys.

    next: published, does not sign yet. active: signs. retiring: published for the tokens it signed. retired, revoked:
    not published.
    """
    _show(order(config, "keys.list"), as_json=as_json)


@app.command()
def rotate(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    """Change the keys soon.

    Each key is followed by the next one as soon as every verifier knows that one: 25 hours after it was published. No
    token is refused because of it.
    """
    found = order(config, "keys.rotate")
    _show(found, as_json=as_json)
    if not as_json:
        typer.echo("\n" + "\n".join(_plans(found["keys"])))


@app.command()
def revoke(
    kid: Annotated[str, typer.Argument(help="The id of the key, as authsrv keys list shows it.", show_default=False)],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Give up a key that has leaked.

    At once, and without a question: it leaves the key set, its private part is erased, and another key signs.
    """
    found = order(config, "keys.revoke", kid=kid)
    _show(found, as_json=as_json)
    if not as_json:
        typer.echo(f"\n{REVOKED}")


def _show(found: Mapping[str, Any], *, as_json: bool) -> None:
    head = ("KID", "ALG", "STATE", "SIGNS FROM", "SIGNS UNTIL", "PUBLISHED UNTIL")
    typer.echo(json.dumps(found, indent=2) if as_json else table(head, map(_row, found["keys"])))


def _row(key: Key) -> tuple[str, ...]:
    return key["kid"], key["alg"], key["state"], *map(moment, _times(key))


def _times(key: Key) -> tuple[int | None, ...]:
    """When it signs, from and until, and when it leaves the key set. A key that was revoked in time never signed."""
    begin, revoked = key["signs_from"], key["revoked_at"]
    if not revoked:
        return begin, key["signs_until"], key["retires_at"]
    return (begin, revoked, revoked) if begin < revoked else (None, None, revoked)


def _plans(keys: Iterable[Key]) -> Iterator[str]:
    return (f"{key['alg']}: {key['kid']} signs from {moment(key['signs_from'])}." for key in keys if _is_latest(key))


def _is_latest(key: Key) -> bool:
    return key["state"] in {"next", "active"} and key["signs_until"] is None
