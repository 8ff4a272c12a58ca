"""The options that several commands about players share, and the operator's name."""

import getpass
import os
from typing import Annotated

import typer


def operator() -> str:
    """Who gives the commands: the user who became the one that runs the server by sudo, else the user."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"


OperatorOption = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="NAME",
        help="Your name, for the journal.",
        default_factory=operator,
        show_default="who is logged in",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]
ReasonOption = Annotated[
    str, typer.Option(metavar="TEXT", help="Why, for the journal and whoever asks.", show_default=False)
]
EnvironmentOption = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Of an account at Xbox or EOS, as authsrv players show tells those of others.",
        show_default=False,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
FileOption = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Many players: a file with a sub a line, - for standard input.",
        show_default=False,
    ),
]
