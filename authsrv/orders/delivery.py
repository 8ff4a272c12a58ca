"""Brings an order to whom it concerns: the running server, or the database itself while nobody serves.

Owns that choice. Through the socket an order acts at once; without a server it takes the database's lock, so that none
starts meanwhile.
"""

from collections.abc import Mapping
from typing import Any

from authsrv.app import World, create_app
from authsrv.config import Config
from authsrv.log import Emit
from authsrv.oauth.key_material import KeyRingError
from authsrv.orders import ORDERS
from authsrv.orders.desk import OrderRefused
from authsrv.serving.control import ControlError, NotServing, call
from authsrv.storage.base import StorageError


async def deliver(config: Config, name: str, arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Have an order carried out; the members of its answer. Raises `OrderRefused`.

    `emit` takes the audit events of an order that no server carried out.
    """
    try:
        return await _through_the_socket(config, name, arguments)
    except NotServing:
        return await _alone(config, name, arguments, emit)
    except ControlError as error:
        raise OrderRefused(str(error)) from error


async def _through_the_socket(config: Config, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if config.control_socket is None:
        raise NotServing("the configuration names no control socket")
    return await call(config.control_socket, name, **arguments)


async def _alone(config: Config, name: str, arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    try:
        async with create_app(config, World(emit=emit)).opened() as desk:
            return await ORDERS[name](desk, arguments)
    except (StorageError, KeyRingError) as error:
        raise OrderRefused(str(error)) from error
