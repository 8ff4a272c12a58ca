"""The browser's cookie: its name, its attributes, and the strict reading of the Cookie header.

Owns RFC 6265's traps (rows E01, E03). Knows neither what the cookie's value means nor any page.
"""

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.forms import header_values
from authsrv.oauth.browser.browsers import NewCookie

SECURE_NAME = "__Host-authsrv_sid"
PLAIN_NAME = "authsrv_sid"


class SessionCookie:
    """One cookie for everything: bound to the host by its prefix where the issuer is https.

    On plain http, which only a development server speaks, browsers refuse the prefix.
    """

    def __init__(self, issuer: str) -> None:
        secure = issuer.startswith("https://")
        self._name = SECURE_NAME if secure else PLAIN_NAME
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def read(self, request: Request) -> str:
        """The cookie's value. Empty without one, and also with two: nobody can say which is the true one."""
        header = b"; ".join(header_values(request, b"cookie")).decode("latin-1")
        # No other white space: to a browser `\xa0__Host-name` is another name, which any neighbour of ours may set.
        pairs = (part.strip(" \t").partition("=") for part in header.split(";"))
        found = [value for name, _, value in pairs if name == self._name]
        return found[0] if len(found) == 1 else ""

    def set(self, response: Response, cookie: NewCookie | None) -> Response:
        """The response, with the browser's new cookie if it has one."""
        if cookie is not None:
            text = f"{self._name}={cookie.value}; Max-Age={cookie.max_age}{self._attributes}"
            response.raw_headers.append((b"set-cookie", text.encode("latin-1")))
        return response
