"""How an operator confirms what cannot be taken back easily: by typing whom it is about."""

import sys

import typer

from authsrv.commands.console import fail


def confirm(what: str, word: str) -> None:
    """Show what would happen, and go on only once the word was typed. Where nobody can type, end the command."""
    if not at_terminal():
        fail("this asks before it does anything, and there is no terminal; add --yes")
    typer.echo(f"{what}\n", err=True)
    typer.echo(f"Type {word} to go on: ", nl=False, err=True)  # typer.prompt would write to the answer as well
    if sys.stdin.readline().strip() != word:
        fail("that is something else; nothing was changed")


def at_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()
