"""What an operator may order: each order is one function upon a `Desk`, whether the server runs or not.

`ORDERS` lists them by the name that goes through the control socket. They know no command line and no socket.
"""

from collections.abc import Mapping

from authsrv.orders.desk import Order
from authsrv.orders.keys import list_keys, revoke, rotate
from authsrv.orders.players import looking
from authsrv.orders.tokens import revoke_tokens

ORDERS: Mapping[str, Order] = {
    "keys.list": list_keys,
    "keys.rotate": rotate,
    "keys.revoke": revoke,
    "tokens.revoke": revoke_tokens,
    "players.find": looking.find,
    "players.show": looking.show,
}
