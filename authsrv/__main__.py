"""`python -m authsrv` and the `authsrv` program."""

import gc

from authsrv.cli import app

_NEW_OBJECTS = 50_000


def main() -> None:
    """Run the command line; ends the process with the command's exit status."""
    # A start makes some 300,000 objects that all stay; looking through them again and again is a fifth of its time.
    gc.set_threshold(_NEW_OBJECTS)
    app(prog_name="authsrv")


if __name__ == "__main__":
    main()
