"""Brings orders to whom they concern: the running server, or the database itself while nobody serves.

Owns that choice. Through the socket an order acts at once; without a server it takes the database's lock, so that none
starts meanwhile.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, cast

from authsrv.app import World, create_app
from authsrv.config import Config
from authsrv.log import Emit
from authsrv.oauth.key_material import KeyRingError
from authsrv.orders import ORDERS
from authsrv.orders.desk import Desk, OrderRefused, RefusalCode
from authsrv.serving.control import ControlError, NotServing, call
from authsrv.storage.base import StorageError


class Delivery:
    """Delivers orders. The database, once it had to be opened here, stays so until `aclose`.

    `emit` takes the audit events of orders that no server carried out.
    """

    def __init__(self, config: Config, emit: Emit) -> None:
        self._config = config
        self._emit = emit
        self._opened = AsyncExitStack()
        self._desk: Desk | None = None

    async def order(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have an order carried out; the members of its answer. Raises `OrderRefused`."""
        if self._desk is not None:
            return await self._alone(name, arguments)
        try:
            return await self._through_the_socket(name, arguments)
        except NotServing:
            return await self._alone(name, arguments)
        except ControlError as error:
            raise OrderRefused(str(error), cast("RefusalCode", error.code)) from error

    async def aclose(self) -> None:
        """Close the database, if it was opened here."""
        await self._opened.aclose()

    async def _through_the_socket(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._config.control_socket is None:
            raise NotServing("the configuration names no control socket")
        return await call(self._config.control_socket, name, **arguments)

    async def _alone(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await ORDERS[name](await self._own_desk(), arguments)
        except (StorageError, KeyRingError) as error:
            raise OrderRefused(str(error)) from error

    async def _own_desk(self) -> Desk:
        if self._desk is None:
            opening = create_app(self._config, World(emit=self._emit)).opened()
            self._desk = await self._opened.enter_async_context(opening)
        return self._desk
