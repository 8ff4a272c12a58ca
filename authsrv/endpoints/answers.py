"""The authorization response on its way to the client: by query, fragment or form (OAuth 2.0 Multiple Response Types).

Owns the parameters and their order; `iss` is in every answer (RFC 9207). Decides nothing.
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from authsrv.endpoints.dialects import XSOLLA, code_parameters, identified
from authsrv.endpoints.endpoint import report
from authsrv.endpoints.screens import Screens
from authsrv.errors import AuthsrvError
from authsrv.oauth.browser.request import Target
from authsrv.redirects import append_fragment, append_query


class Answers:
    """Answers a client at its redirect URI."""

    def __init__(self, screens: Screens, issuer: str) -> None:
        self._screens = screens
        self._issuer = issuer

    def code(self, request: Request, target: Target, code: str) -> Response:
        """The code."""
        return self._answer(request, target, code_parameters(code, target.state, self._issuer))

    def error(self, request: Request, target: Target, error: AuthsrvError) -> Response:
        """A refusal, with the `state` unless that is what is wrong."""
        report(request, error)
        told = self._told(target, error)
        return self._answer(request, target, identified(told, error, target.state, self._issuer))

    def _told(self, target: Target, error: AuthsrvError) -> Sequence[tuple[str, str]]:
        if target.client.profile == "xsolla":
            return XSOLLA.redirect_error(error)
        return [("error", error.error), ("error_description", error.description)]

    def _answer(self, request: Request, target: Target, told: Sequence[tuple[str, str]]) -> Response:
        if target.mode == "form_post":
            return self._screens.form_post(request, target.redirect_uri, tuple(told))
        append = append_fragment if target.mode == "fragment" else append_query
        return redirect(request, append(target.redirect_uri, told))


def redirect(request: Request, url: str) -> Response:
    """302 after GET, 303 after POST, so that no browser repeats a body (RFC 9700 section 4.12)."""
    return Response(status_code=302 if request.method == "GET" else 303, headers={"location": url})
