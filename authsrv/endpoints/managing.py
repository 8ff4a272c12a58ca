"""How servers of the studio call `/v1/users` and `/v1/events`: who asks, and what is said, in a form or in JSON."""

from collections.abc import Mapping

from starlette.requests import Request

from authsrv.accounts.managed import Managers, server_as
from authsrv.accounts.performing import Order
from authsrv.endpoints.endpoint import sender
from authsrv.endpoints.forms import header_values, read_form
from authsrv.endpoints.json_objects import read_object, text
from authsrv.endpoints.token import authorization, refuse_secret_in_query
from authsrv.errors import InvalidRequest
from authsrv.models import Client
from authsrv.oauth.clients import CLIENT_PARAMETERS
from authsrv.oauth.parameters import boolean
from authsrv.oauth.request import TokenRequest
from authsrv.records import dataclass

MAX_BODY = 20 * 1024
"""As for other requests with the authentication of a client, whose assertion alone may have 16 KiB."""

_NUMBERS = frozenset({"until", "seconds"})


@dataclass(frozen=True, slots=True)
class Call:
    """A request of a server that may manage players: its client, what it said, and what that orders."""

    client: Client
    sent: Mapping[str, str]
    order: Order

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises `InvalidRequest`."""
        if not self.sent.get(name):
            raise InvalidRequest(f"Send {name}.", parameter=name)
        return self.sent[name]


class Managing:
    """Reads such requests."""

    def __init__(self, managers: Managers) -> None:
        self._managers = managers

    async def __call__(self, request: Request, names: frozenset[str] = frozenset()) -> Call:
        """A request with these parameters, beside `reason` and `preview`. Raises `AuthsrvError`."""
        refuse_secret_in_query(request.scope["query_string"])
        sent = await read_members(request, names | {"reason", "preview"} | CLIENT_PARAMETERS)
        from_whom = sender(request)
        client = self._managers.client(TokenRequest(sent, authorization(request), from_whom))
        doer, preview = server_as(client, from_whom.cut_address), boolean(sent, "preview", default=False)
        return Call(client, sent, Order(client.project, doer, from_whom, sent.get("reason", ""), preview))


async def read_members(request: Request, names: frozenset[str]) -> Mapping[str, str]:
    """The known parameters of a form, or members of a JSON object; none without a body.

    Booleans become texts, as a form has them, and so do whole numbers where they count seconds.

    Raises what `read_form` and `read_object` do.
    """
    if request.method == "GET":
        return {}
    types = header_values(request, b"content-type")
    if not (len(types) == 1 and types[0].lower().startswith(b"application/json")):
        return (await read_form(request, MAX_BODY)).take(names)
    sent = await read_object(request, MAX_BODY)
    spelled = {name: str(sent[name]).lower() for name in names & sent.keys() if _is_spelled(name, sent[name])}
    return {**{name: text(sent, name) for name in names & sent.keys() - spelled.keys()}, **spelled}


def _is_spelled(name: str, value: object) -> bool:
    return isinstance(value, bool) or (name in _NUMBERS and isinstance(value, int))
