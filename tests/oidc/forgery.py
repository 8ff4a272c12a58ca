"""Tokens that say what a test wants, signed by the server's own keys or by a stranger's."""

from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from authsrv.models import SigningAlgorithm
from tests.support.server import Server

Claims = dict[str, Any]


async def signed(server: Server, claims: Claims, alg: SigningAlgorithm = "ES256", **header: Any) -> str:
    """A token as nobody but the server could make it. `header` is added to `kid` and `alg`."""
    key = server.app.desk.keys.ring.signer(alg)
    return jwt.encode(claims, key.private, algorithm=alg, headers={"kid": key.kid, **header})


def forged(claims: Claims, header: dict[str, Any]) -> str:
    """A token under this header, its `kid` included, signed by somebody else's key of the same kind."""
    return jwt.encode(claims, _strangers(header["alg"]), algorithm=header["alg"], headers=header)


@cache
def _strangers(alg: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if alg == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())
