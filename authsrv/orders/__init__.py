"""What an operator may order: each order is one function upon a `Desk`, whether the server runs or not.

`ORDERS` lists them by the name that goes through the control socket. They know no command line and no socket.
"""

from collections.abc import Mapping

from authsrv.orders.desk import Order
from authsrv.orders.keys import list_keys, revoke, rotate
from authsrv.orders.nodes import list_nodes
from authsrv.orders.players import barring, forgetting, looking, owning
from authsrv.orders.privacy import census
from authsrv.orders.tokens import revoke_tokens

ORDERS: Mapping[str, Order] = {
    "keys.list": list_keys,
    "keys.rotate": rotate,
    "keys.revoke": revoke,
    "nodes.list": list_nodes,
    "tokens.revoke": revoke_tokens,
    "privacy.census": census,
    "players.find": looking.find,
    "players.show": looking.show,
    "players.ban": barring.ban,
    "players.unban": barring.unban,
    "players.restrict": barring.restrict,
    "players.unrestrict": barring.unrestrict,
    "players.link": owning.link,
    "players.unlink": owning.unlink,
    "players.transfer": owning.transfer,
    "players.merge": owning.merge,
    "players.undo": owning.undo,
    "players.export": forgetting.export,
    "players.erase": forgetting.erase,
}
