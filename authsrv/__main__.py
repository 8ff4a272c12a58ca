"""`python -m authsrv` and the `authsrv` program."""

import gc

from authsrv.cli import app

_NEW_OBJECTS = 200_000


def main() -> None:
    """Run the command line; ends the process with the command's exit status."""
    # Nearly everything that a start makes stays; looking through it again and again is 5 to 15 % of its time.
    gc.set_threshold(_NEW_OBJECTS)
    app(prog_name="authsrv")


if __name__ == "__main__":
    main()
