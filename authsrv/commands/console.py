"""What every command shares: the configuration's option, reading the file, giving an order, and ending with a text.

Everything heavy is imported inside the functions, so that `--help` answers at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from authsrv.config import Config, ConfigError

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", envvar="AUTHSRV_CONFIG")]
CONFIG = Path("authsrv.toml")


def load(path: Path) -> "Config":
    """The configuration; ends the command with every mistake in it."""
    from authsrv import config as configuration  # noqa: PLC0415 - heavy

    try:
        return configuration.load(path)
    except configuration.ConfigError as error:
        unusable(error)


def order(path: Path, name: str, **arguments: Any) -> Mapping[str, Any]:
    """Have an order carried out by the running server, or here when none runs; ends the command with the refusal.

    What is done here is logged to stderr as the server would have logged it.
    """
    import asyncio  # noqa: PLC0415 - heavy

    from authsrv import log  # noqa: PLC0415 - heavy
    from authsrv.orders.delivery import deliver  # noqa: PLC0415 - heavy
    from authsrv.orders.desk import OrderRefused  # noqa: PLC0415 - heavy

    config = load(path)
    pipeline = log.configure(level="warning", pretty=config.log.format == "console")
    try:
        return asyncio.run(deliver(config, name, arguments, pipeline.emit))
    except OrderRefused as error:
        fail(str(error))
    finally:
        pipeline.stop()


def unusable(error: "ConfigError") -> NoReturn:
    """End the command with every mistake of its configuration."""
    fail(f"the configuration cannot be used\n\n{error}")


def fail(text: str) -> NoReturn:
    """End the command with exit status 1."""
    typer.echo(f"authsrv: {text}", err=True)
    raise typer.Exit(1)
