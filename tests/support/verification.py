"""Checking a token of the server as a relying party does: by the published keys and nothing else."""

from typing import Any

import jwt

from tests.support.server import Server


async def verified(server: Server, token: str, audience: str, typ: str = "JWT") -> dict[str, Any]:
    """The claims of a token in time, whose signature, type, issuer and audience are right."""
    keys = jwt.PyJWKSet.from_dict((await server.http.get("/oauth2/jwks")).json())
    header = jwt.get_unverified_header(token)
    assert header["typ"] == typ
    key = keys[header["kid"]]
    assert header["alg"] == key.algorithm_name
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[header["alg"]],
        audience=audience,
        issuer=server.app.config.issuer,
        # The server's clock is the test's; times are held against it below.
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims.get("iat", 0) <= server.clock.now
    assert server.clock.now < claims.get("exp", server.clock.now + 1)
    return claims
