"""`POST /v1/me/links/redeem`, where a game on another device redeems a link code: parse, call, answer."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authsrv.accounts.redeeming import Confirmation, Presentation, Redeeming
from authsrv.endpoints.connect_calls import CREDENTIAL, read_call, read_submission
from authsrv.endpoints.json_objects import flag, members, read_object, require_known, required_text
from authsrv.oauth.clients import CLIENT_PARAMETERS

MAX_BODY = 128 * 1024
"""An XSTS token has up to 64 KiB, and JSON may write a character as six."""

_MEMBERS = CLIENT_PARAMETERS | {"code", "provider", "credential", "confirm", "confirmation_token"}
_LONGEST_TOKEN = 4 * 1024


class RedeemEndpoint:
    """Shows what a code is about, and with `confirm` links."""

    def __init__(self, redeeming: Redeeming) -> None:
        self._redeeming = redeeming

    async def __call__(self, request: Request) -> Response:
        """What the player must be asked, or that it is linked."""
        sent = await read_object(request, MAX_BODY)
        require_known(sent, _MEMBERS)
        # Whoever is signed in on this device has nothing to do with it.
        call, code = replace(read_call(request, sent), access_token=""), required_text(sent, "code")
        if flag(sent, "confirm"):
            token = required_text(sent, "confirmation_token", _LONGEST_TOKEN)
            return JSONResponse(await self._redeeming.confirm(Confirmation(call, code, token)))
        provider = required_text(sent, "provider")
        submitted = read_submission(members(sent, "credential", CREDENTIAL))
        return JSONResponse(await self._redeeming.present(Presentation(call, code, provider, submitted)))
