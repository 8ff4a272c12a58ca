"""`python -m authsrv` and the `authsrv` program."""

from authsrv.cli import app


def main() -> None:
    """Run the command line; ends the process with the command's exit status."""
    app(prog_name="authsrv")


if __name__ == "__main__":
    main()
