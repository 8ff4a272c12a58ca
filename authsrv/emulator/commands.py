"""`authsrv emulator ...`: run the emulated platforms, mint credentials, and break platforms on purpose.

Holds no rules: every command calls one function and prints. Heavy modules are imported inside the commands.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.models import ArgumentInfo

if TYPE_CHECKING:
    from authsrv.emulator.client import Credential

PLATFORMS = ("steam", "xbox", "epic")
SERVICES = ("playfab",)
MODES = ("down", "slow", "garbage", "throttle", "none")
OTHER_NAMES = {"epicgames": "epic"}
"""What the server's addresses call a platform, where the emulator calls it otherwise."""

app = typer.Typer(
    name="emulator",
    help="Emulate Steam, Xbox and Epic, and PlayFab.\n\nReal HTTP with invented players: for the demo, for tests, and"
    " for a studio's own CI.",
    no_args_is_help=True,
)


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Reads one of these names; with the library's own choices pydantic's words stand in its complaint."""

    def chosen(text: str) -> str:
        name = OTHER_NAMES.get(text, text)
        if name not in names:
            raise typer.BadParameter(f"choose one of: {', '.join(names)}")
        return name

    return chosen


def _argument(what: str, names: Sequence[str]) -> ArgumentInfo:
    found: ArgumentInfo = typer.Argument(help=what, metavar="|".join(names), parser=one_of(names), show_default=False)
    return found


PlatformArgument = Annotated[str, _argument("The platform.", PLATFORMS)]
KeysOption = Annotated[
    Path, typer.Option(help="Directory of the emulator's keys; made with fresh keys where there are none.")
]


@app.command()
def run(
    port: Annotated[int, typer.Option(help="Port to listen on.", envvar="EMULATOR_PORT", min=1, max=65535)] = 8090,
    keys: KeysOption = Path("var/emulator"),
    host: Annotated[str, typer.Option(help="IPv4 address to listen on; 0.0.0.0 inside a container.")] = "127.0.0.1",
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve the three platforms and PlayFab.

    Runs until Ctrl-C. `authsrv emulator settings` prints the configuration that points a project at them.
    """
    from authsrv.emulator import host as emulated  # noqa: PLC0415 - heavy
    from authsrv.emulator import server  # noqa: PLC0415 - heavy
    from authsrv.emulator.app import create_emulator  # noqa: PLC0415 - heavy

    try:
        listener = server.listen(host, port)
        platforms = emulated.load_or_generate(keys)
    except server.PortTaken as error:
        _fail(f"{error}; choose another port with --port or EMULATOR_PORT")
    except (emulated.UnreadableKeys, OSError) as error:
        _fail(str(error))
    server.serve(create_emulator(platforms, emulated.services()), listener, until_stdin_closes=until_stdin_closes)


@app.command()
def ticket(
    platform: PlatformArgument,
    player: Annotated[str, typer.Option(help="Test player: amber, birch or cedar.")] = "amber",
    kind: Annotated[str, typer.Option(help="Kind of credential, as `credential_type` names it.")] = "",
    case: Annotated[str, typer.Option(help="An error case instead of a good credential; `list` shows all.")] = "good",
    as_json: Annotated[bool, typer.Option("--json", help="Also print how to send it, as one JSON object.")] = False,
) -> None:
    """Print a fresh credential.

    One line. It may be used once and expires soon, so mint one for every login:

    --data-urlencode "session_ticket=$(authsrv emulator ticket steam --player amber)"
    """
    from authsrv.emulator import client  # noqa: PLC0415 - heavy

    try:
        if case == "list":
            _print_cases(client.cases(client.find_port(), platform))
            return
        minted = client.mint(client.find_port(), platform, player, kind=kind, case=case)
    except client.EmulatorError as error:
        _fail(str(error))
    typer.echo(_as_json(minted) if as_json else minted.text)


@app.command()
def case(
    platform: Annotated[str, _argument("The service.", SERVICES)],
    name: Annotated[str, typer.Argument(help="The case; `good` ends another one, `list` shows all.")],
) -> None:
    """Choose how a service answers.

    For services that are called without a credential, which would say it. Holds until another case is chosen.
    """
    from authsrv.emulator import client  # noqa: PLC0415 - heavy

    try:
        if name == "list":
            _print_cases(client.cases(client.find_port(), platform))
            return
        client.set_case(client.find_port(), platform, name)
    except client.EmulatorError as error:
        _fail(str(error))
    typer.echo(f"{platform}: {name}")


@app.command()
def fault(
    platform: Annotated[str, _argument("The platform or service.", PLATFORMS + SERVICES)],
    mode: Annotated[
        str,
        typer.Option(
            metavar="|".join(MODES),
            parser=one_of(MODES),
            help="down: no answer. slow: 30 seconds. garbage: a web page. throttle: 429. none: ends it.",
            show_default=False,
        ),
    ],
    seconds: Annotated[
        float | None, typer.Option("--for", help="Seconds after which it ends by itself.", min=0.1, max=86400)
    ] = None,
) -> None:
    """Make a platform or service fail.

    Shows what players and games get to see then.
    """
    from authsrv.emulator import client  # noqa: PLC0415 - heavy

    try:
        client.set_fault(client.find_port(), platform, mode, seconds)
    except client.EmulatorError as error:
        _fail(str(error))
    typer.echo(f"{platform}: {mode}" + (f" for {seconds:g} s" if seconds else ""))


@app.command()
def settings(
    port: Annotated[int, typer.Option(help="Port of the emulator.", envvar="EMULATOR_PORT", min=1, max=65535)] = 8090,
    keys: KeysOption = Path("var/emulator"),
    project: Annotated[str, typer.Option(help="Project of the configuration file to write the block for.")] = "demo",
) -> None:
    """Print a project's settings.

    The part of authsrv.toml that points a project at this emulator; the server takes it with `dev = true` only.
    """
    from authsrv.emulator import host as emulated  # noqa: PLC0415 - heavy
    from authsrv.emulator.toml import to_toml  # noqa: PLC0415 - not needed by the other commands

    try:
        platforms = emulated.load_or_generate(keys)
    except (emulated.UnreadableKeys, OSError) as error:
        _fail(str(error))
    base_url = f"http://127.0.0.1:{port}"
    block = {
        **emulated.service_settings(emulated.services(), base_url),
        "platforms": emulated.platform_settings(platforms, base_url),
    }
    typer.echo(to_toml({"projects": {project: block}}), nl=False)


def _as_json(minted: "Credential") -> str:
    return json.dumps({"credential": minted.text, "parameters": minted.parameters, "headers": minted.headers})


def _print_cases(cases: dict[str, str]) -> None:
    width = max(map(len, cases), default=0)
    for name, meaning in cases.items():
        typer.echo(f"{name:<{width}}  {meaning}")


def _fail(text: str) -> NoReturn:
    typer.echo(f"authsrv: {text}", err=True)
    raise typer.Exit(1)
