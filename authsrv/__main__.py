"""`python -m authsrv` and the `authsrv` program."""

import gc
import os
import sys

_NEW_OBJECTS = 200_000


def main() -> None:
    """Run the command line; ends the process with the command's exit status."""
    # Nearly everything that a start makes stays; looking through it again and again is 5 to 15 % of its time.
    gc.set_threshold(_NEW_OBJECTS)
    # No other package's plug-in sees the secrets of the configuration, and every package is not looked through for one.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.argv[1:2] == ["serve"]:
        _serve(sys.argv[2:])
    else:
        _command()


def _serve(arguments: list[str]) -> None:
    from authsrv.commands.plain_serve import plain  # noqa: PLC0415 - the other commands have no use for it

    asked = plain(arguments)
    if asked is None:
        from authsrv.commands.serving import app  # noqa: PLC0415 - without the other commands

        app(arguments, prog_name="authsrv serve")
        return
    try:
        from authsrv.commands.starting import start  # noqa: PLC0415 - the server itself, heavy

        sys.exit(start(asked))
    except KeyboardInterrupt:  # before there is a server that would stop in order
        sys.exit("Aborted!")


def _command() -> None:
    from authsrv.cli import app  # noqa: PLC0415 - every command

    app(prog_name="authsrv")


if __name__ == "__main__":
    main()
