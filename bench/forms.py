"""The forms of token requests, as every server of RFC 6749 takes them."""

from bench.site import REDIRECT_URI, SECRET, VERIFIER


def client_credentials(client: str) -> dict[str, str]:
    """RFC 6749 section 4.4, with the secret in the form."""
    return {"grant_type": "client_credentials", "client_id": client, "client_secret": SECRET, "scope": "profile"}


def exchange(game: str, code: str) -> dict[str, str]:
    """RFC 6749 section 4.1.3 with PKCE."""
    return {
        "grant_type": "authorization_code",
        "client_id": game,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "code": code,
    }


def refresh(game: str, token: str) -> dict[str, str]:
    """RFC 6749 section 6."""
    return {"grant_type": "refresh_token", "client_id": game, "refresh_token": token}
