"""What a checked access token says.

Owns the words a backend works with. Knows no check.
"""

from dataclasses import dataclass, field

from authsrv.verify.claims import Claims
from authsrv.verify.errors import InsufficientScope


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that passed every check. Its text is not kept.

    `sub` is the player's id, or the `client_id` in a server's own token, which has no `gid` (the id of the login).
    `act` says who acts for the player (RFC 8693 section 4.1), None if nobody does. `origin_jti` and `origin_client_id`
    are those of the token that it was made of by token exchange, else empty. `kid` is the key that signed it. Times are
    Unix seconds. `claims` are all of them, as they stood in the token.
    """

    sub: str
    client_id: str
    scope: frozenset[str]
    gid: str
    jti: str
    kid: str
    issued_at: int
    expires_at: int
    act: Claims | None
    origin_jti: str
    origin_client_id: str
    claims: Claims = field(repr=False)

    def require(self, scope: str) -> None:
        """Raise `InsufficientScope` unless the token has all these scopes, separated by spaces."""
        if not self.scope.issuperset(scope.split()):
            raise InsufficientScope(scope)
