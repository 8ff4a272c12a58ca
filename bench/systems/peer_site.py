"""The file that tells a peer's own scripts what all systems agree on, with keys made for this run."""

import json
from pathlib import Path

from joserfc.jwk import ECKey, RSAKey

from bench.seed import ISSUER
from bench.site import BACKENDS, CHALLENGE, GAMES, REDIRECT_URI, SECRET


def write_peer_site(path: Path) -> None:
    """As JSON. The keys are private JWKs, one for each algorithm."""
    keys: dict[str, ECKey | RSAKey] = {"ES256": ECKey.generate_key("P-256"), "RS256": RSAKey.generate_key(2048)}
    site = {
        "issuer": ISSUER,
        "redirect_uri": REDIRECT_URI,
        "secret": SECRET,
        "challenge": CHALLENGE,
        "games": GAMES,
        "backends": BACKENDS,
        "keys": [
            {**key.as_dict(private=True), "kid": algorithm.lower(), "alg": algorithm, "use": "sig"}
            for algorithm, key in keys.items()
        ],
    }
    path.write_text(json.dumps(site))
