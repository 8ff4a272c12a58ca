"""The forms that are sent: those of RFC 6749, which every server takes, and authsrv's own."""

from authsrv.models import TOKEN_EXCHANGE
from bench.site import CHALLENGE, REDIRECT_URI, SECRET, VERIFIER

SCOPE = "openid profile offline"


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


def introspect(client: str, token: str) -> dict[str, str]:
    """RFC 7662 section 2.1, with the secret in the form."""
    return {"client_id": client, "client_secret": SECRET, "token": token}


def exchange_epic(game: str, id_token: str) -> dict[str, str]:
    """RFC 8693 section 2.1, with Epic's id_token."""
    return {
        "grant_type": TOKEN_EXCHANGE,
        "client_id": game,
        "subject_token": id_token,
        "subject_token_type": "urn:authsrv:params:oauth:token-type:epicgames:id_token",
        "scope": SCOPE,
    }


def silent_login(game: str, ticket: str) -> dict[str, str]:
    """docs/silent-login.md, with Steam's session ticket, answered in JSON."""
    return {
        "client_id": game,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "is_redirect": "false",
        "state": "a-state-of-the-bench",
        "scope": SCOPE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "session_ticket": ticket,
    }
