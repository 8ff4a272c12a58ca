"""Signing keys for peers that want theirs as PEM."""

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.workloads import Algorithm


def new_pem(algorithm: Algorithm) -> str:
    """A new private key, as long as authsrv's: P-256, or RSA with 2048 bits."""
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
