"""Fills django-oauth-toolkit's database through its own models. Reads what is wanted as JSON from standard input.

Writes the secrets to standard output as JSON: authorization codes, refresh tokens and access tokens.
"""

import json
import sys
import uuid
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  models need the settings first
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import (  # noqa: E402
    AccessToken,
    Application,
    Grant,
    RefreshToken,
    set_token_value,
)
from oauthlib.common import generate_token  # noqa: E402

NOW = timezone.now()
LATER = NOW + timedelta(days=1)
SCOPE = "openid profile offline_access"
AT_ONCE = 500


def seed(wanted: dict[str, Any]) -> dict[str, list[str]]:
    game, players = clients(wanted), users(wanted["players"])
    return {
        "codes": codes(game, players, wanted),
        "refresh_tokens": refresh_tokens(game, players, wanted["refresh_tokens"]),
        "access_tokens": [token for token, _ in access_tokens(game, players, len(players))],
    }


def clients(wanted: dict[str, Any]) -> Any:
    """The public game, which is given back, and the backend; its secret is random, so a slow hash protects nothing."""
    Application.objects.create(
        client_id="backend",
        name="backend",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        client_secret=wanted["secret"],
        hash_client_secret=False,
    )
    return Application.objects.create(
        client_id="game",
        name="game",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        client_secret="",
        redirect_uris=wanted["redirect_uri"],
        algorithm=Application.RS256_ALGORITHM,
    )


def users(count: int) -> list[Any]:
    user = get_user_model()
    return user.objects.bulk_create(
        [user(username=f"player{number}", password="!", first_name="Amber", last_login=NOW) for number in range(count)]
    )


def codes(game: Any, players: list[Any], wanted: dict[str, Any]) -> list[str]:
    texts = [generate_token() for _ in range(wanted["codes"])]
    grants = [
        Grant(
            user=players[number % len(players)],
            code=text,
            application=game,
            expires=LATER,
            redirect_uri=wanted["redirect_uri"],
            scope=SCOPE,
            code_challenge=wanted["challenge"],
            code_challenge_method="S256",
            claims="{}",
        )
        for number, text in enumerate(texts)
    ]
    Grant.objects.bulk_create(grants, AT_ONCE)
    return texts


def refresh_tokens(game: Any, players: list[Any], count: int) -> list[str]:
    texts, rows = [], []
    for _, access in access_tokens(game, players, count):
        row = RefreshToken(user=access.user, application=game, access_token=access, token_family=uuid.uuid4())
        texts.append(generate_token())
        set_token_value(row, texts[-1])
        rows.append(row)
    RefreshToken.objects.bulk_create(rows, AT_ONCE)
    return texts


def access_tokens(game: Any, players: list[Any], count: int) -> list[tuple[str, Any]]:
    texts, rows = [generate_token() for _ in range(count)], []
    for number, text in enumerate(texts):
        row = AccessToken(user=players[number % len(players)], application=game, expires=LATER, scope=SCOPE)
        set_token_value(row, text)
        rows.append(row)
    return list(zip(texts, AccessToken.objects.bulk_create(rows, AT_ONCE), strict=True))


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        made = seed(json.load(sys.stdin))
    json.dump(made, sys.stdout)
