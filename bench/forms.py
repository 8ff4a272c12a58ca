"""The token requests that are measured, as forms."""

from seed import REDIRECT_URI, SECRET, VERIFIER

CLIENT_CREDENTIALS = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": SECRET}


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
