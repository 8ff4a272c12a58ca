"""Why a request with an access token is not served, and what RFC 6750 answers to it.

    AccessTokenError
        InvalidToken         401  the token is not good, or no longer
        InsufficientScope    403  the token is good, and not for this
        Unavailable          503  nobody can say: the login server's keys or its revocations are not known

Every text is fixed, and none holds any part of a token.
"""


class AccessTokenError(Exception):
    """The request is not to be served. `status` and `challenge`, the `WWW-Authenticate`, are what to answer."""

    status: int
    challenge: str = ""


class InvalidToken(AccessTokenError):
    """The access token is not good. `reason` says which check failed, for the log and for whoever sent the token."""

    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.challenge = f'Bearer error="invalid_token", error_description="{reason}"'


class InsufficientScope(AccessTokenError):
    """The access token lacks a scope. `scope` are the values that are needed, separated by spaces."""

    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(f"the access token needs the scope {scope}")
        self.scope = scope
        self.challenge = f'Bearer error="insufficient_scope", scope="{scope}"'


class Unavailable(AccessTokenError):
    """Whether the access token is good cannot be said now. `retry_after` are the seconds after which to ask again."""

    status = 503

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
