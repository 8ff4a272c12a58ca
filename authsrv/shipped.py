"""Where the files lie that ship with the program and are no Python: migrations and templates. Knows none of them."""

from pathlib import Path


def shipped(folder: str) -> Path:
    """The folder: inside the package when installed, at the top level of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / f"_{folder}"
    return installed if installed.is_dir() else package.parent / folder
