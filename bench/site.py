"""What all systems agree on, so that they serve the same game: names, redirect URI, PKCE pair, secret."""

import hashlib
from base64 import urlsafe_b64encode

REDIRECT_URI = "http://127.0.0.1/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""RFC 7636 appendix B."""
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SECRET = "bench-secret-of-more-than-32-characters"
GAMES = {"ES256": "game-es256", "RS256": "game-rs256"}
"""The public client whose id_tokens are signed by an algorithm."""
BACKENDS = {"ES256": "backend-es256", "RS256": "backend-rs256"}
"""The confidential client whose access tokens are signed by an algorithm."""
